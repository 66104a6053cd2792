package departure

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// childVariable makes the test binary a process that carries an operation of the
// installation in a folder to its end: "folder operation".
const childVariable = "TENURE_DEPARTURE_CHILD"

func TestMain(m *testing.M) {
	if arg := os.Getenv(childVariable); arg != "" {
		if err := carryOn(arg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func carryOn(arg string) error {
	dir, id, _ := strings.Cut(arg, " ")
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	go func() { // the parent is gone, so nobody waits for this
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	s, err := openStory(ctx, dir)
	if err != nil {
		return err
	}
	defer s.inst.Close()
	v, err := s.drive(ctx, tenure.OperationID(id), s.at.AddDate(20, 0, 0))
	if err == nil && v.State != tenure.OperationSucceeded {
		err = fmt.Errorf("%s", why(v))
	}
	return err
}

// TestDeparture takes a tenant out of a shop and a clinic, in shared tables and in
// a schema of its own. If it fails, a certificate says that nothing remains while
// something does, or a neighbour has lost what nobody announced.
func TestDeparture(t *testing.T) {
	postgrestest.DSN(t) // or no round makes a kill
	kills := number(t, "TENURE_DEPARTURE_KILLS", 20)
	seed := uint64(number(t, "TENURE_DEPARTURE_SEED", int(time.Now().UnixNano()&0xffffff)))
	t.Logf("%d kills, TENURE_DEPARTURE_SEED=%d", kills, seed)
	cases := []struct {
		p      platform
		pooled bool
	}{{shop, true}, {clinic, true}, {shop, false}, {clinic, false}}
	for round := 0; round < len(cases) || kills > 0; round++ {
		c := cases[round%len(cases)]
		name := c.p.name + " in a schema"
		if c.pooled {
			name = c.p.name + " in shared tables"
		}
		ok := t.Run(name, func(t *testing.T) {
			kills -= depart(t, c.p, c.pooled, rand.New(rand.NewPCG(seed, uint64(round))), min(kills, 8), 25)
		})
		if !ok && round >= len(cases) {
			break
		}
	}
	if kills > 0 {
		t.Errorf("%d kills weren't made: the test shows too little", kills)
	}
}

// TestHoldBeyondSeveralClocks releases a hold when the clocks of two classes have
// passed: both may go then, and the one that others refer to still goes after them.
func TestHoldBeyondSeveralClocks(t *testing.T) {
	depart(t, shop, true, rand.New(rand.NewPCG(1, 1)), 0, 180)
}

func number(t *testing.T, name string, otherwise int) int {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	must(t, err)
	return n
}

func depart(t *testing.T, p platform, pooled bool, rnd *rand.Rand, kills, held int) (killed int) {
	ctx := t.Context()
	srv := start(t)
	dsn := srv.database(t, p.name)
	must(t, run(dsn, p.set(pooled)))
	proxy := between(t, dsn)
	s := p.install(t, proxy.dsn, pooled)
	for _, who := range tenants {
		_, op, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: who.name, Blueprint: p.name}, "operator")
		must(t, err)
		v, err := s.drive(ctx, op.ID, s.at.Add(time.Hour))
		must(t, err)
		if v.State != tenure.OperationSucceeded {
			t.Fatalf("%s can't be onboarded: %s", who.name, why(v))
		}
	}
	p.fill(t, s.desk, dsn, pooled, rnd)
	before, catalog := s.rows(t, dsn), catalogOf(t, dsn, pooled)
	if !bytes.Contains(s.desk.raw(t), []byte(tenants[0].token)) || !bytes.Contains(dump(t, dsn), []byte(tenants[0].token)) {
		t.Fatal("the leaver's tokens can't be seen from outside at first")
	}
	there := p.byClass(t, s, dsn, counted(before, tenants[0]))

	_, op, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "the contract ends"}, "operator")
	must(t, err)
	p.held(t, s, op.ID, dsn, before, held)
	must(t, s.inst.Close())

	for killed < kills {
		if !p.killedOnce(t, srv, proxy, dsn, s.dir, op.ID, rnd) {
			break
		}
		killed++
	}
	t.Logf("killed %d times", killed)
	if out, err := child(s.dir, op.ID); err != nil {
		t.Fatalf("the departure doesn't come to its end: %v\n%s", err, out)
	}
	p.look(t, s, dsn, pooled, before, catalog, there)
	return killed
}

func run(dsn, sql string) error {
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.PgConn().Exec(context.Background(), sql).ReadAll()
	return err
}

