package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/witness"
)

func (a *app) audit() *cobra.Command {
	return group(&cobra.Command{
		Use:   "audit",
		Short: "Verify, read and export the audit log",
	}, a.auditVerify(), a.auditLog(), a.auditCheckpoint(), a.auditExport(), a.auditRecord())
}

func (a *app) auditVerify() *cobra.Command {
	var v verifiedLog
	cmd := command("verify", "Check the whole log, the store against it, and the witness",
		"With --tiles it checks an exported log instead, and with --server and --witness or --key the log that a server serves,\n"+
			"entry by entry: no installation is needed, and the server's word counts for nothing. The key is the one that is given\n"+
			"or, without --key, the one that signed all the witness's checkpoints.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			if v != (verifiedLog{}) {
				return a.verifyLog(cmd.Context(), v)
			}
			rep, err := ask(cmd.Context(), a, client.VerifyAudit, client.None{})
			if err != nil {
				return err
			}
			if err := a.show(rep, func(o *page) { printAudit(o, &rep) }); err != nil || rep.OK() {
				return err
			}
			return tenure.Errorf(tenure.Blocked, "the audit finds %d wrong, the first: %s", len(rep.Problems), rep.Problems[0])
		})
	cmd.Flags().StringVar(&v.tiles, "tiles", "", "folder of an exported log")
	cmd.Flags().StringVar(&v.key, "key", "", "verifier key, or a file that holds it")
	cmd.Flags().StringVar(&v.witness, "witness", "", "what the log must continue: the witness's file or http(s) address")
	return cmd
}

// verifiedLog is a log to check without its store, and by what.
type verifiedLog struct{ tiles, key, witness string }

func printAudit(o *page, rep *client.AuditReport) {
	o.fields("entries", fmt.Sprint(rep.Entries), "root", rep.Root, "checkpoints", fmt.Sprint(rep.Checkpoints), "witness", rep.Witness)
	for _, p := range rep.Problems {
		o.loud("problem: %s", p)
	}
	if rep.OK() {
		o.line("The log is whole, and the store agrees with it.")
	}
}

// checkedTiles is what the check of an exported or served log says.
type checkedTiles struct {
	OK        bool   `json:"ok"`
	Origin    string `json:"origin"`
	Size      int64  `json:"size"`
	Root      string `json:"root"`
	Key       string `json:"key"`
	Witnessed int    `json:"witnessed"` // checkpoints of the witness that it continues
}

// verifyLog checks an exported log or one that a server serves.
func (a *app) verifyLog(ctx context.Context, v verifiedLog) error {
	if v.tiles != "" && v.key == "" {
		return tenure.Errorf(tenure.Invalid, "an exported log is checked with its folder and a key").WithHint("audit verify --tiles FOLDER --key FILE")
	}
	seen, err := witnessed(ctx, v.witness)
	if err != nil {
		return err
	}
	if v.tiles != "" {
		if info, err := os.Stat(v.tiles); err != nil || !info.IsDir() {
			return tenure.Errorf(tenure.NotFound, "there is no folder %s", v.tiles)
		}
		return a.verifyFiles(ctx, os.DirFS(v.tiles), v.key, seen)
	}
	s, err := a.reading(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if v.key == "" {
		if len(seen) == 0 {
			return tenure.Errorf(tenure.Invalid, "the witness has no checkpoint yet that would say whose key is right").WithHint("name the key: --key FILE")
		}
		k, err := client.VerifierKey.Call(ctx, s.Client, client.None{})
		if err != nil {
			return err
		}
		v.key = k.Key
	}
	err = a.verifyFiles(ctx, s.LogFiles(ctx), v.key, seen)
	if tenure.CodeOf(err) == tenure.Invalid { // what a server says isn't a fault of who asks it
		err = tenure.Errorf(tenure.Blocked, "the server's log isn't right: %w", err)
	}
	return err
}

// witnessed are the checkpoints that a witness has: all of a file, the latest of an address.
func witnessed(ctx context.Context, spec string) ([][]byte, error) {
	if spec == "" {
		return nil, nil
	}
	w, err := witness.Open(spec)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	if f, ok := w.(*witness.File); ok {
		if !f.Exists() {
			return nil, tenure.Errorf(tenure.Invalid, "the witness: there is no file %s", spec)
		}
		all, err = f.All(ctx)
	} else {
		var latest []byte
		latest, err = w.Latest(ctx)
		all = [][]byte{latest}
	}
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "the witness %s: %w", spec, err)
	}
	return all, nil
}

