package s3

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// attributes are those of all types; a type has the ones that fieldsOf names.
type attributes struct {
	Public     bool              `json:"public,omitempty"`
	Readers    []string          `json:"readers,omitempty"`
	Writers    []string          `json:"writers,omitempty"`
	Versioning bool              `json:"versioning,omitempty"`
	ObjectLock bool              `json:"objectLock,omitempty"`
	Classes    map[string]string `json:"classes,omitempty"`

	Transforms map[string]objects.Transform `json:"transforms,omitempty"`
}

func fieldsOf(typ string) string {
	switch typ {
	case bucket:
		return " public readers writers versioning objectLock classes transforms "
	case prefix:
		return " classes transforms "
	}
	return " "
}

// parse reads what a ref asks for and refuses what can't be.
func (d *Driver) parse(r connector.Ref) (attributes, error) {
	var a attributes
	if err := d.checkName(r.Type, r.Name); err != nil {
		return a, err
	}
	bad := func(format string, args ...any) (attributes, error) {
		return attributes{}, tenure.Errorf(tenure.Invalid, "%s %q: %s", r.Type, r.Name, fmt.Sprintf(format, args...))
	}
	for name := range r.Attributes {
		if !strings.Contains(fieldsOf(r.Type), " "+name+" ") {
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
	for _, list := range []*[]string{&a.Readers, &a.Writers} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		for _, who := range *list {
			if !principal.MatchString(who) {
				return bad("%q is no access key and no ARN", who)
			}
		}
	}
	a.Versioning = a.Versioning || a.ObjectLock
	for below, class := range a.Classes {
		if class == "" || !utf8.ValidString(below) || strings.HasPrefix(below, "/") && r.Type == prefix {
			return bad("attribute classes has prefix %q, which isn't one of keys with a class", below)
		}
	}
	if err := objects.CheckAll(a.Transforms); err != nil {
		return bad("%v", err)
	}
	for below, t := range a.Transforms {
		if t.To == "" {
			continue
		}
		if _, err := d.resultsAt(r, t.To); err != nil {
			return bad("transforms of %q: %v", below, err)
		}
	}
	return a, nil
}

// principal is what stands in a policy: an access key or an ARN, never a wildcard.
var principal = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/@+=,-]{1,200}$`)

// userName is an access key that every server, and every policy, takes.
var userName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{2,63}$`)

const maxSegment = 200

// checkName refuses a name that can't be one of the type here.
func (d *Driver) checkName(typ, name string) error {
	switch typ {
	case bucket:
		if err := checkBucket(name); err != nil {
			return tenure.Errorf(tenure.Invalid, "the name %q: %w", name, err)
		}
		if name == d.own || slices.ContainsFunc(d.shared, func(b base) bool { return b.bucket == name }) {
			return tenure.Errorf(tenure.Invalid, "the bucket %s is the platform's, not one tenant's", name)
		}
	case prefix:
		if _, err := d.locate(name); err != nil {
			return err
		}
		return nil
	case user:
		switch {
		case !d.users:
			return tenure.Errorf(tenure.Invalid, "this system has no users: its option users names no administration API")
		case !userName.MatchString(name):
			return tenure.Errorf(tenure.Invalid, "the name %q can't be an access key: 3 to 64 letters, digits, \"_\", \".\" and \"-\"", name)
		case name == d.access:
			return tenure.Errorf(tenure.Invalid, "the user %q is Tenure's own", name)
		}
	default:
		return tenure.Errorf(tenure.Invalid, "s3 has no resource type %q", typ)
	}
	if !strings.HasPrefix(name, d.names) {
		return tenure.Errorf(tenure.Invalid, "the name %q doesn't begin with %q, as the option names has it", name, d.names)
	}
	return nil
}

// checkBucket accepts what is a bucket's name on every server.
func checkBucket(name string) error {
	if err := s3utils.CheckValidBucketNameStrict(name); err != nil {
		return tenure.Errorf(tenure.Invalid, "it can't be a bucket's name: %w", err)
	}
	return nil
}

// base is a place in which the prefixes of tenants are.
type base struct {
	bucket string
	below  string // "" or ends with "/"
}

func (b base) String() string { return b.bucket + "/" + b.below }

