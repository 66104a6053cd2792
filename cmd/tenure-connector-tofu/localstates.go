package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// localStates are states in a folder, as Terraform's local backend keeps them, for a first
// try. The notes stand in a folder beside them.
type localStates struct{ folder string }

func openLocal(q request) (states, error) {
	s := &localStates{q.Options["folder"]}
	if !filepath.IsAbs(s.folder) {
		return nil, refuse("invalid", "the local backend needs the option folder, an absolute path")
	}
	if info, err := os.Stat(s.folder); err != nil || !info.IsDir() {
		return nil, refuse("unavailable", "the folder %s isn't there", s.folder).retry()
	}
	return s, nil
}

func (s *localStates) close() {}

func (s *localStates) at(parts ...string) string {
	return filepath.Join(append([]string{s.folder}, parts...)...)
}

// put writes a file whole or not at all.
func put(path string, raw []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return refuse("unavailable", "%s", err).retry()
	}
	part := path + "." + rand.Text()
	err := os.WriteFile(part, raw, 0o600)
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		_ = os.Remove(part)
		return refuse("unavailable", "%s", err).retry()
	}
	return nil
}

// get reads a file; nil if it isn't there.
func get(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, refuse("forbidden", "%s", err)
	case err != nil:
		return nil, refuse("unavailable", "%s", err).retry()
	}
	return raw, nil
}

func (s *localStates) stateFile(name string) string {
	return s.at("states", name, "terraform.tfstate")
}

func (s *localStates) noteFile(name string) string { return s.at("tenure", "workspaces", name+".json") }

func (s *localStates) plant(context.Context) error {
	raw, err := get(s.at("tenure", "system"))
	if err == nil && raw == nil {
		err = put(s.at("tenure", "system"), []byte(rand.Text()))
	}
	return err
}

func (s *localStates) look(_ context.Context, names []string, yield func(workspace) error) (g sighting, err error) {
	id, err := get(s.at("tenure", "system"))
	if err != nil {
		return g, err
	}
	kept, err := get(s.stateFile(sentinel))
	if err != nil {
		return g, err
	}
	g = sighting{Fingerprint: fmt.Sprintf("tofu local %s %s", s.folder, cmp.Or(string(id), "without an identity")), Sentinel: kept != nil && id != nil, Complete: true}
	if names == nil {
		for _, folder := range []string{s.at("states"), s.at("tenure", "workspaces")} {
			entries, err := os.ReadDir(folder)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return g, refuse("forbidden", "%s", err)
			}
			for _, e := range entries {
				names = append(names, strings.TrimSuffix(e.Name(), ".json"))
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	for _, name := range names {
		w, err := s.one(name)
		if err != nil {
			return g, err
		}
		if err := yield(w); err != nil {
			return g, err
		}
	}
	return g, nil
}

func (s *localStates) one(name string) (w workspace, err error) {
	w.name = name
	raw, err := get(s.noteFile(name))
	if err != nil {
		return w, err
	}
	if raw != nil {
		w.note = &note{}
		if err := json.Unmarshal(raw, w.note); err != nil {
			return w, refuse("blocked", "the note of workspace %s can't be read", name)
		}
	}
	raw, err = get(s.stateFile(name))
	if err == nil && raw != nil {
		if w.state, err = readState(raw); err != nil {
			return w, refuse("blocked", "the state of workspace %s can't be read", name).hint("look at it: terraform state pull")
		}
	}
	return w, err
}

func (s *localStates) note(_ context.Context, n note, bears string) error {
	w, err := s.one(n.Name)
	if err != nil {
		return err
	}
	if w.note != nil && w.note.Mark != bears && w.note.Mark != n.Mark {
		return refuse("conflict", "workspace %s has become somebody else's", n.Name)
	}
	raw, _ := json.Marshal(n)
	return put(s.noteFile(n.Name), raw)
}

func (s *localStates) forget(_ context.Context, name string) error {
	if err := os.Remove(s.noteFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return refuse("unavailable", "%s", err).retry()
	}
	_ = os.Remove(s.at("states", name, "terraform.tfstate.backup"))
	_ = os.Remove(s.at("states", name))
	entries, err := os.ReadDir(s.at("tenure", "workspaces"))
	if err != nil {
		return nil
	}
	named := map[string]bool{}
	for _, e := range entries {
		w, err := s.one(strings.TrimSuffix(e.Name(), ".json"))
		if err != nil || w.note == nil {
			return nil
		}
		named[w.note.Digest] = true
	}
	modules, _ := os.ReadDir(s.at("tenure", "modules"))
	for _, e := range modules {
		if !named["sha256:"+e.Name()] {
			_ = os.Remove(s.at("tenure", "modules", e.Name()))
		}
	}
	return nil
}

func (s *localStates) keep(_ context.Context, digest string, archive []byte) error {
	return put(s.at("tenure", "modules", strings.TrimPrefix(digest, "sha256:")), archive)
}

func (s *localStates) archive(_ context.Context, digest string) ([]byte, error) {
	return get(s.at("tenure", "modules", strings.TrimPrefix(digest, "sha256:")))
}

func (s *localStates) begin(ctx context.Context, n note, bears string) error {
	n.Ending = true // nothing is lost if it goes no further than this
	if err := s.note(ctx, n, bears); err != nil {
		return err
	}
	if err := put(s.stateFile(n.Name), stateOf(n.Lineage)); err != nil {
		return err
	}
	n.Ending = false
	return s.note(ctx, n, n.Mark)
}

func (s *localStates) holder(_ context.Context, name string) (who, hint string) {
	raw, _ := get(s.at("states", name, ".terraform.tfstate.lock.info"))
	var info struct{ Who, Created, Operation string }
	if json.Unmarshal(raw, &info) != nil {
		return "somebody who is gone meanwhile", ""
	}
	return fmt.Sprintf("%s since %s (%s)", info.Who, info.Created, info.Operation), "its lock ends with its process"
}

func (s *localStates) backend() (string, map[string]string, map[string]string) {
	return "local", map[string]string{"workspace_dir": s.at("states")}, nil
}
