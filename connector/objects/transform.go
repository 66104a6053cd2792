package objects

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/transform"
)

// The formats.
const (
	csvFormat   = "csv"
	jsonlFormat = "jsonl"
)

// Transform is what a blueprint says becomes of the objects under a prefix.
type Transform struct {
	Format      string                    `json:"format"`
	Header      *bool                     `json:"header,omitempty"`    // of csv: the first line names the fields; nil is true
	Separator   string                    `json:"separator,omitempty"` // of csv; "" is a comma
	Fields      map[string]transform.Rule `json:"fields"`
	Identifying []string                  `json:"identifying,omitempty"`
	AtLeast     int64                     `json:"atLeast,omitempty"` // the k of k-anonymity (Sweeney, 2002)
	Of          string                    `json:"of,omitempty"`
	Metadata    map[string]transform.Rule `json:"metadata,omitempty"`
	To          string                    `json:"to,omitempty"`
}

func (t Transform) headed() bool { return t.Header == nil || *t.Header }

// Check is Invalid for what can't be right for any object.
func (t Transform) Check() error {
	invalid := func(format string, args ...any) error { return tenure.Errorf(tenure.Invalid, format, args...) }
	switch {
	case t.Format != csvFormat && t.Format != jsonlFormat:
		return invalid("format is %q, neither csv nor jsonl", t.Format)
	case t.Format == jsonlFormat && (t.Header != nil || t.Separator != ""):
		return invalid("header and separator are of csv alone")
	case !slices.Contains([]string{"", ",", ";", "\t", "|"}, t.Separator):
		return invalid("separator is %q, none of \",\", \";\", \"\\t\" and \"|\"", t.Separator)
	case len(t.Fields) == 0:
		return invalid("no field is named")
	case t.AtLeast < 0 || t.AtLeast == 1:
		return invalid("atLeast is %d, and a group of one tells of one", t.AtLeast)
	case len(t.Identifying) > 0 && t.AtLeast == 0, len(t.Identifying) == 0 && (t.AtLeast > 0 || t.Of != ""):
		return invalid("identifying and atLeast belong together")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Fields)) {
		if err := t.checkField(name, t.Fields[name]); err != nil {
			return tenure.Errorf(tenure.Invalid, "field %s: %w", name, err)
		}
	}
	for _, name := range slices.Concat(t.Identifying, named(t.Of)) {
		r, ok := t.Fields[name]
		if !ok {
			return invalid("%s isn't among fields", name)
		}
		if t.Format == jsonlFormat && strings.Contains(name, "[]") {
			return invalid("%s has several values in one record, and can't be identifying", name)
		}
		if name != t.Of && r.Word == transform.Name {
			return invalid("%s can't both be identifying and become %s", name, r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Metadata)) {
		switch r := t.Metadata[name]; {
		case name != strings.ToLower(name):
			return invalid("metadata %s: names of metadata are in lower case", name)
		case r.Word == transform.Constant:
			if s, ok := r.Value.(string); !ok || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) {
				return invalid("metadata %s: the constant isn't a text in ASCII", name)
			}
		case r.Word != transform.Keep && r.Word != transform.Clear:
			return invalid("metadata %s can't be %s: use keep, clear or constant", name, r)
		}
	}
	return nil
}

