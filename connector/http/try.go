package http

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/trial"
)

// Try exercises a description against a system, by the samples (try) of its types; see trial.Run.
func Try(ctx context.Context, d *Description, c connector.Config, tell func(trial.Trial)) (bool, error) {
	s := trial.Subject{Open: func(ctx context.Context, c connector.Config, told func(string)) (connector.Driver, error) {
		opened, err := d.open(ctx, c)
		if err != nil {
			return nil, err
		}
		opened.(*described).client.Told = func(method, path string, status int, took time.Duration) {
			told(fmt.Sprintf("%s %s → %d in %d ms", method, path, status, took.Milliseconds()))
		}
		return opened, nil
	}}
	for _, t := range d.ordered() {
		one := trial.Sample{Type: t.Name, Credential: t.Credential, Can: func(call string) bool {
			return call == "suspend" && len(t.Suspend) > 0 || call == "revoke" && len(t.Revoke) > 0 || call == "map" && t.Data != nil
		}}
		if t.Try != nil {
			one.Name, one.Attributes = t.Try.Name, t.Try.Attributes
		}
		s.Samples = append(s.Samples, one)
	}
	return trial.Run(ctx, s, c, tell)
}

// ordered are the types, parents first.
func (d *Description) ordered() (out []*typeSpec) {
	var add func(name string)
	add = func(name string) {
		for i := range d.Types {
			t := &d.Types[i]
			if t.Name != name || slices.Contains(out, t) {
				continue
			}
			if t.In != "" {
				add(t.In)
			}
			out = append(out, t)
		}
	}
	for i := range d.Types {
		add(d.Types[i].Name)
	}
	return out
}
