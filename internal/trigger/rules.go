package trigger

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/expression"
	"github.com/tenurehq/tenure/internal/source"
)

//go:embed trigger.schema.json
var schemaText []byte

// Schema is the JSON Schema (2020-12) of a file of rules, for editors.
func Schema() []byte { return bytes.Clone(schemaText) }

var shape = sync.OnceValues(func() (*source.Shape, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		return nil, err
	}
	return source.CompileShape(doc)
})

// Set is a revision of rules, ready to decide.
type Set struct {
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	As         string          `json:"as"`
	Departures int             `json:"departures"`
	Plans      map[string]Plan `json:"plans"` // by product, price or whatever else onboard and change name
	Rules      []Rule          `json:"rules"`
	Tests      []Test          `json:"tests"`

	Digest string `json:"-"` // of the file as it was submitted
	texts  map[string]*expression.Text
}

// Rule says what an event leads to. One of the actions is given.
type Rule struct {
	Name     string   `json:"name"`
	Source   string   `json:"source"`
	On       []string `json:"on"`
	When     string   `json:"when"`
	Customer string   `json:"customer"`
	Ends     *Ends    `json:"ends"`
	Read     *Read    `json:"read"`

	Onboard  *Onboard  `json:"onboard"`
	Change   *Change   `json:"change"`
	Suspend  *Suspend  `json:"suspend"`
	Resume   *struct{} `json:"resume"`
	Failed   *Failed   `json:"paymentFailed"`
	Paid     *struct{} `json:"paymentSucceeded"`
	Offboard *Offboard `json:"offboard"`
	Incident *Incident `json:"incident"`
	Ignore   *Ignore   `json:"ignore"`

	Notify []Notify `json:"notify"` // beside an action, or alone
}

// Read has what an event is about looked up in its own system before the event is decided, so
// that what stands there now counts, whichever event of it came last.
type Read struct {
	System string   `json:"system"` // of the systems file
	Kind   string   `json:"kind"`   // one of what its connector reads, such as deal
	ID     string   `json:"id"`
	Fields []string `json:"fields"` // that are asked for by name
	When   string   `json:"when"`   // a condition over current, too: unless it is met, the event leads to nothing
}

// Ends makes a rule one for the date on which a contract ends.
type Ends struct {
	After  tenure.Period `json:"after"`
	Before tenure.Period `json:"before"`
}

// Due is when the rule is due for a contract that ends at a moment.
func (e Ends) Due(end time.Time) time.Time {
	if !e.Before.IsZero() {
		return end.Add(-e.Before.After(end).Sub(end))
	}
	return e.After.After(end)
}

// latest is the latest end of a contract for which the rule is due at a moment.
func (e Ends) latest(now time.Time) time.Time {
	if e.Before.IsZero() {
		return now
	}
	return e.Before.After(now).Add(24 * time.Hour) // a month before is no fixed length: Due decides
}

// Onboard makes a tenant of the customer.
type Onboard struct {
	Tenant       string         `json:"tenant"`
	Blueprint    string         `json:"blueprint"`
	Tier         string         `json:"tier"`
	Plan         string         `json:"plan"`
	Organization string         `json:"organization"`
	Contact      string         `json:"contact"`
	Parameters   map[string]any `json:"parameters"`
	Features     map[string]any `json:"features"`
	Labels       map[string]any `json:"labels"`
	ExternalIDs  []string       `json:"externalIds"`
	Domains      []string       `json:"domains"`
	ContractEnd  string         `json:"contractEnd"`
}

// Change gives the tenant other parameters or features.
type Change struct {
	Parameters  map[string]any `json:"parameters"`
	Features    map[string]any `json:"features"`
	Tier        string         `json:"tier"`
	Plan        string         `json:"plan"`
	ContractEnd string         `json:"contractEnd"`
}

// Suspend suspends the tenant, and has it leave unless it is resumed in time.
type Suspend struct {
	Reason        string        `json:"reason"`
	OffboardAfter tenure.Period `json:"offboardAfter"`
}

// Failed counts payments that failed.
type Failed struct {
	Payments      int           `json:"payments"`
	Within        tenure.Period `json:"within"`
	OffboardAfter tenure.Period `json:"offboardAfter"`
}

// Offboard has the tenant leave.
type Offboard struct {
	Reason      string `json:"reason"`
	ContractEnd string `json:"contractEnd"`
	AtOnce      bool   `json:"atOnce"`
	EraseOnly   bool   `json:"eraseOnly"`
}

// Incident notes trouble that another system saw.
type Incident struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Detail   string `json:"detail"`
}

