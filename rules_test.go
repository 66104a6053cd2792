package tenure_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func period(t interface{ Fatal(...any) }, s string) tenure.Period {
	p, err := tenure.ParsePeriod(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What SolveRetention decides, for any rules and holds: a hold beats all, a rule
// whose event hasn't happened keeps the data, the latest keep_until wins, and
// nothing goes before it.
func TestSolveRetention(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		anchors := map[tenure.Anchor]time.Time{tenure.FromNotice: start}
		for _, a := range []tenure.Anchor{tenure.FromTermination, tenure.FromContractEnd} {
			if rapid.Bool().Draw(t, string(a)) {
				anchors[a] = start.AddDate(0, 0, rapid.IntRange(0, 900).Draw(t, "days of "+string(a)))
			}
		}
		class := tenure.DataClass{Name: "orders", Disposition: tenure.Purge}
		var latest, earliest time.Time
		pending := false
		for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
			r := tenure.RetentionRule{
				Name: fmt.Sprint("rule ", i), Kind: rapid.SampledFrom([]tenure.RuleKind{tenure.KeepUntil, tenure.GoneBy}).Draw(t, "kind"),
				Period: period(t, fmt.Sprintf("P%dD", rapid.IntRange(0, 1000).Draw(t, "period"))),
				From:   rapid.SampledFrom([]tenure.Anchor{tenure.FromNotice, tenure.FromTermination, tenure.FromContractEnd}).Draw(t, "from"),
			}
			class.Retention = append(class.Retention, r)
			from, ok := anchors[r.From]
			at := r.Period.After(from)
			switch {
			case !ok:
				pending = true
			case r.Kind == tenure.KeepUntil && at.After(latest):
				latest = at
			case r.Kind == tenure.GoneBy && (earliest.IsZero() || at.Before(earliest)):
				earliest = at
			}
		}
		subject := tenure.HoldSubject{Tenant: "ten_1", System: "main"}
		var holds []tenure.Hold
		covered := false
		for i := range rapid.IntRange(0, 3).Draw(t, "holds") {
			h := tenure.Hold{ID: tenure.HoldID(fmt.Sprint("hld_", i)), Scope: tenure.HoldScope{
				Tenant: rapid.SampledFrom([]tenure.TenantID{"", "ten_1", "ten_2"}).Draw(t, "tenant"),
				Class:  rapid.SampledFrom([]string{"", "orders", "invoices"}).Draw(t, "class"),
			}}
			if rapid.Bool().Draw(t, "released") {
				h.ReleasedAt = start
			}
			holds = append(holds, h)
			covered = covered || h.Active() && h.Scope.Tenant != "ten_2" && h.Scope.Class != "invoices"
		}
		now := start.AddDate(0, 0, rapid.IntRange(-10, 2000).Draw(t, "now"))
		got := tenure.SolveRetention(class, anchors, holds, subject, now)

		want := tenure.ClockErase
		switch {
		case covered:
			want = tenure.ClockHeld
		case pending:
			want = tenure.ClockPending
		case !latest.IsZero() && !earliest.IsZero() && latest.After(earliest):
			want = tenure.ClockConflict
		case now.Before(latest):
			want = tenure.ClockKeep
		}
		if got.State != want {
			t.Fatalf("the clock shows %s (%s), want %s", got.State, got.Because, want)
		}
		if !got.KeepUntil.Equal(latest) || !got.GoneBy.Equal(earliest) {
			t.Fatalf("kept until %v and gone by %v, want %v and %v", got.KeepUntil, got.GoneBy, latest, earliest)
		}
		if got.Overdue != (!earliest.IsZero() && now.After(earliest)) {
			t.Fatalf("overdue is %v at %v, it should be gone by %v", got.Overdue, now, earliest)
		}
		if got.Because == "" {
			t.Fatal("it doesn't say why")
		}
		if d := cmp.Diff(got, tenure.SolveRetention(class, anchors, holds, subject, now)); d != "" {
			t.Fatalf("the same input gives another answer:\n%s", d)
		}
	})
}

