package lifecycle_test

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Whatever the stores, the classes and their clocks, whoever confirms, holds, pauses,
// cancels, retries, skips and lets lapse, in whatever order, and wherever Tenure is
// killed: nothing of a class goes before its clock, two fresh words and its holds say
// so, what is gone stays gone, and it ends with a certificate.
//
// TENURE_DEPARTURES is how many random departures are tried; 0 is 50, and 20 under the
// race detector. Each run tries others. A failure prints its seed; to try that one
// again: -rapid.seed.
func TestRandomDepartures(t *testing.T) {
	t.Parallel()
	n, _ := strconv.Atoi(os.Getenv("TENURE_DEPARTURES"))
	if n <= 0 {
		n = 50
		if raced() {
			n = 20 // SQLite is many times slower there
		}
	}
	const each = 20 // departures in one installation
	for i := range (n + each - 1) / each {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			tries := 0 // also names the tenants, since what fails is tried again, smaller
			rapid.Check(t, func(rt *rapid.T) {
				if tries++; tries > each && !t.Failed() {
					return
				}
				m := depart(rt, s, tries)
				for range rapid.IntRange(5, 40).Draw(rt, "events") {
					m.event()
				}
				m.end()
			})
		})
	}
}

// depart onboards a tenant of a random shape, and starts its offboarding.
func depart(rt *rapid.T, s *site, n int) *departure {
	m := newDeparture(rt, s, fmt.Sprint("t", n))
	s.clock.Add((2 * time.Hour).Microseconds() + 1) // the budget of destructive operations is by the hour
	s.Engine.BatchRows = rapid.IntRange(2, 6).Draw(rt, "batch")
	text := fmt.Sprintf("apiVersion: tenure.dev/v1\nkind: Blueprint\nname: b-%s\nversion: \"1.0\"\nenvironments:\n  - {name: prod, kind: production}\nsystems:\n  main: {connector: memory}\ndataClasses:\n", m.name)
	for i := range rapid.IntRange(1, 4).Draw(rt, "classes") {
		class := string(rune('a'+i)) + "x"
		m.classes, m.periods[class] = append(m.classes, class), rapid.IntRange(0, 12).Draw(rt, "days")
		text += fmt.Sprintf("  %s: {disposition: %s, retention: [{name: r, kind: keep_until, period: P%dD, from: termination}]}\n", class, rapid.SampledFrom([]string{"purge", "crypto-erase"}).Draw(rt, "disposition"), m.periods[class])
	}
	text += "resources:\n"
	for i := range rapid.IntRange(1, 4).Draw(rt, "stores") {
		key, typ := fmt.Sprint("r", i), rapid.SampledFrom([]string{"rows", "store", "rows", "store", "backup"}).Draw(rt, "type")
		of := rapid.SliceOfNDistinct(rapid.SampledFrom(m.classes), 1, len(m.classes), rapid.ID).Draw(rt, "of")
		more := ""
		if typ == "backup" {
			more = ", attributes: {keep: P20D}"
		} else if rapid.Bool().Draw(rt, "handover") {
			more = ", handover: true"
		}
		if i > 0 && typ != "backup" && m.types[m.thing(i-1)] != "backup" && rapid.Bool().Draw(rt, "needs") {
			more += fmt.Sprintf(", needs: [r%d]", i-1)
		}
		m.types[m.thing(i)], m.holds[m.thing(i)] = typ, of
		text += fmt.Sprintf("  - {key: %s, system: main, type: %s, name: \"${tenant.name}-r%d\", data: [%s]%s}\n", key, typ, i, strings.Join(of, ", "), more)
	}
	text += "failure: park\napprovals: {onboard: 1, offboard: 1}\noffboarding: {grace: PT0S, retrieval: P2D, quarantine: P3D}\n"
	s.publishText(text)
	s.wantState(s.begin(m.name, "b-"+m.name), tenure.OperationSucceeded)
	for i := range len(m.types) {
		name := m.thing(i)
		if m.types[name] == "backup" {
			s.world.AddCopy("backup", name, connector.Copy{Where: "vault", Expires: s.Now().Add(time.Duration(rapid.IntRange(1, 60).Draw(rt, "copy")) * day)})
			continue
		}
		for _, class := range m.holds[name] {
			s.world.Fill(m.types[name], name, class, make([]string, rapid.IntRange(0, 14).Draw(rt, "rows"))...)
		}
	}
	var f watcher = m.called
	s.watch.Store(&f)
	m.leave()
	return m
}

