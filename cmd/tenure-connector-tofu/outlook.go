package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

// outlook is what a plan of Terraform's would change.
type outlook struct {
	Says    string // for people; blank if nothing changes
	Digest  string
	Add     int64
	Change  int64
	Destroy int64
	Steps   map[string]string // what becomes of each instance, by its address
	Tainted map[string]bool   // those that are replaced since their making was cut off
	begun   bool              // there is something to apply, the record perhaps
}

// outlookOf reads a plan. Its digest is over what becomes of each instance; values that
// Terraform holds to be sensitive don't enter it, as a digest of few possible values gives
// them away. Addresses aren't said, since keys of instances may be people's names.
func outlookOf(name string, p *tfjson.Plan) *outlook {
	o := &outlook{Steps: map[string]string{}, Tainted: map[string]bool{}}
	type step struct {
		Address, Provider             string
		Actions                       tfjson.Actions
		Before, After, Unknown, Paths any
	}
	var steps []step
	kinds := map[string]int{}
	for _, c := range p.ResourceChanges {
		if c.Change == nil || c.Change.Actions.NoOp() || c.Change.Actions.Read() {
			continue
		}
		o.begun = true
		if c.ModuleAddress == "" && c.Address == "terraform_data.tenure" {
			continue
		}
		address := c.Address
		if c.DeposedKey != "" {
			address += " " + c.DeposedKey
		}
		steps = append(steps, step{address, c.ProviderName, c.Change.Actions, masked(c.Change.Before, c.Change.BeforeSensitive), masked(c.Change.After, c.Change.AfterSensitive), c.Change.AfterUnknown, c.Change.ReplacePaths})
		words := make([]string, len(c.Change.Actions))
		for i, a := range c.Change.Actions {
			words[i] = string(a)
		}
		o.Steps[address] = strings.Join(words, ",")
		o.Tainted[address] = c.ActionReason == "replace_because_tainted"
		sign := ""
		switch a := c.Change.Actions; {
		case a.Replace():
			sign = "±"
			o.Add++
			o.Destroy++
		case a.Create():
			sign = "+"
			o.Add++
		case a.Delete():
			sign = "-"
			o.Destroy++
		case a.Update():
			sign = "~"
			o.Change++
		default: // forgotten: it stays, and Terraform no longer knows of it
			sign = "?"
		}
		kinds[sign+c.Type]++
	}
	slices.SortFunc(steps, func(a, b step) int { return strings.Compare(a.Address, b.Address) })
	raw, _ := json.Marshal(steps)
	o.Digest = digestOf(raw)
	if len(steps) == 0 {
		return o
	}
	var list []string
	for _, kind := range sortedKeys(kinds) {
		list = append(list, fmt.Sprintf("%s%d %s", kind[:len(kind)-len(strings.TrimLeft(kind, "±+-~?"))], kinds[kind], strings.TrimLeft(kind, "±+-~?")))
	}
	if len(list) > 30 {
		list = append(list[:30], fmt.Sprintf("and %d kinds more", len(list)-30))
	}
	o.Says = fmt.Sprintf("workspace %s: %d to add, %d to change, %d to destroy (%s; plan %s)", name, o.Add, o.Change, o.Destroy, strings.Join(list, ", "), o.Digest)
	return o
}

// masked is a value without what is sensitive in it.
func masked(v, sensitive any) any {
	switch s := sensitive.(type) {
	case bool:
		if s {
			return "sensitive"
		}
	case map[string]any:
		if m, ok := v.(map[string]any); ok {
			out := make(map[string]any, len(m))
			for k, e := range m {
				out[k] = masked(e, s[k])
			}
			return out
		}
	case []any:
		if l, ok := v.([]any); ok {
			out := make([]any, len(l))
			for i, e := range l {
				if i < len(s) {
					e = masked(e, s[i])
				}
				out[i] = e
			}
			return out
		}
	}
	return v
}

// rest says whether the outlook is what is left of a plan whose apply was cut off: nothing
// but steps of it, and what it had half made.
func (o *outlook) rest(of *outlook) bool {
	for address, what := range o.Steps {
		planned := of.Steps[address]
		if planned != what && (!o.Tainted[address] || !strings.Contains(planned, string(tfjson.ActionCreate))) {
			return false
		}
	}
	return true
}

// pending is the outlook of an apply that has begun, as a note keeps it.
func (o *outlook) pending(c configuration) string {
	raw, _ := json.Marshal(begun{c.text(), *o})
	return string(raw)
}

type begun struct {
	Config string
	Plan   outlook
}

// settled is the outlook as it was let pass: if it is what is left of an apply of the same
// configuration that was cut off, it is that one.
func (o *outlook) settled(c configuration, pending string) *outlook {
	var b begun
	if pending == "" || json.Unmarshal([]byte(pending), &b) != nil || b.Config != c.text() || !o.rest(&b.Plan) || o.Says == "" {
		return o
	}
	b.Plan.begun = o.begun
	return &b.Plan
}
