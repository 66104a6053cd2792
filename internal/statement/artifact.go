package statement

import (
	"cmp"
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
)

// certifyArtifacts lists what became of the artifacts on the departure's checklist, in its order. One that isn't as the
// log has it is Blocked.
func (s Source) certifyArtifacts(ctx context.Context, t *engine.Task, l *ledger, d *evidence.Departure) error {
	rows, err := s.DB.Tasks(ctx, t.Operation.ID)
	if err != nil {
		return err
	}
	planned := make(map[string]*tenure.Task)
	for i := range rows {
		if rows[i].Step != "" {
			planned[rows[i].Step] = &rows[i]
		}
	}
	list := func(item, name string, row *tenure.Task) error {
		e, outcome := l.artifacts[item], cmp.Or(string(row.Handed.Outcome), string(row.State))
		if e.became != outcome {
			return tenure.Errorf(tenure.Blocked, "what became of the artifact %s isn't as the log has it", item).WithHint("see tenure audit verify")
		}
		d.Artifacts = append(d.Artifacts, evidence.Artifact{
			Name: evidence.NameDigest(t.Plan.Tenant, name), Outcome: outcome, By: s.Pseudonym(row.EndedBy), At: e.at, Item: item, Planned: row.Step != "", Entry: e.digest,
		})
		return nil
	}
	for i := range t.Plan.Steps {
		st := &t.Plan.Steps[i]
		if st.Gate == nil || st.Gate.Artifact == nil || l.rows[i].State != tenure.StepDone {
			continue // one that two persons left out is an exception
		}
		row := planned[st.Key]
		if row == nil {
			return tenure.Errorf(tenure.Blocked, "nothing says what became of the artifact %s", st.Key).WithHint("see tenure audit verify")
		}
		if err := list(st.Key, st.Gate.Artifact.Name, row); err != nil {
			return err
		}
	}
	for i := range rows {
		if r := &rows[i]; r.Artifact && r.Step == "" && r.State != tenure.TaskOpen {
			if err := list(string(r.ID), r.Text, r); err != nil {
				return err
			}
		}
	}
	return nil
}
