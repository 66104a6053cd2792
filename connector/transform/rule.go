package transform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// Word is what a rule does.
type Word string

const (
	Keep     Word = "keep"     // the value stays: somebody has read that it tells of nobody
	Clear    Word = "clear"    // null, or what is empty where null can't be
	Constant Word = "constant" // one value for all
	Year     Word = "year"     // the first day of the year
	Month    Word = "month"    // the first day of the month
	Network  Word = "network"  // the first address of the /24, or of the /48 of IPv6
	Prefix   Word = "prefix"   // so many characters, such as a postcode's region
	Bucket   Word = "bucket"   // the multiple of a number at or below the value
	Permute  Word = "permute"  // another row's value, of the same group of identifying columns
	Name     Word = "pseudonym"
	Members  Word = "members" // of JSON by path; what isn't named goes
	Each     Word = "each"    // of a list, element by element
)

// Rule is what becomes of a value. In a blueprint it is a word, such as clear, or an
// object with one word and what belongs to it, such as {prefix: 2}.
type Rule struct {
	Word       Word
	Value      any             // of constant
	Length     int             // of prefix, in characters
	Width      *big.Rat        // of bucket
	Key        string          // of pseudonym: the key's name in the blueprint
	Reversible bool            // of pseudonym
	Suffix     string          // of pseudonym: what stands after it, such as "@example.invalid"
	Paths      map[string]Rule // of members: by path, such as address.city or tags[].name
	Element    *Rule           // of each
	Else       any             // of year, month, network and bucket: for a value that isn't one
	HasElse    bool
}

var plain = []Word{Keep, Clear, Year, Month, Network, Permute}

// Fault is a rule that can't be read, and where it stands.
type Fault struct {
	At   []string
	Says string
}

// Faults are the rules, by name, that can't be read. What holds an expression is known
// later.
func Faults(rules any) (out []Fault) {
	all, _ := rules.(map[string]any)
	for _, name := range sortedKeys(all) {
		raw, err := json.Marshal(all[name])
		if err == nil && !strings.Contains(string(raw), "${") {
			err = json.Unmarshal(raw, new(Rule))
		}
		if err != nil {
			out = append(out, Fault{At: []string{name}, Says: err.Error()})
		}
	}
	return out
}

// UnmarshalJSON reads a rule as a blueprint writes it. What it doesn't know is Invalid.
func (r *Rule) UnmarshalJSON(raw []byte) error {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		if !slices.Contains(plain, Word(word)) {
			return tenure.Errorf(tenure.Invalid, "%q is no transform by itself; there are %s, and {constant: …}, {prefix: N}, {bucket: N}, {pseudonym: KEY}, {members: {…}}, {each: …}", word, words(plain))
		}
		*r = Rule{Word: Word(word)}
		return nil
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return tenure.Errorf(tenure.Invalid, "a transform is a word or an object, not %s", raw)
	}
	*r = Rule{}
	for _, k := range sortedKeys(doc) {
		if err := r.take(Word(k), doc[k], doc); err != nil {
			return err
		}
	}
	if r.Word == "" {
		return tenure.Errorf(tenure.Invalid, "a transform says nothing of what becomes of the value")
	}
	return nil
}

func (r *Rule) take(word Word, raw json.RawMessage, doc map[string]json.RawMessage) (err error) {
	set := func(err error) error {
		if err != nil {
			return tenure.Errorf(tenure.Invalid, "%s: %s isn't what it takes", word, raw)
		}
		if r.Word != "" {
			return tenure.Errorf(tenure.Invalid, "a transform does one thing, not %s and %s", r.Word, word)
		}
		r.Word = word
		return nil
	}
	switch word {
	case Constant:
		r.Value, err = decode(raw)
		return set(err)
	case Prefix:
		if err := json.Unmarshal(raw, &r.Length); err != nil || r.Length < 1 {
			return tenure.Errorf(tenure.Invalid, "prefix: %s isn't a number of characters", raw)
		}
		return set(nil)
	case Bucket:
		var n json.Number
		if err := json.Unmarshal(raw, &n); err != nil {
			return set(err)
		}
		width, ok := new(big.Rat).SetString(string(n))
		if !ok || width.Sign() <= 0 {
			return tenure.Errorf(tenure.Invalid, "bucket: %s isn't a width", raw)
		}
		r.Width = width
		return set(nil)
	case Name:
		return set(json.Unmarshal(raw, &r.Key))
	case Members:
		return set(json.Unmarshal(raw, &r.Paths))
	case Each:
		return set(json.Unmarshal(raw, &r.Element))
	case Year, Month, Network:
		var on bool
		if err := json.Unmarshal(raw, &on); err != nil || !on {
			return tenure.Errorf(tenure.Invalid, "%s: %s isn't true", word, raw)
		}
		return set(nil)
	case "else":
		r.Else, err = decode(raw)
		r.HasElse = true
		return err
	case "reversible":
		return json.Unmarshal(raw, &r.Reversible)
	case "suffix":
		return json.Unmarshal(raw, &r.Suffix)
	}
	return tenure.Errorf(tenure.Invalid, "a transform has no %q", string(word))
}

