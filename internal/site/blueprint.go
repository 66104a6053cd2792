package site

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) blueprintPages() {
	s.page("GET /blueprints", (*visit).blueprints)
	s.page("POST /blueprints", (*visit).submitBlueprint)
	s.page("GET /blueprints/{ref}", (*visit).blueprint)
	s.page("POST /blueprints/{ref}/publish", (*visit).publishBlueprint)
}

// revisionPath names a revision by its digest: drafts may share a version.
func revisionPath(b tenure.BlueprintRef) string { return "/blueprints/" + url.PathEscape(b.Digest) }

func revisionState(b client.Blueprint) string {
	if b.Published() {
		return "published"
	}
	return "draft"
}

// maxRevisions bounds how many revisions a page counts.
const maxRevisions = 2000

// revisions lists the revisions of a blueprint, or of all, the newest first.
func (v *visit) revisions(name string) ([]client.Blueprint, error) {
	list, err := client.UpTo(v.ctx, v.s.api, client.ListBlueprints, client.BlueprintFilter{Name: name}, maxRevisions)
	slices.SortFunc(list, func(a, b client.Blueprint) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), compareVersions(b.Version, a.Version), strings.Compare(a.Digest, b.Digest))
	})
	return list, err
}

// compareVersions puts 1.10 after 1.9: numbers between dots count as numbers.
func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		m, notX := strconv.Atoi(x)
		n, notY := strconv.Atoi(y)
		if notX != nil || notY != nil {
			return strings.Compare(x, y)
		}
		return cmp.Compare(m, n)
	})
}

// runners counts the tenants that the caller may see by revision.
func (v *visit) runners() map[string]int {
	out := make(map[string]int)
	if f, err := ask(v, client.ShowFleet, client.None{}); err == nil {
		for _, c := range f.ByRevision {
			out[c.Name] = int(c.Count)
		}
	}
	return out
}

func (v *visit) blueprints() error {
	list, err := v.revisions("")
	if err != nil {
		return err
	}
	run := v.runners()
	at := make(map[string]int)
	var view dashboard.BlueprintsView
	for _, b := range list {
		i, ok := at[b.Name]
		if !ok {
			i = len(view.Rows)
			at[b.Name] = i
			view.Rows = append(view.Rows, dashboard.BlueprintRow{Name: b.Name, Href: revisionPath(b.BlueprintRef), Newest: b.Version, State: revisionState(b), Published: b.PublishedAt, Author: b.CreatedBy})
		}
		row := &view.Rows[i]
		row.Revisions++
		if b.Published() {
			row.Tenants += run[revision(b.BlueprintRef)]
			if b.Version != row.Newest {
				row.Behind += run[revision(b.BlueprintRef)]
			}
		}
	}
	slices.SortFunc(view.Rows, func(a, b dashboard.BlueprintRow) int { return strings.Compare(a.Name, b.Name) })
	if v.caller.May(tenure.BlueprintWrite) {
		view.Actions = append(view.Actions, dashboard.Action{
			Label: "Submit a revision", Post: "/blueprints", Tone: dashboard.ToneAccent, Says: "It is checked and kept as a draft. Another person reads and publishes it.",
			Fields: []dashboard.Field{{Kind: dashboard.FieldLong, Name: "source", Label: "Source", Required: true, Hint: "the blueprint's file, YAML"}},
		})
	}
	return v.show(dashboard.AreaBlueprints, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Blueprints(w, f, view) })
}

func (v *visit) blueprint() error {
	q := v.URL.Query()
	b, err := ask(v, client.ShowBlueprint, client.BlueprintParams{Blueprint: v.PathValue("ref")})
	if err != nil {
		return err
	}
	all, err := v.revisions(b.Name)
	if err != nil {
		return err
	}
	view := dashboard.BlueprintView{
		Name: b.Name, Version: b.Version, Digest: b.Digest, State: revisionState(b), Author: b.CreatedBy, Submitted: b.CreatedAt, PublishedBy: b.PublishedBy, Published: b.PublishedAt,
		Source: pretty(b.Body),
	}
	bodyInto(&view, b.Body)
	run := v.runners()
	for _, r := range all {
		row := dashboard.RevisionRow{Version: r.Version, Href: revisionPath(r.BlueprintRef), State: revisionState(r), Digest: r.Digest, Author: r.CreatedBy, By: r.PublishedBy, Published: r.PublishedAt, Current: r.Digest == b.Digest}
		if r.Published() {
			row.Tenants = run[revision(r.BlueprintRef)]
		}
		view.Revisions = append(view.Revisions, row)
	}
	if err := v.compareInto(&view, b, all, q.Get("against")); err != nil {
		return err
	}
	if err := v.runsInto(&view, b); err != nil {
		return err
	}
	view.Actions = v.revisionActions(b)
	return v.show(dashboard.AreaBlueprints, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Blueprint(w, f, view) })
}

