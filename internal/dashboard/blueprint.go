package dashboard

import (
	"io"
	"time"
)

// BlueprintsView is the list of blueprints.
type BlueprintsView struct {
	Rows    []BlueprintRow
	Pager   Pager
	Actions []Action // submit a revision
}

// BlueprintRow is one blueprint with its newest revision.
type BlueprintRow struct {
	Name      string
	Title     string
	Href      string
	Newest    string // version
	State     string // of the newest: "draft", "submitted", "published"
	Revisions int
	Tenants   int
	Behind    int // tenants on an older revision
	Published time.Time
	Author    string
}

// BlueprintView is one revision.
type BlueprintView struct {
	Name, Title, Version string
	Digest               string
	State                string
	Author               string
	Submitted            time.Time
	PublishedBy          string
	Published            time.Time
	Revisions            []RevisionRow
	Facts                []Pair // "environments: prod, test"
	Against              string // the version that Diff compares with
	Compare              Filters
	Diff                 []DiffLine
	Source               string // the YAML as it was submitted
	Tenants              []TenantRow
	TenantsPager         Pager
	Actions              []Action // publish, onboard with it, upgrade who is behind
}

// RevisionRow is one revision in a list.
type RevisionRow struct {
	Version   string
	Href      string
	State     string
	Digest    string
	Author    string
	By        string // who published it
	Published time.Time
	Tenants   int
	Current   bool // the one on the page
}

// DiffLine is one difference between two revisions, in words.
type DiffLine struct {
	Kind  string // "added", "removed", "changed"
	Path  string // "resources/db/attributes/size"
	From  string
	To    string
	Means string // what follows for the tenants that run it
}

// Blueprints renders the list.
func (p *Pages) Blueprints(w io.Writer, frame Frame, v BlueprintsView) error {
	return p.render(w, "blueprints", framed, frame, v)
}

// Blueprint renders one revision.
func (p *Pages) Blueprint(w io.Writer, frame Frame, v BlueprintView) error {
	return p.render(w, "blueprint", framed, frame, v)
}

// Mark is a difference's look.
func (d DiffLine) Mark() Status {
	switch d.Kind {
	case "added":
		return Status{ToneOK, "plus", d.Kind}
	case "removed":
		return Status{ToneBad, "minus", d.Kind}
	}
	return Status{ToneWarn, "change", d.Kind}
}
