package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/secret"
	"github.com/tenurehq/tenure/internal/store"
)

func (s *Service) info(name string) (connector.Info, error) {
	for _, i := range s.o.Catalog {
		if i.Name == name {
			return i, nil
		}
	}
	known := make([]string, len(s.o.Catalog))
	for i, c := range s.o.Catalog {
		known[i] = c.Name
	}
	return connector.Info{}, tenure.Errorf(tenure.Invalid, "there is no connector %q", name).WithHint("connectors: %s", strings.Join(known, ", "))
}

// open opens a system by its settings, with the fingerprint that was recorded.
func (s *Service) open(ctx context.Context, name, fingerprint string) (*connector.System, error) {
	set, ok := s.o.Settings[name]
	if !ok {
		return nil, tenure.Errorf(tenure.NotFound, "system %q isn't in the systems file", name).WithHint("systems there: %s; a server reads the file when it starts", strings.Join(slices.Sorted(maps.Keys(s.o.Settings)), ", "))
	}
	info, err := s.info(set.Connector)
	switch {
	case err != nil:
		return nil, err
	case info.Broken != nil:
		return nil, tenure.Errorf(tenure.Blocked, "the connector of system %s can't be used: %w", name, info.Broken)
	case set.Err != nil:
		return nil, set.Err
	}
	given, err := ReadOptions(ctx, name, info, set, s.o.Secrets)
	if err != nil {
		return nil, err
	}
	d, err := s.driver(ctx, name, info, given)
	if err != nil {
		return nil, err
	}
	sys := connector.NewSystem(name, info, d, fingerprint, set.Limit)
	sys.Observer = s.o.Calls
	sys.Hide(given.all()...)
	if fingerprint != "" {
		s.opened(sys, given)
	}
	sys.Prices, sys.Currency = set.Prices, set.Currency
	return sys, nil
}

// CheckOptions refuses options and price keys that the connector doesn't know, and options
// that it needs and hasn't got.
func CheckOptions(name string, info connector.Info, set SystemSettings) error {
	known := make(map[string]connector.Option)
	for _, o := range info.Options {
		known[o.Name] = o
		_, given := set.Secrets[o.Name]
		if strings.TrimSpace(set.Options[o.Name]) == "" && !given && set.Kept[o.Name].IsZero() && o.Required {
			return tenure.Errorf(tenure.Invalid, "system %s: option %q is missing or blank", name, o.Name).WithHint("%s", o.Help)
		}
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(set.Options)), maps.Keys(set.Kept))
	slices.Sort(names)
	for _, k := range names {
		if o, ok := known[k]; !ok || o.Secret && set.Kept[k].IsZero() {
			if ok {
				return tenure.Errorf(tenure.Invalid, "system %s: option %q is a secret and stands in clear", name, k).WithHint("write it as %s: %s", k, secret.Notations)
			}
			return tenure.Errorf(tenure.Invalid, "system %s: connector %s has no option %q", name, info.Name, k)
		}
	}
	prices := priceKeys(info)
	for _, k := range slices.Sorted(maps.Keys(set.Prices)) {
		if slices.Contains(prices, k) {
			continue
		}
		err := tenure.Errorf(tenure.Invalid, "system %s: connector %s has no price %q", name, info.Name, k)
		if len(prices) == 0 {
			return err.WithHint("nothing in such a system has a price; leave prices out")
		}
		return err.WithHint("its prices: %s", strings.Join(prices, ", "))
	}
	return nil
}

