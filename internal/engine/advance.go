package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// outcome is a task's result on its way to the commit.
type outcome struct {
	asked  *asked // a system's answer, and nothing else
	index  int
	seq    int
	token  int64
	result Result
}

// lease is a running task as the renewal sees it.
type lease struct {
	seq    int
	token  int64
	key    string
	cancel context.CancelFunc
}

// advance is one call of Advance.
type advance struct {
	e        *Engine
	ctx      context.Context // ends: claim nothing more
	work     context.Context // of commits and of tasks under way; not cancelled with ctx
	id       tenure.OperationID
	s        *snapshot
	done     chan outcome
	pending  []outcome // results that aren't committed yet
	steps    int
	excluded string // the operation that keeps this one from its resources

	asking   map[string]context.CancelFunc // systems that are asked whether they are there
	answered map[string]bool               // those that may be called
	refused  map[string]error              // those that can't be opened
	away     []asked                       // those that aren't there, and their steps' attempts aren't committed yet

	cut, leave <-chan time.Time // since it was told to stop: when steps are cut off, and left
	gone       bool             // steps were left

	mu      sync.Mutex
	running map[int]lease
}

// budget is how many steps one Advance runs before it lets others have a turn.
const budget = 4096

// Advance carries an operation on until it has ended, is blocked, waits, or its
// budget runs out. Anyone may call it at any time, several at once; within one
// process a second caller is told to wait for the event that the first one makes.
// When ctx ends it claims nothing more, waits for the steps under way, and
// commits their results.
func (e *Engine) Advance(ctx context.Context, id tenure.OperationID) (answer Answer, err error) {
	if _, taken := e.active.LoadOrStore(id, true); taken {
		return Answer{Kind: Event}, nil
	}
	var a *advance
	defer func() {
		e.active.Delete(id)
		if p := recover(); p != nil {
			err = tenure.Errorf(tenure.Internal, "panic: %v", p)
		}
		if err != nil {
			if err = e.block(context.WithoutCancel(ctx), id, err, a.handBack()); err == nil {
				answer = Answer{Kind: Event}
			}
		}
		if err == nil { // what can't be carried on isn't handed out again at once
			e.DB.Free(id)
		}
	}()
	a = &advance{
		e: e, ctx: ctx, work: context.WithoutCancel(ctx), id: id,
		done: make(chan outcome, 2*maxParallel), running: make(map[int]lease),
		asking: make(map[string]context.CancelFunc), answered: make(map[string]bool), refused: make(map[string]error),
	}
	defer a.abandon()
	defer a.renewals()()
	return a.loop()
}

// abandon stops the tasks that an error left behind; their leases lapse.
func (a *advance) abandon() {
	a.cutOff()
	for a.busy() && !a.gone {
		a.collect()
	}
}

// handBack are results that let go of the steps whose own results couldn't be committed.
func (a *advance) handBack() (back []store.StepResult) {
	if a == nil {
		return nil
	}
	for _, o := range a.pending {
		back = append(back, store.StepResult{Seq: o.seq, Token: o.token, State: tenure.StepPending, Progress: o.result.Progress, Batched: true, Error: "its result couldn't be recorded"})
	}
	return back
}

// busy says whether steps run or systems are asked.
func (a *advance) busy() bool { return len(a.running)+len(a.asking) > 0 }

// cutOff ends the contexts of what is under way.
func (a *advance) cutOff() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.running {
		l.cancel()
	}
	for _, cancel := range a.asking {
		cancel()
	}
}

func (a *advance) loop() (Answer, error) {
	for conflicts := 0; ; {
		if a.s == nil {
			if err := a.read(); a.e.outlasts(a.ctx, err) {
				a.s = nil
				continue
			} else if err != nil {
				return Answer{}, err
			}
		}
		now := a.e.Now()
		c := a.compose(now)
		if c.empty() {
			if a.askSystems(c.d); !a.busy() {
				a.e.stuck.settled(a.id, c.d, now)
				return a.answer(c.d), nil
			}
			if a.collect(); a.gone {
				return Answer{}, a.left()
			}
			continue
		}
		err := a.e.DB.CommitSteps(a.work, &c.StepCommit)
		var out excludedError
		switch {
		case errors.As(err, &out):
			if conflicts++; conflicts > maxConflicts {
				return Answer{}, err
			}
			a.s, a.excluded = nil, out.by
			continue
		case isStale(err):
			if conflicts++; conflicts > maxConflicts {
				return Answer{}, err
			}
			a.s, a.excluded = nil, ""
			continue
		case a.e.outlasts(a.ctx, err): // what was done meanwhile is recorded now; this commit may have been, too
			a.s, a.excluded = nil, ""
			continue
		case err != nil:
			return Answer{}, err
		}
		conflicts = 0
		a.committed(c, now)
		if a.s != nil {
			a.askSystems(c.d)
		}
		switch {
		case a.busy():
			if a.collect(); a.gone {
				return Answer{}, a.left()
			}
		case a.ctx.Err() != nil: // told to stop, whatever there is to decide
			return a.answer(c.d), nil
		}
	}
}

