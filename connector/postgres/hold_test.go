package postgres

import (
	"context"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

func TestHoldX(t *testing.T) {
	for name, sql := range map[string]string{
		"exclusive": "lock table acme.t in access exclusive mode",
		"row":       "update acme.t set v = 'x'",
		"ddl":       "alter table acme.t add more int",
		"cursor":    "declare c cursor with hold for select * from acme.t; fetch 1 from c",
		"advisory":  "select pg_advisory_lock(1)",
	} {
		t.Run(name, func(t *testing.T) {
			n := opensDen(t)
			n.ensure(t, n.place)
			postgrestest.Exec(t, n.own, "insert into acme.t select g, 'x' from generate_series(1, 5) g")
			c := postgrestest.Connect(t, n.own)
			if _, err := c.Exec(t.Context(), "begin; "+sql); err != nil {
				t.Fatal(err)
			}
			step := func(name string, f func(ctx context.Context) error) {
				ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
				defer cancel()
				at := time.Now()
				err := f(ctx)
				t.Logf("%s: %v %v", name, time.Since(at).Round(time.Millisecond), err)
			}
			step("observe", func(ctx context.Context) error {
				_, err := n.d.Observe(ctx, []connector.Ref{n.place.Ref}, func(o connector.Observed) error { return nil })
				return err
			})
			step("map", func(ctx context.Context) error {
				m, err := n.d.DataMap(ctx, connector.Survey{Ref: n.place.Ref, Prove: true})
				t.Logf("%q %s", blocking(m), m.Partial)
				return err
			})
			step("export", func(ctx context.Context) error { _, err := n.d.Export(ctx, n.place.Ref, io.Discard); return err })
			step("suspend schema", func(ctx context.Context) error { _, _, err := n.d.Ensure(ctx, n.place); return err })
			step("revoke", func(ctx context.Context) error { _, err := n.d.Revoke(ctx, n.owner.Ref); return err })
			step("quarantine", func(ctx context.Context) error { _, err := n.d.Quarantine(ctx, n.place.Ref); return err })
			step("erase", func(ctx context.Context) error { _, err := eraseAll(t, n.d, n.place.Ref, 10); return err })
			step("delete", func(ctx context.Context) error { _, err := n.d.Delete(ctx, n.place.Ref); return err })
		})
	}
}

func TestManyX(t *testing.T) {
	n := opensDen(t)
	n.ensure(t, n.place)
	step := func(name string, f func(ctx context.Context) error) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		at := time.Now()
		err := f(ctx)
		t.Logf("%s: %v %v", name, time.Since(at).Round(time.Millisecond), err)
	}
	step("make", func(ctx context.Context) error {
		c := postgrestest.Connect(t, n.own)
		c.Exec(ctx, "create table acme.p (n int primary key, v text) partition by range (n)")
		for i := 0; i < 4000; i += 1000 {
			if _, err := c.Exec(ctx, "do $$ begin for i in "+itoa(i)+".."+itoa(i+999)+" loop execute format('create table acme.p%s partition of acme.p for values from (%s) to (%s)', i, i, i+1); end loop; end $$"); err != nil {
				return err
			}
		}
		_, err := c.Exec(ctx, "insert into acme.p values (1, 'a'), (500, 'b')")
		return err
	})
	step("observe", func(ctx context.Context) error {
		_, err := n.d.Observe(ctx, []connector.Ref{n.place.Ref}, func(o connector.Observed) error { return nil })
		return err
	})
	step("map", func(ctx context.Context) error {
		m, err := n.d.DataMap(ctx, connector.Survey{Ref: n.place.Ref, Prove: true})
		t.Logf("%d %q %s", len(m.Places), blocking(m), m.Partial)
		return err
	})
	step("export", func(ctx context.Context) error { _, err := n.d.Export(ctx, n.place.Ref, io.Discard); return err })
	step("revoke", func(ctx context.Context) error { _, err := n.d.Revoke(ctx, n.owner.Ref); return err })
	step("quarantine", func(ctx context.Context) error { _, err := n.d.Quarantine(ctx, n.place.Ref); return err })
	step("erase", func(ctx context.Context) error { _, err := eraseAll(t, n.d, n.place.Ref, 10); return err })
	step("delete", func(ctx context.Context) error { _, err := n.d.Delete(ctx, n.place.Ref); return err })
}
func itoa(i int) string { return strconv.Itoa(i) }
