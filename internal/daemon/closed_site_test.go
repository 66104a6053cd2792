package daemon_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/telemetry"
)

// leaving is an installation whose clock a test moves, with a server on the network
// and words planted in every field that a tenant's people or ours can fill.
type leaving struct {
	t       *testing.T
	home    string
	dsn     string
	inst    *installation.Installation
	measure *telemetry.Telemetry
	srv     *server.Server
	http    *httptest.Server
	log     *record
	world   *memory.World
	clock   atomic.Int64
	who     map[string]store.Principal

	login    string // of the tenant's first account
	incident string // its first
	external string // what another system knows the tenant by
	words    []planted
	filled   map[string]bool // columns of a tenant's that aren't public: whether a planted word was seen there
}

// planted is a word that nothing else looks like, in two halves: half of it is as bad
// as the whole.
type planted struct {
	field, text string
	needles     [][]byte
}

// plain is a driver of a memory world whose stores can be covered further.
type plain struct{ *memory.Driver }

func (d plain) Normalise(want connector.Desired) (json.RawMessage, error) {
	return d.Driver.Normalise(uncovered(want))
}

func (d plain) Ensure(ctx context.Context, want connector.Desired) (connector.Observed, connector.Receipt, error) {
	return d.Driver.Ensure(ctx, uncovered(want))
}

// uncovered is a desire without the tables that an addition covers, which stores of
// this connector don't have.
func uncovered(want connector.Desired) connector.Desired {
	rest := make(map[string]any)
	for name, v := range want.Attributes {
		if name != "tables" {
			rest[name] = v
		}
	}
	want.Attributes = rest
	return want
}

const leavingBlueprint = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: small
version: "1.0"
parameters:
  required: [login]
  properties:
    login: {type: string, minLength: 1}
    motto: {type: string, default: none}
    seats: {type: integer, minimum: 1, default: 5}
environments:
  - {name: prod, kind: production}
systems:
  main: {connector: memory}
features:
  reports: {tiers: [team]}
dataClasses:
  orders:
    disposition: purge
    retention: [{name: retrieval, kind: keep_until, period: P30D, from: termination}]
resources:
  - {key: store, system: main, type: store, name: "${tenant.name}-${env.name}", data: [orders], handover: true}
  - {key: admin, system: main, type: account, name: "${tenant.name}-${params.login}", needs: [store]}
  - {key: motto, system: main, type: setting, name: "${tenant.name}-motto", attributes: {value: "${params.motto}"}}
outputs:
  user: ${resources.admin.name}
  password: ${credential(resources.admin)}
failure: compensate
approvals: {onboard: 1, change: 1, offboard: 1}
offboarding: {grace: P14D, retrieval: P30D, quarantine: P7D, vendors: [{name: Example Print, email: desk@print.example, holds: letters, due: P14D}]}
notices:
  - {on: active, to: platform, text: "${tenant.name} of ${tenant.organization} is active"}
  - {on: closed, to: platform, text: "${tenant.name} is closed"}
`

// leavingRules have a setting follow what the CRM says; an event without it fails.
const leavingRules = `
apiVersion: tenure.dev/v1
kind: Triggers
name: changes
version: "1"
as: feed
rules:
  - {name: motto, source: crm, on: [motto], customer: "${data.deal}", change: {parameters: {motto: "${data.motto}"}}}