// bodyInto says in a few facts what a revision makes.
func bodyInto(view *dashboard.BlueprintView, raw json.RawMessage) {
	var b tenure.Blueprint
	if json.Unmarshal(raw, &b) != nil {
		return
	}
	view.Title = b.Title
	fact := func(name string, values []string) {
		if len(values) > 0 {
			view.Facts = append(view.Facts, dashboard.Pair{Name: name, Value: strings.Join(values, ", ")})
		}
	}
	var environments, classes, systems []string
	for _, e := range b.Environments {
		environments = append(environments, e.Name)
	}
	for name := range b.Systems {
		systems = append(systems, name)
	}
	slices.Sort(systems)
	for _, c := range b.DataClasses {
		classes = append(classes, c.Name)
	}
	fact("Environments", environments)
	fact("Systems", systems)
	fact("Data classes", classes)
	fact("Resources", []string{plural(len(b.Resources), "resource", "resources") + " in each environment that has them"})
	fact("On failure", []string{map[tenure.FailurePolicy]string{tenure.Compensate: "what was made is taken back", tenure.Park: "it waits for a person"}[b.Failure]})
}

func pretty(raw []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return ""
	}
	return b.String()
}

// compareInto puts in what differs from another revision: the one that is asked
// for, or the one that came before.
func (v *visit) compareInto(view *dashboard.BlueprintView, b client.Blueprint, all []client.Blueprint, against string) error {
	field := dashboard.Field{Kind: dashboard.FieldChoice, Name: "against", Label: "Compare with"}
	var other *client.Blueprint
	seen := false
	for i := range all {
		r := &all[i]
		if r.Digest == b.Digest {
			seen = true
			continue
		}
		if other == nil && against == "" && seen || against != "" && (r.Digest == against || r.Version == against) {
			other = r
		}
		field.Options = append(field.Options, dashboard.Option{Value: r.Digest, Label: r.Version + " (" + revisionState(*r) + ")"})
	}
	if len(field.Options) > 0 {
		view.Compare = dashboard.Filters{Path: revisionPath(b.BlueprintRef), Fields: []dashboard.Field{field}}
	}
	if other == nil {
		if against != "" {
			return tenure.Errorf(tenure.NotFound, "there is no revision %q of %s", against, b.Name)
		}
		return nil
	}
	view.Against = other.Version
	view.Compare.Fields[0].Value = other.Digest
	diff, err := ask(v, client.DiffBlueprints, client.DiffParams{BlueprintParams: client.BlueprintParams{Blueprint: other.Digest}, To: b.Digest})
	if err != nil {
		return err
	}
	for _, d := range diff.Items {
		view.Diff = append(view.Diff, diffLine(d))
	}
	return nil
}

func diffLine(d tenure.Difference) dashboard.DiffLine {
	line := dashboard.DiffLine{Kind: "changed", Path: strings.Trim(d.Resource+"/"+d.Field, "/"), From: d.From, To: d.To}
	switch {
	case d.From == "":
		line.Kind = "added"
	case d.To == "":
		line.Kind = "removed"
	}
	section, _, _ := strings.Cut(d.Resource, "/")
	line.Means = map[string]string{
		"resources":   "An upgrade changes it for each tenant that runs this blueprint, in a plan of its own.",
		"dataClasses": "Data is kept and erased by this rule from the upgrade on.",
		"approvals":   "It counts for operations that are planned from now on.",
		"offboarding": "It counts for departures that are planned from now on.",
	}[section]
	return line
}

// runsInto puts in which tenants run a revision, among those that the caller sees.
func (v *visit) runsInto(view *dashboard.BlueprintView, b client.Blueprint) error {
	if !b.Published() || !v.caller.May(tenure.TenantRead) {
		return nil
	}
	p := client.TenantFilter{Blueprint: b.Digest}
	p.Cursor = v.URL.Query().Get("cursor")
	list, err := ask(v, client.ListTenants, p)
	if err != nil {
		return err
	}
	for _, t := range list.Items {
		view.Tenants = append(view.Tenants, tenantRow(t))
	}
	view.TenantsPager = v.pager(list.Next, len(list.Items))
	return nil
}

func (v *visit) revisionActions(b client.Blueprint) []dashboard.Action {
	var out []dashboard.Action
	if b.Published() {
		if v.caller.May(tenure.OperationRequest) {
			out = append(out, dashboard.Action{Label: "Onboard with it", Href: "/new/onboard?blueprint=" + queryEscape(b.Name+"@"+b.Version), Tone: dashboard.ToneAccent})
		}
		return out
	}
	if v.caller.May(tenure.BlueprintPublish) {
		a := dashboard.Action{Label: "Publish", Post: revisionPath(b.BlueprintRef) + "/publish", Tone: dashboard.ToneAccent, Digest: b.Digest, Signs: "Revision", Says: "Tenants can be bound to exactly this revision from then on; it never changes."}
		if tenure.SamePerson(b.CreatedBy, v.caller.Name) {
			a.Not = "You wrote it, so another person must publish it."
		}
		out = append(out, a)
	}
	return out
}

func (v *visit) submitBlueprint() error {
	p := client.SourceParams{}
	p.Body.Source = strings.ReplaceAll(v.PostFormValue("source"), "\r\n", "\n")
	b, err := ask(v, client.SubmitBlueprint, p)
	if err != nil {
		return v.tried("/blueprints", "", err)
	}
	return v.done(revisionPath(b.BlueprintRef), "It is kept as a draft. Another person publishes it.")
}

func (v *visit) publishBlueprint() error {
	ref := v.PathValue("ref")
	p := client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: ref}, SignedBody: client.Sign(v.PostFormValue("digest"))}
	_, err := ask(v, client.PublishBlueprint, p)
	return v.tried("/blueprints/"+url.PathEscape(ref), "It is published: tenants can be bound to it.", err)
}
