package hygiene_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// look is a store, a system in memory and one who compares them.
type look struct {
	hygiene.Looker
	t      *testing.T
	world  *memory.World
	sys    *connector.System
	marker connector.Marker
	tenant tenure.TenantID
}

func newLook(t *testing.T, dsn string) *look {
	t.Helper()
	ctx := context.Background()
	l := &look{t: t, world: memory.NewWorld("main"), tenant: tenure.NewID[tenure.TenantID](start)}
	l.marker = connector.Marker{Installation: tenure.NewID[tenure.InstallationID](start), System: "main", Key: []byte("a key of the test's own, 32 bytes")}
	db, err := store.Open(ctx, store.Options{DSN: dsn})
	l.must(err)
	t.Cleanup(func() { _ = db.Close() })
	l.Looker = hygiene.Looker{DB: db, Now: func() time.Time { return start }}
	info := memory.InfoOf(l.world)
	d, err := info.Open(ctx, connector.Config{System: "main", Marker: l.marker, Now: l.Now})
	l.must(err)
	fingerprint, err := d.Plant(ctx)
	l.must(err)
	l.sys = connector.NewSystem("main", info, d, fingerprint, 0)
	return l
}

func small(t *testing.T) *look {
	t.Helper()
	t.Parallel()
	return newLook(t, filepath.Join(t.TempDir(), "tenure.db"))
}

func (l *look) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// make puts things into the system and the inventory, as an onboarding does.
func (l *look) make(typ string, attributes map[string]any, names ...string) []tenure.ResourceID {
	l.t.Helper()
	ctx := context.Background()
	var ids []tenure.ResourceID
	var rows []tenure.Resource
	commit := &store.StepCommit{Operation: tenure.NewID[tenure.OperationID](start), Version: 1, State: tenure.OperationRunning, Now: start}
	for _, name := range names {
		id := tenure.NewID[tenure.ResourceID](start)
		ids = append(ids, id)
		o, _, v, err := l.sys.Ensure(ctx, connector.Desired{Ref: connector.Ref{Resource: id, Tenant: l.tenant, Environment: "prod", Type: typ, Name: name, Attributes: attributes}, Credential: tenure.NewSecret("s " + name)})
		l.must(err)
		if v != tenure.Verified {
			l.t.Fatalf("%s %s is %s", typ, name, v)
		}
		rows = append(rows, tenure.Resource{ID: id, Tenant: l.tenant, Environment: "prod", Key: name, System: "main", Type: typ, Name: name, UpdatedAt: start})
		commit.Resources = append(commit.Resources, store.ResourceWrite{ID: id, State: tenure.ResourcePresent, Verdict: tenure.Verified, Normal: o.Attributes, Observed: o.Attributes})
	}
	l.must(l.DB.Write(ctx, func(tx *store.Tx) error {
		plan := &tenure.Plan{Format: tenure.PlanFormat, Kind: tenure.Onboard, Tenant: l.tenant, At: start, Reason: string(commit.Operation)}
		body, digest, err := plan.Encode()
		if err != nil {
			return err
		}
		if err := tx.SavePlan(digest, body, plan, "ada"); err != nil {
			return err
		}
		for _, r := range rows {
			if err := tx.SaveResource(r); err != nil {
				return err
			}
		}
		_, _, err = tx.CreateOperation(store.NewOperation{Operation: tenure.Operation{ID: commit.Operation, Kind: tenure.Onboard, Tenant: l.tenant, Plan: digest, State: tenure.OperationRunning, CreatedAt: start}})
		return err
	}))
	l.must(l.DB.CommitSteps(ctx, commit))
	return ids
}

// stands records where a resource stands.
func (l *look) stands(id tenure.ResourceID, state tenure.ResourceState) {
	l.t.Helper()
	ctx := context.Background()
	r, err := l.DB.Resource(ctx, id)
	l.must(err)
	op, err := l.DB.Operation(ctx, r.Operation)
	l.must(err)
	l.must(l.DB.CommitSteps(ctx, &store.StepCommit{Operation: op.ID, Version: op.Version, State: op.State, Now: start, Resources: []store.ResourceWrite{{ID: id, State: state, Verdict: tenure.Verified}}}))
}

// said is what a finding says, in one line that a test can compare.
func said(f tenure.Finding) string {
	return fmt.Sprintf("%s %s %s %s %s", f.Kind, f.Severity, f.Type, f.Name, f.Field)
}

func (l *look) drift(want ...string) hygiene.Summary {
	l.t.Helper()
	return l.look(l.Drift, "", want)
}

func (l *look) sweep(want ...string) hygiene.Summary {
	l.t.Helper()
	return l.look(l.Sweep, "", want)
}

func (l *look) look(run func(context.Context, *connector.System, tenure.TenantID, func(tenure.Finding) error) (hygiene.Summary, error), tenant tenure.TenantID, want []string) hygiene.Summary {
	l.t.Helper()
	var got []string
	sum, err := run(context.Background(), l.sys, tenant, func(f tenure.Finding) error {
		if f.System != "main" || !f.SeenAt.Equal(start) || f.Detail == "" || f.ID == "" {
			l.t.Errorf("a finding that isn't whole: %+v", f)
		}
		got = append(got, said(f))
		return nil
	})
	l.must(err)
	if d := cmp.Diff(want, got); d != "" {
		l.t.Errorf("findings (-want +got):\n%s", d)
	}
	if sum.Findings != len(got) {
		l.t.Errorf("the summary counts %d findings, %d were yielded", sum.Findings, len(got))
	}
	return sum
}

func onBoth(t *testing.T, test func(*look)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { test(small(t)) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(newLook(t, postgrestest.Database(t)))
	})
}
