package tenure

import (
	"fmt"
	"slices"
	"strings"
)

// Disposition is what happens to a data class when its retention ends.
type Disposition string

const (
	Keep         Disposition = "keep"         // it stays until its end, listed with the reason, out of the tenant's reach
	Archive      Disposition = "archive"      // not carried out by this release
	Aggregate    Disposition = "aggregate"    // sums go into tables without personal data, then its rows are logically deleted
	Anonymise    Disposition = "anonymise"    // its rows stay and are nobody's: what tells of a person is taken out of them
	Pseudonymise Disposition = "pseudonymise" // its rows stay until its end, with keyed names in the place of personal data
	Purge        Disposition = "purge"        // it is logically deleted
	CryptoErase  Disposition = "crypto-erase" // it is logically deleted, and the key that sealed it is destroyed
)

// Dispositions lists them all.
var Dispositions = []Disposition{Keep, Archive, Aggregate, Anonymise, Pseudonymise, Purge, CryptoErase}

// Stays says that data of the tenant's is still there once the disposition is carried
// out, and goes at the class's end.
func (d Disposition) Stays() bool { return d == Keep || d == Pseudonymise }

// Changes says that rows are written, and not only deleted, when it is carried out.
func (d Disposition) Changes() bool { return d == Aggregate || d == Anonymise || d == Pseudonymise }

// Done is what data is once the disposition is carried out, as a participle.
func (d Disposition) Done() string {
	switch d {
	case Aggregate, Anonymise, Pseudonymise, Archive, Purge:
		return strings.TrimSuffix(string(d), "e") + "ed"
	case Keep:
		return "kept"
	}
	return "erased by its key"
}

// DispositionRule gives a data class another disposition where all of its conditions
// hold. A blank condition holds everywhere.
type DispositionRule struct {
	Name          string      `json:"name"`
	Environments  []string    `json:"environments,omitempty"`
	Jurisdictions []string    `json:"jurisdictions,omitempty"` // as the blueprint's jurisdiction works out
	Contracts     []string    `json:"contracts,omitempty"`     // as the blueprint's contract works out
	Disposition   Disposition `json:"disposition"`
	Source        string      `json:"source,omitempty"` // the law, contract or policy it follows

	// Retention and End replace the class's own. A rule with environments has neither: the
	// clocks are the tenant's.
	Retention []RetentionRule `json:"retention,omitempty"`
	End       []RetentionRule `json:"end,omitempty"`
}

// DispositionSubject is what a disposition is decided for.
type DispositionSubject struct {
	Environment  string
	Jurisdiction string
	Contract     string
}

// Holds says whether all of the rule's conditions hold.
func (r DispositionRule) Holds(s DispositionSubject) bool {
	return within(r.Environments, s.Environment) && within(r.Jurisdictions, s.Jurisdiction) && within(r.Contracts, s.Contract)
}

func within(all []string, one string) bool { return len(all) == 0 || slices.Contains(all, one) }

// Conditions is how many of them the rule names: the more, the more closely it is made
// for what it is about.
func (r DispositionRule) Conditions() int {
	n := 0
	for _, c := range [][]string{r.Environments, r.Jurisdictions, r.Contracts} {
		if len(c) > 0 {
			n++
		}
	}
	return n
}

// Meets says whether there may be a subject for which both rules hold.
func (r DispositionRule) Meets(o DispositionRule) bool {
	return meet(r.Environments, o.Environments) && meet(r.Jurisdictions, o.Jurisdictions) && meet(r.Contracts, o.Contracts)
}

