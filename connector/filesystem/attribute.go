package filesystem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// attributes are those of all types; a type has the ones that fieldsOf names.
type attributes struct {
	Public     bool              `json:"public,omitempty"`
	QuotaBytes *int64            `json:"quotaBytes,omitempty"`
	Classes    map[string]string `json:"classes,omitempty"`
	Keep       tenure.Period     `json:"keep,omitzero"`
	Rotate     string            `json:"rotate,omitempty"`
	Text       *string           `json:"text,omitempty"`

	Transforms map[string]objects.Transform `json:"-"` // of a ref alone: no record keeps them
}

func fieldsOf(typ string) string {
	switch typ {
	case backups:
		return " public keep rotate "
	case bucket:
		return " public quotaBytes classes transforms "
	case document:
		return " public text "
	}
	return ""
}

// recordedOf are the attributes of a type that the record alone holds.
func recordedOf(typ string) []string {
	switch typ {
	case backups:
		return []string{"keep", "rotate"}
	case bucket:
		return []string{"quotaBytes", "classes"}
	}
	return nil
}

const (
	maxName = 200
	maxText = 65536
)

// parse reads what a ref asks for and refuses what can't be.
func parse(r connector.Ref) (attributes, error) {
	var a attributes
	fields := fieldsOf(r.Type)
	if fields == "" {
		return a, tenure.Errorf(tenure.Invalid, "filesystem has no resource type %q", r.Type)
	}
	if err := checkName(r.Name); err != nil {
		return a, err
	}
	bad := func(format string, args ...any) (attributes, error) {
		return attributes{}, tenure.Errorf(tenure.Invalid, "%s %q: %s", r.Type, r.Name, fmt.Sprintf(format, args...))
	}
	for name := range r.Attributes {
		if !strings.Contains(fields, " "+name+" ") {
			return bad("attribute %q is unknown", name)
		}
	}
	raw, err := json.Marshal(r.Attributes)
	if err != nil {
		return bad("the attributes aren't JSON")
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return bad("an attribute has a wrong value: %v", err)
	}
	switch {
	case r.Type == backups && a.Keep.IsZero():
		return bad("attribute keep is missing")
	case a.Rotate != "" && a.Rotate != "tenure" && a.Rotate != "outside":
		return bad("attribute rotate is %q, neither tenure nor outside", a.Rotate)
	case a.QuotaBytes != nil && *a.QuotaBytes < 0:
		return bad("attribute quotaBytes is negative")
	case r.Type == document && (a.Text == nil || len(*a.Text) > maxText || !utf8.ValidString(*a.Text)):
		return bad("attribute text is missing, longer than %d bytes or not UTF-8", maxText)
	}
	if r.Type == backups && a.Rotate == "" {
		a.Rotate = "outside"
	}
	for prefix, class := range a.Classes {
		if class == "" || prefix != path.Clean(prefix) || strings.HasPrefix(prefix, "/") || strings.HasPrefix(prefix, "..") {
			return bad("attribute classes has prefix %q, which isn't a clean relative path with a class", prefix)
		}
	}
	if a.Transforms, err = transformsOf(r.Attributes["transforms"]); err != nil {
		return bad("attribute transforms: %v", err)
	}
	return a, nil
}

// faults is described at connector.Info.Check: files bear no metadata of a platform's.
func faults(typ string, attributes map[string]any, may map[string][]tenure.Disposition) []connector.Fault {
	out := objects.Faults(typ, attributes, may)
	all, _ := attributes["transforms"].(map[string]any)
	for _, prefix := range slices.Sorted(maps.Keys(all)) {
		if given, _ := all[prefix].(map[string]any); given["metadata"] != nil {
			out = append(out, connector.Fault{At: []string{"transforms", prefix, "metadata"}, Says: "a file has no metadata that could be changed"})
		}
	}
	return out
}

// transformsOf reads the attribute transforms.
func transformsOf(v any) (out map[string]objects.Transform, err error) {
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, err
	}
	for prefix, t := range out {
		if prefix != path.Clean(prefix) || strings.HasPrefix(prefix, "/") || strings.HasPrefix(prefix, "..") {
			return nil, tenure.Errorf(tenure.Invalid, "the prefix %q isn't a clean relative path", prefix)
		}
		if t.To != "" {
			if err := checkTo(t.To); err != nil {
				return nil, err
			}
		}
	}
	return out, objects.CheckAll(out)
}

// checkName accepts what is one path element everywhere and not hidden.
func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return tenure.Errorf(tenure.Invalid, "the name is blank")
	case len(name) > maxName:
		return tenure.Errorf(tenure.Invalid, "the name has %d bytes, at most %d are allowed", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return tenure.Errorf(tenure.Invalid, "the name %q has control characters or isn't valid UTF-8", name)
	case strings.ContainsAny(name, `/\`):
		return tenure.Errorf(tenure.Invalid, "the name %q has a path separator", name)
	case name[0] == '.':
		return tenure.Errorf(tenure.Invalid, "the name %q begins with a dot", name)
	}
	return nil
}

// mode is the permission bits that a thing should have.
func mode(typ string, public bool) fs.FileMode {
	switch {
	case typ == document && public:
		return 0o644
	case typ == document:
		return 0o600
	case public:
		return 0o755
	}
	return 0o700
}

// shown is the attributes as they are observed: what is recorded beside a
// thing, and its live mode, text and owner, if that is a stranger.
func (a attributes) shown(m fs.FileMode, text *string, owner string) (json.RawMessage, error) {
	a.Public, a.Text = false, text
	raw, err := tenure.Canonical(struct {
		attributes
		Mode  string `json:"mode"`
		Owner string `json:"owner,omitempty"`
	}{a, fmt.Sprintf("%04o", bits(m)), owner})
	return raw, err
}

// bits are the permission bits with the set-id and sticky ones (POSIX chmod).
func bits(m fs.FileMode) uint32 {
	b := uint32(m.Perm())
	for i, special := range []fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if m&special != 0 {
			b |= 0o1000 << i
		}
	}
	return b
}

// recorded is the part of the attributes that only the record can hold.
func (a attributes) recorded() attributes {
	a.Public, a.Text = false, nil
	return a
}

func (a attributes) equal(b attributes) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// classOf is the data class of a path within a bucket and the prefix that
// decides it; "" is none.
func (a attributes) classOf(p string, classes []string) (class, prefix string) {
	for dir := p; ; dir = path.Dir(dir) {
		if c, ok := a.Classes[dir]; ok {
			return c, dir
		}
		if dir == "." {
			break
		}
	}
	if len(a.Classes) == 0 && len(classes) == 1 {
		return classes[0], "."
	}
	return "", ""
}
