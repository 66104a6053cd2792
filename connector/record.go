package connector

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Loses is Conflict if a record that others keep would lose attributes by being taken: what
// it has, and isn't to have.
func Loses(typ, name string, has, gets map[string]any) error {
	var lost []string
	for _, attribute := range slices.Sorted(maps.Keys(has)) {
		if v := has[attribute]; v != nil && v != "" && gets[attribute] == nil {
			lost = append(lost, attribute)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return tenure.Errorf(tenure.Conflict, "%s %q is there already and would lose %s", typ, name, strings.Join(lost, ", ")).
		WithHint("say in the blueprint what it is to have, or empty it there")
}

// Leave lets go of a record that stays, and reads back that it isn't ours any more.
func (s *System) Leave(ctx context.Context, r Ref) (rec Receipt, v tenure.Verdict, err error) {
	defer s.turns.Take(r.Type, r.Name)()
	err = capable(ctx, s, "leave", func(d Leaver) (err error) { rec, err = d.Leave(ctx, r); return err })
	rec = s.veil().Receipt(rec)
	if err != nil {
		return rec, tenure.Unknown, err
	}
	seen, absent, err := s.Observe(ctx, []Ref{r})
	if err != nil {
		return rec, tenure.Unknown, err
	}
	if seen[0].Found && seen[0].Owner == Ours && seen[0].Resource == r.Resource {
		return rec, tenure.Failed, nil
	}
	return rec, absent, nil
}
