package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// maxBatch and batchTime bound one batch, and so what a hold that comes in the middle
// of it can't save.
const (
	maxBatch  = 5000
	batchTime = time.Second
)

// Erasure is the receipt of a step that took rows, and the progress of one that is
// taking them. Its counts are the system's own tally where it keeps one, written in
// the transactions of the deletes themselves, and are exact then.
type Erasure struct {
	Changed  bool             `json:"changed"`
	Counts   map[string]int64 `json:"counts,omitempty"`   // rows or objects, by table or kind, over all rounds
	Detached map[string]int64 `json:"detached,omitempty"` // references of others' rows that became null, by "table.column"
	AtLeast  bool             `json:"atLeast,omitempty"`  // an attempt died and the system keeps no tally: more may have gone
	Rounds   int              `json:"rounds,omitempty"`   // how often it was begun again because rows had come late
	Earlier  map[string]int64 `json:"earlier,omitempty"`  // of Counts: what had gone when the last round began

	Seen   bool `json:"seen,omitempty"`   // an attempt at its removal saw it there
	Missed bool `json:"missed,omitempty"` // it wasn't listed, though nobody of ours had removed it, and a person let it pass

	MonthlyCost int64  `json:"monthlyCost,omitempty"` // of what was deleted, in minor units
	Currency    string `json:"currency,omitempty"`

	Parts map[string]*part `json:"parts,omitempty"` // of the round under way, by class; none in a receipt
}

// part is one class's erasure in one round.
type part struct {
	Cursor   string           `json:"cursor,omitempty"`
	Counts   map[string]int64 `json:"counts,omitempty"`
	Detached map[string]int64 `json:"detached,omitempty"`
	AtLeast  bool             `json:"atLeast,omitempty"`
	Begun    bool             `json:"begun,omitempty"`
	Held     []connector.Held `json:"held,omitempty"` // what stays for holds, once all the rest has gone
}

// erasureOf reads a receipt or a progress; blank text is none yet.
func erasureOf(text string) (*Erasure, error) {
	p := &Erasure{}
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "progress of an erasure: %w", err)
	}
	return p, nil
}

// ErasureOf reads what a step of an erasure has taken so far, from its receipt or,
// while it goes on, from its progress.
func ErasureOf(row store.StepRow) (*Erasure, error) {
	text := row.Receipt
	if row.Progress != "" {
		text = row.Progress
	}
	p, err := erasureOf(text)
	if err == nil {
		p.settle()
	}
	return p, err
}

func (p *Erasure) text() string {
	b, _ := json.Marshal(p) // maps of numbers and texts
	return string(b)
}

func (p *Erasure) part(class string) *part {
	if p.Parts == nil {
		p.Parts = make(map[string]*part)
	}
	if p.Parts[class] == nil {
		p.Parts[class] = &part{}
	}
	return p.Parts[class]
}

// settle adds the round under way to the totals.
func (p *Erasure) settle() {
	p.Seen = false // it was of use while it was at work
	for _, o := range p.Parts {
		p.Counts, p.Detached = plus(p.Counts, o.Counts), plus(p.Detached, o.Detached)
		p.AtLeast = p.AtLeast || o.AtLeast
	}
	p.Parts, p.Changed = nil, p.Changed || len(p.Counts) > 0
}

// begun says whether the round under way has taken something for certain.
func (p *Erasure) begun() bool {
	for _, o := range p.Parts {
		if len(o.Counts)+len(o.Detached) > 0 {
			return true
		}
	}
	return false
}

func plus(sum, more map[string]int64) map[string]int64 {
	for k, n := range more {
		if n == 0 {
			continue
		}
		if sum == nil {
			sum = make(map[string]int64)
		}
		sum[k] += n
	}
	return sum
}