// leave starts the offboarding.
func (m *departure) leave() {
	m.op = m.s.leave(m.name)
	m.cut, m.tenant, m.words = m.s.Now(), m.s.view(m.op).Tenant, map[string][]word{}
	rows, err := m.s.db.Resources(context.Background(), m.tenant, true)
	m.must(err)
	for _, r := range rows {
		m.ids[r.ID] = r.Name
	}
}

// event is one thing that happens.
func (m *departure) event() {
	v := m.s.view(m.op)
	if v.State.Ended() {
		return
	}
	switch rapid.IntRange(0, 17).Draw(m.T, "event") {
	case 0, 1, 2:
		m.pass(time.Duration(rapid.IntRange(1, 100).Draw(m.T, "hours")) * time.Hour)
	case 3, 4, 5, 6, 7:
		class := rapid.SampledFrom(m.classes).Draw(m.T, "class")
		m.confirm(class, rapid.SampledFrom([]string{"reviewer", "counsel", "director"}).Draw(m.T, "by"))
	case 8:
		m.hold(m.scope(), nil)
	case 9:
		m.release()
	case 10:
		m.must(m.s.Steer(context.Background(), m.op, rapid.SampledFrom([]string{"pause", "continue"}).Draw(m.T, "steer"), "operator"))
	case 11:
		m.write()
	case 12:
		f := memory.Fault{Call: rapid.SampledFrom([]string{"erase", "delete", "observe", "map", "expire"}).Draw(m.T, "call"), Times: rapid.IntRange(1, 3).Draw(m.T, "times"), DropAnswer: rapid.Bool().Draw(m.T, "lost")}
		if rapid.Bool().Draw(m.T, "for good") {
			f.Err = tenure.Errorf(tenure.Blocked, "something stands in the way")
		}
		m.s.world.Inject(f)
	case 13, 14: // when the next calls come
		m.armed.kill = rapid.SampledFrom([]string{"", "before", "after"}).Draw(m.T, "kill")
		m.armed.after = rapid.IntRange(0, 3).Draw(m.T, "calls")
		if rapid.Bool().Draw(m.T, "court") {
			scope := m.scope()
			m.armed.hold = &scope
		}
	case 15:
		m.retry()
	case 16:
		m.skip()
	case 17:
		m.cancel()
	}
	m.s.settle()
	m.look()
}

// scope is what a hold covers: the tenant, a class or a resource of it, or a class of
// every tenant.
func (m *departure) scope() tenure.HoldScope {
	scope := tenure.HoldScope{Tenant: m.tenant}
	switch rapid.IntRange(0, 3).Draw(m.T, "scope") {
	case 1:
		scope.Class = rapid.SampledFrom(m.classes).Draw(m.T, "held")
	case 2:
		name := m.thing(rapid.IntRange(0, len(m.types)-1).Draw(m.T, "thing"))
		for id := range m.ids {
			if m.ids[id] == name {
				scope.Resource = id
			}
		}
	case 3:
		scope = tenure.HoldScope{Class: rapid.SampledFrom(m.classes).Draw(m.T, "held")}
	}
	return scope
}

// write lets an application write rows to each store that is there.
func (m *departure) write() {
	for i := range len(m.types) {
		name := m.thing(i)
		typ, class := m.types[name], rapid.SampledFrom(m.holds[name]).Draw(m.T, "written")
		if _, there := m.s.world.Get(typ, name); typ == "backup" || !there {
			continue
		}
		m.s.world.Fill(typ, name, class, "late")
		m.wrote(name, class)
	}
}

func (m *departure) pass(d time.Duration) {
	m.s.pass(d)
	m.look()
}

func (m *departure) confirm(class, by string) {
	at := m.s.Now()
	m.words[class] = append(m.words[class], word{by, at}) // before: an open gate lets go at once
	_, err := m.s.Approve(context.Background(), m.op, "noreturn/"+class, m.s.view(m.op).Plan, by, "")
	if err != nil {
		m.words[class] = m.words[class][:len(m.words[class])-1]
	}
	m.s.settle()
}

