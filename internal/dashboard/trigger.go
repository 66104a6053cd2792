package dashboard

import (
	"io"
	"net/url"
	"time"

	"github.com/tenurehq/tenure"
)

// EventsView is a page of the events that other systems told of, the latest first.
type EventsView struct {
	Filters Filters
	Rows    []EventRow
	Pager   Pager
}

// EventRow is an event of another system in a list. Its texts are strangers'.
type EventRow struct {
	ID        tenure.InboundID
	Source    string
	Subject   string // what it is about, by the source's id
	Type      string // "" if the source has none
	State     string // received, acted, noted, ignored, superseded, held, failed or dismissed
	Reason    string // whole
	Rule      Ref    // that decided; zero if none did
	Tenant    Ref    // that it is about; zero for none
	Operation Ref    // that it started or withdrew; zero for none
	Happened  time.Time
	Received  time.Time
}

// EventView is one event with what its source sent.
type EventView struct {
	EventRow
	Reference string // the source's own id of it
	Version   string // of the subject
	Attempts  int
	Next      time.Time // when it is tried again; zero: it isn't
	Decided   time.Time
	By        string   // the person who decided; "" where a rule did
	Data      string   // JSON, indented
	Actions   []Action // release, dismiss, replay
	May       bool     // who looks may decide about such events
}

// RuleRow is a revision of rules for events in a list.
type RuleRow struct {
	Name, Version string
	Href          string
	State         string // "draft", "in force" or "replaced"
	Digest        string
	Author        string
	Submitted     time.Time
	By            string // who published it
	Published     time.Time
	Current       bool // the one on the page
}

// RulesView is the list of revisions, the newest of each name first.
type RulesView struct {
	Rows    []RuleRow
	Actions []Action // submit a revision
}

// RuleView is one revision with its text.
type RuleView struct {
	RuleRow
	Source    string    // the file as it was submitted
	Warnings  []string  // what of it couldn't be done as things stand
	Revisions []RuleRow // of its name, the newest first
	Actions   []Action  // publish
}

// LedEvent is an event that an operation goes back to.
type LedEvent struct {
	Did    string // "Asked for by", "Withdrawn by"
	Event  Ref
	Source string
}

// EventPath is an event's page.
func EventPath(id tenure.InboundID) string { return "/events/" + url.PathEscape(string(id)) }

// RulesPath is where rules for events stand.
const RulesPath = "/events/rules"

// Title is what an event is called: its type, or the source's id where it has none.
func (v EventView) Title() string { return orElse(v.Type, v.Reference) }

// Status is the outcome's look.
func (e EventRow) Status() Status {
	switch e.State {
	case "received":
		return Status{ToneInfo, "clock", e.State}
	case "acted":
		return Status{ToneOK, "ok", e.State}
	case "noted":
		return Status{ToneIdle, "said", e.State}
	case "ignored":
		return Status{ToneIdle, "skip", e.State}
	case "held":
		return Status{ToneHold, "lock", e.State}
	case "failed":
		return Status{ToneBad, "fail", e.State}
	}
	return Status{ToneIdle, "gone", e.State}
}

// Status is the look of where a revision stands.
func (r RuleRow) Status() Status {
	switch r.State {
	case "in force":
		return Status{ToneOK, "ok", r.State}
	case "draft":
		return Status{ToneInfo, "clock", r.State}
	}
	return Status{ToneIdle, "gone", r.State}
}

// Events renders the list.
func (p *Pages) Events(w io.Writer, frame Frame, v EventsView) error {
	return p.render(w, "events", framed, frame, v)
}

// Event renders one event.
func (p *Pages) Event(w io.Writer, frame Frame, v EventView) error {
	return p.render(w, "event", framed, frame, v)
}

// Rules renders the list of revisions.
func (p *Pages) Rules(w io.Writer, frame Frame, v RulesView) error {
	return p.render(w, "rules", framed, frame, v)
}

// Rule renders one revision.
func (p *Pages) Rule(w io.Writer, frame Frame, v RuleView) error {
	return p.render(w, "rule", framed, frame, v)
}
