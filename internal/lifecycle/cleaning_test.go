package lifecycle_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/sqlite"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// seen is a driver whose cleaning is kept up by an old transaction while old is set.
type seen struct {
	*sqlite.Driver
	old *atomic.Bool
}

func (d seen) Clean(ctx context.Context, refs []connector.Ref, kind tenure.RemnantKind) (connector.Receipt, error) {
	if d.old.Load() {
		return connector.Receipt{}, tenure.Errorf(tenure.Unavailable, "old versions of rows can still be seen by session 4711").Retryable()
	}
	return d.Driver.Clean(ctx, refs, kind)
}

// While nothing but an old transaction keeps a departure from its end, who asks is told
// so, though no resource is left that it could be told of; who leaves isn't told of sessions.
func TestExplainWhileRemnantsWait(t *testing.T) {
	t.Parallel()
	dir, file, db := platformFile(t)
	var old atomic.Bool
	old.Store(true)
	s := newSite(t, func(o *lifecycle.Options) {
		info := sqlite.Info()
		open := info.Open
		info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
			d, err := open(ctx, c)
			if err != nil {
				return nil, err
			}
			return seen{d.(*sqlite.Driver), &old}, nil
		}
		o.Catalog = append(o.Catalog, info)
		o.Settings["pool"] = lifecycle.SystemSettings{Connector: "sqlite", Options: map[string]string{"dir": filepath.Join(dir, "tenants"), "shared": file}}
	})
	s.sql(db, `create table a (id integer primary key, tenant text not null); create table b (id integer primary key, tenant text not null); create table c (id integer primary key, tenant text not null)`)
	_, err := s.AddSystem(t.Context(), "pool", false, "operator")
	s.must(err)
	s.publishText(remnantText)
	s.wantState(s.begin("acme", "pooled"), tenure.OperationSucceeded)
	s.sql(db, many+`insert into a (tenant) select 'acme' from n`, 20)
	op := s.leave("acme")
	for range 3 {
		s.pass(10 * day)
		s.finish(op)
	}
	const step = "remnants/pool/clean/free-space"
	if s.row(op, step).Error == "" {
		t.Fatalf("the step doesn't wait for the old transaction\n%s", s.show(op))
	}
	told := func(explain func(context.Context, string) ([]lifecycle.Reason, error)) (out string) {
		all, err := explain(t.Context(), "acme")
		s.must(err)
		for _, r := range all {
			if strings.Contains(r.Resource, "free space") {
				out += r.System + ": " + r.Reason
			}
		}
		return out
	}
	if says := told(s.Explain); !strings.Contains(says, "pool: "+step) || !strings.Contains(says, "session 4711") {
		t.Errorf("explain says of the remnants: %q", says)
	}
	if says := told(s.ExplainToCustomer); says != "pool: it goes in its turn" {
		t.Errorf("who leaves is told of the remnants: %q", says)
	}
	old.Store(false)
	_, err = s.Retry(t.Context(), op, "", "operator")
	s.must(err)
	s.finish(op)
	if says := told(s.Explain); says != "" {
		t.Errorf("explain still says of the remnants: %q", says)
	}
}