// read reads the operation's rows, and who keeps it waiting.
func (a *advance) read() (err error) {
	if a.s, err = a.e.load(a.work, a.id, false); err != nil {
		return err
	}
	a.keepOwn()
	return a.ask()
}

// ask looks who keeps a waiting operation from its resources, so that it doesn't
// try to take them in vain each time that somebody calls.
func (a *advance) ask() (err error) {
	if op := &a.s.op; a.excluded == "" && op.State == tenure.OperationWaiting && !op.Locked {
		a.excluded, err = a.e.DB.Excluding(a.work, a.id, op.Kind)
	}
	return err
}

// maxConflicts bounds how often in a row a commit may be refused before the
// caller is told: others can only be ahead so many times.
const maxConflicts = 200

// keepOwn marks, after a reload, what this Advance runs.
func (a *advance) keepOwn() {
	for i := range a.running {
		if i < len(a.s.nodes) { // an operation that has ended meanwhile has none
			a.s.nodes[i].mine = true
		}
	}
}

// dropLate drops the results whose lease was lost: somebody else answers for the step.
func (a *advance) dropLate() {
	a.pending = slices.DeleteFunc(a.pending, func(o outcome) bool {
		if o.index >= len(a.s.nodes) {
			return true
		}
		row := a.s.nodes[o.index].row
		return row.State != tenure.StepRunning || row.Token != o.token
	})
}

// stopping says that nothing more may be claimed in this call.
func (a *advance) stopping() bool { return a.ctx.Err() != nil || a.steps >= budget }

// decide asks the pure function, and takes back what can't be done now.
func (a *advance) decide(now time.Time) decision {
	d := a.allowed(decide(a.s, now), now)
	a.reach(&d)
	return d
}

// allowed is a decision without what this call may not do now.
func (a *advance) allowed(d decision, now time.Time) decision {
	switch {
	case d.ended:
	case a.excluded != "" && len(d.claims) > 0 && !a.s.op.Locked:
		d.claims = nil
		if len(a.running) == 0 {
			d.state, d.reason, d.due = tenure.OperationWaiting, "operation "+a.excluded+" is at work on the same resources", time.Time{}
		}
	case a.stopping() && len(d.claims)+len(d.drains)+len(d.opened)+len(d.reopen) > 0:
		// What is due already stays due since then: a new moment each time round
		// would be something to commit each time round.
		d.claims, d.drains, d.opened, d.reopen, d.due = nil, nil, nil, nil, now
		if at := a.s.op.DueAt; !at.IsZero() && !at.After(now) {
			d.due = at
		}
	}
	if kept := a.s.op.DueAt; kept.After(now) && d.due.After(kept) && !d.acts() && d.state == a.s.op.State && d.reason == a.s.op.Reason {
		d.due = kept // to look sooner than need be costs less than to write down later
	}
	return d
}

// answer says who calls next, once nothing runs and nothing waits for a commit.
func (a *advance) answer(d decision) Answer {
	switch {
	case d.ended:
		return Answer{Kind: Done}
	case a.stopping():
		return Answer{Kind: Again}
	case !d.due.IsZero():
		return Answer{Kind: At, At: d.due}
	}
	return Answer{Kind: Event}
}

// collect waits for one result and takes what else is there. Told to stop it waits for
// the engine's grace, cuts off what is still under way, and leaves what doesn't heed that.
func (a *advance) collect() {
	stop := a.ctx.Done()
	if a.leave != nil {
		stop = nil
	}
	select {
	case o := <-a.done:
		a.take(o)
	case <-stop:
		a.cut, a.leave = time.After(a.e.grace()), time.After(a.e.grace()+a.e.grace()/4)
		return
	case <-a.cut:
		a.cutOff()
		return
	case <-a.leave:
		a.gone = true
		return
	}
	for {
		select {
		case o := <-a.done:
			a.take(o)
		default:
			return
		}
	}
}

