package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// target is where calls go: a server, and the token for it; zero is the folder.
type target struct {
	Server string
	Token  tenure.Secret
}

// contexts are the servers that a person works with, as the file keeps them.
type contexts struct {
	Current  string                `yaml:"current,omitempty"`
	Contexts map[string]savedPlace `yaml:"contexts,omitempty"`
}

// savedPlace is one server of the file, which is for its owner's eyes alone.
type savedPlace struct {
	Server string `yaml:"server"`
	Token  string `yaml:"token,omitempty"`
}

// target follows what is named: --server, $TENURE_SERVER, --context, or the
// current context. --dir and $TENURE_DIR name a folder, and so no server.
func (a *app) target() (target, error) {
	token := tenure.NewSecret(a.env("TENURE_TOKEN"))
	switch {
	case a.server != "" && a.context != "":
		return target{}, tenure.Errorf(tenure.Invalid, "--server and --context both name where to go")
	case a.server != "":
		return a.withSaved(target{a.server, token})
	case a.context == "" && a.dirGiven:
		return target{}, nil
	case a.context == "" && a.env("TENURE_SERVER") != "":
		return a.withSaved(target{a.env("TENURE_SERVER"), token})
	}
	all, err := a.readContexts()
	if err != nil {
		return target{}, err
	}
	name := a.context
	if name == "" {
		name = all.Current
	}
	if name == "" {
		return target{}, nil
	}
	c, ok := all.Contexts[name]
	if !ok {
		return target{}, noContext(name)
	}
	if token.IsZero() {
		token = tenure.NewSecret(c.Token)
	}
	return target{c.Server, token}, nil
}

// withSaved takes the token of a context with the same address, if none is given.
func (a *app) withSaved(t target) (target, error) {
	if !t.Token.IsZero() {
		return t, nil
	}
	all, err := a.readContexts()
	if err != nil {
		return t, err
	}
	for _, c := range all.Contexts {
		if c.Server == strings.TrimSuffix(t.Server, "/") {
			t.Token = tenure.NewSecret(c.Token)
		}
	}
	return t, nil
}

func noContext(name string) error {
	return tenure.Errorf(tenure.NotFound, "there is no context %q", clip(name, 80)).WithHint("list them: tenure context list")
}

// configPath is where contexts are kept.
func (a *app) configPath() (string, error) {
	if p := a.env("TENURE_CONFIG"); p != "" {
		return p, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", nil // no home, no contexts
	}
	return filepath.Join(dir, "tenure", "config.yaml"), nil
}

func (a *app) readContexts() (contexts, error) {
	var out contexts
	path, err := a.configPath()
	if err != nil || path == "" {
		return out, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, tenure.Errorf(tenure.Unavailable, "read %s: %w", path, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return out, tenure.Errorf(tenure.Forbidden, "%s holds tokens, and others may read it", path).WithHint("chmod 600 %s", path)
	}
	b, err := a.readFile(path)
	if err != nil {
		return out, err
	}
	if len(strings.TrimSpace(string(b))) == 0 {
		return out, nil
	}
	if err := yaml.UnmarshalWithOptions(b, &out, yaml.DisallowUnknownField()); err != nil {
		return out, tenure.Errorf(tenure.Invalid, "%s: %s", path, yaml.FormatError(err, false, false)) // no excerpt: it may hold a token
	}
	return out, nil
}

func (a *app) writeContexts(c contexts) error {
	path, err := a.configPath()
	if err != nil {
		return err
	}
	if path == "" {
		return tenure.Errorf(tenure.Invalid, "there is no place for contexts").WithHint("name a file: TENURE_CONFIG=PATH")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return tenure.Errorf(tenure.Unavailable, "write %s: %w", path, err)
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return tenure.Errorf(tenure.Internal, "write %s: %w", path, err)
	}
	return writeFile(path, b) // a temporary file has mode 0600, and keeps it
}

// save keeps a server under a name and makes it the current one.
func (a *app) save(name, server string, token tenure.Secret) error {
	all, err := a.readContexts()
	if err != nil {
		return err
	}
	if all.Contexts == nil {
		all.Contexts = map[string]savedPlace{}
	}
	all.Contexts[name], all.Current = savedPlace{strings.TrimSuffix(server, "/"), token.Reveal()}, name
	return a.writeContexts(all)
}

// shownContext is a context as it is shown: never with its token.
type shownContext struct {
	Name    string `json:"name"`
	Server  string `json:"server"`
	Token   bool   `json:"token"` // there is one
	Current bool   `json:"current,omitempty"`
}

func (a *app) contextCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "context",
		Short: "Keep the servers that you work with",
		Long: "Contexts stand in $TENURE_CONFIG, or tenure/config.yaml in the user's configuration folder, for its owner's eyes alone.\n" +
			"Without one, and without --server, commands go to the server that runs on the folder, or to the folder itself.",
	}, a.contextList(), a.contextUse(), a.contextSet(), a.contextDelete())
}

