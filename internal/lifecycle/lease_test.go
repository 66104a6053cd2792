package lifecycle_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	aDay      = 24 * time.Hour
	leaseText = `lease: {tiers: [trial], period: P30D, ask: P7D, silence: suspend, offboardAfter: P14D, extensions: 1}
notices:`
)

// trials is an installation whose tier trial has a lease, and such a tenant.
func trials(t *testing.T, rule string) *life {
	t.Helper()
	l, ctx := newLife(t), context.Background()
	text := strings.Replace(fmt.Sprintf(blueprintText, "2.0"), "notices:", rule, 1)
	_, err := l.SubmitBlueprint(ctx, []byte(text), "small.yaml", "author")
	l.must(err)
	_, err = l.PublishBlueprint(ctx, "small@2.0", "reviewer")
	l.must(err)
	l.onboardAs("acme", "trial")
	return l
}

func (l *life) onboardAs(name, tier string) {
	l.t.Helper()
	op := l.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "small@2.0", Tier: tier, Contact: "kim@acme.example", Parameters: map[string]any{"login": "a@b.example"}}, "operator")
	l.approve(op, "reviewer")
	if got := l.state(name); got != tenure.TenantActive {
		l.t.Fatalf("%s is %s\n%s", name, got, l.show(op))
	}
}

// leases does what is due at leases, twice as after a restart, and what follows.
func (l *life) leases() {
	l.t.Helper()
	for range 2 {
		l.must(l.TickLeases(context.Background(), l.Now()))
		l.settle()
	}
}

func (l *life) lease(name string) tenure.Lease {
	l.t.Helper()
	got, err := l.db.Lease(context.Background(), rowOf(l.t, l, name).ID)
	l.must(err)
	return got
}

// asked are the questions that stand in the outbox; deliver has them arrive.
func (l *life) asked(name string, deliver bool) (links []string) {
	l.t.Helper()
	ctx := context.Background()
	list, err := l.db.Notices(ctx, rowOf(l.t, l, name).ID)
	l.must(err)
	for _, n := range list {
		if !strings.HasSuffix(n.ID, ":ask") {
			continue
		}
		if n.Recipient != "kim@acme.example" {
			l.t.Errorf("%q is asked", n.Recipient)
		}
		links = append(links, regexp.MustCompile(`https://tenure\.example/lease/(\S+)`).FindStringSubmatch(n.Body)[1])
		if deliver {
			l.must(l.db.Write(ctx, func(tx *store.Tx) error {
				if _, err := tx.RouteNotice(n, []store.Delivery{{ID: n.ID, Target: "hooks"}}, l.Now()); err != nil {
					return err
				}
				return tx.EndDelivery(n.ID, store.DeliverySent, "", "", l.Now())
			}))
		}
	}
	return links
}

func (l *life) operations(name string, kind tenure.OperationKind) []store.OperationRow {
	l.t.Helper()
	out, err := l.db.Operations(context.Background(), store.OperationFilter{Tenant: rowOf(l.t, l, name).ID, Kind: kind})
	l.must(err)
	return out
}

// Silence suspends at the end and asks for a departure after the grace, each once; nothing is cut
// without the approvals that every departure takes.
func TestLeaseSilence(t *testing.T) {
	t.Parallel()
	l := trials(t, leaseText)
	l.onboardAs("birch", "team")
	if _, err := l.db.Lease(context.Background(), rowOf(t, l, "birch").ID); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("a tenant of a tier without a lease has one: %v", err)
	}
	end := l.lease("acme").EndsAt
	if want := l.Now().AddDate(0, 0, 30); end.Sub(want).Abs() > time.Hour {
		t.Fatalf("it ends at %v, want %v", end, want)
	}
	l.pass(22 * aDay)
	l.leases()
	if links := l.asked("acme", false); len(links) != 0 {
		t.Fatal("it is asked eight days before the end")
	}
	l.pass(aDay + time.Hour)
	l.leases()
	if links := l.asked("acme", false); len(links) != 1 {
		t.Fatalf("asked %d times", len(links))
	}
	l.pass(8 * aDay)
	l.leases()
	if got := l.state("acme"); got != tenure.TenantActive {
		t.Fatalf("whose question never left is %s", got)
	}
	l.asked("acme", true)
	l.pass(time.Hour)
	l.leases()
	if got := l.state("acme"); got != tenure.TenantActive {
		t.Fatalf("an hour after the question it is %s", got)
	}
	l.pass(2 * aDay)
	l.leases()
	if got, ops := l.state("acme"), l.operations("acme", tenure.Suspend); got != tenure.TenantSuspended || len(ops) != 1 {
		t.Fatalf("after the end it is %s, by %d operations", got, len(ops))
	}
	l.pass(13 * aDay)
	l.leases()
	if ops := l.operations("acme", tenure.Offboard); len(ops) != 0 {
		t.Fatal("a departure was requested before the grace is over")
	}
	l.pass(2 * aDay)
	l.leases()
	ops := l.operations("acme", tenure.Offboard)
	if len(ops) != 1 || ops[0].State != tenure.OperationWaiting || l.state("acme") != tenure.TenantSuspended {
		t.Fatalf("departures %+v of a tenant that is %s", ops, l.state("acme"))
	}
	if got := l.lease("acme"); got.State != tenure.LeaseOver || got.Departure != ops[0].ID {
		t.Errorf("the lease %+v", got)
	}
	l.pass(30 * aDay)
	l.leases()
	if got := l.state("acme"); got != tenure.TenantSuspended {
		t.Errorf("nobody approved the departure, and it is %s", got)
	}
	rep, err := l.VerifyAudit(context.Background())
	l.must(err)
	if !rep.OK() {
		t.Errorf("the audit has problems: %q", rep.Problems)
	}
}

