package dashboard

// Ref is a link. Without Href it is text, for who may not follow it.
type Ref struct{ Label, Href string }

// Pair is a name with a value.
type Pair struct{ Name, Value string }

// Count is a number with what it counts and where the things themselves are.
type Count struct {
	Label string
	N     int
	Href  string
	Tone  Tone
}

// FieldKind is how a field is asked for.
type FieldKind string

const (
	FieldText     FieldKind = "" // one line
	FieldSearch   FieldKind = "search"
	FieldLong     FieldKind = "long" // several lines
	FieldNumber   FieldKind = "number"
	FieldDate     FieldKind = "date" // 2026-01-31, a day in UTC
	FieldEmail    FieldKind = "email"
	FieldPassword FieldKind = "password" // a code or secret; never filled in
	FieldChoice   FieldKind = "choice"   // one of Options
	FieldMany     FieldKind = "many"     // any of Options, as check boxes of one name
	FieldCheck    FieldKind = "check"    // one check box, value "true"
	FieldHidden   FieldKind = "hidden"
)

// Option is one choice of a field.
type Option struct {
	Value, Label string
	On           bool
}

// Field is one input of a form, always with a label.
type Field struct {
	Kind     FieldKind
	Name     string
	Label    string
	Value    string
	Hint     string // what is meant, in a sentence
	Error    string // what is wrong with the value that was sent
	Options  []Option
	Need     string // the word for that it has to be filled; "" is "required"
	Required bool
	Auto     string // autocomplete token (HTML §4.10.18.7.1); "" is off
	Max      int    // bytes that are taken, 0: no bound
	Pattern  string // a regular expression that the browser checks
}

// Action is something that a person can do on a page: a link, or a form that is
// unfolded, tells what follows and is sent by POST. Without Fields, Says and
// Digest it is a single button.
type Action struct {
	Label  string
	Href   string // a link; then Post is empty
	Post   string // the path that takes the form
	Tone   Tone   // ToneBad for what destroys, ToneAccent for the main one, else quiet
	Says   string // the consequence, spelled out
	Digest string // the digest that is signed by it, shown and sent as "digest"
	Signs  string // what the digest is of, "" for a plan
	Fields []Field
	Hidden []Pair
	Not    string // why this person can't do it now; it is shown instead of the form
}

// Simple says whether it is one button.
func (a Action) Simple() bool {
	return a.Says == "" && a.Digest == "" && len(a.Fields) == 0
}

// Filters is the form above a list. It is sent by GET, so that a filtered list
// has an address.
type Filters struct {
	Path   string
	Fields []Field
	On     int // how many are set
}

// Pager goes through a list by cursors.
type Pager struct {
	Next, First string // paths with their queries; "" where there is none
	Shown       int
	Total       int // 0: not counted
}
