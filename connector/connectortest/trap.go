package connectortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Trap is what a tenant leaves in a place of its own for whoever comes with more
// rights than it has.
type Trap struct {
	Name  string
	SQL   string                        // run there as the tenant, in the system's dialect
	Held  string                        // SQL that a session of the tenant's runs after it, which stays open
	Plant func(t testing.TB, g *Ground) // run after it: what no SQL says
	Stops []string                      // the calls that it may have refused, each with a reason; the others do their work
}

// Ground is a fresh system with a place in it that a tenant can write to, and what
// belongs to others.
type Ground struct {
	Driver connector.Driver
	Place  connector.Desired // the tenant's own, of the classes aa and bb
	Beside []connector.Ref   // observed with it
	Probes []connector.Check // tried on it

	// Elevation is a login that is opened and ended on the place; nil where the
	// system opens none.
	Elevation *connector.Elevation

	Plant  func(t testing.TB, sql string) // runs SQL there as the tenant
	Hold   func(t testing.TB, sql string) // does so in a session that stays open to the test's end
	Damage func(t testing.TB)             // makes it differ from its desired state, as the tenant

	// Secret stands in a neighbour's rows and in files that no tenant may read. No
	// call gives it away.
	Secret string

	// Neighbours writes down what belongs to others: no call changes it.
	Neighbours func(t testing.TB) string

	// Gained says what shows that code of the tenant's ran with more rights than the
	// tenant has, and what a call left behind; "" if nothing does. An error of a
	// call's that has the word GAINED, or the SQLSTATE GA001, says it, too.
	Gained func(t testing.TB) string
}

// trapTime is how long one call may take: a tenant's code doesn't keep Tenure.
const trapTime = 30 * time.Second

// RunTraps plants each trap on a ground of its own and takes the tenant through its
// whole life there: no code of the tenant's gains anything from any call, no call hangs,
// and none is refused but those that the trap says.
func RunTraps(t *testing.T, open func(t *testing.T) *Ground, traps []Trap) {
	for _, trap := range traps {
		t.Run(trap.Name, func(t *testing.T) {
			t.Parallel()
			g := open(t)
			if trap.SQL != "" {
				g.Plant(t, trap.SQL)
			}
			if trap.Held != "" {
				g.Hold(t, trap.Held)
			}
			if trap.Plant != nil {
				trap.Plant(t, g)
			}
			before := g.Neighbours(t)
			g.spring(t, trap)
			if diff := cmp.Diff(before, g.Neighbours(t)); diff != "" {
				t.Errorf("what belongs to others changed:\n%s", diff)
			}
		})
	}
}

// spring makes every call, in the order in which a tenant's life has them.
func (g *Ground) spring(t *testing.T, trap Trap) {
	t.Helper()
	for _, c := range g.calls() {
		if c.name == "repair" {
			g.Damage(t)
		}
		said, err := g.call(t, c.do)
		if says := fmt.Sprint(err); strings.Contains(says, "GAINED") || strings.Contains(says, "GA001") {
			t.Errorf("%s: the tenant's code gained: %v", c.name, err)
			return
		}
		if how := g.Gained(t); how != "" {
			t.Errorf("%s: %s", c.name, how)
			return
		}
		if g.Secret != "" && (bytes.Contains(said, []byte(g.Secret)) || strings.Contains(fmt.Sprint(err), g.Secret)) {
			t.Errorf("%s gives away what is a neighbour's", c.name)
		}
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			t.Errorf("%s doesn't end: %v", c.name, err)
		case err != nil && !slices.Contains(trap.Stops, c.name):
			t.Errorf("%s: %v", c.name, err)
		case err != nil && tenure.CodeOf(err) == tenure.Internal:
			t.Errorf("%s is refused without a reason: %v", c.name, err)
		}
		if err == nil && slices.Contains(trap.Stops, c.name) {
			t.Errorf("%s isn't refused, and the trap lets it be", c.name)
		}
	}
}

// call runs one call, which must end even if it doesn't heed its context.
func (g *Ground) call(t *testing.T, do func(context.Context, *bytes.Buffer) error) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.Context(), trapTime)
	defer cancel()
	var said bytes.Buffer
	end := make(chan error, 1)
	go func() { end <- do(ctx, &said) }()
	select {
	case err := <-end:
		return said.Bytes(), err
	case <-time.After(2 * trapTime):
		t.Fatal("a call hangs and doesn't heed its context")
		return nil, nil
	}
}

