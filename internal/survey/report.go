package survey

import (
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Report is what a survey says.
type Report struct {
	Taken    time.Time       `json:"taken"`
	Systems  []System        `json:"systems"`
	Tenants  []Tenant        `json:"tenants"`
	Findings []Finding       `json:"findings"`
	Steps    []Step          `json:"steps"`
	Without  []string        `json:"without,omitempty"` // what none of tenants' things of a kind has, one sentence each
	Shared   []Thing         `json:"shared"`            // what is nobody's: machinery, staff, what no evidence tells
	Waste    map[string]Cost `json:"waste"`             // by currency: what things of tenants that left, and of nobody, cost a month

	Catalogues map[string]connector.Catalogue `json:"catalogs,omitempty"` // by system: the tables that aren't in a place of a tenant's own
}

// Cost is a sum for a month, in minor units of a currency.
type Cost int64

// System is one system as it was looked at.
type System struct {
	Name      string   `json:"name"`
	Connector string   `json:"connector"`
	Things    int      `json:"things"`
	Calls     int      `json:"calls,omitempty"`
	Says      []string `json:"notSeen,omitempty"`
	Failed    string   `json:"failed,omitempty"`
}

// Tenant is one customer with what it has.
type Tenant struct {
	Name        string   `json:"name"`
	Also        []string `json:"also,omitempty"` // its other names and keys
	Domains     []string `json:"domains,omitempty"`
	ExternalIDs []string `json:"externalIds,omitempty"`
	Listed      []string `json:"listed,omitempty"` // the lists that name it; none: it is in no customer list
	Status      string   `json:"status,omitempty"` // as a list says it
	Left        bool     `json:"left"`             // a list says that it isn't a customer any more
	Things      []Thing  `json:"things"`
	Lacks       []string `json:"lacks,omitempty"`
	Rows        int64    `json:"rows,omitempty"`
	Bytes       int64    `json:"bytes,omitempty"`
	Cost        Cost     `json:"cost,omitempty"`
	Currency    string   `json:"currency,omitempty"`
}

// Thing is what exists in a system, with the reason for which it is held to be a tenant's.
type Thing struct {
	System     string             `json:"system"`
	Kind       string             `json:"kind"`
	Type       string             `json:"type,omitempty"`
	Word       string             `json:"word"`
	Name       string             `json:"name"`
	In         string             `json:"in,omitempty"`
	Confidence tenure.Confidence  `json:"confidence,omitempty"`
	Reason     string             `json:"reason,omitempty"`
	Rows       int64              `json:"rows,omitempty"`
	Bytes      int64              `json:"bytes,omitempty"`
	Made       time.Time          `json:"made,omitzero"`
	Used       time.Time          `json:"used,omitzero"`
	Expires    time.Time          `json:"expires,omitzero"`
	Disabled   bool               `json:"disabled,omitempty"`
	Cost       Cost               `json:"cost,omitempty"`
	Attributes map[string]any     `json:"attributes,omitempty"` // those of the resource type, where the system tells them
	Beside     []connector.Beside `json:"beside,omitempty"`     // what a blueprint must say beside it
}

// Kind is what a finding is.
type Kind string

const (
	Ghost     Kind = "ghost"     // it can sign in, run or receive, and its tenant left
	Residue   Kind = "residue"   // data of a tenant that left
	Outlives  Kind = "outlives"  // a copy of a tenant's data that stays after the tenant left
	Orphan    Kind = "orphan"    // made as a tenant's, and no list knows its owner
	Dormant   Kind = "dormant"   // nobody has used it within the window
	Crossing  Kind = "crossing"  // one tenant's account reaches what is another's
	Wide      Kind = "wide"      // nobody's account reaches several tenants' things
	Open      Kind = "open"      // everybody reaches it
	Uncovered Kind = "uncovered" // data that nothing ties to a tenant
	Contested Kind = "contested" // the evidence names two tenants
	Expired   Kind = "expired"   // a customer that counts as active, and whose trial or contract ended
	Unused    Kind = "unused"    // a tenant of which nothing was used within the window
	Twice     Kind = "twice"     // two entries of a list look like one customer
)

// Kinds are those of findings, the gravest first.
var Kinds = []Kind{Ghost, Crossing, Wide, Open, Residue, Outlives, Orphan, Uncovered, Contested, Expired, Unused, Twice, Dormant}

// Finding is one thing that somebody should look at.
type Finding struct {
	Kind     Kind   `json:"kind"`
	Tenant   string `json:"tenant,omitempty"`
	System   string `json:"system"`
	Word     string `json:"word"`
	Name     string `json:"name"`
	In       string `json:"in,omitempty"`
	Says     string `json:"says"`
	Low      bool   `json:"low,omitempty"` // a fact to know of, with which nothing may be wrong
	Cost     Cost   `json:"cost,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// What names the thing, as a person reads it.
func (f Finding) What() string { return What(f.Word, f.Name, f.In) }

// What names the thing, as a person reads it.
func (t Thing) What() string { return What(t.Word, t.Name, t.In) }

// What is a thing as a person reads it: its word, its name, and what it is in.
func What(word, name, in string) string {
	out := word
	if name != "" {
		out += " " + name
	}
	if in != "" {
		out += " in " + in
	}
	return out
}

// Step is something that most tenants have, so that one without it shows where a process
// that is done by hand forgets.
type Step struct {
	System string `json:"system"`
	Word   string `json:"word"`
	Among  string `json:"among,omitempty"` // which tenants are compared; "" is all
	Have   int    `json:"have"`            // of these, without those that left
	Of     int    `json:"of"`              // how many of these haven't left
	Whole  bool   `json:"whole"`           // the system was seen whole: what isn't listed isn't there
}