// take adds a batch; the system's own tally, where it keeps one, is the truth.
// It says whether the batch got anywhere.
func (o *part) take(b connector.Erased) bool {
	moved := b.Done || b.Cursor != o.Cursor || len(plus(nil, b.Counts)) > 0
	o.Begun, o.Cursor, o.Held = true, b.Cursor, b.Held
	if b.Total == nil {
		o.Counts, o.Detached = plus(o.Counts, b.Counts), plus(o.Detached, b.Detached)
		return moved || len(plus(nil, b.Detached)) > 0
	}
	total, detached := plus(nil, b.Total), plus(nil, b.Detached)
	moved = moved || !maps.Equal(total, o.Counts) || !maps.Equal(detached, o.Detached)
	o.Counts, o.Detached, o.AtLeast = total, detached, false
	return moved
}

// run names one round of a class's erasure in the system's own tally.
func (t *Task) run(p *Erasure, class string) string {
	name := string(t.Operation.ID) + "/" + t.Step.Key
	if t.Step.Class == "" {
		name += "/" + class
	}
	if p.Rounds > 0 {
		name += "#" + strconv.Itoa(p.Rounds)
	}
	return name
}

// errYield says that a batched step must stop: a hold, a person's word, or the end
// of the engine.
var errYield = errors.New("stop between batches")

// batches takes a class out of a resource, batch by batch. Between batches the
// lease is renewed and holds and a person's word are looked for, in one transaction
// with the progress; if one stands, errYield.
func (e *Engine) batches(ctx context.Context, t *Task, sys *connector.System, pr *tenure.PlannedResource, p *Erasure, class string) error {
	o := p.part(class)
	o.AtLeast = o.AtLeast || t.died
	row, err := e.DB.Resource(ctx, pr.ID)
	if err != nil {
		return err
	}
	rows := e.BatchRows
	if rows <= 0 || rows > maxBatch {
		rows = maxBatch
	}
	var kept *parts
	var names func(key, value string, reversible bool) ([]byte, error)
	if d := t.disposition(); d == tenure.Pseudonymise && e.Pseudonyms != nil {
		names = e.Pseudonyms(ctx, t.Plan.Tenant)
	}
	for {
		if kept, err = t.parts(ctx, sys, pr, kept); err != nil {
			return err
		}
		batch, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.timeout())
		b, err := sys.Erase(batch, Ref(t.Plan.Tenant, pr), connector.Batch{Run: t.run(p, class), Class: class, Limit: rows, For: batchTime, Cursor: o.Cursor, Gone: row.State == tenure.ResourceGone, Disposition: t.disposition(), Name: names, Keep: kept.keep})
		cancel()
		if err != nil {
			// An answer that was lost may have been a batch that was done.
			o.AtLeast = o.AtLeast || tenure.CodeOf(err) == tenure.Unavailable
			return err
		}
		if !o.take(b) {
			return tenure.Errorf(tenure.Blocked, "a batch took nothing from %s %s, and rows of %s remain", pr.Type, pr.Name, class).
				WithHint("see what keeps them: a trigger, a rule, a policy")
		}
		if b.Done {
			return nil
		}
		if err := t.between(ctx, p.text()); err != nil {
			return err
		}
		t.leave(ctx, b.Pause)
		if err := t.vouched(ctx); err != nil {
			return err
		}
		if t.stop.Err() != nil || errors.Is(ctx.Err(), context.Canceled) {
			return errYield
		}
	}
}

// disposition is what a step makes of rows; "" is that they go.
func (t *Task) disposition() tenure.Disposition {
	switch t.Step.Action {
	case tenure.ActPseudonymise:
		return tenure.Pseudonymise
	case tenure.ActErase:
		return tenure.Disposition(t.Step.To)
	}
	return ""
}

// leave gives the system to others for a while, and less than would cost the lease. A
// person's word and the end of the engine end it.
func (t *Task) leave(ctx context.Context, d time.Duration) {
	if d = min(d, t.engine.lease()/3); d <= 0 {
		return
	}
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-t.stop.Done():
	case <-ctx.Done():
	}
}

// stopped is the result of batches that didn't reach the end.
func stopped(err error, p *Erasure) Result {
	if errors.Is(err, errYield) {
		return Result{yield: true, Progress: p.text()}
	}
	return Result{Err: err, Progress: p.text()}
}

