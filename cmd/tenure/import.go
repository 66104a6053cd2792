package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/proposal"
	"github.com/tenurehq/tenure/internal/scaffold"
	"github.com/tenurehq/tenure/internal/survey"
)

func (a *app) importCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "import",
		Short: "Bring tenants that already exist under Tenure",
		Long: "First, tenure survey --output json reports what exists. draft drafts a blueprint from it. From the survey and a blueprint,\n" +
			"propose writes a file for people to review. plan makes a plan for each tenant in it; two people approve each. Nothing but\n" +
			"marks is changed.",
	}, a.importDraft(), a.importPropose(), a.importPlan())
}

func (a *app) importPropose() *cobra.Command {
	var report, from, file string
	cmd := command("propose", "Propose how the tenants of a survey come under a blueprint", "It contacts no system. A value that the survey doesn't tell is a question mark, for a person to replace.", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		if report == "" || from == "" || file == "" {
			return tenure.Errorf(tenure.Invalid, "a proposal needs a survey, a blueprint and a file to write").WithHint("tenure import propose --survey report.json --blueprint small --out bindings.yaml")
		}
		if err := isNew(file); err != nil {
			return err
		}
		r, err := readSurvey(report)
		if err != nil {
			return err
		}
		b, err := a.boundBlueprint(cmd.Context(), from)
		if err != nil {
			return err
		}
		out := proposal.Bind(r, b)
		if err := writeFile(file, bindingsFile(r, out)); err != nil {
			return err
		}
		return a.show(out, func(o *page) {
			o.fields("tenants", fmt.Sprint(len(out.Tenants)-out.Unfit()), "that don't fit", fmt.Sprint(out.Unfit()), "left out", fmt.Sprint(len(out.Out)), "file", file)
			o.next("review " + file + "; then: tenure import plan " + file)
		})
	})
	f := cmd.Flags()
	f.StringVar(&report, "survey", "", "the survey, as tenure survey --output json printed it")
	f.StringVar(&from, "blueprint", "", "the blueprint: a file, or name, name@version or digest")
	f.StringVar(&file, "out", "", "the file to write, which must not exist yet")
	return cmd
}

// boundBlueprint reads a blueprint from a file, or from the installation.
func (a *app) boundBlueprint(ctx context.Context, from string) (*tenure.Blueprint, error) {
	if _, err := os.Stat(from); err == nil {
		text, err := a.readFile(from)
		if err != nil {
			return nil, err
		}
		src, err := blueprint.Parse(text, filepath.Base(from))
		if err != nil {
			return nil, err
		}
		return &src.Blueprint, nil
	}
	got, err := ask(ctx, a, client.ShowBlueprint, client.BlueprintParams{Blueprint: from})
	if err != nil {
		return nil, err
	}
	var b tenure.Blueprint
	if err := json.Unmarshal(got.Body, &b); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "blueprint %s: %w", from, err)
	}
	return &b, nil
}

// bindingsFile writes proposals as YAML for people: values, and the reasons in comments.
func bindingsFile(r *survey.Report, all *proposal.Bindings) []byte {
	var b bytes.Buffer
	say := func(indent, format string, args ...any) {
		b.WriteString(indent + strings.Map(oneLine, fmt.Sprintf(format, args...)) + "\n")
	}
	quoted := scaffold.Quoted
	say("", "# Proposed from the survey of %s. Review it, replace each question mark, remove the tenants that stay out;", r.Taken.Format("2006-01-02"))
	say("", "# then: tenure import plan with this file.")
	say("", "blueprint: %s", quoted(all.Blueprint))
	empty := ""
	if len(all.Tenants) == all.Unfit() {
		empty = " []"
	}
	say("", "tenants:%s", empty)
	write := func(t proposal.Binding, mark string) {
		why := ""
		if t.Unfit != "" {
			why = " # " + t.Unfit
		}
		say(mark+"  ", "- name: %s%s", quoted(t.Name), why)
		say(mark+"    ", "organization: %s", quoted(t.Organization))
		if len(t.Parameters) > 0 {
			say(mark+"    ", "parameters:")
		}
		for _, p := range t.Parameters {
			name := p.Name
			if !plainName.MatchString(name) {
				name = quoted(name)
			}
			say(mark+"      ", "%s: %s # %s", name, quoted(p.Value), p.Why)
		}
		for _, part := range []struct {
			word string
			list []string
		}{{"adopts", t.Adopts}, {"not found", t.Missing}, {"leaves out", t.LeavesOut}} {
			for _, line := range part.list {
				say(mark+"    ", "# %s: %s", part.word, line)
			}
		}
	}
	for _, t := range all.Tenants {
		if t.Unfit == "" {
			write(t, "")
		}
	}
	if all.Unfit() > 0 {
		say("", "# The blueprint doesn't fit the next ones. To include one all the same, take away the first # of its lines.")
	}
	for _, t := range all.Tenants {
		if t.Unfit != "" {
			write(t, "#")
		}
	}
	for _, l := range all.Out {
		say("", "# - name: %s # %s", quoted(l.Name), l.Why)
	}
	return b.Bytes()
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// oneLine keeps what others have named from ending a comment.
func oneLine(r rune) rune {
	if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
		return ' '
	}
	return r
}

