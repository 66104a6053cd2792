package trigger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/expression"
)

// Clock is the source of the events that time makes: the end of a grace, and that of a
// contract. No source of the settings may have its name.
const Clock = "clock"

// The types of Clock's events.
const (
	GraceEnded   = "grace.ended"
	ContractEnds = "contract.ends"
)

// Match is the rule that decides an event, and the customer whom it is about.
type Match struct {
	Set      *Set
	Rule     *Rule
	Customer string // as the source calls it; "" if the rule is for nobody

	scope scope
}

// Name is NAME@VERSION/RULE.
func (m *Match) Name() string { return m.Set.Name + "@" + m.Set.Version + "/" + m.Rule.Name }

// Key is NAME/RULE, which later revisions of the rules have too.
func (m *Match) Key() string { return m.Set.Name + "/" + m.Rule.Name }

// Find finds the rule that decides an event. Without one, why says what came near. Rules of
// two sets that match are Conflict: nobody says which is meant. What a rule reads of the
// customer and the event hasn't got is Invalid.
func Find(sets []*Set, e Event) (m *Match, why string, err error) {
	vars, err := e.vars()
	if err != nil {
		return nil, "", err
	}
	why = "no rule is for " + e.Source + " " + e.Type
	if e.Type == "" {
		why = "no rule is for events of " + e.Source + " without a type: its type is blank (fields.type of the source says where it stands)"
	}
	of, _, _ := strings.Cut(e.Subject, "/") // of an event of time: whose rule it is
	for _, set := range sets {
		if e.Source == Clock && set.Name != of {
			continue
		}
		sc := scope{set, vars}
		for i := range set.Rules {
			r := &set.Rules[i]
			if !r.takes(e) {
				continue
			}
			if r.When != "" && e.Source != Clock { // time has no data of the source's
				is, err := sc.is(r.When)
				if err != nil && !expression.Missing(err) {
					return &Match{Set: set, Rule: r, scope: sc}, "", tenure.Errorf(tenure.Invalid, "the condition of %s/%s: %w", set.Name, r.Name, err)
				}
				if err != nil {
					why = fmt.Sprintf("the condition of %s/%s: %v", set.Name, r.Name, err)
					continue
				}
				if !is {
					why = fmt.Sprintf("the condition of %s/%s isn't met", set.Name, r.Name)
					continue
				}
			}
			if m != nil {
				return nil, "", tenure.Errorf(tenure.Conflict, "the rules %s and %s/%s both match", m.Key(), set.Name, r.Name)
			}
			m = &Match{Set: set, Rule: r, scope: sc}
			break
		}
	}
	if m == nil {
		return nil, why, nil
	}
	if m.Rule.Ends != nil || e.Source == Clock {
		return m, "", nil
	}
	if m.Customer, err = m.scope.text(m.Rule.Customer); err != nil {
		return m, "", err
	}
	if m.Customer == "" && m.Rule.Ignore == nil {
		return m, "", tenure.Errorf(tenure.Invalid, "the event doesn't say which customer it is about")
	}
	if len(m.Customer) > 200 {
		return m, "", tenure.Errorf(tenure.Invalid, "the customer's key is %d bytes long, at most 200 are allowed", len(m.Customer))
	}
	return m, "", nil
}

// subject names what counts as one thing as versions and moments of a source's object are
// compared: by what is done with it where it has a version of its own, by the rule where
// moments alone tell.
func (m *Match) subject(e Event) string {
	what := m.Key()
	if e.Version != "" {
		what = strings.Join(m.Rule.actions(), " ")
	}
	return e.Source + "\x00" + what + "\x00" + e.Subject
}

// takes says whether the rule is for events of such a type. Those of time name their rule.
func (r *Rule) takes(e Event) bool {
	if e.Source == Clock {
		_, rule, _ := strings.Cut(e.Subject, "/")
		return rule == r.Name
	}
	if r.Source != e.Source {
		return false
	}
	return len(r.On) == 0 || slices.ContainsFunc(r.On, func(on string) bool {
		if head, any := strings.CutSuffix(on, "*"); any {
			return strings.HasPrefix(e.Type, head)
		}
		return on == e.Type
	})
}

// words is a period as people say it, such as "21 days".
func words(p tenure.Period) string {
	date, clock, _ := strings.Cut(strings.TrimPrefix(p.String(), "P"), "T")
	var out []string
	for _, part := range []struct {
		text  string
		units map[rune]string
	}{{date, map[rune]string{'Y': "year", 'M': "month", 'D': "day"}}, {clock, map[rune]string{'H': "hour", 'M': "minute", 'S': "second"}}} {
		n := ""
		for _, r := range part.text {
			unit, is := part.units[r]
			if !is {
				n += string(r)
				continue
			}
			if n != "1" {
				unit += "s"
			}
			out, n = append(out, n+" "+unit), ""
		}
	}
	return strings.Join(out, " and ")
}