// erase takes a data class out of a resource.
func erase(ctx context.Context, e *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	p, err := erasureOf(t.Row.Progress)
	if err != nil {
		return Result{Err: err}
	}
	if t.Row.Progress == "" || p.held() != nil {
		if err := t.unchanged(ctx, sys, pr); err != nil {
			return t.behind(ctx, sys, pr, Result{Err: err, Progress: t.Row.Progress})
		}
	}
	if err := e.batches(ctx, t, sys, pr, p, t.Step.Class); err != nil {
		return t.behind(ctx, sys, pr, stopped(err, p))
	}
	if held := p.held(); connector.Total(held) > 0 {
		return t.held(p, connector.HeldSays(held))
	}
	p.settle()
	p.Changed = true
	return Result{
		Verdict: tenure.Verified, Receipt: p, Facts: p.facts(),
		Resources: t.unlessGone(ctx, store.ResourceWrite{ID: pr.ID, State: tenure.ResourceErasing, Verdict: tenure.Verified}),
	}
}

// changes is what becomes of the classes of a resource at a step that is about one of
// them, or about all.
func (t *Task) changes(pr *tenure.PlannedResource) map[string]tenure.Disposition {
	out := map[string]tenure.Disposition{}
	for _, class := range pr.Classes {
		if d := t.Plan.Disposes(class, pr.Environment); d.Changes() && (t.Step.Class == "" || t.Step.Class == class) && t.Step.To != tenure.AtEnd && (d != tenure.Pseudonymise || t.Step.Action != tenure.ActErase) {
			out[class] = d
		}
	}
	return out
}

// unchanged looks at the store once more before the first batch of a class. What
// stands in the way by now came after the count that was confirmed.
func (t *Task) unchanged(ctx context.Context, sys *connector.System, pr *tenure.PlannedResource) error {
	if !sys.Can("map") {
		return nil
	}
	row, err := t.engine.DB.Resource(ctx, pr.ID)
	if err != nil {
		return err
	}
	class := t.Step.Class
	order, before, err := t.engine.order(ctx, t, pr, class)
	if err != nil {
		return err
	}
	at := []string{class}
	if t.disposition() == tenure.Pseudonymise {
		at = nil // its rows stay where they are
	}
	m, _, err := sys.DataMap(ctx, connector.Survey{
		Ref: Ref(t.Plan.Tenant, pr), Order: slices.Concat(order, at, before), Gone: row.State == tenure.ResourceGone, Beside: beside(t.Plan, pr), Changes: t.changes(pr),
	})
	if err != nil {
		return err
	}
	stand := Count{Places: m.Places}.Standing(class)
	if len(before) > 0 { // the count has let it go in another order
		stand = slices.DeleteFunc(stand, func(p connector.Place) bool { return p.Kind == connector.PlaceOrder })
	}
	if len(stand) == 0 {
		return nil
	}
	return standing(stand)
}

// unlessGone leaves out a write to a resource that is gone: what is gone stays gone.
func (t *Task) unlessGone(ctx context.Context, w store.ResourceWrite) []store.ResourceWrite {
	if r, err := t.engine.DB.Resource(ctx, w.ID); w.State != tenure.ResourceGone && err == nil && r.State == tenure.ResourceGone {
		return nil
	}
	return []store.ResourceWrite{w}
}

func (p *Erasure) facts() map[string]string {
	facts := countFacts(p.Counts)
	if p.AtLeast {
		if facts == nil {
			facts = make(map[string]string)
		}
		facts["at_least"] = "true"
	}
	return facts
}

// between is what a batched step does after each batch.
func (t *Task) between(ctx context.Context, progress string) error {
	stop := false
	err := t.engine.DB.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		stop = false
		holds, err := tx.ActiveHolds(t.Plan.Tenant)
		if err != nil {
			return err
		}
		op, err := tx.Operation(t.Operation.ID)
		if err != nil {
			return err
		}
		stop = op.Wanted != "" || len(t.Plan.Standing(holds, t.Step)) > 0
		if err := tx.Renew(t.Operation.ID, t.Row.Seq, t.Row.Token, t.engine.lease()); err != nil {
			return err
		}
		return tx.Progress(t.Operation.ID, t.Row.Seq, t.Row.Token, progress)
	})
	if err == nil && stop {
		err = errYield
	}
	return err
}

