package dashboard

import (
	"io"

	"github.com/tenurehq/tenure"
)

// RequestView is the form that asks for an operation. Nothing happens by it: the
// next page shows the plan.
type RequestView struct {
	Kind    tenure.OperationKind
	Tenant  Ref    // none for an onboarding
	Title   string // "Onboard a tenant"
	Says    string // what will follow
	Choose  *Filters
	Groups  []FieldGroup
	Hidden  []Pair
	Post    string
	Button  string // "Show the plan"
	Cancel  string
	Error   string
	Hints   []string
	Others  []Ref // the same for other kinds of operation
	Blocked string
}

// FieldGroup is a part of a form with a heading.
type FieldGroup struct {
	Title  string
	Says   string
	Fields []Field
}

// Request renders the form.
func (p *Pages) Request(w io.Writer, frame Frame, v RequestView) error {
	return p.render(w, "request", framed, frame, v)
}

// PlanView is a plan that nobody has started: what was asked for, compiled.
type PlanView struct {
	OperationView
	Warnings []string
	Gone     []GoneItem
	Start    *Action // starts it, by its digest
	Back     string
}

// NewPlan renders a plan before it is started.
func (p *Pages) NewPlan(w io.Writer, frame Frame, v PlanView) error {
	return p.render(w, "plan", framed, frame, v)
}
