package relational

import (
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Note is the text that a resource bears: its owner mark on the first line, its
// type and name on the second, and on the third what else must travel with it,
// as key=value with values in query escape. It is read without trust: only the
// mark authenticates, and it vouches for the type and the resource alone.
type Note struct {
	Mark string
	Type string
	Name string
	meta string
}

// NewNote is the note for r under the marker.
func NewNote(m connector.Marker, r connector.Ref) Note {
	n := Note{Mark: m.Mark(r.Type, r.Resource), Type: r.Type, Name: r.Name}
	return n.With("system", m.System).With("tenant", string(r.Tenant))
}

// ParseNote reads a note. A text that is none gives one whose mark is the text's
// first line.
func ParseNote(text string) Note {
	var n Note
	n.Mark, text, _ = strings.Cut(text, "\n")
	title, meta, _ := strings.Cut(text, "\n")
	n.Type, n.Name, _ = strings.Cut(title, " ")
	n.meta = meta
	return n
}

// String is the note's text.
func (n Note) String() string {
	s := n.Mark + "\n" + n.Type + " " + n.Name
	if n.meta != "" {
		s += "\n" + n.meta
	}
	return s
}

// Get returns the value of a key, "" if it has none.
func (n Note) Get(key string) string {
	rest := n.meta
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, " ")
		if v, ok := strings.CutPrefix(pair, key); ok && strings.HasPrefix(v, "=") {
			v = v[1:]
			if !strings.ContainsAny(v, "%+") {
				return v
			}
			v, err := url.QueryUnescape(v)
			if err != nil {
				return ""
			}
			return v
		}
	}
	return ""
}

// With returns the note with the key set; a blank value takes it away.
func (n Note) With(key, value string) Note {
	var kept []string
	for pair := range strings.SplitSeq(n.meta, " ") {
		if pair != "" && !strings.HasPrefix(pair, key+"=") {
			kept = append(kept, pair)
		}
	}
	if value != "" {
		kept = append(kept, key+"="+url.QueryEscape(value))
	}
	n.meta = strings.Join(kept, " ")
	return n
}

// Read says whose the note is. A note of ours for another system, as roles of a
// server that two systems share bear it, is Others.
func (n Note) Read(m connector.Marker, typ string) (tenure.ResourceID, connector.Ownership) {
	id, owner := m.Read(typ, n.Mark)
	if s := n.Get("system"); owner == connector.Forged && s != "" && s != m.System {
		owner = connector.Others
	}
	return id, owner
}

// Twin says that a note is that of another resource of r's tenant.
func Twin(m connector.Marker, n Note, r connector.Ref) bool {
	id, owner := n.Read(m, r.Type)
	return owner == connector.Ours && id != r.Resource && r.Tenant != "" && n.Get("tenant") == string(r.Tenant)
}

// Claim decides whether the resource of r may be touched where a note was found:
// only a note of ours that names r's own resource allows it. The error is
// Conflict and says who stands there.
func Claim(m connector.Marker, n Note, r connector.Ref) error {
	id, owner := n.Read(m, r.Type)
	switch {
	case owner == connector.Ours && id == r.Resource:
		return nil
	case owner == connector.Ours:
		return tenure.Errorf(tenure.Conflict, "%s %q belongs to resource %s", r.Type, r.Name, id)
	case owner == connector.Unmarked:
		return tenure.Errorf(tenure.Conflict, "%s %q is there already and bears no owner mark", r.Type, r.Name).
			WithHint("rename it, or choose another name; nothing was changed")
	default:
		return tenure.Errorf(tenure.Conflict, "%s %q bears a mark that isn't ours (%s)", r.Type, r.Name, owner)
	}
}
