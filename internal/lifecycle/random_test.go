package lifecycle_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/store"
)

// Whatever the stores, the classes and their clocks, whoever confirms, holds,
// pauses, retries and lets lapse, in whatever order: nothing of a class goes before
// its clock, two fresh words and its holds say so, what is gone stays gone, and it
// ends with a certificate. A model that knows nothing of plans says at each call to
// the system what may go.
//
// TENURE_DEPARTURES is how many random departures are tried; 0 is 100, and 20 under the
// race detector.
func TestRandomDepartures(t *testing.T) {
	t.Parallel()
	n, _ := strconv.Atoi(os.Getenv("TENURE_DEPARTURES"))
	if n <= 0 {
		// The same ones each time; make fuzz tries others.
		if err := flag.Set("rapid.seed", "7"); err != nil {
			t.Fatal(err)
		}
		n = 100
		if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
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
				for range rapid.IntRange(5, 30).Draw(rt, "events") {
					m.event()
				}
				m.end()
			})
		})
	}
}

// departure is one tenant's, with the model of what may go.
type departure struct {
	*rapid.T
	s       *site
	name    string
	op      tenure.OperationID
	tenant  tenure.TenantID
	classes []string
	periods map[string]int // days
	types   map[string]string
	holds   map[string][]string // classes, by the thing's name
	cut     time.Time
	words   map[string][]word // by class
	kept    map[tenure.HoldID]tenure.HoldScope
	ids     map[tenure.ResourceID]string
	gone    map[tenure.ResourceID]bool
	late    map[string]time.Time // by name and class: when rows came after it had gone
	went    map[string]bool

	mu    sync.Mutex // of what calls read and write
	wrong []string
}

type word struct {
	by string
	at time.Time
}

// depart onboards a tenant of a random shape, and starts its offboarding.
func depart(rt *rapid.T, s *site, n int) *departure {
	m := &departure{
		T: rt, s: s, name: fmt.Sprint("t", n), periods: map[string]int{}, types: map[string]string{}, holds: map[string][]string{},
		words: map[string][]word{}, kept: map[tenure.HoldID]tenure.HoldScope{}, ids: map[tenure.ResourceID]string{}, gone: map[tenure.ResourceID]bool{},
		late: map[string]time.Time{}, went: map[string]bool{},
	}
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
	for thing, typ := range m.types {
		if typ == "backup" {
			s.world.AddCopy(typ, thing, connector.Copy{Where: "vault", Expires: s.Now().Add(time.Duration(rapid.IntRange(1, 60).Draw(rt, "copy")) * day)})
			continue
		}
		for _, class := range m.holds[thing] {
			s.world.Fill(typ, thing, class, make([]string, rapid.IntRange(0, 14).Draw(rt, "rows"))...)
		}
	}
	f := m.called
	s.watch.Store(&f)
	m.op = s.leave(m.name)
	m.cut, m.tenant = s.Now(), s.view(m.op).Tenant
	rows, err := s.db.Resources(context.Background(), m.tenant, true)
	m.must(err)
	for _, r := range rows {
		m.ids[r.ID] = r.Name
	}
	return m
}

func (m *departure) thing(i int) string { return fmt.Sprintf("%s-r%d", m.name, i) }

func (m *departure) must(err error) {
	if err != nil {
		m.Fatalf("%v\n%s", err, m.s.show(m.op))
	}
}

// called is the judge: it is told of each call that destroys, before it is carried out.
func (m *departure) called(call string, r connector.Ref, class string) {
	if m.types[r.Name] == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.s.Now()
	th, _ := m.s.world.Get(r.Type, r.Name)
	for _, c := range m.holds[r.Name] {
		if call == "erase" && class != c {
			continue
		}
		for id, scope := range m.kept {
			if (scope.Tenant == "" || scope.Tenant == m.tenant) && (scope.Class == "" || scope.Class == c) && (scope.Resource == "" || m.ids[scope.Resource] == r.Name) {
				m.harm("%s of %s (%s) under hold %s %+v", call, r.Name, c, id, scope)
			}
		}
		if open := m.cut.Add(time.Duration(m.periods[c]) * day); now.Before(open) {
			m.harm("%s of %s at %s: the clock of %s opens at %s", call, r.Name, now, c, open)
		}
		if call == "delete" && (r.Type == "rows" || len(th.Rows[c]) == 0) || call == "expire" {
			continue // the deletion of a share takes no rows: it is refused while there are some
		}
		since := now.Add(-2 * 72 * time.Hour) // the counts are good for 72 hours, and so is the word
		if at := m.late[r.Name+c]; at.After(since) {
			since = at
		}
		by := map[string]bool{}
		for _, w := range m.words[c] {
			if !w.at.Before(since) {
				by[w.by] = true
			}
		}
		if len(by) < 2 {
			m.harm("%s of %s at %s takes %d rows of %s on the words of %d", call, r.Name, now, len(th.Rows[c]), c, len(by))
		}
		if call == "erase" && len(th.Rows[c]) <= m.s.Engine.BatchRows {
			m.went[r.Name+c] = true
			delete(m.late, r.Name+c)
		}
	}
}

