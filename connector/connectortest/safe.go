package connectortest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Safe keeps in memory what a system issues, for any number of installations.
type Safe struct {
	mu  sync.Mutex
	all map[tenure.InstallationID]map[tenure.ResourceID]connector.Issued
}

// Issued is what is kept for a resource, by whichever installation.
func (s *Safe) Issued(id tenure.ResourceID) connector.Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kept := range s.all {
		if i, ok := kept[id]; ok {
			return i
		}
	}
	return connector.Issued{}
}

// Sentinel is what an installation keeps for itself.
func (s *Safe) Sentinel() (out []connector.Issued) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kept := range s.all {
		if i, ok := kept[""]; ok {
			out = append(out, i)
		}
	}
	return out
}

// secrets are all that is kept.
func (s *Safe) secrets() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kept := range s.all {
		for _, i := range kept {
			out = append(out, i.Credential.Reveal(), i.Note.Reveal())
		}
	}
	return out
}

// Of is an installation's part of the safe.
func (s *Safe) Of(of tenure.InstallationID) connector.Safe { return drawer{s, of} }

type drawer struct {
	*Safe
	of tenure.InstallationID
}

func (d drawer) Keep(ctx context.Context, r connector.Ref, i connector.Issued) error {
	if ctx.Err() != nil {
		return tenure.Errorf(tenure.Unavailable, "keep: %w", ctx.Err()).Retryable()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[tenure.InstallationID]map[tenure.ResourceID]connector.Issued{}
	}
	if d.all[d.of] == nil {
		d.all[d.of] = map[tenure.ResourceID]connector.Issued{}
	}
	d.all[d.of][r.Resource] = i
	return nil
}

func (d drawer) Kept(ctx context.Context, id tenure.ResourceID) (connector.Issued, error) {
	if ctx.Err() != nil {
		return connector.Issued{}, tenure.Errorf(tenure.Unavailable, "kept: %w", ctx.Err()).Retryable()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all[d.of][id], nil
}

func (d drawer) Each(_ context.Context, yield func(tenure.ResourceID, connector.Issued) error) error {
	d.mu.Lock()
	kept := maps.Clone(d.all[d.of])
	d.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(kept)) {
		if id == "" {
			continue
		}
		if err := yield(id, kept[id]); err != nil {
			return err
		}
	}
	return nil
}
