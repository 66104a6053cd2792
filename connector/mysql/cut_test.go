package mysql

import (
	"bytes"
	"context"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestEveryStepCanBeRepeated cuts the connection at one statement after the other, or
// loses its answer. The
// server commits each change of its catalog by itself, so what a call has done by then
// stands: if it couldn't be gone on with, a tenant would be stuck halfway in or out.
func TestEveryStepCanBeRepeated(t *testing.T) {
	t.Parallel()
	t.Run("cut", func(t *testing.T) { t.Parallel(); everyStep(t, false) })
	t.Run("answer lost", func(t *testing.T) { t.Parallel(); everyStep(t, true) })
}

func everyStep(t *testing.T, lose bool) {
	w := openWorld(t)
	arm := w.proxy.CutAfter
	if lose {
		arm = w.proxy.LoseAfter
	}
	d := w.opened(t, map[string]string{"connections": "2"})
	database := connector.Desired{Ref: connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+"db"), Tenant: "ten_one", Type: "database", Name: w.token + "db",
		Attributes: map[string]any{"ddl": "create table if not exists t (n int auto_increment primary key, v text); create or replace trigger g before insert on t for each row set new.v = upper(new.v)", "seed": "insert into t (v) select 'seed' where not exists (select 1 from t)", "tables": map[string]any{"*": "data"}}}}
	user := connector.Desired{Ref: connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+"user"), Tenant: "ten_one", Type: "user", Name: w.token + "user", Attributes: map[string]any{}}, Credential: tenure.NewSecret("a-secret-of-tests")}
	grant := connector.Desired{Ref: connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+"grant"), Tenant: "ten_one", Type: "grant", Name: "g", Attributes: map[string]any{"to": user.Name, "database": database.Name, "privileges": []any{"select", "insert"}}}}
	ensure := func(want connector.Desired) func(context.Context) error {
		return func(ctx context.Context) error {
			o, _, err := d.Ensure(ctx, want)
			if err != nil {
				return err
			}
			normal, err := d.Normalise(want)
			if err == nil && !bytes.Equal(o.Attributes, normal) {
				t.Errorf("%s is %s, want %s", want.Type, o.Attributes, normal)
			}
			return err
		}
	}
	call := func(f func(context.Context, connector.Ref) (connector.Receipt, error), r connector.Ref) func(context.Context) error {
		return func(ctx context.Context) error { _, err := f(ctx, r); return err }
	}
	erase := func(ctx context.Context) error {
		for cursor := ""; ; {
			e, err := d.Erase(ctx, database.Ref, connector.Batch{Run: "run", Class: "data", Limit: 1, Cursor: cursor})
			if err != nil || e.Done {
				return err
			}
			cursor = e.Cursor
		}
	}
	cuts := 0
	for n := 1; n <= 400; n = every(n) {
		again := false
		for _, step := range []struct {
			name string
			do   func(context.Context) error
		}{
			{"ensure database", ensure(database)}, {"ensure user", ensure(user)}, {"ensure grant", ensure(grant)},
			{"suspend", call(d.Suspend, user.Ref)}, {"suspend grant", call(d.Suspend, grant.Ref)}, {"resume grant", call(d.Resume, grant.Ref)}, {"revoke", call(d.Revoke, user.Ref)},
			{"quarantine", call(d.Quarantine, database.Ref)}, {"unquarantine", call(d.Unquarantine, database.Ref)}, {"erase", erase},
			{"delete grant", call(d.Delete, grant.Ref)}, {"delete user", call(d.Delete, user.Ref)}, {"delete database", call(d.Delete, database.Ref)},
		} {
			stop := arm(n)
			err := step.do(t.Context())
			if fired := stop(); fired {
				cuts, again = cuts+1, true
			} else if err != nil {
				t.Fatalf("%s: %v %q", step.name, err, tenure.HintsOf(err))
			}
			for tries := 0; err != nil; tries++ {
				if !tenure.CanRetry(err) || tries > 3 {
					t.Fatalf("%s, cut at its packet %d: %v (%s)", step.name, n, err, tenure.CodeOf(err))
				}
				err = step.do(t.Context())
			}
			if step.name == "ensure database" && w.number(t, "select count(*) from "+quote(database.Name, "t")+" where v = 'SEED'") != 1 {
				t.Fatalf("cut at packet %d: the seed isn't there once", n)
			}
		}
		if w.is(t, "from information_schema.schemata where schema_name in (%s, %s)", literal(database.Name), literal(asideOf(database.Resource))) ||
			w.is(t, "from mysql.global_priv where user in (%s, %s)", literal(user.Name), literal(ownerOf(database.Resource))) || w.is(t, "from mysql.db where db in (%s, %s)", literal(database.Name), literal(pattern(database.Name))) ||
			w.is(t, "from %s where type in ('database', 'user', 'grant')", quote(w.keep, "mark")) || w.is(t, "from %s", quote(w.keep, "aside")) || w.is(t, "from %s", quote(w.keep, "tally")) {
			t.Fatalf("cut at packet %d: something is left", n)
		}
		if !again {
			break
		}
	}
	if cuts < 50 {
		t.Errorf("only %d calls were cut", cuts)
	}
	t.Logf("%d calls were cut and gone on with", cuts)
}