func (p platform) install(t *testing.T, dsn string, pooled bool) *story {
	t.Helper()
	ctx := t.Context()
	s := &story{dir: t.TempDir()}
	s.desk = p.desk(t, pooled)
	must(t, s.jump(time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)))
	must(t, os.WriteFile(filepath.Join(s.dir, "dsn"), []byte(dsn), 0o600))
	must(t, os.WriteFile(filepath.Join(s.dir, "systems.yaml"), fmt.Appendf(nil, "systems:\n  main:\n    connector: postgres\n    options: {dsn: %q}\n  desk:\n    connector: sqlite\n    options: {dir: %q, shared: %q}\n",
		"file:"+filepath.Join(s.dir, "dsn"), s.desk.folder(), s.desk.shared()), 0o600))
	var err error
	s.inst, err = installation.Init(ctx, installation.Options{Dir: s.dir, Now: s.now}, installation.Settings{})
	must(t, err)
	s.inst.Engine.Lease = lease
	for _, system := range []string{"main", "desk"} {
		_, err = s.inst.AddSystem(ctx, system, false, "operator")
		must(t, err)
	}
	_, err = s.inst.SubmitBlueprint(ctx, p.blueprint(t, pooled, s.desk), p.name+".yaml", "author")
	must(t, err)
	_, err = s.inst.PublishBlueprint(ctx, p.name+"@1", "reviewer")
	must(t, err)
	return s
}

func (p platform) fill(t *testing.T, d desk, dsn string, pooled bool, rnd *rand.Rand) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer conn.Close(context.Background())
	f := &filler{Rand: rnd, conn: conn, parents: p.parents, full: p.full, last: 1000}
	defer d.fill(t, f)
	if pooled {
		f.nobodys = strings.Fields(p.shared)
		f.fill(t, p.schemas(tenants[0], true), tenants...)
		must(t, run(dsn, strings.ReplaceAll(p.crossing, "S.", p.name+".")+"\nrefresh materialized view "+p.name+"."+p.derived))
		return
	}
	for _, who := range tenants {
		schemas := p.schemas(who, false)
		if who.name == "acme" { // what is elsewhere isn't a schema's to cover
			schemas = schemas[:1]
		}
		f.fill(t, schemas, who)
		must(t, run(dsn, `refresh materialized view "`+who.name+`".`+p.derived))
	}
}

// held lets the days of a hold pass, beyond a clock or several: nothing may go meanwhile.
func (p platform) held(t *testing.T, s *story, id tenure.OperationID, dsn string, before []string, days int) {
	t.Helper()
	ctx := t.Context()
	v, err := s.drive(ctx, id, s.at.AddDate(0, 0, 35))
	must(t, err)
	if v.State == tenure.OperationBlocked {
		t.Fatalf("the departure is blocked: %s", why(v))
	}
	leaver, err := s.inst.Tenant(ctx, "acme")
	must(t, err)
	h, err := s.inst.PlaceHold(ctx, tenure.Hold{Matter: "case 26-117", Reason: "a claim", Scope: tenure.HoldScope{Tenant: leaver.ID}}, "counsel")
	must(t, err)
	if v, err = s.drive(ctx, id, s.at.AddDate(0, 0, days)); err != nil || v.State == tenure.OperationBlocked {
		t.Fatalf("under the hold: %v, %s", err, why(v))
	}
	if diff := cmp.Diff(before, s.rows(t, dsn)); diff != "" {
		t.Fatalf("something changed under a hold (-before +after):\n%s", diff)
	}
	for _, by := range []string{"counsel", "officer"} {
		h, err = s.inst.ReleaseHold(ctx, h.ID, by)
		must(t, err)
	}
	if h.Active() {
		t.Fatal("two persons have released the hold, and it still binds")
	}
}

func child(dir string, id tenure.OperationID) (string, error) {
	cmd, out := process(dir, id)
	_, err := cmd.StdinPipe() // closes when this process ends
	if err == nil {
		err = cmd.Run()
	}
	return out.String(), err
}