// priceKeys are the keys under which the things of a connector can be given a price.
func priceKeys(info connector.Info) []string {
	var out []string
	for _, t := range info.Types {
		for _, c := range t.Cost {
			out = append(out, c.Price)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// system gives an added system, opening it at its first use.
func (s *Service) system(ctx context.Context, name string) (*connector.System, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sys := s.systems[name]; sys != nil {
		return sys, nil
	}
	rows, err := s.o.DB.Systems(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(rows, func(r store.System) bool { return r.Name == name })
	if i < 0 {
		return nil, tenure.Errorf(tenure.Blocked, "system %q was not added", name).WithHint("add it: tenure system add %s", name)
	}
	if set, ok := s.o.Settings[name]; ok && set.Connector != rows[i].Connector {
		return nil, tenure.Errorf(tenure.Blocked, "system %s was added with connector %s, and the systems file says %s", name, rows[i].Connector, set.Connector)
	}
	sys, err := s.open(ctx, name, rows[i].Fingerprint)
	if err != nil {
		return nil, err
	}
	if sys.Info.Pinned && sys.Info.Version != rows[i].Version {
		_ = sys.Close()
		return nil, tenure.Errorf(tenure.Blocked, "system %s was added when its description was %s, and it is %s now", name, rows[i].Version, sys.Info.Version).
			WithHint("look at what changed in descriptions/ or programs/, then: tenure system add %s", name)
	}
	s.systems[name] = sys
	return sys, nil
}

// allSystems opens every added system. Those that can't be opened are named in
// the second answer, so that one dead system doesn't hide the others.
func (s *Service) allSystems(ctx context.Context) (map[string]*connector.System, map[string]error, error) {
	rows, err := s.o.DB.Systems(ctx)
	if err != nil {
		return nil, nil, err
	}
	out, bad := make(map[string]*connector.System, len(rows)), make(map[string]error)
	for _, r := range rows {
		sys, err := s.system(ctx, r.Name)
		if err != nil {
			bad[r.Name] = err
			continue
		}
		out[r.Name] = sys
	}
	return out, bad, nil
}

// AddSystem plants Tenure's sentinel in a system and records who it is. A system
// of that name with another fingerprint is Conflict, unless replace says that a
// person means it.
func (s *Service) AddSystem(ctx context.Context, name string, replace bool, by string) (store.System, error) {
	if err := person(by); err != nil {
		return store.System{}, err
	}
	sys, err := s.open(ctx, name, "")
	if err != nil {
		return store.System{}, err
	}
	defer sys.Close()
	fp, err := sys.Plant(ctx)
	if err != nil {
		return store.System{}, err
	}
	row := store.System{Name: name, Connector: sys.Info.Name, Version: sys.Info.Version, Fingerprint: fp, AddedBy: by, AddedAt: s.Now()}
	e, err := s.entry(ctx, "system.add", by, "", "", name, map[string]string{"connector": row.Connector, "version": row.Version, "fingerprint": fp})
	if err != nil {
		return row, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		have, err := s.o.DB.Systems(ctx)
		if err != nil {
			return err
		}
		for _, h := range have {
			if h.Name != name {
				continue
			}
			switch {
			case h.Fingerprint == fp && h.Connector == row.Connector && h.Version == row.Version:
				row = h
				return nil
			case h.Fingerprint == fp && h.Connector == row.Connector:
				replace = true // the same system, by another version of what describes it
			case !replace:
				return tenure.Errorf(tenure.Conflict, "system %s was added with fingerprint %s, and is now %s", name, h.Fingerprint, fp).
					WithHint("if the system was really replaced: tenure system add %s --replace", name)
			}
		}
		if err := tx.SaveSystem(row, replace); err != nil {
			return err
		}
		return tx.Log(e)
	})
	s.mu.Lock()
	if old := s.systems[name]; old != nil {
		_ = old.Close()
		delete(s.systems, name)
		s.renewals.forget(name)
	}
	s.mu.Unlock()
	return row, err
}

// SystemStatus is a system and whether it is well.
type SystemStatus struct {
	store.System
	Well  bool   `json:"well"`
	Why   string `json:"why,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Systems lists the added systems with a look at each.
func (s *Service) Systems(ctx context.Context) ([]SystemStatus, error) {
	rows, err := s.o.DB.Systems(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]SystemStatus, len(rows))
	for i, r := range rows {
		out[i] = SystemStatus{System: r, Well: true}
		sys, err := s.system(ctx, r.Name)
		if err == nil {
			out[i].Limit = sys.Limit()
			var sure tenure.Verdict
			if _, sure, err = sys.Observe(ctx, nil); err == nil && sure != tenure.Verified {
				err = fmt.Errorf("its fingerprint or sentinel isn't what was recorded")
			}
		}
		if err != nil {
			out[i].Well, out[i].Why = false, err.Error()
		}
	}
	return out, nil
}
