package governance

import "github.com/tenurehq/tenure/internal/guard"

// Policies lists the policies that deny further, in the order of their files; nil
// where there are none, or where what denies has none to show.
func (g *Governor) Policies() []guard.Policy {
	if l, ok := g.o.Policies.(interface{ Policies() []guard.Policy }); ok {
		return l.Policies()
	}
	return nil
}
