package engine

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/store"
)

// composed is one commit in the making: the results at hand, and the decision on
// the snapshot as it will be with them.
type composed struct {
	store.StepCommit
	d      decision
	extras []func(*store.Tx) error
	stale  bool // the snapshot must be read again after this commit
	locked bool // the operation holds its resources after this commit
	same   bool // nothing but the operation's row, and that is as it should be
	tried  bool // it has attempts at steps whose system is away
}

func (c *composed) empty() bool {
	return len(c.Results)+len(c.Claims)+len(c.extras) == 0 && c.same
}

// compose applies the pending results to the snapshot, decides, and writes down
// all that follows as one commit. A commit that is refused drops the snapshot,
// so applying them twice can't happen.
func (a *advance) compose(now time.Time) *composed {
	s := a.s
	s.doubt = a.e.doubt()
	c := &composed{StepCommit: store.StepCommit{Operation: a.id, Version: s.op.Version, Now: now, By: a.e.Owner}}
	destroyed := false
	a.dropLate()
	for _, o := range a.pending {
		n := &s.nodes[o.index]
		if len(o.result.Reopen) > 0 {
			o.result = a.reopens(c, n, o.result)
		}
		a.result(c, n, a.settle(n, o.result, now), o.result)
		destroyed = destroyed || n.step.Destructive
	}
	a.tried(c)
	a.released(c)
	a.withdrawn(c)
	// What an open gate lets through starts with the same commit.
	for c.d = a.decide(now); len(c.d.opened) > 0; c.d = a.decide(now) {
		for _, i := range c.d.opened {
			n := &s.nodes[i]
			if forPersons(n.step.Action) {
				n.awaited = time.Time{}
				c.extras = append(c.extras, func(tx *store.Tx) error { return tx.DropWait(a.id, n.step.Key) })
			}
			verdict := tenure.Verified
			if isVendor(n.step.Action) { // somebody's word, and nothing that was seen
				verdict = tenure.Claimed
			}
			a.result(c, n, store.StepResult{Seq: n.row.Seq, Token: n.row.Token, From: n.row.State, State: tenure.StepDone, Verdict: verdict}, Result{})
		}
	}
	for _, i := range c.d.reopen { // confirmations that have lapsed
		gate := s.nodes[i].step.Key
		a.reopened(c, string(a.id), a.recount(c, i), map[string]string{"why": "the confirmation at " + gate + " has lapsed"})
	}
	c.State, c.Reason, c.DueAt, c.Ended = c.d.state, c.d.reason, c.d.due, c.d.ended
	if len(c.d.asks)+len(a.asking) > 0 && !c.d.ended {
		a.meanwhile(c)
	}
	c.same = s.op.State == c.State && s.op.Reason == c.Reason && s.op.DueAt.Equal(c.DueAt) && !c.d.undo
	c.Same = c.same
	a.claims(c)
	a.lock(c)
	a.awaits(c)
	a.asksVendors(c)
	a.keeps(c)
	if destroyed {
		c.extras = append(c.extras, func(tx *store.Tx) error { return SettleHolds(tx, s.plan.Tenant, now) })
		c.stale = c.stale || binding(s.holds)
	}
	if c.State != s.op.State {
		a.moved(c)
	}
	if c.d.undo {
		rows := make([]store.StepRow, len(s.nodes))
		for i := range s.nodes {
			rows[i] = s.nodes[i].row
		}
		c.extras = append(c.extras, func(tx *store.Tx) error {
			return tx.InsertSteps(undoSteps(s.plan, rows), func(int) bool { return true })
		})
	}
	if len(c.extras) > 0 {
		c.Extra = func(tx *store.Tx) error {
			for _, f := range c.extras {
				if err := f(tx); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return c
}

// meanwhile leaves an operation as it stands while a system is asked: if this process
// dies it is still due, and nothing is written before there is something to say.
func (a *advance) meanwhile(c *composed) {
	op := &a.s.op
	if len(c.Results)+len(c.extras)+len(a.running) == 0 && !c.d.acts() {
		c.State, c.Reason, c.DueAt = op.State, op.Reason, op.DueAt
		return
	}
	if c.DueAt = op.DueAt; c.DueAt.IsZero() || c.DueAt.After(c.Now) {
		c.DueAt = c.Now
	}
}

// result adds a step's result with its inventory change and its audit entry.
func (a *advance) result(c *composed, n *node, r store.StepResult, res Result) {
	if r.State == tenure.StepFailed && n.step.Action == tenure.ActWrite {
		a.unwritten(c, n)
	}
	if r.State != tenure.StepPending {
		c.Resources = append(c.Resources, res.Resources...)
		if res.Extra != nil && r.State == tenure.StepDone {
			c.extras = append(c.extras, res.Extra)
			c.stale = true
		}
		leaf, err := a.entry(n, r, res, c.Now)
		if err != nil { // a fact that can't be written down: the step has failed
			r.State, r.Verdict, r.ErrorCode, r.Error = tenure.StepFailed, tenure.Unknown, tenure.CodeOf(err), says(err)
			leaf, _ = a.entry(n, r, Result{}, c.Now)
		}
		c.Leaves = append(c.Leaves, leaf)
	}
	c.Results = append(c.Results, r)
	n.apply(r, c.Now)
	if n.step.Action == tenure.ActErase && (r.State == tenure.StepDone || waitsHeld(n.row)) {
		a.wake(c, n)
	}
}

// awaits records the gates that begin to wait for persons, and those that ask again:
// the inbox, reminders and expiry read them. Those of an operation that ends are forgotten.
func (a *advance) awaits(c *composed) {
	s := a.s
	if c.d.ended || c.d.undo {
		if !s.op.State.Ended() && slices.ContainsFunc(s.plan.Steps, func(st tenure.Step) bool { return forPersons(st.Action) }) {
			c.extras = append(c.extras, func(tx *store.Tx) error { return tx.DropWait(a.id, "") })
		}
		return
	}
	for _, w := range c.d.awaits {
		n := &s.nodes[w.index]
		if n.awaited.Equal(w.since) {
			continue
		}
		n.awaited = w.since
		row := store.WaitAt(s.op.Operation, n.step, s.plan.Radius(), w.since)
		c.extras = append(c.extras, func(tx *store.Tx) error { return tx.AwaitApproval(row) })
	}
}

// forPersons says whether a step is a gate that can wait for persons' words.
func forPersons(a tenure.Action) bool {
	return forSigners(a) || a == tenure.ActRetention || a == tenure.ActTask
}

// claims adds the claims; destructive ones depend on there being no hold.
func (a *advance) claims(c *composed) {
	var destructive []*tenure.Step
	for _, i := range c.d.claims {
		n := &a.s.nodes[i]
		c.Claims = append(c.Claims, store.StepClaim{Seq: n.row.Seq, Token: n.row.Token, From: n.row.State, Owner: a.e.Owner, Lease: a.e.lease()})
		if n.step.Destructive {
			destructive = append(destructive, n.step)
		}
	}
	for _, i := range c.d.drains {
		n := &a.s.nodes[i]
		c.Claims = append(c.Claims, store.StepClaim{Seq: n.row.Seq, Token: n.row.Token, From: n.row.State, Owner: a.e.Owner, Lease: a.e.lease()})
	}
	if len(destructive) == 0 {
		return
	}
	c.extras = append(c.extras, func(tx *store.Tx) error {
		if why := a.e.doubt(); why != "" {
			return tenure.Errorf(tenure.Conflict, "%s", why).Retryable()
		}
		holds, err := tx.ActiveHolds(a.s.plan.Tenant)
		if err != nil {
			return err
		}
		for _, step := range destructive {
			if len(a.s.plan.Standing(holds, step)) > 0 {
				return tenure.Errorf(tenure.Conflict, "a hold was placed on %s", step.Key).Retryable()
			}
		}
		return nil
	})
}

// lock makes the first claim depend on holding what the operation touches, and
// lets go of it when the operation only waits.
func (a *advance) lock(c *composed) {
	idle := c.d.ended || c.State == tenure.OperationWaiting || c.State == tenure.OperationPaused
	c.locked = a.s.op.Locked
	switch {
	case len(c.d.claims) > 0 && !a.s.op.Locked:
		c.locked = true
		c.extras = append(c.extras, func(tx *store.Tx) error {
			by, err := tx.TakeLock(a.id, a.s.op.Kind)
			if err == nil && by != "" {
				err = excludedError{by}
			}
			return err
		})
	case idle && a.s.op.Locked && len(a.running) == 0:
		c.locked = false
		if !c.d.ended { // the end of an operation lets go by itself
			c.extras = append(c.extras, func(tx *store.Tx) error { return tx.FreeLock(a.id, c.Now) })
		}
	}
}

// moved writes down that the operation's state changes, and shows on the tenant
// that it is blocked, or isn't any more.
func (a *advance) moved(c *composed) {
	op := a.s.op
	if leaf, err := stateEntry(op.Operation, c.State, c.Now); err == nil {
		c.Leaves = append(c.Leaves, leaf)
	}
	switch tenure.OperationBlocked {
	case c.State:
		c.extras = append(c.extras, func(tx *store.Tx) error {
			return tx.SetBlocked(op.Tenant, blockedBy(a.id, c.Reason), c.Now)
		})
	case op.State:
		c.extras = append(c.extras, func(tx *store.Tx) error { return tx.SetBlocked(op.Tenant, "", c.Now) })
	}
}

// settle turns a task's result into the step's: done, another attempt, or failed.
func (a *advance) settle(n *node, r Result, now time.Time) store.StepResult {
	out := store.StepResult{Seq: n.row.Seq, Token: n.row.Token, State: tenure.StepDone, Verdict: r.Verdict, Progress: r.Progress, Batched: n.batched()}
	if r.Receipt != nil {
		if b, err := json.Marshal(r.Receipt); err == nil && string(b) != "null" {
			out.Receipt = string(b)
		}
	}
	if r.yield {
		out.State, out.Verdict, out.Error = tenure.StepPending, "", r.Note
		return out
	}
	if !r.Again.IsZero() {
		out.State, out.Verdict, out.DueAt, out.Error = tenure.StepPending, "", r.Again, r.Note
		if r.Stuck {
			out.ErrorCode = tenure.Blocked
		}
		return out
	}
	err := r.Err
	switch {
	case err != nil:
	case r.Verdict == tenure.Verified, r.Verdict == tenure.Claimed:
		return out
	case r.Verdict == tenure.Failed:
		err = tenure.Errorf(tenure.Blocked, "it was read back, and isn't so")
	default:
		err = tenure.Errorf(tenure.Blocked, "it couldn't be read back with certainty").Retryable()
	}
	out.ErrorCode, out.Error = tenure.CodeOf(err), says(err)
	if out.Progress == "" { // it didn't get as far as to say
		out.Progress = n.row.Progress
	}
	if tenure.CanRetry(err) && n.row.Attempt < a.e.attempts() {
		out.State, out.Verdict, out.DueAt = tenure.StepPending, "", now.Add(backoff(n.row.Attempt))
		if n.step.Action == tenure.ActWrite { // the operation waits for it, and keeps no other from the tenant
			out.ErrorCode, out.Error = "", clip(n.step.Key+" is tried again: "+out.Error)
		}
		return out
	}
	out.State = tenure.StepFailed
	if out.Verdict != tenure.Failed { // seen not to be so stays that; all else isn't known
		out.Verdict = tenure.Unknown
	}
	return out
}

// says is an error as its step shows it: what went wrong, and what to do about it.
func says(err error) string {
	text := err.Error()
	if hints := tenure.HintsOf(err); len(hints) > 0 {
		text += " (" + strings.Join(hints, "; ") + ")"
	}
	return clip(text)
}

func clip(s string) string {
	if len(s) > 2000 {
		return strings.ToValidUTF8(s[:2000], "") + "…"
	}
	return s
}

// entry is the audit entry of a step that has ended.
func (a *advance) entry(n *node, r store.StepResult, res Result, now time.Time) ([]byte, error) {
	facts := make(map[string]string, 8+len(res.Facts))
	for k, v := range res.Facts {
		facts[k] = v
	}
	facts["step"], facts["action"], facts["state"] = n.step.Key, string(n.step.Action), string(r.State)
	facts["seq"] = strconv.Itoa(r.Seq)
	if r.Verdict != "" {
		facts["verdict"] = string(r.Verdict)
	}
	if r.ErrorCode != "" {
		facts["error"] = string(r.ErrorCode)
	}
	subject := string(n.step.Resource)
	if len(res.Resources) == 1 {
		subject, facts["resource"] = string(res.Resources[0].ID), string(res.Resources[0].State)
	}
	if subject == "" {
		subject = string(a.id)
	}
	return encode(audit.Entry{Kind: "step.result", Subject: subject, At: now, Tenant: a.s.op.Tenant, Operation: a.id, Data: audit.Facts(facts)})
}

func encode(e audit.Entry) ([]byte, error) {
	e.Format, e.At = audit.Format, e.At.UTC().Truncate(time.Microsecond)
	return e.Encode()
}