func process(dir string, id tenure.OperationID) (*exec.Cmd, *bytes.Buffer) {
	cmd, out := exec.Command(os.Args[0]), &bytes.Buffer{}
	cmd.Env = append(os.Environ(), childVariable+"="+dir+" "+string(id), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// killedOnce runs Tenure until it has sent some statements, and kills it, or the
// database under it. It says whether something was killed at work.
func (p platform) killedOnce(t *testing.T, srv *server, proxy *counter, dsn, dir string, id tenure.OperationID, rnd *rand.Rand) bool {
	t.Helper()
	cmd, out := process(dir, id)
	_, err := cmd.StdinPipe()
	must(t, err)
	database, postmaster := rnd.IntN(3) == 0, rnd.IntN(3) == 0
	late := time.Duration(rnd.IntN(20)) * 100 * time.Microsecond // so that it hits the desk's statements too
	hit := make(chan bool, 1)
	must(t, cmd.Start())
	proxy.arm(3+rnd.IntN(60), func() {
		if database {
			hit <- srv.kill(dsn, postmaster)
			return
		}
		time.Sleep(late)
		_ = cmd.Process.Kill()
		hit <- true
	})
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case was := <-hit:
		if database {
			srv.await(t)
			_ = cmd.Process.Kill() // it may go on, or end with an error; either is its right
		}
		<-done
		return was
	case err := <-done:
		if err != nil && cmd.ProcessState.Exited() {
			t.Fatalf("the departure doesn't come to its end: %v\n%s", err, out.String())
		}
		return err != nil // killed, and heard of sooner than from the killer
	}
}

// look compares what is left, from outside, with what there was.
func (p platform) look(t *testing.T, s *story, dsn string, pooled bool, before []string, catalog string, there map[string]int64) {
	t.Helper()
	whole := append(dump(t, dsn), s.desk.raw(t)...)
	for _, form := range []string{tenants[0].token, hex.EncodeToString([]byte(tenants[0].token))} {
		if i := bytes.Index(whole, []byte(form)); i >= 0 {
			t.Errorf("the leaver is still there: …%s…", whole[max(0, i-200):min(len(whole), i+200)])
		}
	}
	var want []string
	for _, line := range before {
		if !owned(line, tenants[0]) {
			want = append(want, p.announced(line, before))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.rows(t, dsn)); diff != "" {
		t.Errorf("the neighbours' rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(catalog, catalogOf(t, dsn, pooled)); diff != "" {
		t.Errorf("the catalog (-before +after):\n%s", diff)
	}
	p.certified(t, s, there)
}

// announced is a line after the references that become null have done so: those
// to a row of the leaver's.
func (p platform) announced(line string, before []string) string {
	table, body, _ := strings.Cut(line, " ")
	_, short, _ := strings.Cut(table, ".")
	column := p.cut[short]
	if column == "" {
		return line
	}
	var row map[string]any
	if json.Unmarshal([]byte(body), &row) != nil || row[column] == nil {
		return line
	}
	id := fmt.Sprintf(`"id": %v,`, row[column])
	for _, other := range before {
		if owned(other, tenants[0]) && strings.Contains(other, id) {
			return strings.Replace(line, fmt.Sprintf(`%q: %v`, column, row[column]), fmt.Sprintf(`%q: null`, column), 1)
		}
	}
	return line
}

// rows are all rows of the platform and of its desk.
func (s *story) rows(t *testing.T, dsn string) []string {
	t.Helper()
	out := append(rowsOf(t, dsn), s.desk.rows(t)...)
	slices.Sort(out)
	return out
}

// rowsOf are all rows outside of Tenure's own schema, each a line of its table and
// its values as JSON.
func rowsOf(t *testing.T, dsn string) []string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `select c.oid::regclass::text, quote_literal(relnamespace::regnamespace::text || '.' || relname) from pg_class c where relkind in ('r', 'm')
 and relnamespace::regnamespace::text not in ('tenure', 'pg_catalog', 'information_schema') order by 1`)
	must(t, err)
	type place struct{ Table, Name string }
	places, err := pgx.CollectRows(rows, pgx.RowToStructByPos[place])
	must(t, err)
	var out []string
	for _, p := range places {
		rows, err := conn.Query(ctx, "select "+p.Name+" || ' ' || to_jsonb(t)::text from only "+p.Table+" t")
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		out = append(out, lines...)
	}
	slices.Sort(out)
	return out
}

// catalogOf is what the server would write down of all objects but Tenure's and,
// where each tenant has a schema, the leaver's.
func catalogOf(t *testing.T, dsn string, pooled bool) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer conn.Close(ctx)
	skip := " not in ('tenure', 'information_schema') and nspname not like 'pg\\_%'"
	if !pooled {
		skip += " and nspname not like 'acme' and nspname not like '%quarantine%'"
	}
	var out []string
	for _, sql := range []string{
		"select concat_ws(' ', c.oid, nspname, relname, relkind, relowner, relacl, relrowsecurity, relispartition, relreplident, pg_get_expr(relpartbound, c.oid)) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname" + skip,
		"select concat_ws(' ', attrelid, attnum, attname, atttypid, attnotnull, attgenerated, pg_get_expr(adbin, adrelid)) from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace left join pg_attrdef on adrelid = attrelid and adnum = attnum where attnum > 0 and nspname" + skip,
		"select concat_ws(' ', k.oid, conname, convalidated, pg_get_constraintdef(k.oid)) from pg_constraint k join pg_namespace n on n.oid = connamespace where nspname" + skip,
		"select concat_ws(' ', t.oid, tgenabled, pg_get_triggerdef(t.oid)) from pg_trigger t join pg_class c on c.oid = tgrelid join pg_namespace n on n.oid = relnamespace where not tgisinternal and nspname" + skip,
		"select concat_ws(' ', r.oid, ev_enabled, pg_get_ruledef(r.oid)) from pg_rewrite r join pg_class c on c.oid = ev_class join pg_namespace n on n.oid = relnamespace where nspname" + skip,
		"select concat_ws(' ', p.oid, proname, proowner, prosrc) from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname" + skip,
		"select concat_ws(' ', t.oid, typname, typtype) from pg_type t join pg_namespace n on n.oid = typnamespace where typtype in ('e', 'd') and nspname" + skip,
		"select concat_ws(' ', n.oid, nspname, nspowner, nspacl) from pg_namespace n where nspname" + skip,
	} {
		rows, err := conn.Query(ctx, sql)
		must(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(t, err)
		slices.Sort(lines)
		out = append(out, lines...)
	}
	return strings.Join(out, "\n")
}

// owned says whether a line is a tenant's: by its tokens, its key or its schema.
func owned(line string, who person) bool {
	if strings.HasPrefix(line, who.name+".") {
		return true
	}
	for _, sign := range []string{who.token, hex.EncodeToString([]byte(who.token)), `"tenant_key": "` + who.name + `"`, `"practice": "` + who.name + `"`, `"account": "` + who.name + `"`} {
		if strings.Contains(line, sign) {
			return true
		}
	}
	return false
}

// counted are the rows of a tenant, by table.
func counted(lines []string, who person) map[string]int64 {
	out := map[string]int64{}
	for _, line := range lines {
		if owned(line, who) {
			table, _, _ := strings.Cut(line, " ")
			out[table]++
		}
	}
	return out
}

// certified verifies the closing certificate offline.
func (p platform) certified(t *testing.T, s *story, there map[string]int64) {
	t.Helper()
	ctx := t.Context()
	in, err := installation.Open(ctx, installation.Options{Dir: s.dir, Now: s.now})
	must(t, err)
	defer in.Close()
	closed, err := in.Tenants(ctx, store.TenantFilter{Closed: true})
	must(t, err)
	i := slices.IndexFunc(closed, func(v store.TenantRow) bool { return v.State == tenure.TenantClosed })
	if i < 0 {
		t.Fatal("the tenant isn't closed")
	}
	file, err := in.Certificate(ctx, string(closed[i].ID), "closing")
	must(t, err)
	verifier, err := in.VerifierKey()
	must(t, err)
	rep, err := evidence.Verify(file, verifier)
	if err != nil {
		t.Fatalf("the certificate: %v", err)
	}
	all := maps.Clone(there)
	for _, c := range rep.Departure.Classes {
		want := there[c.Class]
		if c.Rows != want && (c.Class != "people" || c.Rows < want) { // where triggers and rules of the erasure's own deletes write
			t.Errorf("the certificate says %d rows of %s, there were %d: %+v\n%v", c.Rows, c.Class, want, c, all)
		}
		delete(there, c.Class)
	}
	if len(there) > 0 {
		t.Errorf("the certificate doesn't speak of %v", there)
	}
}

// byClass adds up the rows of tables, with their partitions and heirs, by class.
func (p platform) byClass(t *testing.T, s *story, dsn string, rows map[string]int64) map[string]int64 {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	must(t, err)
	defer conn.Close(ctx)
	out := map[string]int64{}
	for name, n := range rows {
		if strings.Contains(name, "desk.") {
			if class := s.desk.class(name); class != "" {
				out[class] += n
			}
			continue
		}
		var root string
		must(t, conn.QueryRow(ctx, `with recursive up (id) as (select $1::text::regclass::oid union all select inhparent from pg_inherits join up on inhrelid = id)
 select relname from up join pg_class c on c.oid = id where not exists (select from pg_inherits where inhrelid = id)`, name).Scan(&root))
		for class, tables := range p.classes {
			for table := range strings.FieldsSeq(tables + map[bool]string{true: " history insurers"}[class == "people"]) {
				if _, short, _ := strings.Cut(table, "."); table == root || short == root {
					out[class] += n
					break
				}
			}
		}
	}
	return out
}
