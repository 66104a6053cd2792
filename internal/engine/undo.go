package engine

import (
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// undoSteps are the compensations of what an operation made: its keys and
// resources in reverse, one after the other, and then the tenant's close.
func undoSteps(p *tenure.Plan, rows []store.StepRow) []tenure.StepStatus {
	var out []tenure.StepStatus
	for i := len(p.Steps) - 1; i >= 0; i-- {
		a := p.Steps[i].Action
		if undoAction(a) != "" && (rows[i].Attempt > 0 || a == tenure.ActKeyCreate) {
			out = append(out, tenure.StepStatus{Operation: rows[i].Operation, Seq: undoSeq(p, i), Key: "undo/" + p.Steps[i].Key})
		}
	}
	return append(out, tenure.StepStatus{Operation: rows[0].Operation, Seq: undoSeq(p, undoClose), Key: "undo/close"})
}

// undoClose stands for the tenant's close among the steps that undoSeq orders: it comes last.
const undoClose = -1

// undoSeq orders compensations in reverse behind the plan's own steps. It is its own
// inverse: of a compensation's seq it is the step that is taken back.
func undoSeq(p *tenure.Plan, i int) int { return 2*len(p.Steps) - i }

func undoAction(a tenure.Action) tenure.Action {
	switch a {
	case tenure.ActEnsure:
		return tenure.ActDelete
	case tenure.ActKeyCreate:
		return tenure.ActKeyDestroy
	}
	return ""
}

// undoStep rebuilds a compensation from its row.
func undoStep(p *tenure.Plan, row store.StepRow, before string) *tenure.Step {
	var needs []string
	if before != "" {
		needs = []string{before}
	}
	if row.Key == "undo/close" {
		return &tenure.Step{Key: row.Key, Stage: tenure.StageRestore, Action: tenure.ActMove, To: string(tenure.TenantClosed), Needs: needs, Summary: "close the tenant, which was never active"}
	}
	orig := p.Steps[undoSeq(p, row.Seq)]
	return &tenure.Step{
		Key: row.Key, Stage: tenure.StageRestore, Action: undoAction(orig.Action), Resource: orig.Resource, System: orig.System,
		Environment: orig.Environment, To: orig.To, Class: orig.Class, Needs: needs, Destructive: true, Summary: "take back: " + orig.Summary,
	}
}
