package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/mariadbtest"
)

// gain is a statement that only somebody with more than a tenant's rights can run; %s is
// where the traps are told what they gain.
const gain = "insert into GAIN values ('GAINED')"

// Tables of the tenant's: t is of the class aa, u of bb.
var traps = []connectortest.Trap{
	{Name: "nothing", SQL: "select 1"},
	{Name: "a view in a table's place", SQL: "drop table t; create sql security invoker view t as select n, v from u"},
	{Name: "a trigger that asks for more", SQL: "create trigger g before delete on t for each row " + gain, Stops: []string{"map"}},
	{Name: "a procedure by its caller's rights", SQL: "create procedure p() sql security invoker " + gain + "; create trigger g before delete on t for each row call p()", Stops: []string{"map"}},
	{Name: "a function by its caller's rights", SQL: "create function f() returns int sql security invoker begin " + gain + "; return 1; end; create trigger g before insert on t for each row set new.v = f()", Stops: []string{"map", "repair"}},
	{Name: "functions called as the server's own", SQL: "create function `convert`(a int) returns int sql security invoker begin " + gain + "; return 1; end; create function json_quote(a text) returns text sql security invoker begin " + gain + "; return ''; end"},
	{Name: "a trigger that refuses", SQL: "create trigger g before delete on t for each row signal sqlstate '45000' set message_text = 'stay'"},
	{Name: "a trigger that sleeps", SQL: "create trigger g before delete on t for each row set @x = sleep(1000)", Stops: []string{"map"}},
	{Name: "a trigger without end", SQL: "create trigger g before delete on t for each row begin l: loop set @x = 1; end loop; end"},
	{Name: "a trigger into another class", SQL: "create trigger g after delete on u for each row insert into t (v) values (old.v)", Stops: []string{"map"}},
	{Name: "a generated column", SQL: "alter table t add g text generated always as (repeat('x', 100000000)) virtual, add h int generated always as (n / 0) virtual"},
	{Name: "a check that takes long", SQL: "alter table t add check (length(repeat(sha2(v, 512), 100000)) > 0)"},
	{Name: "past rows", SQL: "alter table t add system versioning; update t set v = 'y'"},
	{Name: "no key", SQL: "create table k (a int); insert into k values (1), (1), (2)"},
	{Name: "other engines", SQL: "create table k (a int) engine=MyISAM; insert into k values (1), (2); create table l (a int) engine=Aria; insert into l values (1); create table m (a int) engine=MEMORY; insert into m values (1)"},
	{Name: "parts", SQL: "create table k (a int primary key) partition by hash (a) partitions 100; insert into k values (1), (2)"},
	{Name: "a ring", SQL: "create table k (a int primary key, b int, foreign key (b) references k (a)); insert into k values (1, null), (2, 1); update k set b = 2 where a = 1"},
	{Name: "full text", SQL: "create table k (a int primary key, b text, fulltext (b)); insert into k values (1, 'some words')"},
	{Name: "a sequence and an event", SQL: "create sequence s; create event e on schedule every 1 second do insert into t (v) values ('late')"},
	{Name: "names", SQL: "create table `x\"; drop table t; --` (`c\"'é` int primary key); insert into `x\"; drop table t; --` values (1); create table `it's` (a int primary key); create table `t.v` (a int primary key)"},
	{Name: "many columns", SQL: "create table k (" + columns(900) + ")"},
	{Name: "many tables", SQL: tables(150)},
	{Name: "a lock held", Held: "begin; update t set v = 'held'", Stops: []string{"repair"}},
	{Name: "tables locked", Held: "lock tables t write", Stops: []string{"export", "map", "repair"}},
}

func columns(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("c%d tinyint", i)
	}
	return strings.Join(out, ", ")
}

func tables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "create table x%d (a int primary key); ", i)
	}
	return b.String()
}

func TestTraps(t *testing.T) { connectortest.RunTraps(t, newGround, traps) }

