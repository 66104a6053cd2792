package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/installation"
)

// applied is what apply says of one file's document, or of one tenant that is to
// leave.
type applied struct {
	File      string             `json:"file,omitempty"`
	Kind      string             `json:"kind"` // blueprint or tenant
	Name      string             `json:"name"`
	Do        string             `json:"do"` // nothing, submit, create, change, upgrade, offboard
	Why       string             `json:"why,omitempty"`
	Plan      string             `json:"plan,omitempty"`      // digest
	Operation tenure.OperationID `json:"operation,omitempty"` // once it was started
}

func (a *app) apply() *cobra.Command {
	var dir string
	var yes, dry bool
	var gone []string
	cmd := command("apply -f DIR", "Bring tenants and blueprints to what files say",
		"Reads every .yaml file of the folder: blueprints as they are, and tenants (kind: tenant, with name, blueprint, tier,\n"+
			"organization, contact, labels, parameters and features). It shows what would be done, and does it once that is\n"+
			"confirmed, or with --yes: blueprints become drafts, which another person publishes; tenants are onboarded, changed\n"+
			"or upgraded by operations, approved like any other. A second time there is nothing to do. A tenant that no file names\n"+
			"is left alone: only --offboard NAME moves one out.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return tenure.Errorf(tenure.Invalid, "no folder is named").WithHint("tenure apply -f DIR")
			}
			if yes && dry {
				return tenure.Errorf(tenure.Invalid, "--yes and --dry-run exclude each other")
			}
			return a.applyFolder(cmd.Context(), dir, gone, yes, dry)
		})
	cmd.Flags().StringVarP(&dir, "file", "f", "", "the folder of files")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be done, and change nothing")
	cmd.Flags().StringArrayVar(&gone, "offboard", nil, "move this tenant out (repeatable)")
	_ = cmd.MarkFlagDirname("file")
	return cmd
}

func (a *app) applyFolder(ctx context.Context, dir string, gone []string, yes, dry bool) error {
	connectors, err := installation.Connectors(a.dir, nil)
	if err != nil {
		return err
	}
	docs, err := readFolder(dir, connectors)
	if err != nil {
		return err
	}
	for _, name := range gone {
		for _, d := range docs {
			if d.tenant != nil && d.tenant.Name == name {
				return tenure.Errorf(tenure.Conflict, "%s is declared in %s, and --offboard names it", name, d.place()).WithHint("remove it from the file first")
			}
		}
	}
	open := a.writing
	if dry {
		open = a.reading
	}
	s, err := open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	work, err := s.compare(ctx, docs, gone)
	if err != nil {
		return err
	}
	todo := 0
	for _, w := range work {
		if w.Do != "nothing" {
			todo++
		}
	}
	if todo == 0 || dry {
		return a.show(shown(work), func(o *page) { printApplied(o, work, todo) })
	}
	if !yes {
		if err := a.confirm(work, todo); err != nil {
			return err
		}
	}
	if err := s.carryOut(ctx, work); err != nil {
		return err
	}
	return a.show(shown(work), func(o *page) { printApplied(o, work, todo) })
}

func shown(work []*task) []applied {
	out := make([]applied, len(work))
	for i, w := range work {
		out[i] = w.applied
	}
	return out
}

func printApplied(o *page, work []*task, todo int) {
	if todo == 0 {
		o.line("There is nothing to do: %d documents are as they should be.", len(work))
		return
	}
	rows := make([][]string, len(work))
	for i, w := range work {
		rows[i] = []string{w.Do, w.Kind, w.Name, w.Why, string(w.Operation), w.File}
	}
	o.table([]string{"do", "kind", "name", "because", "operation", "file"}, rows)
	for _, w := range work {
		if w.Operation != "" {
			o.next("tenure operation show " + string(w.Operation))
		}
	}
}

// confirm asks the person at the terminal; without one it takes --yes.
func (a *app) confirm(work []*task, todo int) error {
	if !isTerminal(a.in) || !isTerminal(a.err) {
		return tenure.Errorf(tenure.Invalid, "%d things would be done, and nobody is there to confirm it", todo).WithHint("look first: --dry-run; then: --yes")
	}
	o := &page{w: a.err, now: a.now(), width: 100}
	printApplied(o, work, todo)
	o.print(fmt.Sprintf("Do these %d things? Type yes: ", todo))
	line, _ := bufio.NewReader(a.in).ReadString('\n')
	if strings.TrimSpace(line) != "yes" {
		return tenure.Errorf(tenure.Conflict, "nothing was done: it wasn't confirmed")
	}
	return nil
}

// task is one thing that apply does, with what it takes to do it.
type task struct {
	applied
	doc    document
	intent client.Intent
}

// carryOut does what there is to do: blueprints first, since tenants bind to them.
// It stops at the first failure; what was done stays, and a second apply goes on
// from there.
func (s *session) carryOut(ctx context.Context, work []*task) error {
	for _, w := range work {
		if w.Do != "submit" {
			continue
		}
		p := client.SourceParams{}
		p.Body.File, p.Body.Source = filepath.Base(w.doc.file), string(w.doc.source)
		if _, err := client.SubmitBlueprint.Call(ctx, s.Client, p); err != nil {
			return w.doc.wrong(err)
		}
	}
	for _, w := range work {
		if w.Do == "nothing" || w.Do == "submit" {
			continue
		}
		req := client.OperationRequest{}
		req.Body.Intent = w.intent
		op, err := client.RequestOperation.Call(ctx, s.Client, req)
		if err != nil {
			return w.doc.wrong(err)
		}
		w.Operation, w.Plan = op.ID, op.Plan
		if err := s.carryOn(ctx, op.ID); err != nil {
			return w.doc.wrong(err)
		}
	}
	return nil
}

// readFolder reads the documents of a folder's .yaml and .yml files, in the order
// of their names.
func readFolder(dir string, connectors []connector.Info) ([]document, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, tenure.Errorf(tenure.NotFound, "there is no folder %s", dir)
	}
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "read %s: %w", dir, err)
	}
	var out []document
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); e.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		docs, err := readDocuments(filepath.Join(dir, e.Name()), connectors)
		if err != nil {
			return nil, err
		}
		out = append(out, docs...)
	}
	if len(out) == 0 {
		return nil, tenure.Errorf(tenure.Invalid, "%s holds no .yaml file", dir)
	}
	return out, checkTwice(out)
}

// checkTwice refuses two documents for one tenant, or for one revision.
func checkTwice(docs []document) error {
	first := make(map[string]document)
	for _, d := range docs {
		if have, ok := first[d.id()]; ok {
			return tenure.Errorf(tenure.Invalid, "%s: %s is declared in %s already", d.place(), d.id(), have.place())
		}
		first[d.id()] = d
	}
	return nil
}
