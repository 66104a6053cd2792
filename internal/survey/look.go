package survey

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Source is one system to look at.
type Source struct {
	Name     string
	Info     connector.Info
	Options  map[string]string
	Secrets  map[string]tenure.Secret
	Prices   map[string]int64 // minor units a month, as systems.yaml has them
	Currency string
}

// Ask says how to look.
type Ask struct {
	Columns []string // tenant columns; none: those that look like one
	Calls   int      // to each system, at most; 0 is no bound
	Own     []string // mail domains of the platform's own staff
	Now     time.Time
	Dormant time.Duration // without use for so long is dormant; 0 is 90 days
}

// Seen is what one system holds.
type Seen struct {
	Source Source
	Traces []connector.Trace
	Calls  int
	Says   []string // what wasn't seen, and why
	Failed string   // why nothing was seen

	Catalogue connector.Catalogue // of tables, where the system has them
}

// together is how many systems are looked at at once.
const together = 4

// Look reads the systems. One that fails is told in what was seen of it; the error is the
// context's alone.
func Look(ctx context.Context, sources []Source, ask Ask) ([]Seen, error) {
	out := make([]Seen, len(sources))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(together)
	for i, s := range sources {
		g.Go(func() error { out[i] = look(ctx, s, ask); return ctx.Err() })
	}
	return out, g.Wait()
}

func look(ctx context.Context, s Source, ask Ask) Seen {
	veil := connector.NewVeil(secrets(s)...)
	seen := Seen{Source: s}
	fail := func(err error) Seen {
		seen.Failed = veil.Text(err.Error())
		return seen
	}
	if s.Info.Broken != nil {
		return fail(s.Info.Broken)
	}
	d, err := s.Info.Open(ctx, connector.Config{System: s.Name, Options: s.Options, Secrets: s.Secrets, Now: func() time.Time { return ask.Now }})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = d.Close() }()
	tracer, ok := connector.As[connector.Tracer](d)
	if !ok {
		return fail(tenure.Errorf(tenure.Invalid, "%s can't be surveyed", s.Info.Name))
	}
	asked := connector.Tracing{Columns: ask.Columns}
	if ask.Calls > 0 {
		asked.Calls = connector.NewBudget(ask.Calls)
	}
	var mu sync.Mutex
	traced, err := tracer.Trace(ctx, asked, func(t connector.Trace) error {
		mu.Lock()
		defer mu.Unlock()
		seen.Traces = append(seen.Traces, t)
		return ctx.Err()
	})
	seen.Calls, seen.Catalogue = asked.Calls.Spent(), traced.Catalogue
	for _, says := range traced.Says {
		seen.Says = append(seen.Says, veil.Text(says))
	}
	if err != nil {
		if len(seen.Traces) == 0 {
			return fail(err)
		}
		seen.Says = append(seen.Says, "reading ended early: "+veil.Text(err.Error()))
	}
	return seen
}

func secrets(s Source) []tenure.Secret {
	var out []tenure.Secret
	for _, v := range s.Secrets {
		out = append(out, v)
	}
	return out
}
