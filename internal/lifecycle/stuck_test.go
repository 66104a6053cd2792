package lifecycle_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// onBoth runs a test on SQLite and on PostgreSQL, each with a site of its own.
func onBoth(t *testing.T, test func(*testing.T, *site)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newSite(t, nil))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newSiteIn(t, postgrestest.Database(t), nil))
	})
}

// tamper changes the store's rows as somebody would who goes round the program, past
// its foreign keys, too.
func (s *site) tamper(statements ...string) {
	s.t.Helper()
	driver, dsn := "sqlite", "file:"+s.dsn+"?_pragma=busy_timeout(10000)"
	if s.db.Dialect == store.Postgres {
		driver, dsn = "pgx", s.dsn
	}
	db, err := sql.Open(driver, dsn)
	s.must(err)
	defer db.Close()
	conn, err := db.Conn(context.Background())
	s.must(err)
	defer conn.Close()
	if s.db.Dialect == store.Postgres {
		_, err = conn.ExecContext(context.Background(), `set session_replication_role = replica`)
		s.must(err)
	}
	for _, q := range statements {
		if _, err := conn.ExecContext(context.Background(), q); err != nil {
			s.t.Fatalf("%s: %v", q, err)
		}
	}
}

// lose takes rows away, and gives what puts them back.
func (s *site) lose(table, where string) (mend func()) {
	s.t.Helper()
	s.tamper(`create table lost_rows as select * from `+table+` where `+where, `delete from `+table+` where `+where)
	return func() { s.tamper(`insert into ` + table + ` select * from lost_rows`) }
}

// stuckCase is something that an engine can't go on with: do brings it about in an
// operation that is under way, and gives what mends it.
type stuckCase struct {
	name  string
	says  string
	begin func(*site) tenure.OperationID
	do    func(*site, tenure.OperationID) (mend func())
	most  int // commits until it is blocked
}

func asked(s *site) tenure.OperationID {
	return s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "small", Tier: "team", Parameters: map[string]any{"login": "a"}}, "operator")
}

// trying is an onboarding that tries to make a store again and again.
func trying(s *site) tenure.OperationID {
	s.world.Inject(memory.Fault{Call: "ensure", Name: "acme-prod"})
	return s.begin("acme", "small")
}

// takingBack is an onboarding that is taken back and tries to delete a store again and
// again.
func takingBack(s *site) tenure.OperationID {
	s.world.Inject(memory.Fault{Call: "probe", Err: tenure.Errorf(tenure.Blocked, "it is closed")})
	s.world.Inject(memory.Fault{Call: "delete", Name: "acme-prod"})
	op := s.begin("acme", "small")
	s.pass(time.Minute)
	s.wantState(op, tenure.OperationCompensating)
	return op
}

// away is an operation whose system doesn't answer.
func away(s *site) tenure.OperationID {
	s.publishText(sideText)
	s.side.Down(true)
	return s.begin("late", "side")
}

func losing(table, where string) func(*site, tenure.OperationID) func() {
	return func(s *site, op tenure.OperationID) func() {
		return s.lose(table, strings.ReplaceAll(where, "OP", "'"+string(op)+"'"))
	}
}

func changing(do, undo string) func(*site, tenure.OperationID) func() {
	return func(s *site, op tenure.OperationID) func() {
		s.tamper(strings.ReplaceAll(do, "OP", "'"+string(op)+"'"))
		return func() { s.tamper(strings.ReplaceAll(undo, "OP", "'"+string(op)+"'")) }
	}
}

// restarted is the site with a service that was started with other options.
func restarted(change func(*lifecycle.Options)) func(*site, tenure.OperationID) func() {
	return func(s *site, _ tenure.OperationID) func() {
		before := s.Service
		o := s.options
		change(&o)
		s.Service = s.service(o)
		s.side.Down(false)
		return func() { s.Service = before }
	}
}