// Whose rule won and whose lost is what the auditor reads.
func TestRetentionExplains(t *testing.T) {
	t.Parallel()
	class := tenure.DataClass{Name: "orders", Retention: []tenure.RetentionRule{
		{Name: "retrieval", Kind: tenure.KeepUntil, Period: period(t, "P30D"), From: tenure.FromNotice},
		{Name: "accounting", Kind: tenure.KeepUntil, Period: period(t, "P7Y"), From: tenure.FromNotice},
		{Name: "privacy", Kind: tenure.GoneBy, Period: period(t, "P10Y"), From: tenure.FromNotice},
	}}
	anchors := map[tenure.Anchor]time.Time{tenure.FromNotice: start}
	c := tenure.SolveRetention(class, anchors, nil, tenure.HoldSubject{}, start)
	if c.Winner != "accounting" || !strings.Contains(c.Because, "2033-03-02") || len(c.Losers) != 2 {
		t.Errorf("winner %q because %q, losers %q", c.Winner, c.Because, c.Losers)
	}
	held := tenure.SolveRetention(class, anchors, []tenure.Hold{{ID: "hld_1"}}, tenure.HoldSubject{}, start.AddDate(20, 0, 0))
	if held.Winner != "hld_1" || len(held.Losers) != 3 || len(held.Holds) != 1 {
		t.Errorf("under a hold: winner %q, losers %q", held.Winner, held.Losers)
	}
}

// One places, two release: and never one person twice.
func TestHoldRelease(t *testing.T) {
	t.Parallel()
	h := tenure.Hold{ID: "hld_1", PlacedBy: "officer", PlacedAt: start}
	if _, err := h.Release("", start); tenure.CodeOf(err) != tenure.Unauthorized {
		t.Errorf("nobody's release: %v", err)
	}
	one, err := h.Release("officer", start)
	if err != nil || !one.Active() {
		t.Fatalf("after one word: active %v, %v", one.Active(), err)
	}
	if same, err := one.Release("officer", start); tenure.CodeOf(err) != tenure.Forbidden || !same.Active() {
		t.Errorf("the same person twice: %v", err)
	}
	two, err := one.Release("counsel", start.Add(time.Hour))
	if err != nil || two.Active() || !two.ReleasedAt.Equal(start.Add(time.Hour)) {
		t.Errorf("after two words: %+v, %v", two, err)
	}
	if len(h.ReleaseBy) != 0 || len(one.ReleaseBy) != 1 {
		t.Error("a release has changed the hold that it was asked of")
	}
	if _, err := two.Release("third", start); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("after the release: %v", err)
	}
}

// What isn't known to be outside a hold is inside it.
func TestHoldCovers(t *testing.T) {
	t.Parallel()
	subject := tenure.HoldSubject{Tenant: "ten_1", Classes: []string{"orders", "people"}, System: "main", Resource: "res_1"}
	for _, c := range []struct {
		scope   tenure.HoldScope
		subject tenure.HoldSubject
		want    bool
	}{
		{tenure.HoldScope{}, subject, true},
		{tenure.HoldScope{Tenant: "ten_1", Class: "people", System: "main", Resource: "res_1"}, subject, true},
		{tenure.HoldScope{Tenant: "ten_2"}, subject, false},
		{tenure.HoldScope{Class: "invoices"}, subject, false},
		{tenure.HoldScope{System: "other"}, subject, false},
		{tenure.HoldScope{Resource: "res_2"}, subject, false},
		{tenure.HoldScope{Class: "invoices"}, tenure.HoldSubject{Tenant: "ten_1"}, true}, // what it holds isn't known
		{tenure.HoldScope{Resource: "res_2"}, tenure.HoldSubject{Tenant: "ten_1"}, true},
	} {
		if got := (tenure.Hold{Scope: c.scope}).Covers(c.subject); got != c.want {
			t.Errorf("%+v covers %+v: %v, want %v", c.scope, c.subject, got, c.want)
		}
		if (tenure.Hold{Scope: c.scope, ReleasedAt: start}).Covers(c.subject) {
			t.Errorf("a released hold covers %+v", c.subject)
		}
	}
}

// Every state is reached from the first, every state has a way to the end, and
// the end has none out: no tenant can be stuck by the table.
func TestTransitions(t *testing.T) {
	t.Parallel()
	reach := func(from tenure.TenantState) map[tenure.TenantState]bool {
		seen, queue := map[tenure.TenantState]bool{from: true}, []tenure.TenantState{from}
		for len(queue) > 0 {
			for _, to := range tenure.TenantStates {
				if tenure.CanMove(queue[0], to) && !seen[to] {
					seen[to] = true
					queue = append(queue, to)
				}
			}
			queue = queue[1:]
		}
		return seen
	}
	born := reach(tenure.TenantRequested)
	for _, s := range tenure.TenantStates {
		if !born[s] {
			t.Errorf("%s can't be reached", s)
		}
		if !reach(s)[tenure.TenantClosed] {
			t.Errorf("from %s there is no way to closed", s)
		}
	}
	if out := reach(tenure.TenantClosed); len(out) != 1 {
		t.Errorf("from closed one gets to %v", out)
	}
	for _, s := range []tenure.TenantState{tenure.TenantErasing, tenure.TenantAwaitingExpiry} {
		if reach(s)[tenure.TenantActive] {
			t.Errorf("past the point of no return a tenant that is %s can become active", s)
		}
	}
	seen := make(map[[2]tenure.TenantState]bool)
	for _, m := range tenure.TenantTransitions {
		if seen[[2]tenure.TenantState{m.From, m.To}] || m.When == "" || m.From == m.To {
			t.Errorf("the move %+v stands twice, goes nowhere or doesn't say when", m)
		}
		seen[[2]tenure.TenantState{m.From, m.To}] = true
	}
}