func (m *departure) release() {
	for id := range m.kept {
		delete(m.kept, id) // before: what it held goes at once
		for _, by := range []string{"counsel", "director"} {
			_, err := m.s.ReleaseHold(context.Background(), id, by)
			m.must(err)
		}
	}
}

func (m *departure) failed() (out []store.StepRow) {
	for _, r := range m.s.view(m.op).Steps {
		if r.State == tenure.StepFailed {
			out = append(out, r)
		}
	}
	return out
}

func (m *departure) retry() {
	if len(m.failed()) > 0 {
		_, err := m.s.Retry(context.Background(), m.op, "", "operator")
		m.must(err)
	}
}

// skip lets two persons leave out a count or an erasure that failed, and tries to leave
// out a point of no return, which is refused.
func (m *departure) skip() {
	gate := rapid.SampledFrom(m.classes).Draw(m.T, "gate")
	if _, err := m.s.Skip(context.Background(), m.op, "noreturn/"+gate, "in a hurry", "operator"); err == nil {
		m.Fatalf("a point of no return was skipped")
	}
	for _, r := range m.failed() {
		if !strings.Contains(r.Key, "/count/") && !strings.Contains(r.Key, "/erase/") {
			continue
		}
		for _, by := range []string{"operator", "counsel"} {
			if _, err := m.s.Skip(context.Background(), m.op, r.Key, "it can't be done", by); err != nil && tenure.CodeOf(err) != tenure.Forbidden {
				m.Fatalf("%s skips %s: %v\n%s", by, r.Key, err, m.s.show(m.op))
			}
		}
		return
	}
}

// cancel takes the offboarding back while nothing has gone; the tenant is reinstated,
// and leaves again.
func (m *departure) cancel() {
	err := m.s.Steer(context.Background(), m.op, "cancel", "operator")
	if err != nil && tenure.CodeOf(err) != tenure.Blocked {
		m.must(err)
	}
	m.s.settle()
	if v := m.s.view(m.op); v.State != tenure.OperationCancelled {
		return
	}
	m.release()
	m.s.world.Heal()
	op := m.s.request(lifecycle.Intent{Kind: tenure.Reinstate, Tenant: m.name, Reason: "they stay"}, "operator")
	for range 5 {
		if m.s.view(op).State == tenure.OperationWaiting {
			m.s.approve(op, "reviewer")
		}
		m.pass(time.Hour)
	}
	m.s.wantState(op, tenure.OperationSucceeded)
	m.leave()
}

// end: when nothing is held any more and persons do what is asked of them, it comes
// to its certificate.
func (m *departure) end() {
	ctx := context.Background()
	m.armed = armed{}
	m.release()
	m.s.world.Heal()
	if !m.s.view(m.op).State.Ended() {
		m.must(m.s.Steer(ctx, m.op, "continue", "operator"))
	}
	for range 40 {
		if m.s.view(m.op).State.Ended() {
			break
		}
		m.retry()
		m.s.settle()
		for _, class := range m.classes {
			for _, by := range []string{"reviewer", "counsel", "director"} {
				m.confirm(class, by)
			}
		}
		m.pass(2 * day)
	}
	if v := m.s.view(m.op); v.State != tenure.OperationSucceeded {
		m.Fatalf("it doesn't come to its end\n%s", m.s.show(m.op))
	}
	for name, typ := range m.types {
		if _, there := m.s.world.Get(typ, name); there {
			m.Errorf("%s %s is left", typ, name)
		}
	}
	file, err := m.s.Certificate(ctx, string(m.tenant), "closing")
	m.must(err)
	key, err := m.s.VerifierKey()
	m.must(err)
	if _, err := evidence.Verify(file, key); err != nil {
		m.Errorf("the certificate: %v", err)
	}
	rep, err := m.s.VerifyAudit(ctx)
	m.must(err)
	if !rep.OK() {
		m.Errorf("the audit has problems: %q", rep.Problems)
	}
}

// raced says whether the race detector watches, under which everything takes many times as long.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
