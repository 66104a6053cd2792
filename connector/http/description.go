package http

import (
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/expression"
)

// Description is a system with an HTTP interface, as a file describes it. The file's JSON
// Schema (description.schema.json) says what each field means and may be.
type Description struct {
	Name    string
	Version string
	Summary string
	Tested  connector.Tested
	How     string // in words: against what it was tested
	Rights  string // the least that the account needs there
	Leaves  string // what the system keeps of what is deleted, and where

	Options  []optionSpec
	Auth     authSpec
	Limits   limitSpec
	Identity *identitySpec
	Sentinel sentinelSpec
	Marks    *marksSpec
	Types    []typeSpec
	Probes   []probeSpec
	Reads    []readSpec

	digest string
	texts  map[string]*expression.Text
	shapes map[string]func(attributes map[string]any) error // by type
}

type optionSpec struct {
	Name     string
	Help     string
	Default  string
	Required bool
	Secret   bool
}

// authSpec names options: the values stand in the systems file.
type authSpec struct {
	Kind     string // none, bearer, basic, header, oauth2, session, hmac
	Secret   string // the option that holds the token, the password, the client's secret, the key
	User     string // the option that holds the user or the client's id
	Header   string
	Prefix   string
	Base     string // oauth2: the option that holds the token endpoint's base, where it is another host's
	Path     string // oauth2: the token endpoint's path
	Scopes   string
	Request  *requestSpec // session: how one signs in
	Token    string       // session: where the answer holds the token
	Lives    int64        // session: how many seconds it is good; 0 is until it is refused
	Over     []string
	Hash     string
	Encoding string
	Time     string
}

type limitSpec struct {
	PerSecond float64
	Burst     int
}

// requestSpec is one request. Path, query, header, body and form hold texts with ${…}.
type requestSpec struct {
	Method string
	Path   string
	Query  map[string]any
	Header map[string]string
	Body   any
	Form   map[string]any
	Expect []int // statuses that mean it went well; 200 to 299 where none is given
	Again  bool  // sending it twice does no harm
}

// listSpec is a request that gives many.
type listSpec struct {
	requestSpec
	Items    string // where an answer holds them: a pointer, or ${…} over body
	Absent   []int  // statuses that mean that there are none
	Pages    *pageSpec
	Where    string // ${…} over item: what isn't so isn't one of them
	Complete string // ${…} over body and count: false means that some weren't shown
	Refuses  bool   // a type's list: without the right to read it the system refuses, and never shows an empty one
	Marked   bool   // find: it gives what bears the mark too, whatever its name
}

type pageSpec struct {
	By    string // cursor, page, offset, link, url
	Next  string // cursor, url: where an answer holds the next one: a pointer, or ${…} over body
	Param string // cursor, page, offset: the query's parameter
	Body  string // cursor: the body's key instead
	First int64  // page, offset: the first one's number
	Size  int64  // page, offset: how many are asked for
	Limit string // the query's parameter that says so
	Total string // where an answer holds how many there are in all

	Stable bool // cursor, link, url: what goes meanwhile moves nothing past a page's edge
}

type getSpec struct {
	requestSpec
	Item   string
	Absent []int // statuses that mean that it isn't there; 404 and 410 where none is given
}

// actionSpec is one step of a change.
type actionSpec struct {
	requestSpec
	Each *eachSpec // the step is done for each of these
	When string    // ${…}: the step is left out where it is false
	Gone []int     // statuses that mean that there was nothing to do
	Wait *waitSpec
}

// steps are carried out in their order. A file may write one alone without a list.
type steps []actionSpec

// UnmarshalJSON reads one step or a list of them.
func (s *steps) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '{' {
		var one actionSpec
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		*s = steps{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]actionSpec)(s))
}

// eachSpec lists what a step is done for, one after the other: entry is each of them.
type eachSpec struct {
	listSpec
	ID string // of an entry
}

// waitSpec waits for what a system has accepted and does later.
type waitSpec struct {
	requestSpec
	Until    string // ${…} over status and body
	Fails    string // ${…}: it has gone wrong for good
	Every    tenure.Period
	Deadline tenure.Period
}

type identitySpec struct {
	requestSpec
	Value string // ${…} over body
}

type sentinelSpec struct {
	Type       string
	Name       string
	Attributes map[string]any
	Value      string // ${…} over item: what tells this one from every other; its id where none is given
}

// marksSpec is a place of Tenure's own in the system, where tenants can't write.
type marksSpec struct {
	Ready  *requestSpec // is answered well where the place is there
	Setup  steps        // makes it
	List   listSpec
	Key    string // of an entry
	Text   string
	ID     string
	Put    steps
	Change steps
	Remove steps
}

type typeSpec struct {
	Name         string
	Summary      string
	Layer        string
	In           string   // the type of what it lies in; its name is PARENT/NAME then
	Cascades     bool     // it goes with what it lies in
	Refers       []string // types whose ids its requests and its items name
	Names        nameSpec
	Sentinel     *sentinelSpec // of its own: its name and attributes
	Deletion     string
	Verification string
	Recovery     string
	Whole        bool
	Serial       bool // two of them aren't changed at once
	Credential   bool
	Lag          tenure.Period
	Cost         []tenure.CostTerm
	Isolation    []string
	Attributes   json.RawMessage // JSON Schema: {properties, required}
	Everything   bool            // all that is listed should be Tenure's

	Item    itemSpec
	List    listSpec
	Find    *listSpec
	Get     *getSpec
	Create  steps
	Created string // where the answer of the last step of create holds the item, or its id alone
	Change  steps
	Suspend steps
	Resume  steps
	Revoke  steps
	Delete  steps
	Leave   steps // a record that others keep too stays with what these write
	Data    *dataSpec
	Review  []reviewSpec
	Try     *trySpec

	defaults map[string]any  // of the attributes
	sets     map[string]bool // the attributes that are lists whose order doesn't count
}

// trySpec is a sample that the description is tried with.
type trySpec struct {
	Name       string
	Attributes map[string]any
}

type nameSpec struct {
	Pattern string
	Max     int
	Says    string
}

// itemSpec says where one thing's fields stand: pointers, or ${…} over item.
type itemSpec struct {
	ID         string
	Unique     bool // no id is ever given again
	Name       string
	State      string // gives present, suspended, revoked or deleting; word is what Tenure wrote
	Attributes map[string]string
	Metrics    map[string]string
	Mark       *markSpec
	Account    *accountSpec
}

// accountSpec says what tells whose an account is, and since when nobody has used it.
type accountSpec struct {
	Mail       string
	ExternalID string
	Enabled    string // ${…} over item
	LastSeen   string
	Created    string
	Disable    []string // what a person does, in words with ${…}
	Remove     []string
}

type markSpec struct {
	At      string // where the mark stands
	As      string // whole, line, member, suffix
	Writers string // who else can write there, in words
	Write   steps
}

// readSpec looks one thing up by its id.
type readSpec struct {
	Name string
	Help string
	getSpec
}

type dataSpec struct {
	List   listSpec
	ID     string
	Class  string // ${…} over entry; the resource's only class where none is given
	Delete steps
}

type reviewSpec struct {
	When string
	Says string
}

type probeSpec struct {
	Name   string
	Help   string
	Types  []string
	As     string // tenant, platform or nobody
	Method string
	Path   string
	Body   any
	Header map[string]string
	Passes string // ${…} over status and body
}