// Notify tells somebody of an event that counts.
type Notify struct {
	To   string      `json:"to"` // a recipient of notices
	Text tenure.Text `json:"text"`
}

// Ignore says why such an event leads to nothing.
type Ignore struct {
	Reason string `json:"reason"`
}

// actions are what a rule does, by name; those that it has.
func (r *Rule) actions() (out []string) {
	for name, has := range map[string]bool{
		"onboard": r.Onboard != nil, "change": r.Change != nil, "suspend": r.Suspend != nil, "resume": r.Resume != nil, "paymentFailed": r.Failed != nil,
		"paymentSucceeded": r.Paid != nil, "offboard": r.Offboard != nil, "incident": r.Incident != nil, "ignore": r.Ignore != nil,
	} {
		if has {
			out = append(out, name)
		}
	}
	if len(out) == 0 && len(r.Notify) > 0 {
		return []string{"notify"}
	}
	slices.Sort(out)
	return out
}

// Parse reads a file of rules and compiles it. Its tests aren't run. What is wrong with it is
// Invalid, each problem with its line.
func Parse(src []byte, file string) (*Set, error) {
	f, found, err := source.Read(src, file, source.Kind{Noun: "file of triggers", Begins: "apiVersion: tenure.dev/v1", Then: "kind: Triggers"})
	if err != nil {
		return nil, err
	}
	s, err := shape()
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the schema of triggers: %w", err)
	}
	if found = append(found, f.Check(s)...); len(found) > 0 {
		return nil, found.Err()
	}
	raw, err := json.Marshal(f.Value())
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "triggers: %w", err)
	}
	set := &Set{Departures: 5, Digest: tenure.Digest(src), texts: map[string]*expression.Text{}}
	if err := json.Unmarshal(raw, set); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", file, err)
	}
	c := &checker{set: set, file: f}
	c.check()
	return set, c.found.Err()
}

// checker finds what the schema can't say, and compiles the texts.
type checker struct {
	set   *Set
	file  *source.File
	found source.Problems
	names []string // that the texts of the rule may read
}

func (c *checker) problem(at source.Path, hint, format string, args ...any) {
	c.found = append(c.found, c.file.Problem(at, false, fmt.Sprintf(format, args...), hint))
}

func (c *checker) check() {
	names := map[string]bool{}
	for i := range c.set.Rules {
		r, at := &c.set.Rules[i], source.Path{"rules"}.Index(i)
		if names[r.Name] {
			c.problem(at.With("name"), "", "two rules are called %s", r.Name)
		}
		names[r.Name] = true
		c.rule(r, at)
	}
	for i, t := range c.set.Tests {
		at := source.Path{"tests"}.Index(i)
		for k, e := range t.Events {
			if _, err := moment(e.At); err != nil {
				c.problem(at.With("events").Index(k).With("at"), "write it as in 2026-03-01T09:00:00Z", "%v", err)
			}
		}
		if _, err := moment(t.Until); err != nil {
			c.problem(at.With("until"), "write it as in 2026-03-01T09:00:00Z", "%v", err)
		}
	}
}

func (c *checker) rule(r *Rule, at source.Path) {
	switch did := r.actions(); len(did) {
	case 1:
	case 0:
		c.problem(at, "onboard, change, suspend, resume, paymentFailed, paymentSucceeded, offboard, incident, notify or ignore", "the rule %s doesn't say what it does", r.Name)
	default:
		c.problem(at, "write a rule for each", "the rule %s does more than one thing: %s", r.Name, strings.Join(did, ", "))
	}
	switch {
	case r.Ends != nil && (r.Source != "" || len(r.On) > 0 || r.Customer != ""):
		c.problem(at.With("ends"), "", "a rule for the end of a contract has no source, on and customer: it is for every customer whose contract ends")
	case r.Ends != nil && !r.Ends.After.IsZero() && !r.Ends.Before.IsZero():
		c.problem(at.With("ends"), "", "the rule is due before the end or after it, not both")
	case r.Ends != nil && (r.Onboard != nil || r.Change != nil || r.Incident != nil || r.Resume != nil || r.Paid != nil || r.Failed != nil):
		c.problem(at.With("ends"), "suspend, offboard, notify or ignore", "the end of a contract can't lead to that")
	case r.Ends != nil:
	case r.Source == "":
		c.problem(at, "source: NAME, as in tenure.yaml; or ends: {} for the end of a contract", "the rule %s doesn't say whose events it is for", r.Name)
	case r.Customer == "" && r.Ignore == nil:
		c.problem(at, "such as customer: ${data.customer.id}", "the rule %s doesn't say which customer an event is about", r.Name)
	}
	for i, on := range r.On {
		if strings.Contains(strings.TrimSuffix(on, "*"), "*") {
			c.problem(at.With("on").Index(i), "", "a * stands at the end alone")
		}
	}
	if r.When != "" {
		c.condition(at.With("when"), r.When, names)
	}
	c.names = names
	c.text(at.With("customer"), r.Customer)
	if r.Read != nil {
		c.text(at.With("read", "id"), r.Read.ID)
		if c.names = withCurrent; r.Read.When != "" {
			c.condition(at.With("read", "when"), r.Read.When, c.names)
		}
		if r.Ends != nil || r.Ignore != nil {
			c.problem(at.With("read"), "", "an event that is ignored, and the end of a contract, have nothing to look up")
		}
	}
	for _, name := range r.actions() {
		c.action(at.With(name), r)
	}
	for i, n := range r.Notify {
		c.text(at.With("notify").Index(i).With("to"), n.To)
		for _, tag := range n.Text.Tags() {
			at := at.With("notify").Index(i).With("text")
			if tag != "" {
				at = at.With(tag)
			}
			c.text(at, n.Text[tag])
		}
	}
	if r.Ignore != nil && len(r.Notify) > 0 {
		c.problem(at.With("notify"), "", "an event that is ignored tells nobody")
	}
}

