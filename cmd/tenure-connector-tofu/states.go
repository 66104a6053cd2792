package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
)

// states is where Terraform keeps its states, as it is seen without Terraform, with the
// program's own notes beside them. A state that is gone while its note is there was lost:
// what it knew of may still stand.
type states interface {
	// plant makes the place of the notes, and what tells this system from every other.
	plant(ctx context.Context) error

	// look gives the workspaces of these names, or all, in the byte order of their names,
	// in one pass with the sighting.
	look(ctx context.Context, names []string, yield func(workspace) error) (sighting, error)

	// note keeps what is known of a workspace, if there is still the note with that mark.
	note(ctx context.Context, n note, bears string) error

	// forget drops a workspace's note, and modules that no note names.
	forget(ctx context.Context, name string) error

	// keep keeps a module's archive under its digest, archive gives it; nil if there is none.
	keep(ctx context.Context, digest string, archive []byte) error
	archive(ctx context.Context, digest string) ([]byte, error)

	// begin notes a workspace that isn't there and makes it, empty, with the note's lineage.
	begin(ctx context.Context, n note, bears string) error

	// holder says who has locked a workspace's state, and how that ends.
	holder(ctx context.Context, name string) (who, hint string)

	// backend is how Terraform reaches the states.
	backend() (kind string, settings, environment map[string]string)

	close()
}

// sentinel is the workspace that Tenure keeps.
const sentinel = "tenure-sentinel"

// workspace is one as it is seen.
type workspace struct {
	name  string
	note  *note  // nil: none is ours
	state *state // nil: none is there
}

// note is what the program keeps of a workspace where no module can write.
type note struct {
	Name    string `json:"name"`
	Mark    string `json:"mark"`
	Lineage string `json:"lineage"`           // of the state that is ours
	Digest  string `json:"digest,omitempty"`  // of the module that was applied last, or is being applied
	Config  string `json:"config,omitempty"`  // a configuration, likewise
	Pending string `json:"pending,omitempty"` // the plan whose apply has begun and not ended
	Ending  bool   `json:"ending,omitempty"`  // all of it was destroyed
}

// state is what a state says, without the values that it holds.
type state struct {
	lineage string
	version string // of the Terraform that wrote it
	things  int    // instances of resources that it manages, without the program's own
	record  string
	own     int // the program's own
}

func readState(raw []byte) (*state, error) {
	var in struct {
		Lineage   string
		Version   string `json:"terraform_version"`
		Resources []struct {
			Module, Mode, Type, Name string
			Instances                []json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	s := &state{lineage: in.Lineage, version: in.Version}
	for _, r := range in.Resources {
		switch {
		case r.Mode != "managed":
		case r.Module == "" && r.Type == "terraform_data" && r.Name == "tenure":
			s.own += len(r.Instances)
			for _, i := range r.Instances {
				var one struct {
					Deposed    string
					Attributes struct{ Input struct{ Value string } }
				}
				if json.Unmarshal(i, &one) == nil && one.Deposed == "" {
					s.record = one.Attributes.Input.Value
				}
			}
		default:
			s.things += len(r.Instances)
		}
	}
	return s, nil
}

// ours says whether the state is the one that the note is about.
func (w workspace) ours() bool {
	switch {
	case w.note == nil:
		return false
	case w.state == nil:
		return true
	}
	return w.note.Lineage == w.state.lineage
}

// adoptable says whether a workspace bears no mark, and its state tells by what it was applied.
func (w workspace) adoptable() bool { return !w.ours() && w.state != nil && w.state.record != "" }

// there says whether anything of the workspace is there, or may be.
func (w workspace) there() bool { return w.state != nil || w.note != nil }

// lost says whether the state went without our doing.
func (w workspace) lost() bool { return w.state == nil && w.ours() && !w.note.Ending }

// bears is the mark of a workspace that is there.
func (w workspace) bears() string {
	if !w.ours() {
		return ""
	}
	return w.note.Mark
}

// used is the configuration that the workspace is to be destroyed with.
func (w workspace) used() (c configuration, err error) {
	text := ""
	if w.state != nil {
		text = w.state.record
	}
	if w.note != nil && w.note.Config != "" {
		text = w.note.Config
	}
	if text == "" {
		return c, refuse("blocked", "workspace %s has a state of which nobody knows by what module it was made", w.name).
			hint("look at it: terraform state list; destroy what it holds with its own module")
	}
	return c, readJSON(text, &c)
}

// newLineage is a name for a state that no other has.
func newLineage() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	text := hex.EncodeToString(id[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// stateOf is a state with nothing in it, as Terraform reads one.
func stateOf(lineage string) []byte {
	raw, _ := json.Marshal(map[string]any{"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": lineage, "outputs": map[string]any{}, "resources": []any{}})
	return raw
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func contains(list []string, s string) bool { return slices.Contains(list, s) }
