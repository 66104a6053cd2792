package trigger

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// asks says why nobody can ask in the name that a set gives; "" if somebody can.
func (i *Intake) asks(ctx context.Context, set *Set) (p store.Principal, why string, err error) {
	p, err = i.o.DB.Principal(ctx, set.As)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return p, fmt.Sprintf("there is no principal %s, in whose name the rules ask: tenure principal add %s --kind machine --owner PERSON", set.As, set.As), nil
	case err != nil:
		return p, "", err
	case p.Kind != tenure.CallerMachine:
		return p, fmt.Sprintf("%s is a person: rules ask in the name of a machine, whom a person answers for", set.As), nil
	case p.Disabled:
		return p, fmt.Sprintf("%s, in whose name the rules ask, is disabled", set.As), nil
	}
	return p, "", nil
}

// needs are the permissions that a rule's requests take.
func (r *Rule) needs() []tenure.Permission {
	switch {
	case r.Ignore != nil:
		return nil
	case r.Incident != nil:
		return []tenure.Permission{tenure.IncidentReport}
	case r.Onboard != nil:
		return []tenure.Permission{tenure.OperationRequest, tenure.TenantChange}
	case r.Paid != nil, r.Offboard != nil:
		return []tenure.Permission{tenure.OperationRequest, tenure.OperationSteer}
	}
	return []tenure.Permission{tenure.OperationRequest}
}

// Warnings says what of a file of rules couldn't be done as things stand: nobody may ask for it, or it
// names a blueprint, or parameters of one, that there aren't. A file that can't be read has none.
func (i *Intake) Warnings(ctx context.Context, src []byte, file string) (out []string, err error) {
	set, err := Parse(src, file)
	if err != nil {
		return nil, nil //nolint:nilerr // whoever checks the file tells
	}
	p, why, err := i.asks(ctx, set)
	if err != nil {
		return nil, err
	}
	if why != "" {
		out = append(out, why)
	} else {
		grants, err := i.o.DB.Grants(ctx, p.ID, false)
		if err != nil {
			return nil, err
		}
		lacks := map[tenure.Permission][]string{}
		for n := range set.Rules {
			for _, need := range set.Rules[n].needs() {
				if !slices.ContainsFunc(grants, func(g tenure.Grant) bool { return g.Active(i.now()) && g.May(need) }) {
					lacks[need] = append(lacks[need], set.Rules[n].Name)
				}
			}
		}
		for _, need := range slices.Sorted(maps.Keys(lacks)) {
			out = append(out, fmt.Sprintf("%s has no grant that gives %s, which the rules %s need: tenure grant give %s operator --all-tenants --reason WHY", set.As, need, strings.Join(lacks[need], ", "), set.As))
		}
	}
	if len(set.Tests) == 0 && len(set.Rules) > 0 {
		out = append(out, "the file has no tests")
	}
	for n := range set.Rules {
		r := &set.Rules[n]
		if r.Onboard == nil || strings.Contains(r.Onboard.Blueprint, "${") {
			continue
		}
		takes, err := i.o.Service.BlueprintTakes(ctx, r.Onboard.Blueprint)
		switch tenure.CodeOf(err) {
		case "":
		case tenure.NotFound, tenure.Blocked:
			out = append(out, fmt.Sprintf("the rule %s: %v", r.Name, err))
			continue
		default:
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(r.Onboard.Parameters)) {
			if !slices.Contains(takes, name) {
				out = append(out, fmt.Sprintf("the rule %s: the blueprint %s has no parameter %s; it has %s", r.Name, r.Onboard.Blueprint, name, strings.Join(takes, ", ")))
			}
		}
	}
	for n := range set.Rules {
		r := &set.Rules[n]
		if r.Read == nil {
			continue
		}
		kinds, err := i.o.Service.Reads(ctx, r.Read.System)
		switch {
		case err != nil:
			out = append(out, fmt.Sprintf("the rule %s: %v: tenure system add %s", r.Name, err, r.Read.System))
		case !slices.Contains(kinds, r.Read.Kind):
			out = append(out, fmt.Sprintf("the rule %s: in %s no %s can be looked up; %s", r.Name, r.Read.System, r.Read.Kind, cmp.Or(strings.Join(kinds, ", "), "nothing")+" can"))
		}
	}
	all, err := i.o.DB.AllTriggers(ctx)
	for _, t := range all {
		if t.Name == set.Name && t.Version == set.Version && t.Digest != set.Digest {
			out = append(out, fmt.Sprintf("another draft is called %s@%s too, with other content: publish the one that you read, by its digest, or give this one a new version", t.Name, t.Version))
			break
		}
	}
	return out, err
}
