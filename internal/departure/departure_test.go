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
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// childVariable makes the test binary a process that carries an operation of the
// installation in a folder on for some days, or without them to its end: "folder
// operation days".
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
	dir, rest, _ := strings.Cut(arg, " ")
	id, days, _ := strings.Cut(rest, " ")
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
	until := s.at.AddDate(20, 0, 0)
	if days != "" {
		n, err := strconv.Atoi(days)
		if err != nil {
			return err
		}
		until = began.AddDate(0, 0, n)
	}
	v, err := s.drive(ctx, tenure.OperationID(id), until)
	if err == nil && v.State != tenure.OperationSucceeded && (days == "" || v.State == tenure.OperationBlocked || v.State.Ended()) {
		err = fmt.Errorf("%s", why(v))
	}
	return err
}

// TestDeparture takes a tenant out of a shop and a clinic, in shared tables and in
// stores of its own, on each kind of store and over all five at once. If it fails, a
// certificate says that nothing remains while something does, or a neighbour has lost
// what nobody announced.
func TestDeparture(t *testing.T) {
	scenes := scenes()
	kills := number(t, "TENURE_DEPARTURE_KILLS", 20)
	seed := uint64(number(t, "TENURE_DEPARTURE_SEED", int(time.Now().UnixNano()&0xffffff)))
	t.Logf("%d kills, TENURE_DEPARTURE_SEED=%d", kills, seed)
	each := 8
	if kills < each*len(scenes) {
		each = (kills + len(scenes) - 1) / len(scenes)
	}
	for round := 0; round < len(scenes) || kills > 0; round++ {
		c := scenes[round%len(scenes)]
		ok := t.Run(c.name, func(t *testing.T) {
			kills -= depart(t, c, rand.New(rand.NewPCG(seed, uint64(round))), min(kills, each), 25)
		})
		if !ok && round >= len(scenes) || round > 50*len(scenes) {
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
	depart(t, scenes()[0], rand.New(rand.NewPCG(1, 1)), 0, 180)
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

func depart(t *testing.T, c scene, rnd *rand.Rand, kills, held int) (killed int) {
	ctx := t.Context()
	s := c.install(t)
	for _, who := range tenants {
		_, op, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: who.name, Blueprint: blueprintName}, "operator")
		must(t, err)
		v, err := s.drive(ctx, op.ID, s.at.Add(time.Hour))
		must(t, err)
		if v.State != tenure.OperationSucceeded {
			t.Fatalf("%s can't be onboarded: %s", who.name, why(v))
		}
	}
	var shapes []string
	for _, k := range s.keepers {
		k.fill(t, rnd)
		shapes = append(shapes, k.shape(t))
		if !bytes.Contains(k.raw(t), []byte(tenants[0].token)) {
			t.Fatalf("%s: the leaver's tokens can't be seen from outside at first", keeperName(k))
		}
	}
	before := s.rows(t)
	there := s.byClass(t, before)

	_, op, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "the contract ends"}, "operator")
	must(t, err)
	s.held(t, op.ID, before, held)
	must(t, s.inst.Close())

	for killed < kills {
		if !s.killedOnce(t, op.ID, rnd) {
			break
		}
		killed++
	}
	t.Logf("killed %d times", killed)
	if out, err := s.child(op.ID); err != nil {
		t.Fatalf("the departure doesn't come to its end: %v\n%s", err, out)
	}
	s.look(t, before, shapes)
	s.certified(t, there)
	return killed
}