func (a *app) contextList() *cobra.Command {
	return command("list", "List contexts", "Tokens are never shown.", cobra.NoArgs, func(*cobra.Command, []string) error {
		all, err := a.readContexts()
		if err != nil {
			return err
		}
		var out []shownContext
		for name, c := range all.Contexts {
			out = append(out, shownContext{name, c.Server, c.Token != "", name == all.Current})
		}
		slices.SortFunc(out, func(x, y shownContext) int { return strings.Compare(x.Name, y.Name) })
		return a.show(out, func(o *page) {
			if len(out) == 0 {
				o.line("There is no context. Make one: tenure login --server URL")
				return
			}
			rows := make([][]string, len(out))
			for i, c := range out {
				rows[i] = []string{c.Name, c.Server, map[bool]string{true: "yes", false: "no"}[c.Token], map[bool]string{true: "current"}[c.Current]}
			}
			o.table([]string{"name", "server", "token", ""}, rows)
		})
	})
}

func (a *app) contextUse() *cobra.Command {
	var none bool
	cmd := command("use NAME", "Make a context the current one", "With --none commands go to the folder again.", cobra.MaximumNArgs(1), func(_ *cobra.Command, args []string) error {
		all, err := a.readContexts()
		if err != nil {
			return err
		}
		switch {
		case none && len(args) == 0:
			all.Current = ""
		case none || len(args) == 0:
			return tenure.Errorf(tenure.Invalid, "name one context, or say --none")
		default:
			if _, ok := all.Contexts[args[0]]; !ok {
				return noContext(args[0])
			}
			all.Current = args[0]
		}
		if err := a.writeContexts(all); err != nil {
			return err
		}
		return a.show(shownContext{Name: all.Current, Server: all.Contexts[all.Current].Server, Token: all.Contexts[all.Current].Token != "", Current: !none}, func(o *page) {
			if none {
				o.line("Commands go to the folder.")
				return
			}
			o.line("Commands go to %s.", all.Contexts[all.Current].Server)
		})
	})
	cmd.Flags().BoolVar(&none, "none", false, "no context is the current one")
	return cmd
}

func (a *app) contextSet() *cobra.Command {
	var token string
	cmd := command("set NAME --server URL", "Keep a server under a name", "The token is read from a file, or from the standard input for -, so that it stands in no list of processes.", cobra.ExactArgs(1), func(_ *cobra.Command, args []string) error {
		name := strings.TrimSpace(args[0])
		if name == "" || a.server == "" {
			return tenure.Errorf(tenure.Invalid, "a context needs a name and a server").WithHint("tenure context set NAME --server URL")
		}
		secret := tenure.NewSecret(a.env("TENURE_TOKEN"))
		if token != "" {
			b, err := a.readFile(token)
			if err != nil {
				return err
			}
			secret = tenure.NewSecret(strings.TrimSpace(string(b)))
		}
		if _, err := client.New(a.server, client.WithToken(secret)); err != nil {
			return err
		}
		if err := a.save(name, a.server, secret); err != nil {
			return err
		}
		return a.show(shownContext{name, a.server, !secret.IsZero(), true}, func(o *page) { o.line("%s is %s; commands go there.", name, a.server) })
	})
	cmd.Flags().StringVar(&token, "token-file", "", "a file with the token; - is the standard input (default $TENURE_TOKEN)")
	return cmd
}

func (a *app) contextDelete() *cobra.Command {
	return command("delete NAME", "Forget a context", "Its token isn't revoked by it: tenure logout does that.", cobra.ExactArgs(1), func(_ *cobra.Command, args []string) error {
		all, err := a.readContexts()
		if err != nil {
			return err
		}
		if _, ok := all.Contexts[args[0]]; !ok {
			return noContext(args[0])
		}
		delete(all.Contexts, args[0])
		if all.Current == args[0] {
			all.Current = ""
		}
		if err := a.writeContexts(all); err != nil {
			return err
		}
		return a.show(shownContext{Name: args[0]}, func(o *page) { o.line("%s is forgotten.", args[0]) })
	})
}
