package statement

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

// ledger is what the log and an operation's receipts say of what a certificate
// is about.
type ledger struct {
	plan      *tenure.Plan
	rows      []store.StepRow
	moves     []logged                     // of the tenant
	ended     map[string]logged            // the last result of each step of the operation
	gone      map[tenure.ResourceID]logged // the last entry that says of a resource that it is gone, of any operation
	attested  map[string]logged            // by step: the attestation of its exception
	excused   map[string]store.Exception   // by step: those that a second person attested
	tasks     map[string]logged            // by step: a person's word that it is done
	vendors   map[string]logged            // by step: a company's last answer
	artifacts map[string]logged            // by item of the checklist: what became of an artifact
	covered   map[string]logged            // by digest: the review of an addition
}

// logged is an entry of the log.
type logged struct {
	digest string
	at     time.Time
	step   string
	to     string // the state, of a tenant's move
	said   string // digest of what a company said
	became string // what became of an artifact
	proven bool   // it ended, and was read back
}

func (s Source) ledger(ctx context.Context, t *engine.Task) (*ledger, error) {
	l := &ledger{plan: t.Plan, ended: make(map[string]logged), gone: make(map[tenure.ResourceID]logged), attested: make(map[string]logged), excused: make(map[string]store.Exception), tasks: make(map[string]logged), vendors: make(map[string]logged), artifacts: make(map[string]logged), covered: make(map[string]logged)}
	var err error
	if l.rows, err = s.DB.Steps(ctx, t.Operation.ID); err != nil {
		return nil, err
	}
	exceptions, err := s.DB.Exceptions(ctx, t.Operation.ID)
	if err != nil {
		return nil, err
	}
	for _, e := range exceptions {
		if e.AttestedBy != "" {
			l.excused[e.Step] = e
		}
	}
	for r, err := range s.DB.Entries(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(r.Entry), string(t.Plan.Tenant)) {
			continue
		}
		e, err := audit.Decode(r.Entry)
		if err != nil {
			return nil, err
		}
		if e.Tenant == t.Plan.Tenant {
			l.note(t.Operation.ID, e, tenure.Digest(r.Entry))
		}
	}
	return l, nil
}

func (l *ledger) note(op tenure.OperationID, e *audit.Entry, digest string) {
	var f map[string]any
	_ = json.Unmarshal(e.Data, &f)
	str := func(k string) string { v, _ := f[k].(string); return v }
	n := logged{digest: digest, at: e.At, step: str("step"), to: str("to")}
	n.proven = str("state") == string(tenure.StepDone) && str("verdict") == string(tenure.Verified)
	switch {
	case e.Kind == "tenant.move":
		l.moves = append(l.moves, n)
	case e.Kind == "exception.attest" && e.Operation == op:
		l.attested[n.step] = n
	case e.Kind == "task.done" && e.Operation == op:
		n.step, n.became = str("gate"), str("artifact")
		l.tasks[n.step] = n
		l.artifacts[n.step] = n
	case (e.Kind == evidence.ArtifactEnded || e.Kind == evidence.ArtifactDrop) && e.Operation == op:
		n.step, n.became = str("task"), str("artifact")
		l.artifacts[n.step] = n
	case (e.Kind == evidence.VendorAnswered || e.Kind == evidence.VendorRecorded) && e.Operation == op:
		n.step, n.said = str("gate"), str("said")
		l.vendors[n.step] = n
	case e.Kind == "coverage.review":
		l.covered[str("coverage")] = n
	case e.Kind == "step.result":
		if e.Operation == op {
			l.ended[n.step] = n
		}
		if n.proven && str("resource") == string(tenure.ResourceGone) {
			l.gone[tenure.ResourceID(e.Subject)] = n
		}
	}
}

// step finds the plan's step of an action on a resource; of a class if it is given.
func (l *ledger) step(a tenure.Action, id tenure.ResourceID, class string) (st *tenure.Step, row *store.StepRow) {
	i := slices.IndexFunc(l.plan.Steps, func(st tenure.Step) bool {
		return st.Action == a && st.Resource == id && (class == "" || st.Class == class)
	})
	if i < 0 {
		return nil, nil
	}
	return &l.plan.Steps[i], &l.rows[i]
}