// importedRow is what became of one tenant of a file of bindings.
type importedRow struct {
	Tenant  string `json:"tenant"`
	Digest  string `json:"digest,omitempty"`
	Refused string `json:"refused,omitempty"`
}

func (a *app) importPlan() *cobra.Command {
	return command("plan FILE [TENANT…]", "Plan the adoption of each tenant in a file of bindings", "A tenant that is refused doesn't stop the others; if any was, the exit code is 7.", cobra.MinimumNArgs(1), func(cmd *cobra.Command, args []string) error {
		ref, all, err := a.readBindings(args[0])
		if err != nil {
			return err
		}
		for _, name := range args[1:] {
			if !slices.ContainsFunc(all, func(in client.Intent) bool { return in.Tenant == name }) {
				return tenure.Errorf(tenure.NotFound, "%s names no tenant %q", args[0], name)
			}
		}
		s, err := a.writing(cmd.Context())
		if err != nil {
			return err
		}
		defer s.close()
		schema, err := parameterSchema(cmd.Context(), s, client.Intent{Kind: tenure.Onboard, Blueprint: ref})
		if err != nil {
			return err
		}
		rows, refused := []importedRow{}, 0
		for _, in := range all {
			if len(args) > 1 && !slices.Contains(args[1:], in.Tenant) {
				continue
			}
			in.Blueprint = ref
			row := importedRow{Tenant: in.Tenant}
			p, err := planImport(cmd.Context(), s, in, schema)
			if err != nil {
				if cmd.Context().Err() != nil || tenure.CodeOf(err) == tenure.Unauthorized {
					return err
				}
				row.Refused, refused = err.Error(), refused+1
				var e *tenure.Error
				if errors.As(err, &e) && e.Code == tenure.Internal {
					return err
				}
			}
			row.Digest = p.Digest
			rows = append(rows, row)
		}
		err = a.show(rows, func(o *page) {
			var lines [][]string
			for _, r := range rows {
				lines = append(lines, []string{r.Tenant, r.Digest, r.Refused})
			}
			o.table([]string{"tenant", "plan", "refused"}, lines)
			if refused < len(rows) {
				o.next("read each, tenure plan show DIGEST, and start it: tenure operation start DIGEST")
			}
		})
		if err == nil && refused > 0 {
			err = tenure.Errorf(tenure.Blocked, "%d of %d tenants can't be planned", refused, len(rows))
		}
		return err
	})
}

// planImport has one tenant's plan made. Texts get the types of the blueprint's schema.
func planImport(ctx context.Context, s *session, in client.Intent, schema map[string]any) (client.Plan, error) {
	open := []string{}
	if in.Tenant == proposal.Unknown {
		open = append(open, "name")
	}
	for name, v := range in.Parameters {
		text, is := v.(string)
		if !is {
			continue
		}
		if text == proposal.Unknown {
			open = append(open, name)
			continue
		}
		value, err := typed(text, schema[name])
		if err != nil {
			return client.Plan{}, tenure.Errorf(tenure.Invalid, "parameter %s: %w", name, err)
		}
		in.Parameters[name] = value
	}
	if len(open) > 0 {
		slices.Sort(open)
		return client.Plan{}, tenure.Errorf(tenure.Invalid, "a person has to fill in %s", strings.Join(open, ", "))
	}
	return client.MakePlan.Call(ctx, s.Client, client.PlanIntent{Body: in})
}

// readBindings reads a file of bindings as intents.
func (a *app) readBindings(path string) (ref string, out []client.Intent, err error) {
	text, err := a.readFile(path)
	if err != nil {
		return "", nil, err
	}
	values, err := blueprint.Values(text, path)
	if err != nil {
		return "", nil, err
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return "", nil, tenure.Errorf(tenure.Invalid, "%s: %w", path, err)
	}
	var file struct {
		Blueprint string `json:"blueprint"`
		Tenants   []struct {
			Name         string            `json:"name"`
			Organization string            `json:"organization"`
			Contact      string            `json:"contact"`
			Tier         string            `json:"tier"`
			Labels       map[string]string `json:"labels"`
			Parameters   map[string]any    `json:"parameters"`
			Features     map[string]bool   `json:"features"`
		} `json:"tenants"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&file); err != nil {
		return "", nil, tenure.Errorf(tenure.Invalid, "%s: %w", path, err).WithHint("it is written as tenure import propose writes it")
	}
	if file.Blueprint == "" || len(file.Tenants) == 0 {
		return "", nil, tenure.Errorf(tenure.Invalid, "%s names no blueprint, or no tenant", path)
	}
	for _, t := range file.Tenants {
		out = append(out, client.Intent{
			Kind: tenure.Onboard, Tenant: t.Name, Organization: t.Organization, Contact: t.Contact, Tier: t.Tier, Labels: t.Labels,
			Parameters: t.Parameters, Features: t.Features, Adopt: true,
		})
	}
	return file.Blueprint, out, nil
}
