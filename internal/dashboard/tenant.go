package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
)

// TenantsView is a page of the list of tenants.
type TenantsView struct {
	Filters Filters
	Rows    []TenantRow
	Pager   Pager
	Actions []Action // onboard
}

// TenantRow is a tenant in a list.
type TenantRow struct {
	ID           tenure.TenantID
	Name         string
	Organization string
	Tier         string
	State        tenure.TenantState
	Held         bool
	Blocked      string
	Blueprint    string // "name version"
	Findings     int    // open ones
	Next         time.Time
	NextWhat     string
	Updated      time.Time
}

// TenantView is one tenant whole.
type TenantView struct {
	ID             tenure.TenantID
	Name           string
	Organization   string // "" once it is forgotten
	Contact        string // "" for who may not see it
	Tier           string
	Labels         []string // key=value
	State          tenure.TenantState
	Held           bool
	Blocked        string // why it can't go on, "" if it can
	Unblocks       string // who can
	Blueprint      Ref
	Created        time.Time
	Monthly        Money
	NoReturn       time.Time // the first point of no return that a plan shows
	Actions        []Action
	Parameters     []Pair
	Timeline       []Moment // oldest first; what lies ahead last
	Resources      []ResourceRow
	People         []AccessRow
	Holds          []HoldRow
	Classes        []ClassRow
	Findings       []FindingRow
	Operations     []OperationRow
	EventsHref     string // the list of its events; "" for who may not read them
	Documents      []Document
	Certificates   []CertificateRow
	DepartureLinks []DepartureLink
	LinkAction     *Action // makes a departure link
	Lease          *LeaseRow
	Leave          []LeaveRow // its own requests to leave, the latest first
}

// Moment is one thing on a timeline.
type Moment struct {
	At    time.Time
	What  Ref
	By    string
	Tone  Tone
	Icon  string
	Ahead bool // it is a projection
}

// ResourceRow is one thing in one system that is the tenant's.
type ResourceRow struct {
	ID          tenure.ResourceID
	Environment string // "" for what stands above environments
	System      Ref
	Type        string
	Name        string
	State       tenure.ResourceState
	Verdict     tenure.Verdict
	Classes     []string
	Monthly     Money
	Why         string    // why it still exists
	Because     []string  // the rules, holds and dates behind it, one line each
	GoneBy      time.Time // projected
	UndoUntil   time.Time
}

// AccessRow is who has access to a tenant, or as a tenant.
type AccessRow struct {
	Who      string
	Kind     string // "account", "staff grant", "app connector", "export grant", "agreement", "token"
	System   string
	Role     string
	State    string
	Since    time.Time
	Until    time.Time
	LastUsed time.Time
}

// ClassRow is a data class with its clock.
type ClassRow struct {
	Name        string
	Title       string
	Personal    bool
	Disposition tenure.Disposition
	Clock       tenure.Clock
	Rules       []string  // each rule in words
	NoReturn    time.Time // until when it can be undone
	Stores      []string  // environment/resource
}

// Document is a file about a tenant.
type Document struct {
	Name  Ref
	Kind  string
	At    time.Time
	Bytes int64
}

// CertificateRow is a certificate in a list.
type CertificateRow struct {
	Ref      Ref
	Kind     string // "interim" or "closing"
	Issued   time.Time
	Digest   string
	Download string // path of the bundle
}

// DepartureLink is a link for the one who leaves; the link itself is shown once.
type DepartureLink struct {
	ID      tenure.LinkID
	By      string
	At      time.Time
	Expires time.Time
	Opened  time.Time // last time
	State   string
	Revoke  *Action
}

// Tenants renders the list.
func (p *Pages) Tenants(w io.Writer, frame Frame, v TenantsView) error {
	return p.render(w, "tenants", framed, frame, v)
}

// Tenant renders one tenant.
func (p *Pages) Tenant(w io.Writer, frame Frame, v TenantView) error {
	return p.render(w, "tenant", framed, frame, v)
}

// Life is the tenant's way through its states: which it has behind it, where it
// is, what lies ahead. A state that it may never enter isn't on the main way.
func (v TenantView) Life() []LifeStep {
	way := []tenure.TenantState{
		tenure.TenantRequested, tenure.TenantProvisioning, tenure.TenantActive, tenure.TenantTransition, tenure.TenantTerminating,
		tenure.TenantRetained, tenure.TenantErasing, tenure.TenantAwaitingExpiry, tenure.TenantClosed,
	}
	at := v.State
	switch at {
	case tenure.TenantValidating:
		at = tenure.TenantRequested
	case tenure.TenantSuspended:
		at = tenure.TenantActive
	}
	var out []LifeStep
	place := "past"
	for _, s := range way {
		step := LifeStep{Word: spaced(string(s)), Place: place}
		if s == at {
			step.Place, step.Word, place = "now", spaced(string(v.State)), "ahead"
		}
		out = append(out, step)
	}
	return out
}

// LifeStep is one state on a tenant's way.
type LifeStep struct {
	Word  string
	Place string // "past", "now" or "ahead"
}

// Environments are the resources by environment, in the order in which they
// are given.
func (v TenantView) Environments() []EnvironmentGroup {
	var out []EnvironmentGroup
	at := make(map[string]int)
	for _, r := range v.Resources {
		name := orElse(r.Environment, "whole tenant")
		i, ok := at[name]
		if !ok {
			i = len(out)
			at[name] = i
			out = append(out, EnvironmentGroup{Name: name})
		}
		out[i].Rows = append(out[i].Rows, r)
	}
	return out
}

// EnvironmentGroup is an environment's resources.
type EnvironmentGroup struct {
	Name string
	Rows []ResourceRow
}