func (m *departure) harm(format string, args ...any) {
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
}

// event is one thing that happens.
func (m *departure) event() {
	ctx := context.Background()
	v := m.s.view(m.op)
	if v.State.Ended() {
		return
	}
	switch rapid.IntRange(0, 11).Draw(m.T, "event") {
	case 0, 1, 2:
		m.pass(time.Duration(rapid.IntRange(1, 100).Draw(m.T, "hours")) * time.Hour)
	case 3, 4, 5, 6:
		class := rapid.SampledFrom(m.classes).Draw(m.T, "class")
		m.confirm(class, rapid.SampledFrom([]string{"reviewer", "counsel", "director"}).Draw(m.T, "by"))
	case 7:
		scope := tenure.HoldScope{Tenant: m.tenant}
		switch rapid.IntRange(0, 3).Draw(m.T, "scope") {
		case 1:
			scope.Class = rapid.SampledFrom(m.classes).Draw(m.T, "held")
		case 2:
			for id := range m.ids {
				if scope.Resource == "" || id < scope.Resource {
					scope.Resource = id
				}
			}
		case 3:
			scope = tenure.HoldScope{Class: rapid.SampledFrom(m.classes).Draw(m.T, "held")}
		}
		h, err := m.s.PlaceHold(ctx, tenure.Hold{Matter: "case", Scope: scope}, "counsel")
		m.must(err)
		m.kept[h.ID] = scope
	case 8:
		m.release()
	case 9:
		m.must(m.s.Steer(ctx, m.op, rapid.SampledFrom([]string{"pause", "continue"}).Draw(m.T, "steer"), "operator"))
	case 10:
		m.write()
	case 11:
		call := rapid.SampledFrom([]string{"erase", "delete", "observe", "map", "expire"}).Draw(m.T, "call")
		m.s.world.Inject(memory.Fault{Call: call, Times: rapid.IntRange(1, 3).Draw(m.T, "times"), DropAnswer: rapid.Bool().Draw(m.T, "lost")})
	}
	m.s.settle()
	m.look()
}

// write lets an application write rows to a share, unless it has gone as a whole.
func (m *departure) write() {
	for name, typ := range m.types {
		if _, there := m.s.world.Get(typ, name); typ != "rows" || !there {
			continue
		}
		class := m.holds[name][0]
		m.s.world.Fill(typ, name, class, "late")
		if m.went[name+class] {
			m.late[name+class] = m.s.Now()
		}
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

// look: what is gone stays gone, and what doesn't go on says why.
func (m *departure) look() {
	if len(m.wrong) > 0 {
		m.Fatalf("%s\n%s", strings.Join(m.wrong, "\n"), m.s.show(m.op))
	}
	rows, err := m.s.db.Resources(context.Background(), m.tenant, true)
	m.must(err)
	for _, r := range rows {
		if m.gone[r.ID] && r.State != tenure.ResourceGone {
			m.Fatalf("%s is %s after it was gone\n%s", r.Key, r.State, m.s.show(m.op))
		}
		m.gone[r.ID] = r.State == tenure.ResourceGone
	}
	if v := m.s.view(m.op); (v.State == tenure.OperationWaiting || v.State == tenure.OperationBlocked) && v.Reason == "" {
		m.Fatalf("it is %s and doesn't say why\n%s", v.State, m.s.show(m.op))
	}
}

// end: when nothing is held any more and persons do what is asked of them, it comes
// to its certificate.
func (m *departure) end() {
	ctx := context.Background()
	m.release()
	m.s.world.Heal()
	if !m.s.view(m.op).State.Ended() {
		m.must(m.s.Steer(ctx, m.op, "continue", "operator"))
	}
	for range 40 {
		if m.s.view(m.op).State.Ended() {
			break
		}
		if slices.ContainsFunc(m.s.view(m.op).Steps, func(r store.StepRow) bool { return r.State == tenure.StepFailed }) {
			_, err := m.s.Retry(ctx, m.op, "", "operator")
			m.must(err)
			m.s.settle()
		}
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
	if _, err := m.s.Certificate(ctx, string(m.tenant), "closing"); err != nil {
		m.Errorf("the certificate: %v", err)
	}
	rep, err := m.s.VerifyAudit(ctx)
	m.must(err)
	if !rep.OK() {
		m.Errorf("the audit has problems: %q", rep.Problems)
	}
}
