package engine

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/store"
)

// Stuck begins the reason of an operation that can't be carried on with what the store
// and the settings have: nothing of it has failed, and it goes on once that is mended.
const Stuck = "it can't go on: "

// stuckBecause is the reason of such an operation: what keeps it, and who unblocks it.
func stuckBecause(id tenure.OperationID, what string) string {
	return Stuck + what + "; once that is mended, who may steer the operation lets it go on: tenure operation retry " + string(id)
}

// Whole says what of an operation's steps is missing, or isn't as its plan has it;
// nil if nothing is.
func Whole(p *tenure.Plan, op tenure.Operation, rows []store.StepRow) error {
	for i := range p.Steps {
		switch key := p.Steps[i].Key; {
		case i >= len(rows) || rows[i].Seq != i:
			return missing("the row of step %s", key)
		case rows[i].Key != key:
			return missing("the row of step %s, in whose place %q stands,", key, rows[i].Key)
		}
	}
	for _, row := range rows {
		if !row.State.Known() {
			return tenure.Errorf(tenure.Internal, "step %s is in a state that there isn't: %q", row.Key, row.State).WithHint("restore its row from a backup of the store")
		}
	}
	return takesBack(p, op, rows[:len(p.Steps)], rows[len(p.Steps):])
}

// takesBack looks at the rows of a compensation: the plan's own steps come before it.
func takesBack(p *tenure.Plan, op tenure.Operation, own, undo []store.StepRow) error {
	lost := op.State == tenure.OperationBlocked && strings.HasPrefix(op.Reason, Stuck+"the row of step undo/")
	if len(undo) == 0 && op.State != tenure.OperationCompensating && !lost {
		return nil
	}
	have := make(map[int]string, len(undo))
	for _, row := range undo {
		i := undoSeq(p, row.Seq)
		compensates := i >= 0 && i < len(p.Steps) && undoAction(p.Steps[i].Action) != "" && row.Key == "undo/"+p.Steps[i].Key
		if !compensates && (i != undoClose || row.Key != "undo/close") {
			return tenure.Errorf(tenure.Internal, "the row %q takes back no step of the plan", row.Key).WithHint("restore the operation's steps from a backup of the store")
		}
		have[row.Seq] = row.Key
	}
	for _, want := range undoSteps(p, own) {
		if have[want.Seq] != want.Key {
			return missing("the row of step %s", want.Key)
		}
	}
	return nil
}

// stands sees that the inventory has the resources that steps have yet to write to.
func (s *snapshot) stands(ctx context.Context, db *store.DB) error {
	var ids []tenure.ResourceID
	for i := range s.nodes {
		st := s.nodes[i].step
		if writes := st.Destructive || st.Action == tenure.ActEnsure || st.Action == tenure.ActAdopt; writes && st.Resource != "" && !s.nodes[i].ended() {
			ids = append(ids, st.Resource)
		}
	}
	return db.InInventory(ctx, ids)
}

func missing(what string, args ...any) error {
	return tenure.Errorf(tenure.Internal, what+" is missing in the store", args...).WithHint("restore it from a backup of the store")
}

// missed is err, or what is missing if that is what err says.
func missed(err error, what string, args ...any) error {
	if tenure.CodeOf(err) == tenure.NotFound {
		return missing(what, args...)
	}
	return err
}

// block records that an operation can't be carried on, and why; nil if it is recorded.
// What another attempt may mend by itself is left to that. The steps whose results
// couldn't be committed are handed back.
func (e *Engine) block(ctx context.Context, id tenure.OperationID, cause error, back []store.StepResult) error {
	if tenure.CanRetry(cause) || tenure.CodeOf(cause) == tenure.Unavailable {
		return cause
	}
	if _, err := e.load(ctx, id, true); err != nil { // as whoever looks again will see it
		cause = err
	}
	for range maxConflicts {
		op, err := e.DB.Operation(ctx, id)
		if err != nil {
			return cause
		}
		reason := stuckBecause(id, says(cause))
		if op.State.Ended() || op.State == tenure.OperationBlocked && op.Reason == reason && op.DueAt.IsZero() {
			e.stuck.note(id, e.Now())
			return nil
		}
		now := e.Now()
		c := store.StepCommit{Operation: id, Version: op.Version, State: tenure.OperationBlocked, Reason: reason, Now: now, Results: back}
		if op.State != c.State {
			leaf, err := stateEntry(op.Operation, c.State, now)
			if err != nil {
				return err
			}
			c.Leaves = append(c.Leaves, leaf)
		}
		c.Extra = func(tx *store.Tx) error { return tx.SetBlocked(op.Tenant, blockedBy(id, reason), now) }
		if err := e.DB.CommitSteps(ctx, &c); err == nil {
			e.stuck.note(id, e.Now())
			return nil
		} else if !isStale(err) {
			return err
		}
		back = nil
	}
	return cause
}

func blockedBy(id tenure.OperationID, reason string) string {
	return "operation " + string(id) + " is blocked: " + reason
}

// stateEntry is the audit entry of an operation that goes to another state.
func stateEntry(op tenure.Operation, to tenure.OperationState, now time.Time) ([]byte, error) {
	return encode(audit.Entry{
		Kind: "operation.state", Subject: string(op.ID), At: now, Tenant: op.Tenant, Operation: op.ID,
		Data: audit.Facts(map[string]string{"from": string(op.State), "to": string(to), "kind": string(op.Kind)}),
	})
}

// stuckLooks are when operations that can't go on are looked at again: what they lack
// may have come back without a word.
type stuckLooks struct {
	mu sync.Mutex
	by map[tenure.OperationID]stuckLook
}

type stuckLook struct {
	at    time.Time
	every time.Duration
}

// note has an operation looked at again, each time after twice as long.
func (l *stuckLooks) note(id tenure.OperationID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	every := min(max(30*time.Second, l.by[id].every)*2, 15*time.Minute)
	if l.by == nil {
		l.by = make(map[tenure.OperationID]stuckLook)
	}
	l.by[id] = stuckLook{now.Add(every), every}
}

// settled keeps or forgets an operation by how it stands after a look.
func (l *stuckLooks) settled(id tenure.OperationID, d decision, now time.Time) {
	if d.state == tenure.OperationBlocked && strings.HasPrefix(d.reason, Stuck) {
		l.note(id, now)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.by, id)
}

// due are those whose time has come.
func (l *stuckLooks) due(now time.Time) (ids []tenure.OperationID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, look := range l.by {
		if now.After(look.at) {
			ids = append(ids, id)
			l.by[id] = stuckLook{now.Add(look.every), look.every} // until it is noted anew
		}
	}
	return ids
}
