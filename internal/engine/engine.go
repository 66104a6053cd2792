// Package engine runs plans durably. Advance is all of it: it reads an
// operation's rows, lets a pure function say which steps may run now, runs them
// through their connectors in parallel, and commits each result with its
// inventory change, audit entry and next wake-up. The truth is in the rows
// alone, so a driver that forgets everything loses nothing.
package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// Engine holds what Advance needs. Its fields are set before the first call and
// don't change after.
type Engine struct {
	DB     *store.DB
	Owner  string // names this process in leases
	Now    func() time.Time
	System func(name string) (*connector.System, error)

	// Credential gives the credential of a resource, making and keeping one first
	// if there is none. Fresh demands one that was made for this operation: a
	// repetition gives the same.
	Credential func(ctx context.Context, t *Task, resource tenure.ResourceID, fresh bool) (tenure.Secret, error)

	// Issued gives the credential that a system made for a resource; zero if it made none yet.
	Issued func(ctx context.Context, resource tenure.ResourceID) (tenure.Secret, error)

	// Replaced gives the credential that the operation has replaced; zero if the resource
	// had none before. One that wasn't replaced is Blocked.
	Replaced func(ctx context.Context, t *Task, resource tenure.ResourceID) (tenure.Secret, error)

	// Declared is the inventory of a system. With it a repair takes back, of what it
	// repairs, the rights that nothing declares; nil leaves them.
	Declared func(ctx context.Context, sys *connector.System) ([]connector.Declared, error)

	// Pseudonyms makes pseudonyms for a tenant under the keys that its plan names, as
	// connector.Batch.Name does.
	Pseudonyms func(ctx context.Context, tenant tenure.TenantID) func(key, value string, reversible bool) ([]byte, error)

	// Own runs the actions on Tenure's own things.
	Own map[tenure.Action]Runner

	// Extra says how many more persons than its plan says must approve an operation
	// at its gates, why, and until when if nobody decides otherwise; nil is none. It is
	// asked as an operation is read whose gates aren't all open. Whoever decides that
	// no more are needed pokes the operation (store.Tx.Poke).
	Extra func(ctx context.Context, op tenure.Operation) (n int, why string, until time.Time, err error)

	// ExportTo opens where a resource's export goes, and gives its place.
	ExportTo func(ctx context.Context, t *Task) (Sink, error)
	// Amend returns a plan with the attributes that its resources have by now, and the
	// same steps; nil leaves plans as they are.
	Amend func(context.Context, *tenure.Plan) (*tenure.Plan, error)

	// Observe is told of each step that is run: it gives the context to run it with,
	// and what to call with its result. Nil is nobody.
	Observe func(ctx context.Context, t *Task) (context.Context, func(Result))

	// Doubt says why the time that Now gives can't be relied on; "" or nil: it can. While
	// it says something, no gate opens that a date opens, and no destructive step starts.
	// Whoever ends it pokes all operations.
	Doubt func() string

	Lease       time.Duration // of a running step; 0 is 30 s
	StepTimeout time.Duration // cuts a hung step; 0 is 5 min
	Attempts    int           // before a retryable failure is final; 0 is 24: over an hour
	BatchRows   int           // rows of one erasure batch; 0 is 5,000, which is also the most
	Grace       time.Duration // after being told to stop, for the steps under way; 0 is 15 s

	plans  planCache
	active sync.Map // operation ids: one Advance an operation in this process
	stuck  stuckLooks
	runs   atomic.Bool // there is a driver: see outlasts

	answering sync.Map // *connector.System by name: those that have answered
}

// Sink takes an export: its bytes, and where they stay.
type Sink interface {
	Write(p []byte) (int, error)
	Close() (facts map[string]string, err error)
	Abort()
}

// Task is one claimed step as its runner sees it.
type Task struct {
	Operation tenure.Operation
	Plan      *tenure.Plan
	Step      *tenure.Step
	Row       store.StepRow // as claimed: its token is the fence
	Tenant    store.TenantRow
	Now       time.Time               // business time at the claim
	Trace     string                  // of the request that started the operation (W3C traceparent); blank: none
	on        *tenure.PlannedResource // what the step is about
	engine    *Engine
	stop      context.Context // ends when the engine is told to stop: a step then yields between batches
	died      bool            // the attempt before this one died with its process
	drains    bool            // a hold stands against the step: count what that attempt took, and take nothing
}

