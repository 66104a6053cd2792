package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/store"
)

// replay reads the log through and compares what it says of things with the store's
// rows. It also gives what the log says of keys: see checkKeys.
func (s *Service) replay(ctx context.Context, db *store.DB) (keys *keyLedger, problems []string, err error) {
	l := newReplayed()
	for r, err := range db.Entries(ctx, 0) {
		if err != nil {
			return nil, nil, err
		}
		if e, err := audit.Decode(r.Entry); err == nil { // the log's own check names one that isn't right
			l.take(r.Index, e)
		}
	}
	if err := db.States(ctx, func(kind, id, state string) error {
		l.compare(kind, id, state)
		return nil
	}); err != nil {
		return nil, nil, err
	}
	rows, err := unlike(ctx, db, l.rows)
	return l.keys, append(l.problems, rows...), err
}

// replayed is what the log has said so far, and what is wrong with it. States are by
// the names that DB.States gives.
type replayed struct {
	tenants, ops, steps, resources map[string]string

	keys     *keyLedger
	rows     map[string]logged
	problems []string
}

func newReplayed() *replayed {
	return &replayed{
		tenants: make(map[string]string), ops: make(map[string]string), steps: make(map[string]string), resources: make(map[string]string),
		keys: newKeyLedger(), rows: make(map[string]logged),
	}
}

func (l *replayed) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// take adds what an entry says.
func (l *replayed) take(index int64, e *audit.Entry) {
	l.keys.take(index, e)
	var f map[string]any
	_ = json.Unmarshal(e.Data, &f)
	str := func(k string) string { v, _ := f[k].(string); return v }
	switch e.Kind {
	case store.RowsEntry:
		rows, _ := f["rows"].(map[string]any)
		for name, digest := range rows {
			digest, _ := digest.(string)
			l.rows[name] = logged{digest: digest, entry: index}
		}
	case "tenant.move":
		l.move(index, e.Subject, str("from"), str("to"))
	case "operation.start":
		l.ops[e.Subject] = str("to")
		if str("kind") == string(tenure.Onboard) {
			l.tenants[string(e.Tenant)] = string(tenure.TenantRequested)
		}
	case "operation.state":
		l.ops[e.Subject] = str("to")
	case "step.result":
		l.steps[string(e.Operation)+"/"+str("seq")] = str("state") + " " + str("verdict")
		if state := str("resource"); state != "" {
			l.resources[e.Subject] = state
		}
	case "exception.attest":
		l.steps[string(e.Operation)+"/"+str("seq")] = "skipped"
	case "step.retry", "step.reopened":
		for seq := range strings.SplitSeq(str("seqs"), ",") {
			delete(l.steps, string(e.Operation)+"/"+seq)
		}
	}
}

// move takes a tenant from one state to another.
func (l *replayed) move(index int64, tenant, from, to string) {
	have := l.tenants[tenant]
	if have == "" {
		have = string(tenure.TenantRequested)
	}
	if have != from {
		l.problem("entry %d: tenant %s leaves %s, and the log has it in %s", index, tenant, from, have)
	}
	if !tenure.CanMove(tenure.TenantState(from), tenure.TenantState(to)) {
		l.problem("entry %d: tenant %s goes from %s to %s, which is outside the table", index, tenant, from, to)
	}
	l.tenants[tenant] = to
}

// compare holds a state of the store against what the log says of it.
func (l *replayed) compare(kind, id, state string) {
	want, known := map[string]map[string]string{"tenant": l.tenants, "operation": l.ops, "step": l.steps, "resource": l.resources}[kind][id]
	switch {
	case kind == "resource" && !known && state == string(tenure.ResourcePlanned):
	case kind == "step" && (state == "pending " || state == "running "):
		// not begun, or a gate that was opened again, or a step that is tried again
	case kind == "step" && want == "skipped" && strings.HasPrefix(state, "skipped"):
	case !known:
		l.problem("%s %s is %q in the store, and the log doesn't know it", kind, id, state)
	case want != state:
		l.problem("%s %s is %q in the store, and the log says %q", kind, id, state, want)
	}
}

// logged is what the log last said of a row.
type logged struct {
	digest string // blank: it is gone
	entry  int64
	seen   bool
}

// unlike compares the rows with what the log said of them last, both ways.
func unlike(ctx context.Context, db *store.DB, said map[string]logged) (problems []string, err error) {
	err = db.Proven(ctx, func(p store.Proven) error {
		was, known := said[p.Name]
		if was.seen {
			problems = append(problems, fmt.Sprintf("%s%s stands in the store twice", p.Says, partOf(p.Name)))
		}
		was.seen = true
		said[p.Name] = was
		part := partOf(p.Name)
		switch {
		case !known && p.Digest == "":
		case !known:
			problems = append(problems, fmt.Sprintf("%s%s stands in the store, and the log doesn't know it", p.Says, part))
		case was.digest == p.Digest:
		case p.Digest == "":
			problems = append(problems, fmt.Sprintf("%s%s was taken back in the store, and not in the log: see entry %d", p.Says, part, was.entry))
		case was.digest == "":
			problems = append(problems, fmt.Sprintf("%s%s stands in the store, and by entry %d it is gone", p.Says, part, was.entry))
		default:
			problems = append(problems, fmt.Sprintf("%s%s isn't as entry %d left it", p.Says, part, was.entry))
		}
		return nil
	})
	var missing []string
	for name, was := range said {
		if !was.seen && was.digest != "" {
			missing = append(missing, fmt.Sprintf("%s isn't in the store, and by entry %d it is there", strings.Replace(name, "/", " ", 1), was.entry))
		}
	}
	slices.Sort(missing)
	return append(problems, missing...), err
}

// partOf is the part that a name in the log is of, in brackets; blank for what a row
// is from its beginning.
func partOf(name string) string {
	group, _, _ := strings.Cut(name, "/")
	if _, part, ok := strings.Cut(group, "."); ok {
		return " (" + part + ")"
	}
	return ""
}