var stuckCases = []stuckCase{
	{"a step", "prod/store/ensure is missing", asked, losing("step", `operation = OP and key = 'prod/store/ensure'`), 1},
	{"the last step", "notify/active/1 is missing", asked, losing("step", `operation = OP and key = 'notify/active/1'`), 1},
	{"every step", "intake is missing", asked, losing("step", `operation = OP`), 1},
	{"a step's state", "a state that there isn't", asked, changing(`update step set state = 'odd' where operation = OP and key = 'active'`, `update step set state = 'pending' where operation = OP and key = 'active'`), 1},
	{"a step's name", "in whose place", asked, changing(`update step set key = 'other' where operation = OP and key = 'active'`, `update step set key = 'active' where operation = OP and key = 'other'`), 1},
	{"the tenant", "the row of tenant", asked, losing("tenant", `id = (select tenant from operation where id = OP)`), 1},
	{"the plan", "plan sha256:", asked, losing("plan", `digest = (select plan from operation where id = OP)`), 1},
	{"a plan that was changed", "doesn't match its digest", asked, changing(`update plan set body = body || ' ' where digest = (select plan from operation where id = OP)`, `update plan set body = rtrim(body) where digest = (select plan from operation where id = OP)`), 1},
	{"a plan of a newer format", "this build reads 1 to", asked, func(s *site, op tenure.OperationID) func() {
		before := s.view(op).Plan
		body := `{"format":99}`
		digest := tenure.Digest([]byte(body))
		s.tamper(fmt.Sprintf(`insert into plan (digest, tenant, kind, body, made_by, created_at) select '%s', tenant, kind, '%s', made_by, created_at from plan where digest = '%s'`, digest, body, before),
			fmt.Sprintf(`update operation set plan = '%s' where id = '%s'`, digest, op))
		return func() {
			s.tamper(fmt.Sprintf(`update operation set plan = '%s' where id = '%s'`, before, op), fmt.Sprintf(`delete from plan where digest = '%s'`, digest))
		}
	}, 1},
	{"the revision", "revision 1.0 of blueprint small", asked, losing("blueprint", `name = 'small'`), 1},
	{"a step under way", "prod/store/ensure is missing", trying, losing("step", `operation = OP and key = 'prod/store/ensure'`), 1},
	{"a resource", "missing in the inventory", trying, func(s *site, op tenure.OperationID) func() {
		mend := s.lose("resource", `name = 'acme-prod'`)
		s.world.Heal()
		return mend
	}, 3}, // the claim, the result that is refused, and the block
	{"a step that takes back", "undo/close is missing", takingBack, losing("step", `operation = OP and key = 'undo/close'`), 1},
	{"every step that takes back", "is missing", takingBack, losing("step", `operation = OP and key like 'undo/%'`), 1},
	{"a system without settings", `system "side" isn't in the systems file`, away, restarted(func(o *lifecycle.Options) {
		o.Settings = map[string]lifecycle.SystemSettings{"main": {Connector: "memory"}}
	}), 1},
	{"a kind of connector", "there is no connector", away, restarted(func(o *lifecycle.Options) { o.Catalog = []connector.Info{} }), 1},
	{"settings that can't be used", "no such variable", away, restarted(func(o *lifecycle.Options) {
		o.Settings = map[string]lifecycle.SystemSettings{"side": {Connector: "memory", Err: tenure.Errorf(tenure.Invalid, "no such variable")}}
	}), 1},
	{"a system that was forgotten", "was not added", away, func(s *site, op tenure.OperationID) func() {
		mend := losing("system", `name = 'side'`)(s, op)
		restarted(func(*lifecycle.Options) {})(s, op)
		return mend
	}, 1},
}

// What an engine can't go on with blocks the operation with one commit, which says why
// and who unblocks it, and costs nothing after that. Once it is mended a retry goes on.
func TestWhatCantGoOnIsBlockedWithItsReason(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, c := range stuckCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *site) {
				op := c.begin(s)
				mend := c.do(s, op)
				s.must(s.db.Write(ctx, func(tx *store.Tx) error { return tx.Poke(op, s.options.Now()) }))
				most := c.most
				if s.db.Dialect == store.Postgres {
					most++ // one hands it out to this process
				}
				n := s.commits(func() {
					for range 20 {
						s.clock.Add((time.Minute).Microseconds())
						_, err := s.Engine.Settle(ctx)
						s.must(err)
						s.must(s.TickApprovals(ctx, s.options.Now()))
					}
				})
				v := s.view(op)
				if v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, c.says) || !strings.Contains(v.Reason, "tenure operation retry "+string(op)) {
					t.Fatalf("the operation is %s: %q", v.State, v.Reason)
				}
				if n > most {
					t.Errorf("%d commits until it was blocked, want at most %d", n, most)
				}
				if n := s.commits(func() { s.minute(s.Service, op) }); n != 0 {
					t.Errorf("%d commits in a minute in which nothing changed", n)
				}
				items, _, err := s.Inbox(ctx, everywhere("somebody", tenure.Operator), "", 0)
				s.must(err)
				found := false
				for _, i := range items {
					found = found || i.Kind == "blocked" && i.ID == string(op) && strings.Contains(i.Summary, c.says)
				}
				if !found {
					t.Errorf("the inbox of who may unblock it doesn't show it: %+v", items)
				}
				if _, err := s.Retry(ctx, op, "", "operator"); err != nil { // in vain
					t.Fatal(err)
				}
				s.settle()
				s.wantState(op, tenure.OperationBlocked)
				mend()
				s.world.Heal()
				s.side.Down(false)
				if _, err := s.Retry(ctx, op, "", "operator"); err != nil {
					t.Fatal(err)
				}
				s.pass(time.Hour)
				if s.view(op).State == tenure.OperationWaiting {
					s.approve(op, "reviewer")
					s.pass(time.Hour)
				}
				want := tenure.OperationSucceeded
				if strings.Contains(c.name, "takes back") {
					want = tenure.OperationFailed
				}
				s.wantState(op, want)
				s.tamper(`drop table if exists lost_rows`)
				s.audited()
			})
		})
	}
}