// vouched compares what the next batch goes by with the log, and looks for holds in the same
// snapshot: errYield if one stands against the step.
func (t *Task) vouched(ctx context.Context) error {
	return t.engine.DB.Vouched(ctx, t.Operation.ID, t.Plan.Tenant, func(db *store.DB) error {
		holds, err := db.Holds(ctx, t.Plan.Tenant, false)
		if err == nil && len(t.Plan.Standing(holds, t.Step)) > 0 {
			err = errYield
		}
		return err
	})
}

// drain counts what an attempt that died had taken, and takes nothing: a hold stands
// against the step and becomes effective once this is known.
func drain(ctx context.Context, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	p, err := erasureOf(t.Row.Progress)
	if err != nil {
		return Result{Err: err}
	}
	classes := []string{t.Step.Class}
	switch t.Step.Action {
	case tenure.ActErase, tenure.ActPseudonymise:
	case tenure.ActDelete:
		if classes = t.along(sys, pr); len(classes) == 0 {
			classes = slices.Sorted(maps.Keys(p.Parts))
		}
	default:
		return Result{yield: true, Progress: t.Row.Progress}
	}
	for _, class := range classes {
		o := p.part(class)
		if !sys.Can("tally") {
			o.AtLeast = true
			continue
		}
		b, err := sys.Tally(ctx, Ref(t.Plan.Tenant, pr), t.run(p, class))
		if err != nil {
			o.AtLeast = true
			continue
		}
		b.Cursor, b.Total = o.Cursor, plus(make(map[string]int64), b.Total)
		o.take(b)
	}
	return Result{yield: true, Progress: p.text()}
}

// along are the classes that the deletion of a resource erases first, in batches. A
// whole store takes its rows along by itself.
func (t *Task) along(sys *connector.System, pr *tenure.PlannedResource) []string {
	typ, _ := sys.Info.Type(pr.Type)
	if typ.Whole || typ.Holds != tenure.HoldsData || pr.Layer == tenure.LayerBackup || !sys.Can("erase") {
		return nil
	}
	return t.unerased(pr)
}

// unerased are the classes that no step of the plan erases from a resource; "" is
// whatever it holds.
func (t *Task) unerased(pr *tenure.PlannedResource) []string {
	if len(pr.Classes) == 0 {
		return []string{""}
	}
	var out []string
	for _, class := range pr.Classes {
		if !slices.ContainsFunc(t.Plan.Steps, func(s tenure.Step) bool {
			return s.Action == tenure.ActErase && s.Resource == pr.ID && s.Class == class
		}) {
			out = append(out, class)
		}
	}
	return out
}