// parseShared reads the option shared. No base lies in another.
func parseShared(text, own string) (out []base, err error) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, below, _ := strings.Cut(part, "/")
		if below != "" && !strings.HasSuffix(below, "/") {
			below += "/"
		}
		if err := checkBucket(name); err != nil || name == own || checkKey(below) != nil || strings.Contains(below, "//") || strings.HasPrefix(below, "/") {
			return nil, tenure.Errorf(tenure.Invalid, "option shared: %q isn't BUCKET/ or BUCKET/BASE/", part)
		}
		b := base{name, below}
		for _, o := range out {
			if strings.HasPrefix(b.String(), o.String()) || strings.HasPrefix(o.String(), b.String()) {
				return nil, tenure.Errorf(tenure.Invalid, "option shared: %s and %s lie one in the other", o, b)
			}
		}
		out = append(out, b)
	}
	return out, nil
}

// site is where a prefix is: all keys of a bucket that begin with a text.
type site struct {
	bucket, below string
}

// locate finds the place that a prefix's name names.
func (d *Driver) locate(name string) (site, error) {
	for _, b := range d.shared {
		segment, ok := strings.CutPrefix(name, b.String())
		if !ok {
			continue
		}
		switch {
		case strings.TrimSpace(segment) == "" || strings.Contains(segment, "/"):
			return site{}, tenure.Errorf(tenure.Invalid, "the name %q isn't one name below %s", name, b)
		case strings.HasPrefix(segment, "."), len(segment) > maxSegment:
			return site{}, tenure.Errorf(tenure.Invalid, "the name %q begins with a dot below %s, or has more than %d bytes", name, b, maxSegment)
		}
		return site{b.bucket, b.below + segment + "/"}, checkKey(segment)
	}
	return site{}, tenure.Errorf(tenure.Invalid, "the name %q is below none of the places that the option shared lists", name).
		WithHint("a prefix is named BUCKET/BASE/NAME")
}

// checkKey accepts what can stand in a key without being taken for something else.
func checkKey(text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return tenure.Errorf(tenure.Invalid, "the name %q has control characters or isn't valid UTF-8", text)
	}
	return nil
}

// siteOf is where a ref's objects are.
func (d *Driver) siteOf(ref connector.Ref) (site, error) {
	if ref.Type == prefix {
		return d.locate(ref.Name)
	}
	return site{bucket: ref.Name}, nil
}

// shown is the attributes as they are observed when nothing has drifted.
func (a attributes) shown(typ, name string) (json.RawMessage, error) {
	switch typ {
	case bucket:
		return tenure.Canonical(bucketShown{Policy: a.policy(name), Versioning: a.Versioning, ObjectLock: a.ObjectLock})
	case user:
		return tenure.Canonical(userShown{Role: roleUser})
	}
	return json.RawMessage("{}"), nil
}

// bucketShown is what is seen of a bucket.
type bucketShown struct {
	Policy     any      `json:"policy,omitempty"`
	Grants     []string `json:"grants,omitempty"` // of the access list, beside the owner's own
	Versioning bool     `json:"versioning"`
	ObjectLock bool     `json:"objectLock"`
}

// userShown is what is seen of a user.
type userShown struct {
	Role string `json:"role"`
}

// classOf is the data class of a key (below the prefix, of a prefix), and the text that
// decides it; "" is none.
func (a attributes) classOf(key string, classes []string) (class, below string) {
	best := -1
	for p, c := range a.Classes {
		if strings.HasPrefix(key, p) && len(p) > best {
			best, class, below = len(p), c, p
		}
	}
	if best < 0 && len(a.Classes) == 0 && len(classes) == 1 {
		return classes[0], ""
	}
	return class, below
}

// under is the texts that the keys of a class begin with, "" of every class; longer ones
// of other classes within them have to be left out.
func (a attributes) under(class string, classes []string) []string {
	if class == "" || len(a.Classes) == 0 {
		if class == "" || len(classes) == 1 && classes[0] == class {
			return []string{""}
		}
		return nil
	}
	var out []string
	for p, c := range a.Classes {
		if c == class {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	// What begins with another is reached with it.
	kept := out[:0]
	for _, p := range out {
		if len(kept) == 0 || !strings.HasPrefix(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}
