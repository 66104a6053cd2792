package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/hygiene"
)

// fits compares a revision with the catalogs of the systems that have been added; there
// is no tenant yet, so no rows are counted. Places that would block a departure make
// it Blocked, each with the line to add. It returns in words what can't be erased and
// what couldn't be compared.
func (s *Service) fits(ctx context.Context, c *blueprint.Compiled) (says []string, err error) {
	at, err := s.locator(ctx, c)
	if err != nil {
		return nil, err
	}
	says, open, err := s.unfit(ctx, c, at)
	if err == nil && len(open) > 0 {
		err = tenure.Errorf(tenure.Blocked, "%s can't be published: %s", c.Ref().Name+" "+c.Ref().Version, strings.Join(open, "; ")).
			WithHint("cover each, say that it is shared, or settle it in the system; then submit the next revision")
	}
	return says, err
}

// unfit is fits with the places that would block in words, each once. Each begins with
// where it stands in the file, if that is known.
func (s *Service) unfit(ctx context.Context, c *blueprint.Compiled, at *locator) (says, open []string, err error) {
	desired, asked, spelled, err := s.placeholder(c)
	said := func(format string, args ...any) { says = append(says, spelled(fmt.Sprintf(format, args...))) }
	if err != nil {
		said("no store was compared with the systems, since that takes a tenant: %v", err)
		return says, nil, nil
	}
	var all []tenure.Resource
	for _, env := range desired.Environments {
		for _, r := range env.Resources {
			row := tenure.Resource{Environment: env.Name, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name}
			if row.Desired, err = tenure.Canonical(r.Attributes); err != nil {
				return nil, nil, err
			}
			all = append(all, row)
		}
	}
	for _, r := range c.Blueprint.Resources {
		sys, err := s.system(ctx, r.System)
		if err != nil || slices.ContainsFunc(all, func(have tenure.Resource) bool { return have.Key == r.Key }) {
			continue
		}
		if hygiene.Mapped(sys, r.Type) {
			said("%s is there under a condition alone, and is compared when a tenant comes", r.Key)
		}
	}
	looked := make(map[string]bool)
	for _, env := range desired.Environments {
		for _, r := range env.Resources {
			sys, err := s.system(ctx, r.System)
			if err != nil {
				if !looked[r.System] {
					said("system %s wasn't compared: %v", r.System, err)
				}
				looked[r.System] = true
				continue
			}
			row := tenure.Resource{Environment: env.Name, Key: r.Key, System: r.System, Type: r.Type, Name: r.Name}
			v := hygiene.Map{Resource: row}
			if !hygiene.Mapped(sys, row.Type) {
				continue
			}
			ask := connector.Survey{Ref: connector.Ref{Environment: env.Name, Type: r.Type, Name: r.Name, Attributes: r.Attributes, Classes: r.Data}, Search: searchPlanned, Beside: hygiene.Beside(all, row)}
			var against []string
			for _, ask.Changes = range c.Changes(tenure.Environment{Name: env.Name}) {
				var m connector.Map
				if m, _, err = sys.DataMap(ctx, ask); err != nil {
					break
				}
				for _, p := range m.Places {
					if p.Blocks {
						line := spelled(v.Line(p))
						p.Name, p.At = spelled(p.Name), spelled(p.At)
						against = append(against, at.place(r.Key, p, ask.Changes, line))
					}
				}
				v.Map.Places, v.Map.Partial, v.Map.Sighting = union(v.Map.Places, m.Places), m.Partial, m.Sighting
			}
			switch code := tenure.CodeOf(err); {
			case code == tenure.Invalid && asked[r.Key] != "":
				said("%s depends on the parameter %s, and is compared when a tenant comes: %v", v.Path(), asked[r.Key], err)
				continue
			case code == tenure.Invalid:
				return says, nil, &tenure.Error{Code: tenure.Invalid, Message: at.of(r.Key, spelled(v.Path()+": "+err.Error())), Hints: spelledAll(spelled, tenure.HintsOf(err))}
			case err != nil:
				said("%s wasn't compared: %v", v.Path(), err)
				continue
			}
			if p := asked[r.Key]; p != "" {
				said("%s was compared as the parameter %s could make it; what a customer's own value makes of it is compared when the tenant comes", v.Path(), p)
			}
			open = append(open, against...)
			for _, p := range v.Places {
				if !p.Blocks && p.Says != "" {
					said("%s", v.Line(p))
				}
			}
			if v.Partial != "" {
				said("%s was compared in part: %s", v.Path(), v.Partial)
			}
		}
	}
	slices.Sort(open)
	slices.Sort(says)
	return slices.Compact(says), slices.Compact(open), nil
}

// union adds to places those that say something else.
func union(all, more []connector.Place) []connector.Place {
	for _, p := range more {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

func spelledAll(spelled func(string) string, texts []string) (out []string) {
	for _, text := range texts {
		out = append(out, spelled(text))
	}
	return out
}
