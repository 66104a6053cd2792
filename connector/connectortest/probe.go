package connectortest

import (
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// runProbes lets each probe pass, and fail on a planted misconfiguration.
func runProbes(t *testing.T, open Harness) {
	probes := open(t).Probes
	for i, p := range probes {
		name := p.Kind
		if p.Name != "" {
			name += " " + p.Name
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			a := newActor(t, w, firstCase(w), "driver", newMarker(w))
			p := w.Probes[i]
			c := p.Check(t, a.driver)
			c.Kind = p.Kind
			a.secrets = append(a.secrets, c.Credential.Reveal())
			prober, ok := connector.As[connector.Prober](a.driver)
			if !ok {
				t.Fatal("the connector declares probes and its driver is no Prober")
			}
			a.untouched("a probe", func() {
				if o, err := prober.Probe(t.Context(), c); err != nil || !o.Passed || o.Detail == "" {
					t.Errorf("the probe should pass: %+v, error %v", o, err)
				}
			})
			p.Misconfigure(t)
			o, err := prober.Probe(t.Context(), c)
			a.says("probe", o)
			if a.checked("probe", err) == nil && (o.Passed || o.Detail == "") {
				t.Errorf("the probe passes on a planted misconfiguration: %+v", o)
			}
		})
	}
	t.Run("unknown kind", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		a := newActor(t, w, firstCase(w), "driver", newMarker(w))
		if prober, ok := connector.As[connector.Prober](a.driver); ok {
			_, err := prober.Probe(t.Context(), connector.Check{Kind: "no such probe"})
			a.refused("probe", a.checked("probe", err), tenure.Invalid)
		}
	})
}
