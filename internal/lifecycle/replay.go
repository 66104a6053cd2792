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

// fsck replays the log and compares what it says of things with the store's rows. It
// also gives what the log says of keys: see checkKeys.
func (s *Service) fsck(ctx context.Context, db *store.DB) (keys *keyLedger, problems []string, err error) {
	keys = newKeyLedger()
	tenants := make(map[string]string)
	ops := make(map[string]string)
	steps := make(map[string]string)
	resources := make(map[string]string)
	said := make(map[string]logged)
	for r, err := range db.Entries(ctx, 0) {
		if err != nil {
			return nil, nil, err
		}
		e, err := audit.Decode(r.Entry)
		if err != nil {
			continue // the log's own check names it
		}
		keys.take(r.Index, e)
		var f map[string]any
		_ = json.Unmarshal(e.Data, &f)
		str := func(k string) string { v, _ := f[k].(string); return v }
		switch e.Kind {
		case store.RowsEntry:
			rows, _ := f["rows"].(map[string]any)
			for name, digest := range rows {
				digest, _ := digest.(string)
				said[name] = logged{digest: digest, entry: r.Index}
			}
		case "tenant.move":
			from, to := str("from"), str("to")
			have := tenants[e.Subject]
			if have == "" {
				have = string(tenure.TenantRequested)
			}
			if have != from {
				problems = append(problems, fmt.Sprintf("entry %d: tenant %s leaves %s, and the log has it in %s", r.Index, e.Subject, from, have))
			}
			if !tenure.CanMove(tenure.TenantState(from), tenure.TenantState(to)) {
				problems = append(problems, fmt.Sprintf("entry %d: tenant %s goes from %s to %s, which is outside the table", r.Index, e.Subject, from, to))
			}
			tenants[e.Subject] = to
		case "operation.start":
			ops[e.Subject] = str("to")
			if str("kind") == string(tenure.Onboard) {
				tenants[string(e.Tenant)] = string(tenure.TenantRequested)
			}
		case "operation.state":
			ops[e.Subject] = str("to")
		case "step.result":
			steps[string(e.Operation)+"/"+str("seq")] = str("state") + " " + str("verdict")
			if state := str("resource"); state != "" {
				resources[e.Subject] = state
			}
		case "exception.attest":
			steps[string(e.Operation)+"/"+str("seq")] = "skipped"
		case "step.retry", "step.reopened":
			for seq := range strings.SplitSeq(str("seqs"), ",") {
				delete(steps, string(e.Operation)+"/"+seq)
			}
		}
	}
	err = db.States(ctx, func(kind, id, state string) error {
		want, known := map[string]map[string]string{"tenant": tenants, "operation": ops, "step": steps, "resource": resources}[kind][id]
		switch {
		case kind == "resource" && !known && state == string(tenure.ResourcePlanned):
		case kind == "step" && !known && (state == "pending " || state == "running "):
		case kind == "step" && known && (state == "pending " || state == "running "):
			// a gate that was opened again, or a step that is tried again
		case kind == "step" && want == "skipped" && strings.HasPrefix(state, "skipped"):
		case !known:
			problems = append(problems, fmt.Sprintf("%s %s is %q in the store, and the log doesn't know it", kind, id, state))
		case want != state:
			problems = append(problems, fmt.Sprintf("%s %s is %q in the store, and the log says %q", kind, id, state, want))
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	rows, err := unlike(ctx, db, said)
	return keys, append(problems, rows...), err
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