func (a *app) verifyFiles(ctx context.Context, dir fs.FS, key string, seen [][]byte) error {
	text, err := readKey(key)
	if err != nil {
		return err
	}
	v, err := audit.ParseVerifier(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	c, err := audit.VerifyServed(ctx, dir, seen, v.Name(), v)
	if err != nil {
		return err
	}
	out := checkedTiles{true, c.Origin, c.Size, c.Root.String(), v.String(), len(seen)}
	return a.show(out, func(o *page) {
		o.fields("log", out.Origin, "entries", fmt.Sprint(out.Size), "root", out.Root, "key", out.Key, "witness", witnessWords(len(seen)))
		o.line("The log is whole.")
	})
}

func witnessWords(n int) string {
	if n == 0 {
		return "none given: another past could be as whole"
	}
	return fmt.Sprintf("consistent with %d of its checkpoints", n)
}

// readKey takes a verifier key as its text, or as the name of a file that holds it.
func readKey(given string) (string, error) {
	info, err := os.Stat(given)
	if err != nil || info.IsDir() {
		return given, nil
	}
	if info.Size() > 4096 {
		return "", tenure.Errorf(tenure.Invalid, "%s is too long for a verifier key", given)
	}
	b, err := os.ReadFile(given)
	if err != nil {
		return "", tenure.Errorf(tenure.Invalid, "read %s: %w", given, err)
	}
	return string(b), nil
}

func (a *app) auditLog() *cobra.Command {
	var p client.LogFilter
	var limit int
	cmd := command("log", "List entries of the log", "Who did it is shown while the evidence key lives.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		if limit < 1 || limit > 10_000 || p.Index < 0 {
			return tenure.Errorf(tenure.Invalid, "entries are read from 0 on, 1 to 10,000 at a time")
		}
		list, err := listed(cmd.Context(), a, client.ReadLog, p, limit)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There are no such entries.")
				return
			}
			rows := make([][]string, len(list))
			for i, e := range list {
				rows[i] = []string{fmt.Sprint(e.Index), e.At, e.Kind, e.By, e.Subject, string(e.Data)}
			}
			o.table([]string{"entry", "at", "kind", "by", "subject", "facts"}, rows)
			if len(list) == limit {
				o.line("These are the oldest from entry %d on; there may be more.", p.Index)
				o.next(fmt.Sprintf("tenure audit log --from %d", list[len(list)-1].Index+1))
			}
		})
	})
	cmd.Flags().StringVar(&p.Tenant, "tenant", "", "only those of this tenant")
	cmd.Flags().Int64Var(&p.Index, "from", 0, "begin with this entry")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most this many, up to 10000")
	return cmd
}

func (a *app) auditCheckpoint() *cobra.Command {
	return command("checkpoint", "Sign the log's head and hand it to the witness", "Prints the checkpoint, a signed note (C2SP tlog-checkpoint).", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		c, err := ask(cmd.Context(), a, client.MakeCheckpoint, client.None{})
		if err != nil {
			return err
		}
		return a.show(c, func(o *page) { o.print(c.Note) })
	})
}

func (a *app) auditExport() *cobra.Command {
	return command("export FOLDER", "Write the log as tiles that anyone can check", "The form is that of C2SP tlog-tiles. Exporting into the same folder again adds what is new.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		dir, err := filepath.Abs(args[0])
		if err != nil {
			return tenure.Errorf(tenure.Invalid, "the folder %q: %w", args[0], err)
		}
		p := client.FolderParams{}
		p.Body.Dir = dir
		out, err := ask(cmd.Context(), a, client.ExportLog, p)
		if err != nil {
			return err
		}
		return a.show(out, func(o *page) {
			o.line("%d entries are in %s.", out.Entries, out.Dir)
			o.next("tenure certificate key > key.pub", "tenure audit verify --tiles "+args[0]+" --key key.pub")
		})
	})
}