type trapCall struct {
	name string
	do   func(ctx context.Context, said *bytes.Buffer) error
}

func (g *Ground) calls() []trapCall {
	r := g.Place.Ref
	tell := func(said *bytes.Buffer, v any) {
		raw, _ := json.Marshal(v)
		said.Write(raw)
	}
	export := func(ctx context.Context, said *bytes.Buffer) error {
		_, err := g.Driver.(connector.Exporter).Export(ctx, r, said)
		return err
	}
	set := func(f func(context.Context, connector.Ref) (connector.Receipt, error)) func(context.Context, *bytes.Buffer) error {
		return func(ctx context.Context, said *bytes.Buffer) error {
			rec, err := f(ctx, r)
			tell(said, rec)
			return err
		}
	}
	var aside, again []trapCall // where the system sets things aside
	if q, ok := g.Driver.(connector.Quarantiner); ok {
		aside = []trapCall{{"quarantine", set(q.Quarantine)}, {"export from quarantine", export}, {"unquarantine", set(q.Unquarantine)}}
		again = []trapCall{{"quarantine again", set(q.Quarantine)}}
	}
	return slices.Concat([]trapCall{
		{"observe", func(ctx context.Context, said *bytes.Buffer) error {
			_, err := g.Driver.Observe(ctx, append([]connector.Ref{r}, g.Beside...), func(o connector.Observed) error { tell(said, o); return nil })
			return err
		}},
		{"discover", func(ctx context.Context, said *bytes.Buffer) error {
			_, err := g.Driver.Discover(ctx, connector.Scope{}, func(o connector.Observed) error { tell(said, o); return nil })
			return err
		}},
		{"map", g.mapped},
		{"probe", func(ctx context.Context, said *bytes.Buffer) error {
			for _, c := range g.Probes {
				o, err := g.Driver.(connector.Prober).Probe(ctx, c)
				if tell(said, o); err != nil {
					return fmt.Errorf("%s: %w", c.Kind, err)
				}
			}
			return nil
		}},
		{"elevation", g.elevated},
		{"export", export},
		{"repair", func(ctx context.Context, said *bytes.Buffer) error {
			o, _, err := g.Driver.Ensure(ctx, g.Place)
			tell(said, o)
			return err
		}},
	}, aside, again, []trapCall{
		{"erase aa", g.erased("aa")},
		{"erase bb", g.erased("bb")},
		{"delete", set(g.Driver.Delete)},
	})
}

// mapped surveys with all that a survey can do. What blocks is an error that says so.
func (g *Ground) mapped(ctx context.Context, said *bytes.Buffer) error {
	m, err := g.Driver.(connector.Mapper).DataMap(ctx, connector.Survey{Ref: g.Place.Ref, Order: g.Place.Classes, Prove: true, Search: 5 * time.Second})
	raw, _ := json.Marshal(m)
	said.Write(raw)
	for _, p := range m.Places {
		if p.Blocks && err == nil {
			err = tenure.Errorf(tenure.Blocked, "%s blocks: %s (%s)", p.Name, p.Says, p.Fix)
		}
	}
	return err
}

func (g *Ground) elevated(ctx context.Context, _ *bytes.Buffer) error {
	if g.Elevation == nil {
		return nil
	}
	e := g.Driver.(connector.Elevator)
	if err := e.Elevate(ctx, *g.Elevation); err != nil {
		return err
	}
	return e.Unelevate(ctx, g.Elevation.Login)
}

// erased takes all of a class, and reads the tally of it.
func (g *Ground) erased(class string) func(context.Context, *bytes.Buffer) error {
	return func(ctx context.Context, said *bytes.Buffer) error {
		b := connector.Batch{Run: "run-" + class, Class: class, Limit: 5000}
		for range 200 {
			e, err := g.Driver.(connector.Eraser).Erase(ctx, g.Place.Ref, b)
			if err != nil {
				return err
			}
			if b.Cursor = e.Cursor; e.Done {
				_, err = g.Driver.(connector.Tallier).Tally(ctx, g.Place.Ref, b.Run)
				return err
			}
		}
		return tenure.Errorf(tenure.Internal, "the erasure isn't done after 200 batches")
	}
}
