package tenure

import (
	"fmt"
	"strings"
)

// Fate is what becomes of data that a plan takes the feature away from.
type Fate string

const (
	FateErased   Fate = "erased"   // with its resource, once the quarantine is over and two persons have confirmed the counts
	FateOrphaned Fate = "orphaned" // it stays where it is, and no data class covers it any more
	FateEmpty    Fate = "empty"    // there is none
)

// Loss is a resource, or a place in one, that a plan takes away from its tenant while the
// tenant goes on, as with a downgrade, and what becomes of the data there.
type Loss struct {
	Resource string   `json:"resource"`           // environment/key
	Place    string   `json:"location,omitempty"` // the table or folder, where it isn't all of it
	Class    string   `json:"class,omitempty"`    // the data class that covered it
	Features []string `json:"features,omitempty"` // those that the tenant loses and that it hung on
	Records  int64    `json:"records"`            // rows or objects, when the plan was made
	Unseen   bool     `json:"unseen,omitempty"`   // how many couldn't be told
	Fate     Fate     `json:"fate"`
	Why      string   `json:"reason"`
}

// Data says whether there is data, or may be.
func (l *Loss) Data() bool { return l.Records > 0 || l.Unseen }

// Says is what is lost, and what becomes of it, in words.
func (l *Loss) Says() (lost, becomes string) {
	switch {
	case l.Unseen:
		lost = "an unknown number of records"
	case l.Records == 1:
		lost = "1 record"
	default:
		lost = fmt.Sprintf("%d records", l.Records)
	}
	if l.Class != "" {
		lost += " of " + l.Class
	}
	if l.Place != "" {
		lost += " in " + l.Place
	}
	if len(l.Features) > 0 {
		lost += ", without " + strings.Join(l.Features, " and ")
	}
	return lost, string(l.Fate) + ": " + l.Why
}
