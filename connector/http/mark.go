package http

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// note is what Tenure writes about a thing: whose it is, what it did to it, and which
// credential it has. It is written as one line: the owner mark and words NAME=VALUE.
type note struct {
	mark  string
	state string // suspended or revoked, "" otherwise
	begun string // suspend, resume or revoke: its steps aren't all done
	key   string // the seal of the credential
	of    string // the system's id of the thing
	seal  string // over the rest, where the note stands in the thing itself
}

func (n note) String() string {
	out := n.mark
	for _, w := range [][2]string{{"state", n.state}, {"begun", n.begun}, {"key", n.key}, {"of", url.QueryEscape(n.of)}, {"seal", n.seal}} {
		if w[1] != "" {
			out += " " + w[0] + "=" + w[1]
		}
	}
	return out
}

// reached is the state of a thing that shows state: one whose change isn't done to its last
// step is still where it was, so that who asks for it again has all steps done.
func (n note) reached(state tenure.ResourceState) tenure.ResourceState {
	switch {
	case n.begun == "suspend" && state == tenure.ResourceSuspended:
		return tenure.ResourcePresent
	case n.begun == "resume" && state == tenure.ResourcePresent, n.begun == "revoke" && state == tenure.ResourceRevoked:
		return tenure.ResourceSuspended
	}
	return state
}

func readNote(line string) (n note) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return n
	}
	n.mark = words[0]
	for _, w := range words[1:] {
		switch name, value, _ := strings.Cut(w, "="); name {
		case "state":
			n.state = value
		case "begun":
			n.begun = value
		case "key":
			n.key = value
		case "of":
			n.of, _ = url.QueryUnescape(value)
		case "seal":
			n.seal = value
		}
	}
	return n
}

// beginsMark says whether a text begins as owner marks do.
func beginsMark(s string) bool { return strings.HasPrefix(s, "tenure:") }

// find takes the note out of the field that holds it.
func (m *markSpec) find(value any) string {
	switch m.As {
	case "member":
		list, _ := value.([]any)
		for _, e := range list {
			if s, ok := e.(string); ok && beginsMark(s) {
				return s
			}
		}
		return ""
	case "line":
		s, _ := value.(string)
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); beginsMark(line) {
				return line
			}
		}
		return ""
	case "suffix":
		s, _ := value.(string)
		if i := strings.LastIndex(s, " tenure:"); i >= 0 {
			return s[i+1:]
		}
		return ""
	}
	s, _ := value.(string)
	return strings.TrimSpace(s)
}

// registry is Tenure's own place for marks, as one pass sees it.
type registry struct {
	entries map[string]entry   // by key
	about   map[[2]string]note // by type and the system's id of the thing
	begun   map[[2]string]note // by type and name, of what is about to be made
}

type entry struct {
	id   string
	raw  any
	note note
}

// registered reads the place of the marks; an empty one where the description has none.
func (d *described) registered(ctx context.Context) (out registry, complete bool, err error) {
	m := d.Marks
	if m == nil {
		return out, true, nil
	}
	out = registry{map[string]entry{}, map[[2]string]note{}, map[[2]string]note{}}
	complete, err = d.each(ctx, &m.List, d.options, m.ID, func(item any) error {
		key, err := d.word(m.Key, item, d.options.with("entry", item))
		if err != nil {
			return err
		}
		text, err := d.word(m.Text, item, d.options.with("entry", item))
		if err != nil {
			return err
		}
		id, err := d.word(m.ID, item, d.options.with("entry", item))
		if err != nil {
			return err
		}
		n := readNote(text)
		// Two notes under one key are of two writers at once: the one that a thing
		// bears is the one that names it.
		if had, twice := out.entries[key]; twice && had.note.of != "" {
			return nil
		}
		out.entries[key] = entry{id: id, raw: item, note: n}
		return nil
	})
	for _, key := range slices.Sorted(maps.Keys(out.entries)) {
		_, rest, _ := strings.Cut(key, " ") // after the installation
		typ, name, ok := strings.Cut(rest, " ")
		n, into, at := out.entries[key].note, out.about, [2]string{typ, out.entries[key].note.of}
		if n.of == "" {
			into, at = out.begun, [2]string{typ, name}
		}
		if _, twice := into[at]; ok && !twice {
			into[at] = n
		}
	}
	return out, complete, err
}

// key is under what a thing's mark is kept. Installations have one each.
func (d *described) key(typ, name string) string {
	return string(d.marker.Installation) + " " + typ + " " + name
}

// of is the note about a thing, whoever's it is: the one that names its id, whatever it is
// called now, and otherwise one that says that a thing of its name is about to be made.
func (g registry) of(typ, name, id string) note {
	if n, ok := g.about[[2]string{typ, id}]; ok {
		return n
	}
	return g.begun[[2]string{typ, name}]
}

// bound is a note that stands in the thing itself, tied to that thing: a copy of it on
// another is none. Only where the note can be written by itself, once the thing has an id.
func (d *described) bound(t *typeSpec, f *found, n note) note {
	if t.Item.Mark == nil || len(t.Item.Mark.Write) == 0 || f == nil {
		return n
	}
	n.of = f.id
	n.seal = d.sealed(t, n)
	return n
}

func (d *described) sealed(t *typeSpec, n note) string {
	n.seal = ""
	return d.marker.Seal("note\x00" + t.Name + "\x00" + n.String())
}

// genuine says whether a note that stands in a thing is about that thing.
func (d *described) genuine(t *typeSpec, id string, n note) bool {
	return n.of == "" && n.seal == "" || n.of == id && n.seal == d.sealed(t, n)
}

// write puts a note where Tenure keeps them. A note whose of is blank says that its thing
// is about to be made.
func (d *described) write(ctx context.Context, g registry, typ, name string, n note) error {
	key := d.key(typ, name)
	v := d.options.with("key", key, "mark", n.String(), "omit", omitted, "id", "", "entry", nil)
	do := d.Marks.Put
	if had, ok := g.entries[key]; ok {
		if had.note == n {
			return nil
		}
		v, do = v.with("id", had.id, "entry", had.raw), d.Marks.Change
	}
	_, _, err := d.act(ctx, do, v)
	return err
}

// drop takes a note away.
func (d *described) drop(ctx context.Context, g registry, typ, name string) (bool, error) {
	had, ok := g.entries[d.key(typ, name)]
	if !ok {
		return false, nil
	}
	_, _, err := d.act(ctx, d.Marks.Remove, d.options.with("key", d.key(typ, name), "mark", "", "omit", omitted, "id", had.id, "entry", had.raw))
	return true, err
}

// sealOf is what tells one credential from another without telling it.
func (d *described) sealOf(typ, name string, secret tenure.Secret) string {
	if secret.IsZero() {
		return ""
	}
	return d.marker.Seal("credential\x00" + typ + "\x00" + name + "\x00" + secret.Reveal())
}

// owner reads the mark of a note.
func (d *described) owner(typ string, n note) (tenure.ResourceID, connector.Ownership) {
	if n.mark == "" {
		return "", connector.Unmarked
	}
	return d.marker.Read(typ, n.mark)
}