// Result is how a task ended. Err with Retry means another attempt later.
type Result struct {
	Verdict   tenure.Verdict
	Receipt   any // becomes JSON; no secrets
	Facts     map[string]string
	Resources []store.ResourceWrite
	Extra     func(*store.Tx) error // in the result's transaction
	Progress  string
	Err       error
	yield     bool      // stopped between batches; not a failure
	Again     time.Time // look again then; not a failure
	Note      string    // why it waits
	Stuck     bool      // with Again, of a certificate: somebody outside must do something, and then it goes on by itself
	Reopen    []Late    // what must be erased again before this step can end
}

// Late is rows that stand in a resource after their data class went from it. The
// class's erasure begins anew there, with fresh counts and confirmations.
type Late struct {
	Resource tenure.ResourceID
	Class    string
	Says     string // the table, and how many, for people
}

// Runner does one action.
type Runner func(ctx context.Context, t *Task) Result

// AnswerKind says who must call Advance again, and when.
type AnswerKind string

const (
	Done  AnswerKind = "done"  // it has ended
	Again AnswerKind = "again" // at once: its budget ran out
	At    AnswerKind = "at"    // at a time
	Event AnswerKind = "event" // when an event makes it due
)

// Answer is Advance's.
type Answer struct {
	Kind AnswerKind
	At   time.Time
}

func (e *Engine) lease() time.Duration {
	if e.Lease > 0 {
		return e.Lease
	}
	return 30 * time.Second
}

func (e *Engine) timeout() time.Duration {
	if e.StepTimeout > 0 {
		return e.StepTimeout
	}
	return 5 * time.Minute
}

func (e *Engine) grace() time.Duration {
	if e.Grace > 0 {
		return e.Grace
	}
	return 15 * time.Second
}

func (e *Engine) attempts() int {
	if e.Attempts > 0 {
		return e.Attempts
	}
	return 24
}

// backoff is how long to wait before another attempt: a second doubled for each
// attempt up to 15 minutes, with jitter down to half of it.
func backoff(attempt int) time.Duration {
	d := time.Second << min(attempt-1, 10)
	d = min(d, 15*time.Minute)
	return d/2 + time.Duration(rand.Int64N(int64(d/2)+1))
}

// planCache keeps the plans of operations under way: a plan never changes.
type planCache struct {
	mu sync.Mutex
	by map[string]*tenure.Plan
}

func (c *planCache) get(ctx context.Context, db *store.DB, digest string) (*tenure.Plan, error) {
	c.mu.Lock()
	p := c.by[digest]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := db.Plan(ctx, digest)
	if err != nil {
		return nil, err
	}
	p = p.Completed()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil || len(c.by) >= 256 {
		c.by = make(map[string]*tenure.Plan)
	}
	c.by[digest] = p
	return p, nil
}

// planOf reads an operation's plan, anew unless the operation is under way.
func (e *Engine) planOf(ctx context.Context, op store.OperationRow) (*tenure.Plan, error) {
	if op.State != tenure.OperationRunning && op.State != tenure.OperationCompensating {
		e.plans.drop(op.Plan)
	}
	p, err := e.plans.get(ctx, e.DB, op.Plan)
	if err != nil {
		return nil, missed(err, "plan %s", op.Plan)
	}
	return p, nil
}

// grounded sees that the rows of a plan and its blueprint revision are there, and says
// whether the operation's row is still as the snapshot has it.
func (e *Engine) grounded(ctx context.Context, s *snapshot) (fresh bool, err error) {
	b := s.plan.Blueprint
	g, err := e.DB.Ground(ctx, s.op.ID, s.op.Plan, b.Digest)
	switch {
	case err != nil:
		return false, err
	case !g.Plan:
		return false, missing("plan %s", s.op.Plan)
	case !g.Revision:
		return false, missing("revision %s of blueprint %s (%s)", b.Version, b.Name, b.Digest)
	}
	return g.Version == s.op.Version, nil
}

func (c *planCache) drop(digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, digest)
}

// load reads an operation's snapshot. Thorough looks at rows, too, that are otherwise
// seen to be missing as they are written, and always does at what can't go on.
func (e *Engine) load(ctx context.Context, id tenure.OperationID, thorough bool) (s *snapshot, err error) {
	// What moved on between two of its reads would only be refused as it is committed.
	for range 3 {
		if s, err = e.read(ctx, id, thorough); err != nil || s.op.State.Ended() {
			break
		}
		if fresh, err := e.grounded(ctx, s); err != nil || fresh {
			return s, err
		}
	}
	return s, err
}

