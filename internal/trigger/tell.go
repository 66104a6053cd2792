package trigger

import (
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// tells notes an event of which people are told, and nothing else happens.
func (m *Match) tells(e Event, k Known) (Decision, error) {
	switch {
	case k.Tenant.leaving():
		return ignored("%s is leaving", k.Tenant.Name), nil
	case e.Source == Clock && !m.dueNow(e, k):
		return superseded("the contract was renewed meanwhile"), nil
	}
	return Decision{State: store.InboundNoted, Why: "people are told of it"}, nil
}

// notices are who is told, and what.
func (m *Match) notices() (out []Notify, err error) {
	for _, n := range m.Rule.Notify {
		one := Notify{Text: tenure.Text{}}
		if one.To, err = m.scope.text(n.To); err != nil {
			return nil, err
		}
		blank := strings.TrimSpace(one.To) == ""
		for _, tag := range n.Text.Tags() {
			if one.Text[tag], err = m.scope.text(n.Text[tag]); err != nil {
				return nil, err
			}
			blank = blank || strings.TrimSpace(one.Text[tag]) == ""
		}
		if blank {
			return nil, tenure.Errorf(tenure.Invalid, "a notice of the rule says nothing, or names nobody")
		}
		out = append(out, one)
	}
	return out, nil
}

func (m *Match) incident(e Event, k Known) (Decision, error) {
	if k.Tenant == nil {
		return ignored("the customer has no tenant"), nil
	}
	i := store.Incident{Source: e.Source, At: e.At}
	var err error
	if i.ID, err = m.scope.text(m.Rule.Incident.ID); err != nil {
		return Decision{}, err
	}
	severity, err := m.scope.text(m.Rule.Incident.Severity)
	if err != nil {
		return Decision{}, err
	}
	i.Severity = tenure.Severity(severity)
	if i.Detail, err = m.scope.text(m.Rule.Incident.Detail); err != nil {
		return Decision{}, err
	}
	return Decision{State: store.InboundNoted, Why: "incident " + i.ID + " of " + k.Tenant.Name, Act: &Act{Incident: &i}}, nil
}
