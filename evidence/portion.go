package evidence

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Amount is how much data, as far as its store counts it.
type Amount struct {
	Rows         int64 `json:"rows,omitempty"`
	Objects      int64 `json:"objects,omitempty"`
	LargeObjects int64 `json:"largeObjects,omitempty"`
	Bytes        int64 `json:"bytes,omitempty"`
}

// Plus is the sum of two amounts.
func (a Amount) Plus(b Amount) Amount {
	return Amount{a.Rows + b.Rows, a.Objects + b.Objects, a.LargeObjects + b.LargeObjects, a.Bytes + b.Bytes}
}

// Portion is what became of one data class in one store.
type Portion struct {
	Resource tenure.ResourceID `json:"resource"`
	Method   Method            `json:"method"`
	Verdict  tenure.Verdict    `json:"verdict"`
	Step     string            `json:"step"`               // the plan's step that took it: an exception names it
	Before   Amount            `json:"before"`             // as it was counted before the last point of no return
	Counted  time.Time         `json:"counted,omitzero"`   // when; zero: nobody counted
	Gone     Amount            `json:"gone"`               // as the store's own tally has it
	AtLeast  bool              `json:"atLeast,omitempty"`  // a killed process may have taken more than was counted
	Rounds   int               `json:"rounds,omitempty"`   // how often it was erased again because rows came late; Gone is of all rounds
	Detached int64             `json:"detached,omitempty"` // references of other tenants' rows that became null or their default
	At       time.Time         `json:"at,omitzero"`        // when its last piece went
	Entry    string            `json:"entry,omitempty"`    // digest of the log entry of that step's end
}

// Stays is how much of it is still its tenant's and in the store, until its class's end:
// what was counted and is kept, or stays under pseudonyms. An interim certificate alone
// has such.
func (p *Portion) Stays() Amount {
	switch p.Method {
	case Kept:
		return p.Before.less(p.Gone)
	case Pseudonymised:
		return p.Before
	}
	return Amount{}
}

// Stays is how much of the class is still in its stores; counted says that somebody
// counted it in each store in which some of it is.
func (c *DataClass) Stays() (a Amount, counted bool) {
	counted = true
	for i := range c.Stores {
		p := &c.Stores[i]
		a = a.Plus(p.Stays())
		counted = counted && (!p.Counted.IsZero() || p.Method != Kept && p.Method != Pseudonymised)
	}
	return a, counted
}

func (a Amount) less(b Amount) Amount {
	return Amount{max(a.Rows-b.Rows, 0), max(a.Objects-b.Objects, 0), max(a.LargeObjects-b.LargeObjects, 0), max(a.Bytes-b.Bytes, 0)}
}

// Words say the amount: how many rows, objects, large objects and bytes.
func (a Amount) Words() string {
	var out []string
	for _, part := range []struct {
		n         int64
		one, many string
	}{{a.Rows, "row", "rows"}, {a.Objects, "object", "objects"}, {a.LargeObjects, "large object", "large objects"}, {a.Bytes, "byte", "bytes"}} {
		switch part.n {
		case 0:
		case 1:
			out = append(out, "1 "+part.one)
		default:
			out = append(out, strconv.FormatInt(part.n, 10)+" "+part.many)
		}
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

// item is how Open and exceptions name the portion.
func (p *Portion) item(class string) string { return "class:" + class + "@" + string(p.Resource) }

// checkClass is Invalid if a class says something else than its stores.
func checkClass(c *DataClass) error {
	if len(c.Stores) == 0 {
		return tenure.Errorf(tenure.Invalid, "class:%s names no store", c.Class)
	}
	var sum Amount
	var last time.Time
	worst := tenure.Verified
	for i := range c.Stores {
		p := &c.Stores[i]
		if err := checkItem(p.item(c.Class), p.Method, p.Verdict, methodsOfData); err != nil {
			return err
		}
		if p.Resource == "" || p.Step == "" {
			return tenure.Errorf(tenure.Invalid, "class:%s: a store needs its resource and the step that took its data", c.Class)
		}
		if p.Verdict.Settled() && p.At.IsZero() {
			return tenure.Errorf(tenure.Invalid, "%s doesn't say when its data went", p.item(c.Class))
		}
		if slices.ContainsFunc(c.Stores[:i], func(o Portion) bool { return o.Resource == p.Resource }) {
			return tenure.Errorf(tenure.Invalid, "%s is listed twice", p.item(c.Class))
		}
		if !p.Verdict.Settled() {
			worst = p.Verdict
		}
		if p.At.After(last) {
			last = p.At
		}
		sum = sum.Plus(p.Gone)
	}
	switch {
	case sum != (Amount{c.Rows, c.Objects, c.LargeObjects, c.Bytes}):
		return tenure.Errorf(tenure.Invalid, "class:%s isn't the sum of its stores", c.Class)
	case worst.Settled() != c.Verdict.Settled():
		return tenure.Errorf(tenure.Invalid, "class:%s is %s, and its stores aren't", c.Class, c.Verdict)
	case !last.Equal(c.At):
		return tenure.Errorf(tenure.Invalid, "the date of class:%s isn't the latest of its stores", c.Class)
	}
	return nil
}
