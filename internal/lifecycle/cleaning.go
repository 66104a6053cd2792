package lifecycle

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// cleaning adds what a departure still waits for at its steps on what systems physically
// keep of deleted data: these belong to no resource, and come when most are gone. Whole
// says why; who leaves is told only that it is there, and goes.
func (s *Service) cleaning(ctx context.Context, out []Reason, leaving *tenure.Plan, op store.OperationRow, whole bool) ([]Reason, error) {
	if leaving == nil {
		return out, nil
	}
	rows, err := s.o.DB.Steps(ctx, op.ID)
	if err != nil {
		return nil, err
	}
	for i := range min(len(rows), len(leaving.Steps)) {
		st, row := &leaving.Steps[i], rows[i]
		kind := ""
		switch st.Action {
		case tenure.ActClean:
			kind = strings.ReplaceAll(st.To, "-", " ")
		case tenure.ActRemnants:
			kind = "remnants"
		default:
			continue
		}
		tried := row.Error != "" || row.State == tenure.StepRunning
		if row.State == tenure.StepDone || row.State == tenure.StepSkipped || !tried {
			continue
		}
		a := Reason{Environment: st.Environment, Resource: "what is physically left (" + kind + ")", System: st.System, State: tenure.ResourceErasing, Reason: "it goes in its turn"}
		switch {
		case !whole:
		case row.Error == "":
			a.Reason = st.Key + " is under way"
		case row.State == tenure.StepFailed:
			a.Reason = fmt.Sprintf("%s failed: %s", st.Key, row.Error)
		default:
			a.Reason = fmt.Sprintf("%s is tried again: %s", st.Key, row.Error)
			if !row.FailingSince.IsZero() {
				a.Reason = fmt.Sprintf("%s has been tried since %s: %s", st.Key, row.FailingSince.Format("2006-01-02 15:04 MST"), row.Error)
			}
		}
		out = append(out, a)
	}
	return out, nil
}