func meet(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// DispositionDecision is the answer of SolveDisposition for one data class in one
// environment, with its reasons.
type DispositionDecision struct {
	Class       string      `json:"class"`
	Environment string      `json:"environment"`
	Disposition Disposition `json:"disposition"`
	Winner      string      `json:"winner,omitempty"` // the rule; "" is the class itself
	Losers      []string    `json:"losers,omitempty"`
	Because     string      `json:"because"`
}

// SolveDisposition decides what happens to a data class. Of the rules that hold the one
// with most conditions wins, the class's own disposition where none holds. Two that hold
// with as many conditions and want different things are Conflict; a blueprint in which
// that can be isn't published. It is pure: the same input gives the same answer.
func SolveDisposition(class DataClass, s DispositionSubject) (DispositionDecision, error) {
	d := DispositionDecision{Class: class.Name, Environment: s.Environment, Disposition: class.Disposition, Because: "it is the class's own disposition, and no rule says otherwise"}
	best := -1
	for i, r := range class.Rules {
		if r.Holds(s) && (best < 0 || r.Conditions() > class.Rules[best].Conditions()) {
			best = i
		}
	}
	if best < 0 {
		return d, nil
	}
	r := class.Rules[best]
	for i, o := range class.Rules {
		switch {
		case i == best || !o.Holds(s):
		case o.Conditions() == r.Conditions() && o.Disposition != r.Disposition:
			return d, Errorf(Conflict, "the rules %q and %q of data class %s are as close and want different things: %s and %s", r.Name, o.Name, class.Name, r.Disposition, o.Disposition)
		default:
			d.Losers = append(d.Losers, o.says())
		}
	}
	d.Losers = append(d.Losers, "the class's own "+string(class.Disposition))
	d.Winner, d.Disposition = r.Name, r.Disposition
	d.Because = fmt.Sprintf("rule %q wants %s", r.Name, r.Disposition)
	if on := r.on(); on != "" {
		d.Because += " where " + on
	}
	if r.Source != "" {
		d.Because += " (" + r.Source + ")"
	}
	return d, nil
}

func (r DispositionRule) says() string { return r.Name + " (" + string(r.Disposition) + ")" }

// on are the rule's conditions in words.
func (r DispositionRule) on() string {
	var out []string
	for _, c := range []struct {
		what string
		of   []string
	}{{"environment", r.Environments}, {"jurisdiction", r.Jurisdictions}, {"contract", r.Contracts}} {
		if len(c.of) > 0 {
			out = append(out, "the "+c.what+" is "+strings.Join(c.of, " or "))
		}
	}
	return strings.Join(out, " and ")
}

// Decided is the class as it stands for one tenant, with the retention and the end that
// the closest of the rules that hold without an environment has, and what was decided
// for each environment.
func (c DataClass) Decided(environments []string, jurisdiction, contract string) (DataClass, []DispositionDecision, error) {
	var all []DispositionDecision
	for _, e := range environments {
		d, err := SolveDisposition(c, DispositionSubject{Environment: e, Jurisdiction: jurisdiction, Contract: contract})
		if err != nil {
			return c, nil, err
		}
		all = append(all, d)
	}
	out, retention, end := c, -1, -1
	for _, r := range c.Rules {
		if len(r.Environments) > 0 || !r.Holds(DispositionSubject{Jurisdiction: jurisdiction, Contract: contract}) {
			continue
		}
		if n := r.Conditions(); len(r.Retention) > 0 && n > retention {
			out.Retention, retention = r.Retention, n
		}
		if n := r.Conditions(); len(r.End) > 0 && n > end {
			out.End, end = r.End, n
		}
	}
	out.Rules = nil
	return out, all, nil
}

// Disposes is what a plan does with a class in an environment: as decided, or as the
// class says in plans of before there were rules.
func (p *Plan) Disposes(class, environment string) Disposition {
	for _, d := range p.Dispositions {
		if d.Class == class && d.Environment == environment {
			return d.Disposition
		}
	}
	for _, c := range p.Classes {
		if c.Name == class {
			return c.Disposition
		}
	}
	return ""
}

// Stays says whether a class's data in a resource stays beyond the class's retention. A
// backup of what is pseudonymised doesn't: it has what was there before.
func (p *Plan) Stays(r *PlannedResource, class string) bool {
	d := p.Disposes(class, r.Environment)
	return d == Keep || d == Pseudonymise && r.Layer != LayerBackup
}

// AtEnd is the To of the gates at a class's end, when data that stayed goes.
const AtEnd = "end"

// AfterInterim says whether a step of an offboarding comes after the interim certificate.
func (p *Plan) AfterInterim(s *Step) bool {
	steps := make(map[string]*Step, len(p.Steps))
	for i := range p.Steps {
		steps[p.Steps[i].Key] = &p.Steps[i]
	}
	seen := map[string]bool{}
	var after func(s *Step) bool
	after = func(s *Step) bool {
		if s.Action == ActCertify && s.To == "interim" {
			return true
		}
		for _, n := range s.Needs {
			if need := steps[n]; need != nil && !seen[n] {
				seen[n] = true
				if after(need) {
					return true
				}
			}
		}
		return false
	}
	return after(s)
}

// ClocksOf are the gates that wait for the retention of a class, and then for its end.
func (p *Plan) ClocksOf(class string) (out []*Step) {
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Action == ActRetention && s.Class == class {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b *Step) int { return strings.Compare(a.To, b.To) })
	return out
}

// PseudonymKey begins the To of steps about a key for pseudonyms, before its name.
const PseudonymKey = "pseudonym-"

func pseudonymKey(s *Step) bool { return strings.HasPrefix(s.To, PseudonymKey) }

// Retention is the class, or the key for pseudonyms, whose clock a gate waits for.
func (p *Plan) Retention(gate *Step) (DataClass, bool) {
	if name, of := strings.CutPrefix(gate.To, PseudonymKey); of {
		key, ok := p.Pseudonyms[name]
		return DataClass{Name: "the key for the pseudonyms of " + name, Retention: key.Retention}, ok
	}
	for _, c := range p.Classes {
		if c.Name != gate.Class {
			continue
		}
		if gate.To == AtEnd {
			c = c.AtEnd()
		}
		return c, true
	}
	return DataClass{}, false
}