// newGround is a tenant's database, with a user who may do all there.
func newGround(t *testing.T) *connectortest.Ground {
	w := openWorld(t)
	d := w.opened(t, map[string]string{"timeout": "5s"})
	database := func(name string) connector.Desired {
		return connector.Desired{Ref: connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+name), Tenant: tenure.TenantID("ten_" + name), Type: "database", Name: w.token + name, Classes: []string{"aa", "bb"},
			Attributes: map[string]any{"ddl": "create table if not exists t (n int auto_increment primary key, v text); create table if not exists u (n int auto_increment primary key, v text); insert into t (v) values ('by the ddl')",
				"tables": map[string]any{"t": "aa", "u": "bb", "*": "aa"}}}}
	}
	place, beside := database("acme"), database("birch")
	secret := tenure.NewSecret("tenant-secret-text")
	user := connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+"user"), Tenant: place.Tenant, Type: "user", Name: w.token + "user", Attributes: map[string]any{}}
	all := make([]any, 0, len(privileges))
	for _, p := range privileges {
		all = append(all, p.name)
	}
	grant := connector.Ref{Resource: tenure.DeriveID[tenure.ResourceID](epoch, w.token+"grant"), Tenant: place.Tenant, Type: "grant", Name: "all", Attributes: map[string]any{"to": user.Name, "database": place.Name, "privileges": all}}
	for _, one := range []connector.Desired{place, beside, {Ref: user, Credential: secret}, {Ref: grant}} {
		if _, _, err := d.Ensure(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	const told = "a neighbour's secret"
	w.exec(t, "insert into %s (v) values ('%s'); insert into %s (v) values ('x'); create table %s (how text)", quote(beside.Name, "t"), strings.ReplaceAll(told, "'", "''"), quote(place.Name, "u"), quote(w.app, "gained"))
	dsn := mariadbtest.As(t, w.dsn, user.Name, secret.Reveal(), place.Name)
	tenant := mariadbtest.Open(t, dsn)
	fill := func(text string) string {
		return strings.NewReplacer("NEIGHBOUR", "`"+beside.Name+"`.t", "GAIN ", "`"+w.app+"`.gained ").Replace(text)
	}
	neighbours := []string{quote(beside.Name, "t"), quote(beside.Name, "u"), quote(w.app, "notes"), quote(w.app, "orders")}
	return &connectortest.Ground{
		Driver: d, Place: place, Beside: []connector.Ref{beside.Ref, user, grant}, Secret: told,
		Probes: []connector.Check{{Kind: "reachable", Ref: user, Credential: secret}, {Kind: "isolation", Ref: user, Credential: secret}},
		Plant: func(t testing.TB, text string) {
			if _, err := tenant.ExecContext(t.Context(), fill(text)); err != nil {
				t.Logf("the tenant itself is refused: %v", err)
			}
		},
		Hold: func(t testing.TB, text string) {
			conn, err := tenant.Conn(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = conn.Raw(func(any) error { return errBadConn() })
				_ = conn.Close()
			})
			if _, err := conn.ExecContext(context.Background(), fill(text)); err != nil {
				t.Fatal(err)
			}
		},
		Damage: func(t testing.TB) {
			if _, err := tenant.ExecContext(t.Context(), "set statement lock_wait_timeout = 1 for alter table u add damaged int"); err != nil {
				t.Logf("the tenant itself can't damage it: %v", err)
			}
		},
		Neighbours: func(t testing.TB) string {
			var out []string
			for _, name := range neighbours {
				out = append(out, name+" "+w.sum(t, name))
			}
			return strings.Join(out, "\n")
		},
		Gained: func(t testing.TB) string {
			if n := w.number(t, "select count(*) from "+quote(w.app, "gained")); n > 0 {
				return "code of the tenant's ran with more rights"
			}
			if left := leftBehind(t, w.db, w.token); left != "" {
				return left
			}
			return ""
		},
	}
}

// leftBehind says which account that Tenure runs SQL as can still be signed in as.
func leftBehind(t testing.TB, db *sql.DB, token string) string {
	for _, name := range mariadbtest.Strings(t, db, "select g.user from mysql.global_priv g join mysql.db d on d.user = g.user where g.user like 't\\_own\\_%' escape '\\' and d.db like '"+strings.ReplaceAll(token, "_", "\\\\\\_")+"%' escape '|' and json_value(g.priv, '$.account_locked') <> 1") {
		return "the account " + name + " isn't locked"
	}
	return ""
}