func named(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func (t Transform) checkField(name string, r transform.Rule) error {
	if r.Word == transform.Permute {
		return tenure.Errorf(tenure.Invalid, "values can't be permuted among records of objects: use clear, or put the data into a table")
	}
	if err := r.Fits(transform.Field{Kind: transform.Any}); err != nil {
		return err
	}
	if t.Format == csvFormat {
		switch r.Value.(type) {
		case map[string]any, []any:
			return tenure.Errorf(tenure.Invalid, "a field of CSV holds no object and no list")
		}
		return nil
	}
	at := ""
	for i, part := range strings.Split(name, ".") {
		if strings.TrimRight(part, "[]") == "" && (i > 0 || !strings.HasPrefix(part, "[]")) || strings.Count(part, "[") != strings.Count(part, "[]") {
			return tenure.Errorf(tenure.Invalid, "the path has an empty or odd part; one looks like address.city or tags[].name")
		}
		if at != "" {
			at += "."
		}
		for piece := range strings.SplitAfterSeq(part, "[]") {
			at += strings.TrimSuffix(piece, "[]")
			if _, both := t.Fields[at]; both && at != name {
				return tenure.Errorf(tenure.Invalid, "%s has a rule for all of it", at)
			}
			if strings.HasSuffix(piece, "[]") {
				at += "[]"
				if _, both := t.Fields[at]; both && at != name {
					return tenure.Errorf(tenure.Invalid, "%s has a rule for all of it", at)
				}
			}
		}
	}
	return nil
}

// Against says what stands against carrying out a disposition with the transform, and
// what would settle it; "" if nothing does.
func (t Transform) Against(d tenure.Disposition) (says, fix string) {
	if d != tenure.Anonymise {
		return "", ""
	}
	if t.To == "" {
		return "transforms doesn't say where the results go", "to: a place of the platform's own"
	}
	for _, name := range slices.Sorted(maps.Keys(t.Fields)) {
		if len(t.Fields[name].Names()) > 0 {
			return name + " is to become a pseudonym, which is personal data", "another transform for " + name + ", or pseudonymise"
		}
	}
	return "", ""
}

// ResultMetadata is the metadata of a result, from those of an object, by names in lower
// case.
func (t Transform) ResultMetadata(d tenure.Disposition, in map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range in {
		name = strings.ToLower(name)
		r, named := t.Metadata[name]
		switch {
		case !named && d == tenure.Anonymise, r.Word == transform.Clear:
		case r.Word == transform.Constant:
			out[name], _ = r.Value.(string)
		default:
			out[name] = value
		}
	}
	return out
}

// transformOf finds the transform of an object: the one of the longest prefix that a test says
// holds it. It is Blocked if there is none.
func transformOf(all map[string]Transform, holds func(prefix string) bool) (prefix string, t Transform, err error) {
	ok := false
	for p, given := range all {
		if holds(p) && (!ok || len(p) > len(prefix)) {
			prefix, t, ok = p, given, true
		}
	}
	if !ok {
		return "", t, tenure.Errorf(tenure.Blocked, "transforms says nothing of it").WithHint("name its prefix in the attribute transforms")
	}
	return prefix, t, nil
}

// Suffix is what the name of a result ends with.
func (t Transform) Suffix(name string) string {
	if strings.HasSuffix(strings.ToLower(name), ".gz") {
		return "." + t.Format + ".gz"
	}
	return "." + t.Format
}

// cameMeanwhile is the error for an object that the inspection hasn't seen.
func cameMeanwhile() error {
	return tenure.Errorf(tenure.Unavailable, "it came while the others were read").Retryable()
}

// AlteredMeanwhile is the error for an object that isn't any more what was read of it.
func AlteredMeanwhile() error {
	return tenure.Errorf(tenure.Unavailable, "it was written to while it was changed").Retryable()
}

// PlaceTaken is the error for a place that holds something else than a result.
func PlaceTaken(place string) error {
	return tenure.Errorf(tenure.Blocked, "%s holds something else than its result", place).WithHint("see who writes there; nothing is overwritten")
}

// CheckAll is Check for all of an attribute.
func CheckAll(all map[string]Transform) error {
	for _, prefix := range slices.Sorted(maps.Keys(all)) {
		if err := all[prefix].Check(); err != nil {
			return tenure.Errorf(tenure.Invalid, "transforms of %q: %w", prefix, err)
		}
	}
	return nil
}

// Faults is described at connector.Info.Check, for types with the attribute transforms.
func Faults(_ string, attributes map[string]any, may map[string][]tenure.Disposition) (out []connector.Fault) {
	all, _ := attributes["transforms"].(map[string]any)
	for _, prefix := range slices.Sorted(maps.Keys(all)) {
		given, _ := all[prefix].(map[string]any)
		found := false
		for _, of := range []string{"fields", "metadata"} {
			for _, f := range transform.Faults(given[of]) {
				found = true
				out = append(out, connector.Fault{At: append([]string{"transforms", prefix, of}, f.At...), Says: f.Says})
			}
		}
		if found {
			continue
		}
		var t Transform
		raw, err := json.Marshal(given)
		if err == nil && strings.Contains(string(raw), "${") {
			continue
		}
		if err == nil {
			err = json.Unmarshal(raw, &t)
		}
		if err == nil {
			err = t.Check()
		}
		switch {
		case err != nil:
			out = append(out, connector.Fault{At: []string{"transforms", prefix}, Says: err.Error()})
		case t.To != "":
			if says := idle(prefix, attributes["classes"], may); says != "" {
				out = append(out, connector.Fault{At: []string{"transforms", prefix, "to"}, Says: says})
			}
		}
	}
	return out
}
