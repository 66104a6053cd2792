package server

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

func auditRoutes(s *Server) {
	route(s, client.VerifyAudit, Access{tenure.AuditRead, Installation}, verifyAudit)
	route(s, client.ReadLog, Access{tenure.AuditRead, List}, readLog)
	route(s, client.ShowEntry, Access{tenure.AuditRead, List}, showEntry)
	route(s, client.MakeCheckpoint, Access{tenure.AuditExport, Installation}, makeCheckpoint)
	route(s, client.ExportLog, Access{Reach: Local}, exportLog)
}

func verifyAudit(ctx context.Context, c *Call, _ *client.None) (client.AuditReport, error) {
	rep, err := c.Service.VerifyAudit(ctx)
	if err != nil {
		return client.AuditReport{}, err
	}
	return client.AuditReport(*rep), nil
}

// maxScan bounds how many entries one page looks at; a page may be short of its
// limit and still have a next.
const maxScan = 20_000

// logPlace is where a page of the log ended, and whether the filter has met anything.
type logPlace struct {
	At  int64 `json:"a"`
	Met bool  `json:"m,omitempty"`
}

func readLog(ctx context.Context, c *Call, p *client.LogFilter) (client.Page[client.LogEntry], error) {
	out := client.Page[client.LogEntry]{Items: []client.LogEntry{}}
	place := logPlace{At: p.Index}
	if err := c.after(p.Cursor, &place); err != nil {
		return out, err
	}
	pick, err := c.picker(ctx, p)
	if err != nil {
		return out, err
	}
	n, scanned := limitOf(p.Paging), 0
	limit, end := n, place // a page has a next where one entry more is found
	for scanned < maxScan {
		lot, err := c.Service.Log(ctx, place.At, n, "")
		if err != nil {
			return out, err
		}
		for _, e := range lot {
			place.At = e.Index + 1
			ok, err := pick(e)
			if err != nil {
				return out, err
			}
			if !ok {
				continue
			}
			if len(out.Items) == limit {
				out.Next = c.cursor(end)
				return out, nil
			}
			place.Met = true
			out.Items, end = append(out.Items, client.LogEntry(e)), place
		}
		if scanned += len(lot); len(lot) < n {
			if !place.Met {
				err = cmp.Or(knownKind(p.Kind), c.knownOperation(ctx, p.Operation))
			}
			return out, err
		}
		n = max(n, maxPage)
	}
	if len(out.Items) < limit {
		end = place
	}
	out.Next = c.cursor(end)
	return out, nil
}

// picker says of an entry whether the filter wants it and the caller may see it.
func (c *Call) picker(ctx context.Context, p *client.LogFilter) (func(lifecycle.LogEntry) (bool, error), error) {
	tenant := ""
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.AuditRead, p.Tenant); err != nil {
			return nil, err
		}
		t, err := c.Service.Engine.DB.Tenant(ctx, p.Tenant)
		if err != nil {
			return nil, err
		}
		tenant = string(t.ID)
	}
	if _, err := tenure.ParseID[tenure.OperationID](p.Operation); p.Operation != "" && err != nil {
		return nil, err
	}
	var since, until time.Time
	for text, at := range map[string]*time.Time{p.From: &since, p.To: &until} {
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "%q is no moment", text).WithHint("write it like 2027-01-31T12:00:00Z")
		}
		*at = t
	}
	seen := c.seer(ctx)
	return func(e lifecycle.LogEntry) (bool, error) {
		at, err := time.Parse(time.RFC3339Nano, e.At)
		if err != nil {
			return false, err
		}
		want := (tenant == "" || e.Tenant == tenant) && (p.Operation == "" || e.Operation == p.Operation) && (p.Kind == "" && e.Kind != store.RowsEntry || e.Kind == p.Kind) &&
			(since.IsZero() || !at.Before(since)) && (until.IsZero() || at.Before(until))
		return want && seen(e.Tenant), nil
	}, nil
}

// seer says of tenants whether they are visible; what is no tenant's is for who
// sees everything.
func (c *Call) seer(ctx context.Context) func(tenant string) bool {
	v := c.Visible
	known := map[string]bool{"": v.Reach.All && v.Limit.All}
	if known[""] {
		return func(string) bool { return true }
	}
	return func(tenant string) bool {
		ok, asked := known[tenant]
		if !asked {
			t, err := c.server.target(ctx, tenant)
			ok = err == nil && v.Reach.Covers(t) && v.Limit.Covers(t)
			known[tenant] = ok
		}
		return ok
	}
}

func showEntry(ctx context.Context, c *Call, p *client.EntryParams) (client.ProvenEntry, error) {
	list, err := c.Service.Log(ctx, p.Index, 1, "")
	if err != nil {
		return client.ProvenEntry{}, err
	}
	if len(list) == 0 || list[0].Index != p.Index || !c.seer(ctx)(list[0].Tenant) {
		return client.ProvenEntry{}, tenure.Errorf(tenure.NotFound, "there is no entry %d", p.Index)
	}
	out := client.ProvenEntry{LogEntry: client.LogEntry(list[0])}
	for r, err := range c.Service.Engine.DB.Entries(ctx, p.Index) {
		if err != nil {
			return out, err
		}
		out.Leaf = r.Entry
		break
	}
	note, err := c.Service.Engine.DB.LastCheckpoint(ctx)
	if err != nil {
		return out, err
	}
	proof, err := audit.Prove(note, p.Index, c.Service.Engine.DB.HashReader(ctx))
	if note == nil || tenure.CodeOf(err) == tenure.NotFound { // no checkpoint has it yet: sign one
		if note, _, err = c.Service.Checkpoint(ctx); err == nil {
			proof, err = audit.Prove(note, p.Index, c.Service.Engine.DB.HashReader(ctx))
		}
	}
	if err != nil {
		return out, err
	}
	out.Proof = string(proof.Encode())
	return out, nil
}

func makeCheckpoint(ctx context.Context, c *Call, _ *client.None) (client.Checkpoint, error) {
	note, size, err := c.Service.Checkpoint(ctx)
	return client.Checkpoint{Size: size, Note: string(note)}, err
}

func exportLog(ctx context.Context, c *Call, p *client.FolderParams) (client.Exported, error) {
	if !filepath.IsAbs(p.Body.Dir) {
		return client.Exported{}, tenure.Errorf(tenure.Invalid, "the folder is named by its absolute path")
	}
	n, err := c.Service.ExportLog(ctx, p.Body.Dir)
	return client.Exported{Entries: n, Dir: p.Body.Dir}, err
}