`

const leavingToken = "a-token-that-the-CRM-sends"

func newLeaving(t *testing.T, dsn string) *leaving {
	t.Helper()
	l := &leaving{
		t: t, home: filepath.Join(t.TempDir(), "tenure"), log: &record{}, world: memory.NewWorld("main"), who: map[string]store.Principal{},
		filled: map[string]bool{},
	}
	for _, table := range store.Declared() {
		for _, c := range table.Columns {
			if c.Class != "public" && c.Whose == "tenant" {
				l.filled[table.Name+"."+c.Name] = false
			}
		}
	}
	l.clock.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMicro())
	if l.dsn = dsn; dsn == "" {
		l.dsn = filepath.Join(l.home, "tenure.db")
	}
	check(t, os.MkdirAll(l.home, 0o700))
	check(t, os.WriteFile(filepath.Join(l.home, "systems.yaml"), []byte("systems:\n  main: {connector: memory}\n"), 0o600))
	info := memory.InfoOf(l.world)
	open := info.Open
	info.Open = func(ctx context.Context, c connector.Config) (connector.Driver, error) {
		d, err := open(ctx, c)
		if err != nil {
			return nil, err
		}
		return plain{d.(*memory.Driver)}, nil
	}
	token := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(token, []byte(leavingToken), 0o600))
	var err error
	l.measure, err = telemetry.New(t.Context(), telemetry.Options{Version: "test", Clock: l.now, Now: l.now})
	check(t, err)
	t.Cleanup(func() { _ = l.measure.Close(context.Background()) })
	log := slog.New(slog.NewJSONHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l.inst, err = installation.Init(t.Context(), installation.Options{Dir: l.home, Now: l.now, Catalog: []connector.Info{info}, Measure: l.measure, Log: log}, installation.Settings{
		Store: dsn, Events: map[string]installation.EventSource{"crm": {Scheme: "bearer", Secrets: []string{"file:" + token}, Fields: installation.EventFields{ID: "id", Type: "type"}}},
	})
	check(t, err)
	t.Cleanup(func() { _ = l.inst.Close() })
	_, err = l.inst.AddSystem(t.Context(), "main", false, "setup")
	check(t, err)
	_, err = l.inst.SubmitBlueprint(t.Context(), []byte(leavingBlueprint), "small.yaml", "author")
	check(t, err)
	_, err = l.inst.PublishBlueprint(t.Context(), "small@1.0", "reviewer")
	check(t, err)
	l.srv, err = server.New(server.Options{Service: l.inst.Service, Governor: l.inst.Governor, Events: l.inst.Events, Log: log, Metrics: l.measure.Handler(), Middleware: l.measure.Middleware})
	check(t, err)
	t.Cleanup(l.srv.Close)
	l.inst.Events.Open(l.srv.Door())
	l.http = httptest.NewServer(l.srv.Handler())
	t.Cleanup(l.http.Close)
	for name, role := range map[string]tenure.Role{
		"olga": tenure.Operator, "otto": tenure.Operator, "rita": tenure.Approver, "ruth": tenure.Approver, "sam": tenure.SecurityOfficer, "sue": tenure.SecurityOfficer,
		"leo": tenure.Legal, "lena": tenure.Legal, "aurel": tenure.Auditor, "adam": tenure.Admin,
	} {
		p, err := l.inst.Governor.AddPrincipal(t.Context(), store.Principal{Name: name, Email: name + "@staff.example", Display: name, Kind: tenure.CallerPerson}, "setup")
		check(t, err)
		_, err = l.inst.Governor.Grant(t.Context(), governance.Local("setup"), tenure.Grant{Principal: p.ID, Role: role, Scope: tenure.Scope{All: true}, Reason: "their desk"})
		check(t, err)
		l.who[name] = p
	}
	feed, err := l.inst.Governor.AddPrincipal(t.Context(), store.Principal{Name: "feed", Kind: tenure.CallerMachine, Owner: "olga"}, "setup")
	check(t, err)
	_, err = l.inst.Governor.Grant(t.Context(), governance.Local("setup"), tenure.Grant{Principal: feed.ID, Role: tenure.Operator, Scope: tenure.Scope{All: true}, Reason: "what the CRM tells"})
	check(t, err)
	rules, err := l.inst.Events.Submit(t.Context(), []byte(leavingRules), "changes.yaml", "author")
	check(t, err)
	_, err = l.inst.Events.Publish(t.Context(), rules.Digest, "reviewer")
	check(t, err)
	return l
}

func (l *leaving) now() time.Time { return time.UnixMicro(l.clock.Load()).UTC() }

// word plants a text in a field; the text is a name where nothing else may stand.
func (l *leaving) word(field string) string {
	text := letters(14) + letters(14)
	l.plant(field, text)
	return text
}

// text is word where any text may stand: what has to be escaped is in its middle.
func (l *leaving) text(field string) string {
	text := letters(14) + ` "ü<&> ` + letters(14)
	l.plant(field, text)
	return text
}

func letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "ghjklmnpqrstvwxz"[rand.IntN(16)] // none that stands in hexadecimal digests
	}
	return string(b)
}

func (l *leaving) plant(field, text string) {
	p := planted{field: field, text: text}
	for _, half := range []string{text[:14], text[len(text)-14:]} {
		raw := []byte(half)
		p.needles = append(p.needles, raw, []byte(hex.EncodeToString(raw)), []byte(strings.ToUpper(hex.EncodeToString(raw))))
		for pad := range 3 {
			enc := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", pad) + half))
			p.needles = append(p.needles, []byte(enc[4:len(enc)-4]))
		}
		var little, big []byte
		for _, u := range utf16.Encode([]rune(half)) {
			little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
		}
		p.needles = append(p.needles, little, big)
	}
	l.words = append(l.words, p)
}

func (p planted) in(body []byte) bool {
	return slices.ContainsFunc(p.needles, func(n []byte) bool { return bytes.Contains(body, n) })
}