func decode(raw []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

func words(all []Word) string {
	out := make([]string, len(all))
	for i, w := range all {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

func (r Rule) String() string {
	switch r.Word {
	case Prefix:
		return fmt.Sprintf("prefix %d", r.Length)
	case Bucket:
		return "bucket " + r.Width.RatString()
	case Name:
		return "pseudonym " + r.Key
	}
	return string(r.Word)
}

// Hides says whether the rule is meant to take the value itself away, so that it must
// stand nowhere in the result.
func (r Rule) Hides() bool { return r.Word != Keep && r.Word != Permute }

// Names are the keys for pseudonyms that the rule, or one in it, takes.
func (r Rule) Names() (out []string) {
	if r.Word == Name {
		out = append(out, r.Key)
	}
	for _, in := range r.Paths {
		out = append(out, in.Names()...)
	}
	if r.Element != nil {
		out = append(out, r.Element.Names()...)
	}
	return out
}

// pseudonymLength is how many characters a pseudonym has in text: 128 bits in base 32.
const pseudonymLength = 26

// Fits is Invalid if no value of the field could be what the rule makes of it.
func (r Rule) Fits(f Field) error {
	kinds := map[Word][]Kind{
		Year: {Date, Moment, Text, Any}, Month: {Date, Moment, Text, Any}, Network: {Address, Text, Any}, Prefix: {Text, Any}, Bucket: {Integer, Decimal, Any},
		Name: {Text, UUID, Any}, Members: {JSON, Text, Any}, Each: {List, JSON, Any},
	}
	if can, narrow := kinds[r.Word]; narrow && !slices.Contains(can, f.Kind) {
		return tenure.Errorf(tenure.Invalid, "%s can't be made of %s", r, article(f.Kind))
	}
	switch r.Word {
	case Clear:
		if f.Required && r.empty(f.Kind) == nil {
			return tenure.Errorf(tenure.Invalid, "it can't be null, and nothing is empty in %s", article(f.Kind))
		}
	case Constant:
		return r.constantFits(f)
	case Year, Month, Network, Bucket:
		if f.Required && !r.HasElse && (f.Kind == Text || f.Kind == Any) {
			return tenure.Errorf(tenure.Invalid, "a value that isn't what %s is made of would become null, which can't be: say else", r)
		}
	case Name:
		switch {
		case f.Kind == UUID && (r.Reversible || r.Suffix != ""):
			return tenure.Errorf(tenure.Invalid, "a uuid can't hold a pseudonym that is reversible or has a suffix")
		case f.Length > 0 && f.Length < pseudonymLength+len(r.Suffix):
			return tenure.Errorf(tenure.Invalid, "a pseudonym has %d characters, and %d fit", pseudonymLength+len(r.Suffix), f.Length)
		}
	case Members:
		return r.checkMembers()
	case Each:
		if r.Element == nil {
			return tenure.Errorf(tenure.Invalid, "nothing says what becomes of the elements")
		}
		return r.Element.fitsInside("elements of a list")
	}
	return nil
}

func (r Rule) constantFits(f Field) error {
	ok := true
	switch v := r.Value.(type) {
	case nil:
		if f.Required {
			return tenure.Errorf(tenure.Invalid, "it can't be null")
		}
	case string:
		ok = !slices.Contains([]Kind{Integer, Decimal, Bool, List, Bytes}, f.Kind)
		if f.Length > 0 && len([]rune(v)) > f.Length {
			return tenure.Errorf(tenure.Invalid, "the constant has %d characters, and %d fit", len([]rune(v)), f.Length)
		}
	case json.Number:
		ok = slices.Contains([]Kind{Integer, Decimal, Any, JSON}, f.Kind) && (f.Kind != Integer || !strings.ContainsAny(string(v), ".eE"))
	case bool:
		ok = slices.Contains([]Kind{Bool, Any, JSON}, f.Kind)
	default:
		ok = slices.Contains([]Kind{JSON, List, Any}, f.Kind)
	}
	if !ok {
		return tenure.Errorf(tenure.Invalid, "%v can't stand in %s", r.Value, article(f.Kind))
	}
	return nil
}

func article(k Kind) string {
	switch k {
	case Integer, Address:
		return "an " + string(k)
	case Text, JSON, Bytes:
		return string(k)
	case Other:
		return "a column of that type"
	}
	return "a " + string(k)
}

// empty is what stands for nothing in a kind; nil if nothing does.
func (r Rule) empty(k Kind) any {
	switch k {
	case Text, Any, Bytes:
		return ""
	case JSON:
		return map[string]any{}
	case List:
		return []any{}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