// The contact's answer counts once, from the link alone, and does no more than it says.
func TestLeaseAnswer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, c := range []struct {
		name, rule string
		answer     tenure.LeaseAnswer
		want       func(t *testing.T, l *life)
	}{
		{"extend", leaseText, tenure.LeaseExtend, func(t *testing.T, l *life) {
			first := l.lease("acme")
			l.pass(23 * aDay)
			l.leases()
			if got := l.state("acme"); got != tenure.TenantActive || first.Extended != 1 {
				t.Fatalf("it is %s, extended %d times", got, first.Extended)
			}
			l.pass(7 * aDay)
			l.leases()
			links := l.asked("acme", true)
			if len(links) != 2 {
				t.Fatalf("asked %d times", len(links))
			}
			if _, err := l.OpenLeaseLink(ctx, tenure.NewSecret(links[0])); tenure.CodeOf(err) != tenure.NotFound {
				t.Errorf("the link of the question before is good: %v", err)
			}
			if _, err := l.AnswerLease(ctx, tenure.NewSecret(links[1]), tenure.LeaseExtend); tenure.CodeOf(err) != tenure.Conflict {
				t.Errorf("more extensions than the rule has: %v", err)
			}
		}},
		{"end", leaseText, tenure.LeaseEnd, func(t *testing.T, l *life) {
			l.leases()
			ops := l.operations("acme", tenure.Offboard)
			if len(ops) != 1 || ops[0].State != tenure.OperationWaiting || l.state("acme") != tenure.TenantActive {
				t.Errorf("departures %+v", ops)
			}
		}},
		{"keep asks staff", leaseText, tenure.LeaseKeep, func(t *testing.T, l *life) {
			l.pass(60 * aDay)
			l.leases()
			got := l.lease("acme")
			if l.state("acme") != tenure.TenantActive || got.State != tenure.LeaseRunning || got.Answer != tenure.LeaseKeep {
				t.Errorf("%s: %+v", l.state("acme"), got)
			}
			list, err := l.db.Notices(ctx, got.Tenant)
			l.must(err)
			if n := list[len(list)-1]; n.Recipient != "platform" || !strings.Contains(n.Body, "tenure tenant lease acme") {
				t.Errorf("staff is told %+v", n)
			}
		}},
		{"keep is enough", strings.Replace(leaseText, "silence", "ownerMayKeep: true, silence", 1), tenure.LeaseKeep, func(t *testing.T, l *life) {
			if got := l.lease("acme"); got.State != tenure.LeaseOver {
				t.Errorf("%+v", got)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := trials(t, c.rule)
			l.t = t
			l.pass(24 * aDay)
			l.leases()
			link := l.asked("acme", true)[0]
			for _, wrong := range []string{"", link + "x", link[:len(link)-1], strings.Split(link, ".")[0], strings.Split(link, ".")[0] + ".", strings.Repeat("a", 5000)} {
				if _, err := l.AnswerLease(ctx, tenure.NewSecret(wrong), c.answer); tenure.CodeOf(err) != tenure.NotFound {
					t.Errorf("%.60q answers: %v", wrong, err)
				}
			}
			before := l.lease("acme")
			for range 3 { // as a scanner of mail does
				_, err := l.OpenLeaseLink(ctx, tenure.NewSecret(link))
				l.must(err)
			}
			if got := l.lease("acme"); got.Version != before.Version || got.Answer != "" {
				t.Errorf("to look at the link changed the lease: %+v", got)
			}
			_, err := l.AnswerLease(ctx, tenure.NewSecret(link), c.answer)
			l.must(err)
			for _, again := range []tenure.LeaseAnswer{c.answer, tenure.LeaseEnd, tenure.LeaseExtend} {
				if _, err := l.AnswerLease(ctx, tenure.NewSecret(link), again); tenure.CodeOf(err) != tenure.Conflict {
					t.Errorf("a second answer: %v", err)
				}
			}
			c.want(t, l)
		})
	}
}