// held lets the days of a hold pass, beyond a clock or several: nothing may go meanwhile.
func (s *story) held(t *testing.T, id tenure.OperationID, before [][]string, days int) {
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
	if diff := cmp.Diff(before, s.rows(t)); diff != "" {
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

func (s *story) child(id tenure.OperationID) (string, error) {
	cmd, out := s.process(id)
	_, err := cmd.StdinPipe() // closes when this process ends
	if err == nil {
		err = cmd.Run()
	}
	return out.String(), err
}

func (s *story) process(id tenure.OperationID) (*exec.Cmd, *bytes.Buffer) {
	cmd, out := exec.Command(os.Args[0]), &bytes.Buffer{}
	cmd.Env = append(os.Environ(), strings.TrimSpace(childVariable+"="+s.dir+" "+string(id)+" "+s.days), "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// killedOnce runs Tenure until it has sent one of its stores some packets, and kills it,
// or the store under it. It says whether something was killed at work.
func (s *story) killedOnce(t *testing.T, id tenure.OperationID, rnd *rand.Rand) bool {
	t.Helper()
	cmd, out := s.process(id)
	_, err := cmd.StdinPipe()
	must(t, err)
	var all []killable
	for _, k := range s.keepers {
		if k, ok := k.(killable); ok {
			all = append(all, k)
		}
	}
	prey := all[rnd.IntN(len(all))]
	server, whole := rnd.IntN(3) == 0, rnd.IntN(3) == 0
	late := time.Duration(rnd.IntN(20)) * 100 * time.Microsecond // so that it hits what speaks to no server too
	hit := make(chan bool, 1)
	must(t, cmd.Start())
	prey.counter().arm(3+rnd.IntN(60), func() {
		if server {
			hit <- prey.kill(whole)
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
		if server {
			prey.await(t)
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
func (s *story) look(t *testing.T, before [][]string, shapes []string) {
	t.Helper()
	after := s.rows(t)
	for i, k := range s.keepers {
		whole := k.raw(t)
		for _, form := range []string{tenants[0].token, hex.EncodeToString([]byte(tenants[0].token))} {
			if i := bytes.Index(whole, []byte(form)); i >= 0 {
				t.Errorf("%s: the leaver is still there: …%s…", keeperName(k), whole[max(0, i-200):min(len(whole), i+200)])
			}
		}
		var want []string
		for _, line := range before[i] {
			if !owned(line, tenants[0]) {
				want = append(want, k.announced(line, before[i]))
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, after[i]); diff != "" {
			t.Errorf("%s: the neighbours' rows (-want +got):\n%s", keeperName(k), diff)
		}
		if diff := cmp.Diff(shapes[i], k.shape(t)); diff != "" {
			t.Errorf("%s: what isn't rows (-before +after):\n%s", keeperName(k), diff)
		}
	}
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

// rows are all rows, files and objects of each store.
func (s *story) rows(t *testing.T) (out [][]string) {
	t.Helper()
	for _, k := range s.keepers {
		lines := k.rows(t)
		slices.Sort(lines)
		out = append(out, lines)
	}
	return out
}

// byClass adds up what the leaver has, by class.
func (s *story) byClass(t *testing.T, before [][]string) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for i, k := range s.keepers {
		for table, n := range counted(before[i], tenants[0]) {
			if class := k.class(t, table); class != "" {
				out[class] += n
			}
		}
	}
	return out
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

// went is how much the certificate says of a class went. A store that keeps no tally of
// its own says so after a kill, and what was counted before stands beside it.
func went(c evidence.DataClass) (n int64) {
	for _, s := range c.Stores {
		n += s.Gone.Rows + s.Gone.Objects
		if s.AtLeast {
			n += max(0, s.Before.Rows+s.Before.Objects-s.Gone.Rows-s.Gone.Objects)
		}
	}
	return n
}

// certified verifies the closing certificate offline.
func (s *story) certified(t *testing.T, there map[string]int64) {
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
		if said := went(c); said != want && (c.Class != "people" || said < want) { // where triggers and rules of the erasure's own deletes write
			t.Errorf("the certificate says %d rows of %s, there were %d: %+v\n%v", c.Rows, c.Class, want, c, all)
		}
		delete(there, c.Class)
	}
	if len(there) > 0 {
		t.Errorf("the certificate doesn't speak of %v", there)
	}
}
