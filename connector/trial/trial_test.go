package trial_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/trial"
)

// shelf is a system that holds one thing at most.
type shelf struct {
	connector.Driver
	thing *connector.Desired
	stuck bool         // nothing goes
	made  func() error // called once the thing is there
}

func (s *shelf) Close() error                          { return nil }
func (s *shelf) Plant(context.Context) (string, error) { return "f", nil }
func (s *shelf) Normalise(connector.Desired) (json.RawMessage, error) {
	return json.RawMessage("{}"), nil
}

func (s *shelf) Ensure(_ context.Context, want connector.Desired) (connector.Observed, connector.Receipt, error) {
	s.thing = &want
	return connector.Observed{}, connector.Receipt{Changed: true}, s.made()
}

func (s *shelf) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	o := connector.Observed{Type: refs[0].Type, Name: refs[0].Name}
	if s.thing != nil {
		o.Found, o.Owner, o.Resource = true, connector.Ours, s.thing.Resource
	}
	return connector.Sighting{Fingerprint: "f", Sentinel: true, Complete: true}, errors.Join(ctx.Err(), yield(o))
}

func (s *shelf) Delete(ctx context.Context, _ connector.Ref) (connector.Receipt, error) {
	if ctx.Err() == nil && !s.stuck {
		s.thing = nil
	}
	return connector.Receipt{}, ctx.Err()
}

func (s *shelf) Discover(ctx context.Context, _ connector.Scope, _ func(connector.Observed) error) (connector.Sighting, error) {
	return connector.Sighting{}, ctx.Err()
}

// A trial leaves no sample in a system of the user's, and names one that it can't delete.
func TestLeavesNothing(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ fails, stops, stuck bool }{
		"making it fails after it was made": {fails: true},
		"the user stops it":                 {stops: true},
		"both":                              {fails: true, stops: true},
		"it can't be deleted":               {fails: true, stuck: true},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &shelf{stuck: c.stuck}
		s.made = func() error {
			if c.stops {
				cancel()
			}
			if c.fails {
				return tenure.Errorf(tenure.Unavailable, "its answer was lost")
			}
			return nil
		}
		var said strings.Builder
		open := func(context.Context, connector.Config, func(string)) (connector.Driver, error) { return s, nil }
		one := trial.Sample{Type: "thing", Name: "sample", Can: func(string) bool { return false }}
		good, err := trial.Run(ctx, trial.Subject{Open: open, Samples: []trial.Sample{one}}, connector.Config{System: "main", Now: time.Now}, func(one trial.Trial) { said.WriteString(one.Saw + "\n") })
		cancel()
		if good || (err != nil) != c.stops {
			t.Errorf("%s: good %t, %v", what, good, err)
		}
		if (s.thing != nil) != c.stuck || strings.Contains(said.String(), `may still be there: thing "sample"`) != c.stuck {
			t.Errorf("%s: there is %v; it says:\n%s", what, s.thing, said.String())
		}
	}
}
