package relational

import (
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Note is the text that is kept of a resource: its owner mark on the first line,
// its type and name on the second, and on the third what else must travel with
// it, as key=value with values in query escape. The last key is the seal, which
// vouches for all of the text.
type Note struct {
	Mark string
	Type string
	Name string
	meta string
	seal string
}

// ObjectKey is the key for the identity that the system gave to what a note is on: a
// name can be taken by something else.
const ObjectKey = "object"

const sealKey = "seal="

// NewNote is the note for r under the marker.
func NewNote(m connector.Marker, r connector.Ref) Note {
	n := Note{Mark: m.Named(r.Resource), Type: r.Type, Name: r.Name}
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
	if i := strings.LastIndexByte(meta, ' ') + 1; strings.HasPrefix(meta[i:], sealKey) {
		n.meta, n.seal = meta[:max(0, i-1)], meta[i+len(sealKey):]
	}
	return n
}

// Seal is the note with its seal, as it reads back.
func (n Note) Seal(m connector.Marker) Note {
	n.seal = m.Seal(n.String())
	return n
}

// Sealed is the note's text with its seal, as it is stored.
func (n Note) Sealed(m connector.Marker) string {
	text, between := n.String(), " "
	if n.meta == "" {
		between = "\n"
	}
	return text + between + sealKey + m.Seal(text)
}

// At is the note as it was found under the key of a resource. One that speaks of
// another type or name was copied there, so that its seal says nothing.
func (n Note) At(typ, name string) Note {
	if n.Type != typ || n.Name != name {
		n.seal = ""
	}
	return n
}

// On is the note as it was found for an object that the system identifies. One that
// was written for another object says nothing of this one.
func (n Note) On(object string) Note {
	if n.Get(ObjectKey) != object {
		n.seal = ""
	}
	return n
}

// String is the note's text without its seal.
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

// With returns the note with the key set, and unsealed; a blank value takes it away.
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
	n.meta, n.seal = strings.Join(kept, " "), ""
	return n
}

// Read says whose the note is. A note of ours for another system, as roles of a
// server that two systems share bear it, is Others.
func (n Note) Read(m connector.Marker, typ string) (tenure.ResourceID, connector.Ownership) {
	id, owner := m.ReadSealed(n.String(), n.seal)
	if owner == connector.Ours && n.Type != typ {
		id, owner = "", connector.Forged
	}
	told := owner == connector.Unmarked && strings.HasPrefix(n.Mark, "tenure:")
	if s := n.Get("system"); (owner == connector.Forged || told) && s != "" && s != m.System {
		owner = connector.Others
	}
	return id, owner
}

// Unsealed reads a note as it was written before notes were sealed: its mark alone
// authenticates, and vouches for the type and the resource.
func (n Note) Unsealed(m connector.Marker, typ string) (tenure.ResourceID, connector.Ownership) {
	if n.seal != "" {
		return "", connector.Forged
	}
	return m.Read(typ, n.Mark)
}

// Twin says that a note is that of another resource of r's tenant.
func Twin(m connector.Marker, n Note, r connector.Ref) bool {
	id, owner := n.Read(m, r.Type)
	return owner == connector.Ours && id != r.Resource && r.Tenant != "" && n.Get("tenant") == string(r.Tenant)
}

// Lost says whether a thing at the place of r, which bears n, is without a mark that
// tells whose it is: it bears none, or what it bears can't be authenticated. One of
// another resource or another installation is Conflict.
func Lost(m connector.Marker, n Note, r connector.Ref) (bool, error) {
	switch id, owner := n.Read(m, r.Type); {
	case owner == connector.Ours && id == r.Resource:
		return false, nil
	case owner == connector.Ours, owner == connector.Others:
		return false, Claim(m, n, r)
	}
	return true, nil
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
			WithHint("rename it, or choose another name; nothing was changed. If it is this tenant's and has lost its mark: tenure drift --tenant NAME shows it, and tenure tenant repair NAME puts the mark back")
	default:
		return tenure.Errorf(tenure.Conflict, "%s %q bears a mark that isn't ours (%s)", r.Type, r.Name, owner)
	}
}
