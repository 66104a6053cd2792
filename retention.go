package tenure

import (
	"fmt"
	"time"
)

// DataClass is a kind of data with one rule set of its own.
type DataClass struct {
	Name        string          `json:"name"`
	Title       string          `json:"title,omitempty"`
	Personal    bool            `json:"personal,omitempty"`
	Disposition Disposition     `json:"disposition"`
	Retention   []RetentionRule `json:"retention"`

	Rules []DispositionRule `json:"rules,omitempty"` // other dispositions, where their conditions hold
	End   []RetentionRule   `json:"end,omitempty"`   // when what stays (keep, pseudonymise) goes
}

// AtEnd is the class as its last clock counts it: by when what stays goes.
func (c DataClass) AtEnd() DataClass {
	c.Retention = c.End
	return c
}

// RuleKind is the direction of a retention rule.
type RuleKind string

const (
	KeepUntil RuleKind = "keep_until" // may not go before; the latest wins
	GoneBy    RuleKind = "gone_by"    // must be gone by; the earliest wins
)

// Anchor is the event that a retention period counts from.
type Anchor string

const (
	FromNotice      Anchor = "notice"       // the offboarding began
	FromTermination Anchor = "termination"  // access was cut
	FromContractEnd Anchor = "contract_end" // given with the offboarding
)

// RetentionRule is one reason to keep a class of data, or to have it gone.
type RetentionRule struct {
	Name   string   `json:"name"`
	Kind   RuleKind `json:"kind"`
	Period Period   `json:"period"`
	From   Anchor   `json:"from"`
	Source string   `json:"source,omitempty"` // the law, contract or policy it follows
}

// ClockState says what a data class's clock shows.
type ClockState string

const (
	ClockKeep     ClockState = "keep"     // its retention runs
	ClockErase    ClockState = "erase"    // it may go
	ClockHeld     ClockState = "held"     // a hold stands against it
	ClockConflict ClockState = "conflict" // a person must decide
	ClockPending  ClockState = "pending"  // an anchor hasn't happened yet
)

// Clock is the answer of SolveRetention for one data class, with its reasons.
type Clock struct {
	Class     string     `json:"class"`
	State     ClockState `json:"state"`
	KeepUntil time.Time  `json:"retentionExpiresAt,omitzero"`
	GoneBy    time.Time  `json:"goneAt,omitzero"`
	Overdue   bool       `json:"overdue,omitempty"` // past GoneBy
	Winner    string     `json:"winner,omitempty"`
	Losers    []string   `json:"losers,omitempty"`
	Holds     []HoldID   `json:"holds,omitempty"`
	Because   string     `json:"because"`
}

// SolveRetention decides for one data class whether it may be erased at now.
// Holds beat retention, retention beats erasure. Of keep_until rules the latest
// wins, of gone_by rules the earliest; a keep_until that ends after a gone_by is
// a conflict for a person, which a hold outranks. It is pure: the same input
// gives the same answer.
func SolveRetention(class DataClass, anchors map[Anchor]time.Time, holds []Hold, subject HoldSubject, now time.Time) Clock {
	c := Clock{Class: class.Name}
	var keep, gone *datedRule
	for _, r := range class.Retention {
		at, ok := anchors[r.From]
		if !ok || at.IsZero() {
			c.State, c.Winner = ClockPending, r.Name
			c.Because = fmt.Sprintf("rule %q counts from %s, which hasn't happened", r.Name, r.From)
			continue
		}
		d := &datedRule{r, r.Period.After(at)}
		switch {
		case r.Kind == KeepUntil && (keep == nil || d.at.After(keep.at)):
			keep, d = d, keep
		case r.Kind == GoneBy && (gone == nil || d.at.Before(gone.at)):
			gone, d = d, gone
		}
		if d != nil {
			c.Losers = append(c.Losers, d.String())
		}
	}
	if keep != nil {
		c.KeepUntil = keep.at
	}
	if gone != nil {
		c.GoneBy, c.Overdue = gone.at, now.After(gone.at)
	}
	subject.Classes = []string{class.Name}
	for _, h := range Covering(holds, subject) {
		c.Holds = append(c.Holds, h.ID)
	}
	switch {
	case len(c.Holds) > 0:
		if keep != nil {
			c.Losers = append(c.Losers, keep.String())
		}
		if gone != nil {
			c.Losers = append(c.Losers, gone.String())
		}
		c.State, c.Winner = ClockHeld, string(c.Holds[0])
		c.Because = fmt.Sprintf("hold %s stands; a hold beats every retention rule", c.Holds[0])
	case c.State == ClockPending:
	case keep != nil && gone != nil && keep.at.After(gone.at):
		c.State, c.Winner = ClockConflict, keep.rule.Name
		c.Because = fmt.Sprintf("%s, but %s; a person must decide", keep, gone)
	case keep != nil && now.Before(keep.at):
		c.State, c.Winner, c.Because = ClockKeep, keep.rule.Name, keep.String()
		if gone != nil {
			c.Losers = append(c.Losers, gone.String())
		}
	case keep != nil:
		c.State, c.Winner, c.Because = ClockErase, keep.rule.Name, keep.String()+", which has passed"
	default:
		c.State, c.Because = ClockErase, "no rule keeps it"
		if gone != nil {
			c.Winner, c.Because = gone.rule.Name, gone.String()
		}
	}
	return c
}

type datedRule struct {
	rule RetentionRule
	at   time.Time
}

func (d *datedRule) String() string {
	word := "keeps it until"
	if d.rule.Kind == GoneBy {
		word = "wants it gone by"
	}
	return fmt.Sprintf("%s %s %s", d.rule.Name, word, d.at.Format("2006-01-02 15:04 MST"))
}