// What a person does in between counts: a resumption, another end, a lifted lease, another tier.
func TestLeasePersonDecides(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	lapsed := func(t *testing.T) *life {
		l := trials(t, leaseText)
		l.pass(24 * aDay)
		l.leases()
		l.asked("acme", true)
		return l
	}
	none := func(l *life, kind tenure.OperationKind) {
		l.t.Helper()
		l.pass(60 * aDay)
		l.leases()
		if ops := l.operations("acme", kind); len(ops) != 0 {
			l.t.Errorf("%d operations %s", len(ops), kind)
		}
	}
	t.Run("resumed", func(t *testing.T) {
		t.Parallel()
		l := lapsed(t)
		l.pass(8 * aDay)
		l.leases()
		l.request(lifecycle.Intent{Kind: tenure.Resume, Tenant: "acme"}, "operator")
		if got := l.state("acme"); got != tenure.TenantActive {
			t.Fatalf("it is %s", got)
		}
		none(l, tenure.Offboard)
	})
	t.Run("lifted", func(t *testing.T) {
		t.Parallel()
		l := lapsed(t)
		link := l.asked("acme", false)[0]
		_, err := l.SetLease(ctx, "acme", time.Time{}, 0, "ada")
		l.must(err)
		if _, err := l.AnswerLease(ctx, tenure.NewSecret(link), tenure.LeaseEnd); tenure.CodeOf(err) != tenure.NotFound {
			t.Errorf("the question was withdrawn, and is answered: %v", err)
		}
		none(l, tenure.Suspend)
	})
	t.Run("set", func(t *testing.T) {
		t.Parallel()
		l := lapsed(t)
		_, err := l.SetLease(ctx, "acme", l.Now().Add(100*aDay), 0, "ada")
		l.must(err)
		none(l, tenure.Suspend)
		l.pass(35 * aDay)
		l.leases()
		if n := len(l.asked("acme", false)); n != 2 {
			t.Errorf("asked %d times, want once for each end", n)
		}
	})
	t.Run("another tier", func(t *testing.T) {
		t.Parallel()
		l := lapsed(t)
		l.request(lifecycle.Intent{Kind: tenure.Change, Tenant: "acme", Tier: "team"}, "operator")
		if got := l.lease("acme"); got.State != tenure.LeaseOver {
			t.Errorf("who pays has a lease still: %+v", got)
		}
		none(l, tenure.Suspend)
	})
	t.Run("forged", func(t *testing.T) {
		t.Parallel()
		l := lapsed(t)
		db, err := sql.Open("sqlite", filepath.Join(filepath.Dir(l.folder), "tenure.db"))
		l.must(err)
		_, err = db.ExecContext(ctx, `update lease set ends_at = ends_at - 432000000000, asked_for = asked_for - 432000000000, due_at = 1`)
		l.must(err)
		l.must(db.Close())
		l.pass(3 * aDay)
		if err := l.TickLeases(ctx, l.Now()); tenure.CodeOf(err) == "" {
			t.Error("a lease that was changed past Tenure isn't noticed")
		}
		if ops := l.operations("acme", tenure.Suspend); len(ops) != 0 {
			t.Error("a forged end suspends")
		}
	})
}

// A departure that somebody starts ends the lease at once: its link is good no more, though
// nothing has looked at the lease since.
func TestLeaseEndsAsItsTenantLeaves(t *testing.T) {
	t.Parallel()
	l := trials(t, leaseText)
	l.pass(24 * day)
	l.leases()
	links := l.asked("acme", true)
	if len(links) != 1 {
		t.Fatalf("%d questions", len(links))
	}
	if _, err := l.OpenLeaseLink(t.Context(), tenure.NewSecret(links[0])); err != nil {
		t.Fatal(err)
	}
	op := l.request(lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", AtOnce: true}, "operator")
	l.approve(op, "reviewer")
	if _, err := l.OpenLeaseLink(t.Context(), tenure.NewSecret(links[0])); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("the link of a tenant that leaves: %v", err)
	}
	if _, err := l.AnswerLease(t.Context(), tenure.NewSecret(links[0]), tenure.LeaseExtend); tenure.CodeOf(err) != tenure.NotFound {
		t.Errorf("it extends: %v", err)
	}
	if got := l.lease("acme"); got.State != tenure.LeaseOver {
		t.Errorf("the lease is %s", got.State)
	}
}
