package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// asked is a system's answer to whether it is there. It is asked before steps on it are
// claimed, so that an attempt at one that is away costs one commit.
type asked struct {
	system string
	steps  []int // that would have been claimed
	err    error
	closed bool // it can't be opened, and another attempt changes nothing
}

// reached says whether a system answered the last call to it.
func (e *Engine) reached(name string) bool {
	sys, ok := e.answering.Load(name)
	return ok && sys.(*connector.System).Identified()
}

// reach takes the claims out of a decision whose system must be asked first, or can't
// be opened at all.
func (a *advance) reach(d *decision) {
	var refused []string
	d.claims = slices.DeleteFunc(d.claims, func(i int) bool {
		n := &a.s.nodes[i]
		name := n.step.System
		if _, own := a.e.Own[n.step.Action]; own || name == "" || n.row.State != tenure.StepPending || a.answered[name] || a.e.reached(name) {
			return false
		}
		if err := a.refused[name]; err != nil {
			refused = append(refused, n.step.Key+": "+says(err))
			return true
		}
		if d.asks == nil {
			d.asks = make(map[string][]int)
		}
		d.asks[name] = append(d.asks[name], i)
		return true
	})
	if len(refused) == 0 || d.acts() || len(d.asks)+len(a.asking)+len(a.running) > 0 {
		return
	}
	d.state, d.reason = tenure.OperationBlocked, stuckBecause(a.id, strings.Join(refused, "; "))
}

// askSystems asks those that a decision hangs on and that aren't asked already.
func (a *advance) askSystems(d decision) {
	for name, steps := range d.asks {
		if _, under := a.asking[name]; under {
			continue
		}
		ctx, cancel := context.WithTimeout(a.ctx, a.e.lease())
		a.asking[name] = cancel
		go func() {
			q := a.e.ask(ctx, name)
			q.steps = steps
			a.done <- outcome{asked: &q}
		}()
	}
}

func (e *Engine) ask(ctx context.Context, name string) (q asked) {
	q.system = name
	defer func() {
		if p := recover(); p != nil {
			q.err = tenure.Errorf(tenure.Internal, "system %s: panic: %v", name, p)
		}
	}()
	sys, err := e.System(name)
	if err != nil {
		q.err, q.closed = err, !tenure.CanRetry(err)
		return q
	}
	if q.err = sys.Identify(ctx); q.err == nil {
		e.answering.Store(name, sys)
	} else if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		q.err = tenure.Errorf(tenure.Unavailable, "system %s didn't answer within %s: %w", name, e.lease(), q.err).Retryable()
	}
	return q
}

// answeredBy takes a system's answer. One that isn't the recorded one, or lacks rights,
// is for the step itself to say.
func (a *advance) answeredBy(q *asked) {
	a.asking[q.system]()
	delete(a.asking, q.system)
	switch {
	case q.closed:
		a.refused[q.system] = q.err
		written := asked{system: q.system, err: q.err}
		for _, i := range q.steps {
			if i < len(a.s.nodes) && a.s.nodes[i].step.Action == tenure.ActWrite { // they stop nothing
				written.steps = append(written.steps, i)
			}
		}
		a.away = append(a.away, written)
	case q.err == nil || !tenure.CanRetry(q.err):
		a.answered[q.system] = true
	case a.ctx.Err() == nil:
		a.away = append(a.away, *q)
	}
}

// tried adds the attempts at steps whose system is away.
func (a *advance) tried(c *composed) {
	for _, q := range a.away {
		var due time.Time // one for all of a system's, so that they cost one commit
		for _, i := range q.steps {
			if i >= len(a.s.nodes) {
				continue
			}
			n := &a.s.nodes[i]
			if n.row.State != tenure.StepPending || n.row.DueAt.After(c.Now) {
				continue
			}
			n.row.Attempt++
			r := a.settle(n, Result{Err: q.err}, c.Now)
			r.From, r.Tried, r.Receipt = tenure.StepPending, true, n.row.Receipt
			if due.IsZero() {
				due = r.DueAt
			}
			if r.State == tenure.StepPending {
				r.DueAt = due
			}
			a.result(c, n, r, Result{})
			c.tried = true
		}
	}
}

// keeps has this process alone look again at an operation whose system is away, so that
// handing it out costs no commit: others may once its time is over by a lease.
func (a *advance) keeps(c *composed) {
	if c.tried && len(a.running) == 0 && len(c.Claims) == 0 && c.DueAt.After(c.Now) {
		c.Keep = c.DueAt.Sub(c.Now) + a.e.lease()
	}
}

// left is what an operation's steps still do when the engine has waited for them long
// enough.
func (a *advance) left() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var what []string
	for i := range a.running {
		what = append(what, a.running[i].key)
	}
	for name := range a.asking {
		what = append(what, "a question to system "+name)
	}
	slices.Sort(what)
	return tenure.Errorf(tenure.Unavailable, "left under way: %s; what is done there is seen by who takes it over when its lease has run out", strings.Join(what, ", ")).Retryable()
}
