package relational

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// AtRisk are the tables whose rows a legal hold may lose to statements on them: those that
// the holds name with what that needs, or without holds on parts every table of the
// resource's; and those whose deletions cascade to these. They are ordered by name.
func (h *Holding) AtRisk(keep []connector.Kept) ([]TableName, error) {
	out := map[TableName]bool{}
	if len(keep) == 0 {
		for n, class := range h.Classes {
			if class != "" {
				out[n] = true
			}
		}
	} else {
		if err := h.Withhold(keep); err != nil {
			return nil, err
		}
		for _, k := range keep {
			if n, err := h.KeptTable(k); err == nil && n != (TableName{}) {
				out[n] = true
			}
		}
		for _, n := range h.Withheld() {
			out[n] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for _, k := range h.Graph.Keys() {
			if out[k.Child] && !out[k.Parent] && (k.OnDelete == Cascade || k.OnDelete.lets()) {
				out[k.Parent], grown = true, true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(out), func(a, b TableName) int { return strings.Compare(a.String(), b.String()) }), nil
}
