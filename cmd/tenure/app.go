package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/clock"
)

// app is what every command shares: where it reads and writes, and the flags
// that stand before any command.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	clock    clock.Virtual // nil: the machine's

	dir      string
	dirGiven bool
	server   string
	context  string
	as       string
	output   string
	noColor  bool
	ran      bool // the command's own code was reached
}

// now is the time that commands go by.
func (a *app) now() time.Time {
	if a.clock != nil {
		return a.clock.Now()
	}
	return time.Now()
}

// root is the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tenure",
		Short: "Move tenants in, keep their boundaries, and move them out with proof",
		Long: "Tenure is the control plane for a tenant's whole life on a SaaS platform. Every operation is a plan that people\n" +
			"read before it runs; nothing of a tenant exists unless the inventory knows it, and nothing of it remains once\n" +
			"the certificate says it left.",
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: a.prepare,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return tenure.Errorf(tenure.Invalid, "%s", err).WithHint("list its flags: %s --help", cmd.CommandPath())
	})
	f := root.PersistentFlags()
	f.StringVar(&a.dir, "dir", "", "the installation's folder (default $TENURE_DIR or ./tenure-data)")
	f.StringVar(&a.server, "server", "", "the server to ask, by its address (default $TENURE_SERVER, or the current context's)")
	f.StringVar(&a.context, "context", "", "the context to use, instead of the current one")
	f.StringVar(&a.as, "as", "", "who is asking, at the folder or its socket; recorded as asserted (default the system's user)")
	f.StringVar(&a.output, "output", "human", "how to print: human, or json for exactly one JSON document")
	f.BoolVar(&a.noColor, "no-color", false, "print without colour, as $NO_COLOR asks for too")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"human", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = root.MarkPersistentFlagDirname("dir")
	group(root,
		a.initCommand(), a.serveCommand(), a.system(), a.connector(), a.surveyCommand(), a.importCommand(), a.blueprint(), a.plan(), a.tenant(), a.operation(), a.checklist(),
		a.hold(), a.vendor(), a.datamap(), a.drift(), a.sweep(), a.probe(), a.finding(), a.secret(), a.audit(), a.certificate(), a.key(), a.clockCommand(), a.storeCommand(), a.explain(), a.apply(),
		a.review(), a.agreement(), a.move(), a.approval(), a.standing(), a.trigger(), a.inbound(), a.leave(), a.notice(), a.delegation(), a.elevation(), a.breakGlass(),
		a.principal(), a.grant(), a.role(), a.token(), a.sessionCommand(), a.accessCommand(), a.fleet(), a.events(),
		a.whoami(), a.login(), a.logout(), a.contextCommand(), a.demo(), a.version(),
	)
	return root
}

// prepare fills in the defaults of the flags that every command has.
func (a *app) prepare(cmd *cobra.Command, _ []string) error {
	a.ran = true
	if a.output != "human" && a.output != "json" {
		given := a.output
		a.output = "human"
		return tenure.Errorf(tenure.Invalid, "there is no output %q", given).WithHint("--output human or --output json")
	}
	if a.dir == "" {
		a.dir = a.env("TENURE_DIR")
	}
	a.dirGiven = a.dir != ""
	if a.dir == "" {
		a.dir = "tenure-data"
	}
	dir, err := filepath.Abs(a.dir)
	if err != nil {
		return tenure.Errorf(tenure.Invalid, "the folder %q: %w", a.dir, err)
	}
	a.dir = dir
	if cmd.Flags().Changed("as") {
		if strings.TrimSpace(a.as) == "" {
			return tenure.Errorf(tenure.Unauthorized, "--as is blank").WithHint("say who you are: --as NAME")
		}
		return nil
	}
	if u, err := user.Current(); err == nil {
		a.as = u.Username
	}
	return nil
}

// group puts commands under a parent that does nothing by itself.
func group(parent *cobra.Command, children ...*cobra.Command) *cobra.Command {
	parent.AddCommand(children...)
	parent.Args = cobra.ArbitraryArgs
	parent.SuggestionsMinimumDistance = 2
	parent.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		err := tenure.Errorf(tenure.Invalid, "%s has no command %q", cmd.CommandPath(), args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return err.WithHint("did you mean %s?", strings.Join(near, " or "))
		}
		return err.WithHint("list its commands: %s --help", cmd.CommandPath())
	}
	return parent
}

// command makes one that runs f.
func command(use, short, long string, args cobra.PositionalArgs, f func(cmd *cobra.Command, args []string) error) *cobra.Command {
	count := func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return tenure.Errorf(tenure.Invalid, "%s takes other arguments than the %d given", cmd.CommandPath(), len(given)).WithHint("%s", cmd.UseLine())
		}
		return nil
	}
	return &cobra.Command{Use: use, Short: short, Long: long, Args: count, RunE: f, DisableFlagsInUseLine: true}
}

// fail prints an error and gives its exit code; nil is 0. What cobra refuses
// before a command runs is a mistake in the call.
func (a *app) fail(err error) int {
	if err == nil {
		return 0
	}
	var coded *tenure.Error
	if !errors.As(err, &coded) {
		code := tenure.Internal
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			code, err = tenure.Unavailable, errors.New("interrupted; what was begun goes on with the next command, or with tenure serve")
		case !a.ran:
			code = tenure.Invalid
		}
		err = tenure.Errorf(code, "%w", err)
	}
	code := tenure.CodeOf(err)
	if a.output == "json" {
		_ = writeJSON(a.err, shownError{code, err.Error(), tenure.HintsOf(err), tenure.CanRetry(err)})
		return code.ExitCode()
	}
	fmt.Fprintln(a.err, "error: "+clean(err.Error()))
	for _, h := range tenure.HintsOf(err) {
		fmt.Fprintln(a.err, "hint: "+clean(h))
	}
	return code.ExitCode()
}

// shownError is an error as a command prints it in JSON.
type shownError struct {
	Code    tenure.Code `json:"code"`
	Message string      `json:"message"`
	Hints   []string    `json:"hints,omitempty"`
	Retry   bool        `json:"retry,omitempty"` // the same call may succeed later
}

// isTerminal says whether a stream is one.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// orClosed adds to an error about a tenant's name that closed ones have none.
func orClosed(err error, name string) error {
	var e *tenure.Error
	if !errors.As(err, &e) || e.Code != tenure.NotFound || strings.Contains(name, "_") {
		return err
	}
	return e.WithHint("a closed tenant is named by its id: tenure tenant list --closed")
}
