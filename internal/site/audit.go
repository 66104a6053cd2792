package site

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
	"golang.org/x/mod/sumdb/tlog"
)

func (s *Site) auditPages() {
	s.page("GET /audit", (*visit).audit)
	s.page("GET /audit/{index}", (*visit).entry)
	s.page("GET /audit/{index}/proof", (*visit).entryProof)
	s.page("GET /audit/checkpoint", (*visit).checkpointFile)
	s.page("POST /audit/checkpoint", (*visit).signCheckpoint)
	s.page("GET /audit/export", (*visit).exportEntries)
	s.page("GET /tenants/{tenant}/certificates/{certificate}/view", (*visit).certificate)
}

// logWindow is how many entries a page shows.
const logWindow = 50

// logFilter is the search that the address asks for; narrow says that there is one.
func (v *visit) logFilter() (p client.LogFilter, narrow bool) {
	q := v.URL.Query()
	p = client.LogFilter{Tenant: strings.TrimSpace(q.Get("tenant")), Operation: strings.TrimSpace(q.Get("operation")), Kind: strings.TrimSpace(q.Get("kind"))}
	for name, to := range map[string]*string{"since": &p.From, "until": &p.To} {
		if t := day(q.Get(name)); !t.IsZero() {
			*to = t.Format(time.RFC3339)
		}
	}
	narrow = p.Tenant+p.Operation+p.Kind+p.From+p.To != ""
	p.Cursor = q.Get("cursor")
	return p, narrow || p.Cursor != ""
}

func (v *visit) audit() error {
	q := v.URL.Query()
	if i := strings.TrimSpace(q.Get("entry")); i != "" {
		if n, err := strconv.ParseInt(i, 10, 64); err == nil && n >= 0 {
			http.Redirect(v.w, v.Request, entryPath(n), http.StatusSeeOther)
			return nil
		}
	}
	head, err := ask(v, client.ShowCheckpoint, client.None{})
	if err != nil {
		return err
	}
	view := dashboard.AuditView{Checkpoint: checkpointView([]byte(head.Note)), Actions: v.auditActions(), Filters: filters("/audit", q,
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "kind", Label: "What", Value: q.Get("kind"), Hint: "such as tenant.move"},
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "tenant", Label: "Tenant", Value: q.Get("tenant"), Hint: "name or id"},
		dashboard.Field{Name: "operation", Label: "Operation", Value: q.Get("operation"), Hint: "its id"},
		dashboard.Field{Kind: dashboard.FieldDate, Name: "since", Label: "Since", Value: q.Get("since")},
		dashboard.Field{Kind: dashboard.FieldDate, Name: "until", Label: "Before", Value: q.Get("until")},
		dashboard.Field{Kind: dashboard.FieldNumber, Name: "entry", Label: "Entry", Hint: "goes to it"},
	)}
	p, narrow := v.logFilter()
	list := client.Page[client.LogEntry]{}
	if narrow {
		p.Limit = logWindow
		list, err = ask(v, client.ReadLog, p)
		view.Pager = v.pager(list.Next, len(list.Items))
	} else {
		list, view.Pager, err = v.latest(head.Entries)
	}
	if err != nil {
		return err
	}
	names := v.names()
	for _, e := range list.Items {
		view.Rows = append(view.Rows, auditRow(e, names))
	}
	return v.show(dashboard.AreaAudit, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Audit(w, f, view) })
}

// latest is a window over the end of the log, or over what comes before an entry,
// the newest first.
func (v *visit) latest(size int64) (list client.Page[client.LogEntry], pager dashboard.Pager, err error) {
	end := size
	if n, err := strconv.ParseInt(v.URL.Query().Get("before"), 10, 64); err == nil && n > 0 && n < size {
		end = n
		pager.First = "/audit"
	}
	from := max(0, end-logWindow)
	p := client.LogFilter{Index: from}
	p.Limit = max(1, int(end-from))
	list, err = ask(v, client.ReadLog, p)
	list.Items = slices.DeleteFunc(list.Items, func(e client.LogEntry) bool { return e.Index >= end })
	slices.Reverse(list.Items)
	if from > 0 {
		pager.Next = "/audit?before=" + strconv.FormatInt(from, 10)
	}
	pager.Shown = len(list.Items)
	return list, pager, err
}

func entryPath(i int64) string { return "/audit/" + strconv.FormatInt(i, 10) }

func auditRow(e client.LogEntry, names *nameTable) dashboard.AuditRow {
	at, _ := time.Parse(time.RFC3339Nano, e.At)
	row := dashboard.AuditRow{Index: e.Index, At: at, Kind: e.Kind, Subject: e.Subject, By: e.By, Facts: factsLine(e.Data)}
	if e.Tenant != "" {
		id := tenure.TenantID(e.Tenant)
		row.Tenant = tenantRef(id, names.of(id))
	}
	row.Operation = operationRef(tenure.OperationID(e.Operation), "")
	return row
}

// factsLine is an entry's public facts in a line.
func factsLine(raw json.RawMessage) string {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return ""
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+": "+valueText(m[k]))
	}
	return strings.Join(parts, ", ")
}

func checkpointView(note []byte) dashboard.CheckpointView {
	c, err := audit.ParseCheckpoint(note)
	if err != nil {
		return dashboard.CheckpointView{}
	}
	return dashboard.CheckpointView{Origin: c.Origin, Size: c.Size, Root: c.Root[:], Note: string(note), Href: "/audit/checkpoint"}
}

