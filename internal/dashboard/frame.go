package dashboard

import (
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/words"
)

// Frame is what stands around every page.
type Frame struct {
	Installation string    // its name
	At           time.Time // when the page was made
	Who          *Who      // nil: nobody is signed in
	Current      Area      // which navigation item is the page's
	Nav          []NavItem // what this person may see; Navigation makes it
	Flash        *Flash    // what the last request came to, once
	Search       string    // what stands in the search field of the top bar
	// Events is the path of an event stream (text/event-stream) that says when
	// this page is out of date; "" for none. With script, the page fetches itself
	// again when one comes.
	Events string
	// Language is what the page is written in where it is for people outside.
	Language words.Language
}

// Said writes a text of the tables in the page's language, in parts that the template part writes.
func (f Frame) Said(key words.Key, values ...any) []words.Part {
	return f.Language.Parts(key, values...)
}

// Says is Said for where no element may stand, such as a title.
func (f Frame) Says(key words.Key, values ...any) string { return f.Language.Say(key, values...) }

// Tag is the page's language, as its element html says it.
func (f Frame) Tag() string { return f.Language.Tag() }

// Stamp is a moment as the page's language writes it.
func (f Frame) Stamp(t time.Time) string { return f.Language.Stamp(t) }

// Day is a day as the page's language writes it.
func (f Frame) Day(t time.Time) []words.Part {
	return []words.Part{{Text: f.Language.Day(t), Value: true, At: t}}
}

// Status is a state with its word in the page's language.
func (f Frame) Status(state string) Status {
	s := StatusOf(state)
	if key := words.Key("status." + state); words.Has(key) {
		s.Word = f.Says(key)
	}
	return s
}

// Who is signed in.
type Who struct {
	Name       string
	Roles      []tenure.Role
	Strong     bool      // the sign-in suffices for destroying permissions
	BreakGlass time.Time // until when break-glass is on; zero: it isn't
}

// FlashKind is the tone of a flash message.
type FlashKind string

const (
	FlashDone FlashKind = "done"
	FlashNote FlashKind = "note"
	FlashFail FlashKind = "fail"
)

// Flash tells what the request before this page came to.
type Flash struct {
	Kind FlashKind
	Text string
	Code string // a one-time secret, such as a new token: shown this once
}

// Area is one item of the navigation.
type Area string

const (
	AreaFleet      Area = "fleet"
	AreaTenants    Area = "tenants"
	AreaOperations Area = "operations"
	AreaEvents     Area = "events"
	AreaApprovals  Area = "approvals"
	AreaFindings   Area = "findings"
	AreaHolds      Area = "holds"
	AreaReviews    Area = "reviews"
	AreaAccess     Area = "access"
	AreaAudit      Area = "audit"
	AreaBlueprints Area = "blueprints"
	AreaSystems    Area = "systems"
)

// NavItem is a link of the navigation.
type NavItem struct {
	Area  Area
	Label string
	Href  string
	Icon  string
	Key   string // "g" and then this letter goes there
	Badge int    // how many wait; 0 shows none
	Begin bool   // a new group begins with it
}

// Badges are the counts beside navigation items.
type Badges struct{ Approvals, Findings, Reviews int }

// Navigation lists what a person may see.
func Navigation(may func(tenure.Permission) bool, b Badges) []NavItem {
	all := []struct {
		NavItem
		needs tenure.Permission
	}{
		{NavItem{AreaFleet, "Fleet", "/", "fleet", "f", 0, false}, tenure.TenantRead},
		{NavItem{AreaTenants, "Tenants", "/tenants", "tenant", "t", 0, false}, tenure.TenantRead},
		{NavItem{AreaOperations, "Operations", "/operations", "flow", "o", 0, false}, tenure.TenantRead},
		{NavItem{AreaEvents, "Events", "/events", "signal", "e", 0, false}, tenure.EventRead},
		{NavItem{AreaApprovals, "Approvals", "/approvals", "inbox", "a", b.Approvals, true}, tenure.TenantRead},
		{NavItem{AreaFindings, "Findings", "/findings", "flag", "i", b.Findings, false}, tenure.TenantRead},
		{NavItem{AreaHolds, "Holds", "/holds", "lock", "h", 0, false}, tenure.HoldRead},
		{NavItem{AreaReviews, "Reviews", "/reviews", "scale", "r", b.Reviews, false}, tenure.ReviewDecide},
		{NavItem{AreaBlueprints, "Blueprints", "/blueprints", "sheet", "b", 0, true}, tenure.BlueprintRead},
		{NavItem{AreaSystems, "Systems", "/systems", "plug", "s", 0, false}, tenure.SystemRead},
		{NavItem{AreaAccess, "Access", "/access", "shield", "c", 0, false}, ""}, // everybody has tokens and sessions
		{NavItem{AreaAudit, "Audit", "/audit", "log", "l", 0, false}, tenure.AuditRead},
	}
	var out []NavItem
	for _, n := range all {
		if n.needs == "" || may(n.needs) {
			out = append(out, n.NavItem)
		}
	}
	return out
}