func (c *checker) action(at source.Path, r *Rule) {
	if len(c.set.Plans) == 0 && (r.Onboard != nil && r.Onboard.Plan != "" || r.Change != nil && r.Change.Plan != "") {
		c.problem(at.With("plan"), "plans: {prod_basic: {tier: basic}}, beside rules", "the file has no plans")
	}
	switch {
	case r.Onboard != nil:
		o := r.Onboard
		for name, t := range map[string]string{"tenant": o.Tenant, "blueprint": o.Blueprint, "tier": o.Tier, "plan": o.Plan, "organization": o.Organization, "contact": o.Contact, "contractEnd": o.ContractEnd} {
			c.text(at.With(name), t)
		}
		c.tree(at.With("parameters"), o.Parameters)
		c.tree(at.With("features"), o.Features)
		c.tree(at.With("labels"), o.Labels)
		for name, list := range map[string][]string{"externalIds": o.ExternalIDs, "domains": o.Domains} {
			for i, t := range list {
				c.text(at.With(name).Index(i), t)
			}
		}
	case r.Change != nil:
		c.tree(at.With("parameters"), r.Change.Parameters)
		c.tree(at.With("features"), r.Change.Features)
		c.text(at.With("tier"), r.Change.Tier)
		c.text(at.With("plan"), r.Change.Plan)
		c.text(at.With("contractEnd"), r.Change.ContractEnd)
	case r.Suspend != nil:
		c.text(at.With("reason"), r.Suspend.Reason)
	case r.Offboard != nil:
		c.text(at.With("reason"), r.Offboard.Reason)
		c.text(at.With("contractEnd"), r.Offboard.ContractEnd)
	case r.Incident != nil:
		c.text(at.With("id"), r.Incident.ID)
		c.text(at.With("severity"), r.Incident.Severity)
		c.text(at.With("detail"), r.Incident.Detail)
	}
}

func (c *checker) text(at source.Path, from string) {
	if from == "" {
		return
	}
	t, offset, err := dialect().Compile(from, c.names)
	if err != nil {
		c.found = append(c.found, c.file.ProblemIn(at, from, offset, err.Error(), ""))
		return
	}
	c.set.texts[from] = t
}

// condition compiles a condition, which is an expression without ${…}.
func (c *checker) condition(at source.Path, from string, names []string) {
	if strings.Contains(from, "${") {
		c.problem(at, "", "a condition is an expression by itself, without ${…}")
		return
	}
	t, offset, err := dialect().Compile("${"+from+"}", names)
	if err == nil && len(t.Parts) != 1 {
		offset, err = 0, fmt.Errorf("a condition is one expression")
	}
	if err != nil {
		c.found = append(c.found, c.file.ProblemIn(at, from, max(offset-len("${"), 0), err.Error(), ""))
		return
	}
	c.set.texts["${"+from+"}"] = t
}

func (c *checker) tree(at source.Path, v any) {
	switch v := v.(type) {
	case string:
		c.text(at, v)
	case []any:
		for i, e := range v {
			c.tree(at.Index(i), e)
		}
	case map[string]any:
		for k, e := range v {
			c.tree(at.With(k), e)
		}
	}
}

// moment reads a date or a moment; a date is its first moment, in UTC.
func moment(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, tenure.Errorf(tenure.Invalid, "%q is neither a date nor a moment (RFC 3339)", source.Clip(text))
	}
	return at, nil
}