// The requester never approves, nobody counts twice, and only the plan that was
// read is signed.
func TestCheckApproval(t *testing.T) {
	t.Parallel()
	op := tenure.Operation{ID: "op_1", Plan: "sha256:a", RequestedBy: "ada", State: tenure.OperationWaiting}
	earlier := []tenure.Approval{{Step: "approve", By: "ben"}}
	for name, c := range map[string]struct {
		a    tenure.Approval
		op   func(*tenure.Operation)
		want tenure.Code
	}{
		"good":        {a: tenure.Approval{Step: "approve", Digest: "sha256:a", By: "cleo"}},
		"other gate":  {a: tenure.Approval{Step: "noreturn", Digest: "sha256:a", By: "ben"}},
		"no name":     {a: tenure.Approval{Step: "approve", Digest: "sha256:a"}, want: tenure.Unauthorized},
		"requester":   {a: tenure.Approval{Step: "approve", Digest: "sha256:a", By: "ada"}, want: tenure.Forbidden},
		"other plan":  {a: tenure.Approval{Step: "approve", Digest: "sha256:b", By: "cleo"}, want: tenure.Conflict},
		"twice":       {a: tenure.Approval{Step: "approve", Digest: "sha256:a", By: "ben"}, want: tenure.Conflict},
		"after it is": {a: tenure.Approval{Step: "approve", Digest: "sha256:a", By: "cleo"}, op: func(o *tenure.Operation) { o.State = tenure.OperationFailed }, want: tenure.Conflict},
	} {
		o := op
		if c.op != nil {
			c.op(&o)
		}
		if got := tenure.CodeOf(tenure.CheckApproval(o, earlier, c.a)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// An error keeps its cause, hints and whether a retry helps through every layer.
func TestErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	inner := tenure.Errorf(tenure.Unavailable, "system main: %w", cause).Retryable().WithHint("start it")
	outer := tenure.Errorf(tenure.Blocked, "step prod/db: %w", inner)
	if got := outer.Error(); got != "step prod/db: system main: connection refused" {
		t.Errorf("it reads %q", got)
	}
	if !errors.Is(outer, cause) || tenure.CodeOf(outer) != tenure.Blocked || !tenure.CanRetry(outer) {
		t.Errorf("the cause, code or retry is lost: %v %s", errors.Is(outer, cause), tenure.CodeOf(outer))
	}
	if d := cmp.Diff([]string{"start it"}, tenure.HintsOf(fmt.Errorf("plain: %w", outer))); d != "" {
		t.Errorf("hints:\n%s", d)
	}
	outer.WithHint("another")
	if len(outer.Hints) != 1 {
		t.Error("WithHint has changed the error that it was asked of")
	}
	if got := tenure.Errorf(tenure.Invalid, "in %w, the middle", cause).Error(); got != "in connection refused, the middle" {
		t.Errorf("a cause in the middle reads %q", got)
	}
	if tenure.CodeOf(nil) != "" || tenure.CodeOf(cause) != tenure.Internal || tenure.CanRetry(cause) {
		t.Error("an error without a code isn't internal")
	}
	codes := []tenure.Code{tenure.Invalid, tenure.Unauthorized, tenure.Forbidden, tenure.NotFound, tenure.Conflict, tenure.Blocked, tenure.Unavailable, tenure.Internal}
	status, exit := map[int]bool{}, map[int]bool{0: true}
	for _, c := range codes {
		if status[c.Status()] || exit[c.ExitCode()] || c.Status() < 400 {
			t.Errorf("%s shares status %d or exit code %d", c, c.Status(), c.ExitCode())
		}
		status[c.Status()], exit[c.ExitCode()] = true, true
	}
}