func (a *advance) take(o outcome) {
	if o.asked != nil {
		a.answeredBy(o.asked)
		return
	}
	a.mu.Lock()
	a.running[o.index].cancel()
	delete(a.running, o.index)
	a.mu.Unlock()
	if a.s != nil && o.index < len(a.s.nodes) {
		a.s.nodes[o.index].mine = false
	}
	a.pending = append(a.pending, o)
}

// start runs a claimed step; died says that the attempt before it did, drains that
// what that one took is only to be counted.
func (a *advance) start(i int, now time.Time, died, drains bool) {
	n := &a.s.nodes[i]
	n.mine = true
	t := &Task{Operation: a.s.op.Operation, Plan: a.s.plan, Step: n.step, on: n.on, Row: n.row, Tenant: a.s.tenant, Now: now, Trace: a.s.op.Trace, engine: a.e, stop: a.ctx, died: died, drains: drains}
	ctx, cancel := context.WithTimeout(a.work, a.e.timeout())
	a.mu.Lock()
	a.running[i] = lease{seq: n.row.Seq, token: n.row.Token, key: n.row.Key, cancel: cancel}
	a.mu.Unlock()
	a.steps++
	go func() { a.done <- outcome{index: i, seq: t.Row.Seq, token: t.Row.Token, result: a.e.observed(ctx, t)} }()
}

// renewals prolongs the leases of the tasks under way, three times a lease. A
// task whose lease was lost is cut off.
func (a *advance) renewals() (stop func()) {
	end := make(chan struct{})
	tick := time.NewTicker(a.e.lease() / 3)
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				a.renew()
			}
		}
	}()
	return func() { close(end) }
}

func (a *advance) renew() {
	a.mu.Lock()
	held := make([]lease, 0, len(a.running))
	for _, l := range a.running {
		held = append(held, l)
	}
	a.mu.Unlock()
	for _, l := range held {
		err := a.e.DB.Renew(a.work, a.id, l.seq, l.token, a.e.lease())
		if tenure.CodeOf(err) == tenure.Conflict {
			l.cancel()
		}
	}
}

// excludedError says which operation holds what this one touches.
type excludedError struct{ by string }

func (e excludedError) Error() string { return "excluded by " + e.by }

// committed brings the snapshot up to what was written, and starts the claims.
func (a *advance) committed(c *composed, now time.Time) {
	s := a.s
	a.pending, a.away = a.pending[:0], a.away[:0]
	if c.Keep > 0 {
		a.e.DB.Keep(a.id, c.DueAt)
	}
	if !c.Kept {
		s.op.Version++
	}
	s.op.State, s.op.Reason, s.op.DueAt = c.State, c.Reason, c.DueAt
	s.op.Locked = c.locked
	for k, i := range slices.Concat(c.d.claims, c.d.drains) {
		row := &s.nodes[i].row
		died := row.State == tenure.StepRunning
		row.State, row.Owner, row.StartedAt, row.Lapsed = tenure.StepRunning, a.e.Owner, now, false
		row.Token++
		row.Attempt++
		a.start(i, now, died, k >= len(c.d.claims))
	}
	if c.d.undo || len(c.d.reopen) > 0 || c.stale {
		a.s = nil
	}
}

// batched says whether the step's row may say how far it got.
func (n *node) batched() bool {
	return n.row.Progress != "" || n.step.Action == tenure.ActErase || n.step.Action == tenure.ActPseudonymise || n.step.Action == tenure.ActDelete
}

// apply brings a node's row up to a result.
func (n *node) apply(r store.StepResult, now time.Time) {
	n.row.State, n.row.Verdict, n.row.DueAt, n.row.Receipt, n.row.Progress = r.State, r.Verdict, r.DueAt, r.Receipt, r.Progress
	n.row.ErrorCode, n.row.Error, n.row.Lapsed = r.ErrorCode, r.Error, false
	switch {
	case r.ErrorCode == "":
		n.row.FailingSince = time.Time{}
	case n.row.FailingSince.IsZero():
		n.row.FailingSince = now
	}
	if r.State != tenure.StepPending {
		n.row.EndedAt = now
	}
}