func (e *Engine) read(ctx context.Context, id tenure.OperationID, thorough bool) (*snapshot, error) {
	s := &snapshot{}
	var err error
	// The operation first: its version is what the commit checks, so whatever
	// changes after this read makes the commit fail rather than go unseen.
	if s.op, err = e.DB.Operation(ctx, id); err != nil {
		return nil, err
	}
	if s.op.State.Ended() {
		s.plan = &tenure.Plan{}
		return s, nil
	}
	if s.plan, err = e.planOf(ctx, s.op); err != nil {
		return nil, err
	}
	if e.Amend != nil {
		if s.plan, err = e.Amend(ctx, s.plan); err != nil {
			return nil, err
		}
	}
	if s.plan.Destructive > 0 || slices.ContainsFunc(s.plan.Steps, func(st tenure.Step) bool { return st.Action.IsGate() }) {
		err = e.DB.Vouched(ctx, id, s.op.Tenant, func(db *store.DB) (err error) {
			if s.op, err = db.Operation(ctx, id); err != nil || s.op.State.Ended() {
				return err
			}
			return s.fill(ctx, db, thorough)
		})
		if s.op.State.Ended() { // meanwhile
			return &snapshot{op: s.op, plan: &tenure.Plan{}}, nil
		}
	} else {
		err = s.fill(ctx, e.DB, thorough)
	}
	if err == nil && e.Extra != nil && s.awaits(forSigners) {
		s.extra, s.extraWhy, s.extraEnds, err = e.Extra(ctx, s.op.Operation)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// fill reads the rows that decisions go by.
func (s *snapshot) fill(ctx context.Context, db *store.DB, thorough bool) (err error) {
	id := s.op.ID
	rows, err := db.Steps(ctx, id)
	if err != nil {
		return err
	}
	if err := Whole(s.plan, s.op.Operation, rows); err != nil {
		return err
	}
	s.link(rows)
	if thorough || s.op.State == tenure.OperationBlocked && strings.HasPrefix(s.op.Reason, Stuck) {
		if err := s.stands(ctx, db); err != nil {
			return err
		}
	}
	if s.approvals, err = db.Approvals(ctx, id); err != nil {
		return err
	}
	if slices.ContainsFunc(s.plan.Steps, func(st tenure.Step) bool { return isVendor(st.Action) }) {
		s.vendors = make(map[string]tenure.Vendor)
		list, err := db.Vendors(ctx, id)
		if err != nil {
			return err
		}
		for _, v := range list {
			s.vendors[v.Step] = v
		}
	}
	if s.awaits(forPersons) {
		waits, err := db.ApprovalWaits(ctx, id)
		if err != nil {
			return err
		}
		for _, w := range waits {
			if i, ok := s.byKey[w.Step]; ok {
				s.nodes[i].awaited = w.Since
			}
		}
	}
	if s.tenant, err = db.Tenant(ctx, string(s.op.Tenant)); err != nil {
		return missed(err, "the row of tenant %s", s.op.Tenant)
	}
	if s.plan.Destructive > 0 || len(rows) > len(s.plan.Steps) {
		s.holds, err = db.Holds(ctx, s.op.Tenant, false)
	}
	return err
}

func (s *snapshot) link(rows []store.StepRow) {
	s.nodes = make([]node, len(rows))
	s.waiting.begin(len(rows))
	resources := make(map[tenure.ResourceID]*tenure.PlannedResource, len(s.plan.Resources))
	for i := range s.plan.Resources {
		resources[s.plan.Resources[i].ID] = &s.plan.Resources[i]
	}
	s.byKey = make(map[string]int, len(rows))
	before := ""
	for i, row := range rows {
		step := (*tenure.Step)(nil)
		if i < len(s.plan.Steps) {
			step = &s.plan.Steps[i]
		} else {
			step = undoStep(s.plan, row, before)
			before = row.Key
		}
		s.nodes[i] = node{step: step, on: resources[step.Resource], row: row}
		s.byKey[step.Key] = i
	}
	for i := range s.nodes {
		n := &s.nodes[i]
		for _, key := range n.step.Needs {
			j, ok := s.byKey[key]
			if !ok {
				j = -1
			}
			n.needs = append(n.needs, j)
		}
	}
	for i := range s.nodes {
		s.reopened = s.reopened || s.nodes[i].ended() && !s.ready(i)
	}
}

// isStale says that a commit was refused since the rows have moved on.
func isStale(err error) bool {
	return tenure.CodeOf(err) == tenure.Conflict && tenure.CanRetry(err)
}
