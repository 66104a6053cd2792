package statement

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
)

// Costs reads what each deletion of an operation has stopped.
func (s Source) Costs(ctx context.Context, t *engine.Task) ([]evidence.Cost, error) {
	rows, err := s.DB.Steps(ctx, t.Operation.ID)
	if err != nil {
		return nil, err
	}
	sums := make(map[[2]string]int64)
	for i, st := range t.Plan.Steps {
		if st.Action != tenure.ActDelete || rows[i].Receipt == "" {
			continue
		}
		var r struct {
			MonthlyCost int64
			Currency    string
		}
		if err := json.Unmarshal([]byte(rows[i].Receipt), &r); err != nil {
			return nil, tenure.Errorf(tenure.Internal, "receipt of %s: %w", st.Key, err)
		}
		if r.MonthlyCost > 0 && r.Currency != "" {
			sums[[2]string{st.System, r.Currency}] += r.MonthlyCost
		}
	}
	out := make([]evidence.Cost, 0, len(sums))
	for k, n := range sums {
		out = append(out, evidence.Cost{System: k[0], Currency: k[1], Minor: n})
	}
	slices.SortFunc(out, func(a, b evidence.Cost) int {
		return strings.Compare(a.System+"\x00"+a.Currency, b.System+"\x00"+b.Currency)
	})
	return out, nil
}