// remove deletes the resource and reads its absence back.
func remove(ctx context.Context, e *Engine, t *Task, sys *connector.System, pr *tenure.PlannedResource) Result {
	p, err := erasureOf(t.Row.Progress)
	if err != nil {
		return Result{Err: err}
	}
	ref := Ref(t.Plan.Tenant, pr)
	seen, absent, err := sys.Observe(ctx, []connector.Ref{ref})
	there := err != nil || seen[0].Found
	p.Seen = p.Seen || err == nil && there
	if err == nil && there {
		if t.Row.Seq >= len(t.Plan.Steps) && neverOurs(seen[0], pr.ID) {
			return Result{Verdict: absent, Receipt: connector.Receipt{}, Resources: []store.ResourceWrite{{ID: pr.ID, State: tenure.ResourceGone, Verdict: absent}}}
		}
		p.MonthlyCost, p.Currency = sys.MonthlyCost(seen[0]), sys.Currency
	}
	if err := t.traceless(ctx, sys, pr); err != nil {
		return Result{Err: err}
	}
	for _, class := range t.along(sys, pr) {
		if err := e.batches(ctx, t, sys, pr, p, class); err != nil {
			return stopped(err, p)
		}
	}
	if held := p.held(); connector.Total(held) > 0 {
		return t.held(p, connector.HeldSays(held))
	}
	if back, err := t.keepsBack(ctx, sys, pr); err != nil {
		return stopped(err, p)
	} else if back != "" {
		return t.held(p, back)
	}
	if there {
		came, err := t.cameBack(ctx, sys, pr)
		if err != nil {
			return stopped(err, p)
		}
		if len(came) > 0 {
			return Result{Reopen: came, Progress: p.text()}
		}
	}
	take := sys.Delete
	if pr.Keep {
		take = sys.Leave
		if ref.Attributes, err = e.dated(ctx, t); err != nil {
			return stopped(err, p)
		}
	}
	rec, v, err := take(ctx, ref)
	if typ, _ := sys.Info.Type(pr.Type); typ.Whole && tenure.CodeOf(err) == tenure.Conflict && sys.Can("erase") {
		// It covers rows outside of itself, which go in batches, as nothing takes them along.
		for _, class := range t.unerased(pr) {
			if err := e.batches(ctx, t, sys, pr, p, class); err != nil {
				return stopped(err, p)
			}
		}
		if held := p.held(); connector.Total(held) > 0 {
			return t.held(p, connector.HeldSays(held))
		}
		rec, v, err = sys.Delete(ctx, ref)
	}
	if err == nil && !there && !rec.Changed && t.missed(ctx, sys, pr, p) {
		p.Missed = true
		return stopped(tenure.Errorf(tenure.Blocked, "%s %s isn't listed any more, and Tenure didn't remove it: it was deleted by others, or it is hidden", pr.Type, pr.Name).
			WithHint("see in %s whether it is gone; then: tenure operation retry %s", sys.Name, t.Operation.ID), p)
	}
	if err != nil {
		if late := t.late(ctx, sys, pr, err); len(late) > 0 {
			return Result{Reopen: late, Err: err, Progress: p.text()}
		}
		return stopped(err, p)
	}
	p.settle()
	p.Changed, p.Counts = p.Changed || rec.Changed, plus(p.Counts, rec.Counts)
	w := store.ResourceWrite{ID: pr.ID, State: tenure.ResourceGone, Verdict: v}
	if v != tenure.Verified {
		w.State = tenure.ResourceUnknown
	}
	return Result{
		Verdict: v, Resources: t.unlessGone(ctx, w), Facts: p.facts(), Receipt: p,
		Extra: func(tx *store.Tx) error { return tx.DropSecret(pr.ID) },
	}
}

// missed says whether a resource that Tenure has recorded as there, and that no attempt of this
// operation can have removed, isn't listed by a system of which lists are all that is known.
// A person sees to that once. What an attempt that was killed did isn't known.
func (t *Task) missed(ctx context.Context, sys *connector.System, pr *tenure.PlannedResource, p *Erasure) bool {
	if !sys.Info.Listed || p.Missed || p.Changed || p.Seen || t.Row.Attempt > 1 && t.Row.Progress == "" || t.Row.Seq >= len(t.Plan.Steps) {
		return false
	}
	r, err := t.engine.DB.Resource(ctx, pr.ID)
	return err == nil && (r.State == tenure.ResourcePresent || r.State == tenure.ResourceSuspended || r.State == tenure.ResourceRevoked)
}

// traceless is Blocked if a trigger of a row's table would leave a copy of it, or
// keep it from going. What an operation takes back of its own was never in use.
func (t *Task) traceless(ctx context.Context, sys *connector.System, pr *tenure.PlannedResource) error {
	if typ, _ := sys.Info.Type(pr.Type); !typ.Row || !sys.Can("map") || t.Row.Seq >= len(t.Plan.Steps) {
		return nil
	}
	m, _, err := sys.DataMap(ctx, connector.Survey{Ref: Ref(t.Plan.Tenant, pr), Beside: beside(t.Plan, pr)})
	if err != nil {
		return err
	}
	if stand := (Count{Places: m.Places}).Standing(""); len(stand) > 0 {
		return standing(stand)
	}
	return nil
}