// receipt is what certificates read of a step's receipt.
type receipt struct {
	Changed  bool              `json:"changed"`
	Counts   map[string]int64  `json:"counts"`
	Detached map[string]int64  `json:"detached"`
	AtLeast  bool              `json:"atLeast"`
	Rounds   int               `json:"rounds"`
	Earlier  map[string]int64  `json:"earlier"`
	Metrics  map[string]int64  `json:"metrics"`
	Places   []connector.Place `json:"places"`
}

func receiptOf(row *store.StepRow) (r receipt) {
	if row != nil && row.Receipt != "" {
		_ = json.Unmarshal([]byte(row.Receipt), &r)
	}
	return r
}

// amount sums what was counted by table or kind. Large objects are tallied by the
// column that names them.
func amount(counts map[string]int64) (a evidence.Amount) {
	for k, n := range counts {
		switch {
		case k == "bytes":
			a.Bytes += n
		case k == "objects" || k == "files" || strings.HasPrefix(k, "objects ("):
			a.Objects += n
		case strings.HasPrefix(k, "large objects"):
			a.LargeObjects += n
		default:
			a.Rows += n
		}
	}
	return a
}

func total(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// before is what the last count before the point of no return of a class saw of it
// in a resource. Sole says that the resource holds no other class.
func (l *ledger) before(id tenure.ResourceID, class string, sole bool) (a evidence.Amount, at time.Time) {
	own := false
	for i := range l.plan.Steps {
		st := &l.plan.Steps[i]
		if st.Resource != id || !st.Action.IsCount() || l.rows[i].Receipt == "" || l.rows[i].EndedAt.IsZero() {
			continue
		}
		mine := l.plan.ClassOf(st) == class
		if own && !mine || !mine && !l.rows[i].EndedAt.After(at) {
			continue
		}
		r := receiptOf(&l.rows[i])
		switch {
		case len(r.Places) > 0:
			a, at = held(r, class), l.rows[i].EndedAt
		case sole && len(r.Metrics) > 0:
			a, at = evidence.Amount{Rows: r.Metrics["rows"], Objects: r.Metrics["objects"], Bytes: r.Metrics["bytes"]}, l.rows[i].EndedAt
		default:
			continue
		}
		own = mine
	}
	return a, at
}

// held adds up the places of a class. What is made from tables is no data of its own.
func held(r receipt, class string) (a evidence.Amount) {
	_, rows := r.Metrics["rows"]
	_, objects := r.Metrics["objects"]
	_, files := r.Metrics["files"]
	for _, p := range r.Places {
		if p.Class != class || !p.IsData() {
			continue
		}
		a.Bytes += p.Bytes
		switch {
		case p.Kind == connector.PlaceDerived:
			a.Bytes -= p.Bytes
		case p.Kind == connector.PlaceObjects:
			a.LargeObjects += p.Rows
		case p.Kind == connector.PlaceFiles || !rows && (objects || files):
			a.Objects += p.Rows
		default:
			a.Rows += p.Rows
		}
	}
	return a
}

// portion is what became of a class in a resource: by a step of its own, or with
// the resource.
func (l *ledger) portion(r store.ResourceRow, class string) evidence.Portion {
	p := evidence.Portion{Resource: r.ID, Method: evidence.LogicallyDeleted, Verdict: tenure.Unknown}
	p.Before, p.Counted = l.before(r.ID, class, len(r.Classes) == 1)
	if kept, is := l.kept(r, class); is {
		kept.Before, kept.Counted = p.Before, p.Counted
		return kept
	}
	st, row := l.step(tenure.ActErase, r.ID, class)
	if st != nil {
		p.Step, p.Method = st.Key, methodOf(tenure.Disposition(st.To))
		rec := receiptOf(row)
		p.Gone, p.Detached, p.AtLeast, p.Rounds = amount(rec.Counts), total(rec.Detached), rec.AtLeast, rec.Rounds
		earlier := amount(rec.Earlier)
		if row.EndedAt.Before(p.Counted) {
			earlier = p.Gone // a confirmation had lapsed, and what was left was counted once more
		}
		if earlier != (evidence.Amount{}) && !p.Counted.IsZero() {
			p.Before = p.Before.Plus(earlier)
			p.Before.Bytes = 0 // what went before the last count has none in a tally
		}
		if p.Gone.Bytes == 0 && p.Gone.Rows == p.Before.Rows && p.Gone.Objects == p.Before.Objects {
			p.Gone.Bytes = p.Before.Bytes // a tally counts rows, and these are all that were there
		}
		if e := l.ended[st.Key]; e.proven {
			p.Verdict, p.At, p.Entry = tenure.Verified, e.at, e.digest
		}
		return p
	}
	e, proven := l.gone[r.ID]
	p.Step = e.step
	if st, row = l.step(tenure.ActDelete, r.ID, ""); st != nil {
		p.Step = st.Key
	}
	if proven && r.State == tenure.ResourceGone {
		p.Verdict, p.At, p.Entry = tenure.Verified, e.at, e.digest
		p.Gone = p.Before
	}
	rec := receiptOf(row)
	p.Detached, p.AtLeast, p.Rounds = total(rec.Detached), rec.AtLeast, rec.Rounds
	if a := amount(rec.Counts); a != (evidence.Amount{}) && l.lastOf(r) {
		if a == (evidence.Amount{Bytes: a.Bytes}) { // a drop counts no rows: what was counted before went with it
			a.Rows, a.Objects, a.LargeObjects = p.Before.Rows, p.Before.Objects, p.Before.LargeObjects
		}
		p.Gone = a
	}
	return p
}

// methodOf is the word for what an erasure has done by a disposition.
func methodOf(d tenure.Disposition) evidence.Method {
	switch d {
	case tenure.Anonymise:
		return evidence.Anonymised
	case tenure.Aggregate:
		return evidence.Aggregated
	}
	return evidence.LogicallyDeleted
}

// kept is a class's data in a resource that stays until the class's end, while it does.
func (l *ledger) kept(r store.ResourceRow, class string) (p evidence.Portion, is bool) {
	pr := tenure.PlannedResource{Environment: r.Environment, Layer: r.Layer}
	if r.State == tenure.ResourceGone || !l.plan.Stays(&pr, class) {
		return p, false
	}
	p = evidence.Portion{Resource: r.ID, Method: evidence.Kept, Verdict: tenure.Unknown}
	st, _ := l.step(tenure.ActErase, r.ID, class)
	if st == nil {
		st, _ = l.step(tenure.ActDelete, r.ID, "")
	}
	if st == nil || l.ended[st.Key].proven {
		return p, false
	}
	p.Step = st.Key
	if named, row := l.step(tenure.ActPseudonymise, r.ID, class); named != nil {
		p.Method, p.Step = evidence.Pseudonymised, named.Key
		rec := receiptOf(row)
		p.Gone, p.AtLeast = amount(rec.Counts), rec.AtLeast
		if e := l.ended[named.Key]; e.proven {
			p.Verdict, p.At, p.Entry = tenure.Verified, e.at, e.digest
		}
	}
	return p, true
}

// stays says whether a resource is there for data that stays until its class's end, or
// what such data stands on.
func (l *ledger) stays(r store.ResourceRow) bool {
	for i := range l.plan.Steps {
		if st := &l.plan.Steps[i]; st.Action == tenure.ActDelete && st.Resource == r.ID {
			return l.plan.AfterInterim(st)
		}
	}
	return false
}

// lastOf says whether just one class of a resource goes with the resource itself,
// so that what its deletion counted is that class's.
func (l *ledger) lastOf(r store.ResourceRow) bool {
	n := 0
	for _, class := range r.Classes {
		if st, _ := l.step(tenure.ActErase, r.ID, class); st == nil {
			n++
		}
	}
	return n == 1
}

// Places are the places that an operation's counts have named, by resource.
func Places(p *tenure.Plan, steps []store.StepRow) map[tenure.ResourceID][]string {
	out := make(map[tenure.ResourceID][]string)
	for i := range p.Steps {
		if id := p.Steps[i].Resource; p.Steps[i].Action == tenure.ActCount {
			for _, place := range receiptOf(&steps[i]).Places {
				if place.IsData() && !slices.Contains(out[id], place.Name) {
					out[id] = append(out[id], place.Name)
				}
			}
		}
	}
	return out
}
