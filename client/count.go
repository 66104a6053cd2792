package client

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
)

// Counted is what a count before a point of no return saw in one resource.
type Counted struct {
	Resource string         `json:"resource"` // environment/key
	System   string         `json:"system"`
	Places   []CountedPlace `json:"places,omitempty"`
	Rows     int64          `json:"rows,omitempty"` // where the system doesn't say of what
	Partial  string         `json:"partial,omitempty"`
}

// CountedPlace is one place of data, or of references to it.
type CountedPlace struct {
	Name  string `json:"name"`
	Kind  string `json:"kind,omitempty"`  // as connector.PlaceKind; blank: a table
	Class string `json:"class,omitempty"` // blank: none
	Via   string `json:"via,omitempty"`   // how it is reached from the tenant
	Rows  int64  `json:"rows"`
	Held  int64  `json:"held,omitempty"` // of Rows: what legal holds keep, with what that needs
	Bytes int64  `json:"bytes,omitempty"`
	Says  string `json:"says,omitempty"`

	Blocks bool   `json:"blocks,omitempty"` // it stands in the way of the erasure
	Fix    string `json:"fix,omitempty"`    // what would settle it

	// Disposition is what becomes of the class's data here; blank, and with those that
	// take it away, it goes.
	Disposition tenure.Disposition `json:"disposition,omitempty"`
}

// Goes is what Becomes says of data that is deleted, all of it.
const Goes = "goes"

// Becomes says what the step behind the gate does to what is there, in words for people.
func (p CountedPlace) Becomes() string {
	switch p.Kind {
	case "", "table", "files", "objects":
		out := Goes
		switch p.Disposition {
		case tenure.Anonymise, tenure.Pseudonymise:
			out = "stays, " + p.Disposition.Done()
		case tenure.Aggregate:
			out = "goes, once it is added up"
		}
		if p.Held > 0 {
			out += fmt.Sprintf("; %d stay as they are for legal holds", p.Held)
		}
		return out
	case "foreign":
		return "stays on the other server, where Tenure erases nothing"
	case "derived":
		return "is made anew without it"
	case "reference":
		return "other tenants' rows stay, and their references become null"
	}
	return p.Says
}

// InTheWay are the places at which a step's count ended, of its class or of none.
func (d OperationDetail) InTheWay(step tenure.StepStatus) []CountedPlace {
	var r struct {
		Places []CountedPlace `json:"places"`
	}
	if d.Body == nil || step.State != tenure.StepFailed || json.Unmarshal([]byte(step.Receipt), &r) != nil {
		return nil
	}
	i := slices.IndexFunc(d.Body.Steps, func(s tenure.Step) bool { return s.Key == step.Key })
	if i < 0 || d.Body.Steps[i].Action != tenure.ActCount {
		return nil
	}
	class := d.Body.Steps[i].Class
	return slices.DeleteFunc(r.Places, func(p CountedPlace) bool {
		return !p.Blocks || class != "" && p.Class != "" && p.Class != class
	})
}

// Counts are what the counts under a gate saw: what is confirmed there. Places of
// other classes, which stay for now, are left out.
func (d OperationDetail) Counts(gate string) (out []Counted) {
	if d.Body == nil {
		return nil
	}
	g := slices.IndexFunc(d.Body.Steps, func(s tenure.Step) bool { return s.Key == gate })
	if g < 0 {
		return nil
	}
	class := d.Body.Steps[g].Class
	for i := range d.Body.Steps {
		s := &d.Body.Steps[i]
		if !s.Action.IsCount() || !slices.Contains(d.Body.Steps[g].Needs, s.Key) || i >= len(d.Rows) || d.Rows[i].Receipt == "" {
			continue
		}
		var r struct {
			Places  []CountedPlace             `json:"places"`
			Partial string                     `json:"partial"`
			Metrics map[string]json.RawMessage `json:"metrics"`
		}
		if json.Unmarshal([]byte(d.Rows[i].Receipt), &r) != nil {
			continue
		}
		c := Counted{System: s.System, Partial: r.Partial}
		environment := ""
		for j := range d.Body.Resources {
			if pr := &d.Body.Resources[j]; pr.ID == s.Resource {
				c.Resource, environment = pr.Path(), pr.Environment
			}
		}
		for _, p := range r.Places {
			if class == "" || p.Class == "" || p.Class == class {
				if p.Class != "" && d.Body.Steps[g].To != tenure.AtEnd {
					p.Disposition = d.Body.Disposes(p.Class, environment)
				}
				c.Places = append(c.Places, p)
			}
		}
		if len(r.Places) == 0 {
			_ = json.Unmarshal(r.Metrics["rows"], &c.Rows)
		}
		out = append(out, c)
	}
	return out
}