func (v *visit) auditActions() []dashboard.Action {
	q := v.URL.Query()
	q.Del("cursor")
	q.Del("before")
	out := []dashboard.Action{{Label: "Export", Href: pathWith("/audit/export", q)}}
	if v.may(tenure.AuditExport, tenure.Target{}) {
		out = append(out, dashboard.Action{Label: "Sign a checkpoint", Post: "/audit/checkpoint", Says: "The log's head is signed, kept, and handed to the witness outside, so that nobody can rewrite what came before it."})
	}
	return out
}

func (v *visit) index() (int64, error) {
	n, err := strconv.ParseInt(v.PathValue("index"), 10, 64)
	if err != nil || n < 0 {
		return 0, tenure.Errorf(tenure.NotFound, "there is no such entry")
	}
	return n, nil
}

func (v *visit) entry() error {
	n, err := v.index()
	if err != nil {
		return err
	}
	e, err := ask(v, client.ShowEntry, client.EntryParams{Index: n})
	if err != nil {
		return err
	}
	view := dashboard.EntryView{AuditRow: auditRow(e.LogEntry, v.names()), Leaf: e.Leaf, Pretty: pretty(e.Leaf), ProofHref: entryPath(n) + "/proof"}
	leaf := tlog.RecordHash(e.Leaf)
	view.LeafHash = leaf[:]
	proof, err := audit.ParseProof([]byte(e.Proof))
	if err != nil {
		return err
	}
	for _, h := range proof.Path {
		view.Path = append(view.Path, h[:])
	}
	view.Checkpoint = checkpointView(proof.Checkpoint)
	view.Checked, view.CheckSays = v.checkProof(e, proof)
	if e.By != "" {
		view.Sealed = append(view.Sealed, dashboard.Pair{Name: "by", Value: e.By})
	}
	if view.Older, view.Newer, err = v.around(n); err != nil {
		return err
	}
	return v.show(dashboard.AreaAudit, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Entry(w, f, view) })
}

// around are the pages of the entries before and after one, of those that are listed to whoever looks.
func (v *visit) around(n int64) (older, newer string, err error) {
	p := client.LogFilter{Index: n + 1}
	p.Limit = 1
	after, err := ask(v, client.ReadLog, p)
	if err == nil && len(after.Items) > 0 {
		newer = entryPath(after.Items[0].Index)
	}
	const windows = 20 // who sees few of them looks in the list
	for end, i := n, 0; err == nil && end > 0 && older == "" && i < windows; end, i = p.Index, i+1 {
		p.Index = max(0, end-logWindow)
		p.Limit = int(end - p.Index)
		var before client.Page[client.LogEntry]
		before, err = ask(v, client.ReadLog, p)
		for _, e := range before.Items {
			if e.Index < end {
				older = entryPath(e.Index)
			}
		}
	}
	return older, newer, err
}

// checkProof is this server's own check of what it shows.
func (v *visit) checkProof(e client.ProvenEntry, p *audit.Proof) (ok bool, says string) {
	key, err := ask(v, client.VerifierKey, client.None{})
	if err != nil {
		return false, err.Error()
	}
	verifier, err := audit.ParseVerifier(key.Key)
	if err != nil {
		return false, err.Error()
	}
	c, err := p.Verify(e.Leaf, verifier.Name(), verifier)
	if err != nil {
		return false, err.Error()
	}
	return true, "Signed by " + verifier.ID() + ", as entry " + strconv.FormatInt(p.Index, 10) + " of " + strconv.FormatInt(c.Size, 10) + "."
}

func (v *visit) entryProof() error {
	n, err := v.index()
	if err != nil {
		return err
	}
	e, err := ask(v, client.ShowEntry, client.EntryParams{Index: n})
	if err != nil {
		return err
	}
	return sendFile(v.w, "entry-"+strconv.FormatInt(n, 10)+".tlog-proof", []byte(e.Proof))
}

func (v *visit) checkpointFile() error {
	head, err := ask(v, client.ShowCheckpoint, client.None{})
	if err != nil {
		return err
	}
	if head.Note == "" {
		return tenure.Errorf(tenure.NotFound, "no checkpoint has been signed yet")
	}
	return sendFile(v.w, "checkpoint", []byte(head.Note))
}

func (v *visit) signCheckpoint() error {
	c, err := ask(v, client.MakeCheckpoint, client.None{})
	return v.tried("/audit", "The log's head is signed, with "+plural(int(c.Size), "entry", "entries")+" under it.", err)
}

// exportEntries streams what the search finds, an entry a line (JSON Lines), as
// far as the caller may see it.
func (v *visit) exportEntries() error {
	p, _ := v.logFilter()
	p.Cursor, p.Limit = "", 500
	began := false
	lines := json.NewEncoder(v.w)
	for e, err := range client.All(v.ctx, v.s.api, client.ReadLog, p) {
		if err != nil && began { // half a file must not look like a whole one
			v.s.o.Log.Error("audit export", "error", err)
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			return err
		}
		if !began {
			exportHeader(v.w)
			began = true
		}
		if err := lines.Encode(e); err != nil {
			return nil // the reader went away
		}
	}
	if !began {
		exportHeader(v.w)
	}
	return nil
}

func exportHeader(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="audit.jsonl"`)
}