// as sends a request of somebody's under an Idempotency-Key and gives the answer, which
// must have the status, or begin with its first digit.
func (l *leaving) as(name, method, path string, body any, want int) map[string]any {
	l.t.Helper()
	raw, err := json.Marshal(body)
	check(l.t, err)
	_, cookie, err := l.inst.Governor.NewSession(l.t.Context(), l.who[name], "test", "a browser", true)
	check(l.t, err)
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.http.URL+path, bytes.NewReader(raw))
	check(l.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		req.Header.Set("Idempotency-Key", l.word("idempotency.key"))
	}
	visitor{session: cookie.Reveal()}.dress(req)
	resp, err := http.DefaultClient.Do(req)
	check(l.t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	check(l.t, err)
	if resp.StatusCode != want && resp.StatusCode/100 != want {
		l.t.Fatalf("%s: %s %s %s answers %d: %s", name, method, path, raw, resp.StatusCode, got)
	}
	var out map[string]any
	_ = json.Unmarshal(got, &out)
	l.look()
	return out
}

// told is an event of a customer, with words of its own.
func (l *leaving) told(customer, event string) {
	l.t.Helper()
	body, err := json.Marshal(map[string]string{"id": event, "type": "motto", "deal": customer, "note": l.text("inbound.body")})
	check(l.t, err)
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, l.http.URL+"/v1/events/crm", bytes.NewReader(body))
	check(l.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+leavingToken)
	resp, err := http.DefaultClient.Do(req)
	check(l.t, err)
	defer resp.Body.Close()
	if said, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode/100 != 2 {
		l.t.Fatalf("an event is answered with %d: %s %v", resp.StatusCode, said, err)
	}
	check(l.t, l.inst.Events.Work(l.t.Context()))
	l.look()
}

func id(answer map[string]any) string { return fmt.Sprint(answer["id"]) }

// settle lets the engine do all that is due, and the clock's work once.
func (l *leaving) settle() {
	l.t.Helper()
	_, err := l.inst.Engine.Settle(l.t.Context())
	check(l.t, err)
	for _, tick := range l.inst.Ticks() {
		check(l.t, tick.Do(l.t.Context(), l.now()))
	}
	check(l.t, l.srv.Tick(l.t.Context(), l.now()))
	_, err = l.inst.Engine.Settle(l.t.Context())
	check(l.t, err)
	l.look()
}

func (l *leaving) pass(d time.Duration) {
	l.t.Helper()
	l.clock.Add(d.Microseconds())
	l.settle()
}

func (l *leaving) view(op string) (tenure.OperationState, string) {
	l.t.Helper()
	v, err := l.inst.Operation(l.t.Context(), tenure.OperationID(op))
	check(l.t, err)
	return v.State, v.Plan
}

// cells reads every value of every declared table, past the program.
func (l *leaving) cells(do func(table, column string, value []byte)) {
	l.t.Helper()
	driver, dsn := "sqlite", "file:"+l.dsn+"?mode=ro&_pragma=busy_timeout(10000)"
	if strings.HasPrefix(l.dsn, "postgres") {
		driver, dsn = "pgx", l.dsn
	}
	db, err := sql.Open(driver, dsn)
	check(l.t, err)
	defer db.Close()
	for _, table := range store.Declared() {
		rows, err := db.QueryContext(l.t.Context(), "select * from "+table.Name)
		check(l.t, err)
		columns, err := rows.Columns()
		check(l.t, err)
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		for rows.Next() {
			check(l.t, rows.Scan(values...))
			for i, c := range columns {
				switch v := (*values[i].(*any)).(type) {
				case []byte:
					do(table.Name, c, v)
				case string:
					do(table.Name, c, []byte(v))
				}
			}
		}
		check(l.t, rows.Err())
		_ = rows.Close()
	}
}

// look notes which columns have a planted word in them now.
func (l *leaving) look() {
	l.t.Helper()
	l.cells(func(table, column string, value []byte) {
		name := table + "." + column
		if filled, ask := l.filled[name]; filled || !ask || len(value) == 0 {
			return
		}
		l.filled[name] = slices.ContainsFunc(l.words, func(p planted) bool { return p.in(value) })
	})
}

// everywhere gives all that the installation keeps or says: its rows, its files, its
// log, and its metrics.
func (l *leaving) everywhere(do func(where string, body []byte)) {
	l.t.Helper()
	l.cells(func(table, column string, value []byte) { do("the column "+table+"."+column, value) })
	check(l.t, filepath.WalkDir(l.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		do("a file's name", []byte(path))
		if !d.Type().IsRegular() {
			return nil
		}
		raw, err := os.ReadFile(path)
		do("the file "+strings.TrimPrefix(path, l.home), raw)
		return err
	}))
	do("the log", []byte(l.log.String()))
	resp, err := http.Get(l.http.URL + "/metrics")
	check(l.t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	check(l.t, err)
	if !bytes.Contains(page, []byte("tenure_")) {
		l.t.Errorf("the metrics page: %d %s", resp.StatusCode, page)
	}
	do("the metrics", page)
}
