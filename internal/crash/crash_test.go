package crash

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/filesystem"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

const platform = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: crash
version: "1"
parameters: {type: object, properties: {}}
environments:
  - {name: prod, kind: production}
systems:
  files: {connector: filesystem}
dataClasses:
  documents:
    disposition: purge
    retention:
      - {name: retrieval, kind: keep_until, period: P30D, from: termination}
resources:
  - key: files
    system: files
    type: bucket
    name: ${tenant.name}
    data: [documents]
  - key: readme
    system: files
    type: document
    name: ${tenant.name}-readme
    needs: [files]
    attributes: {text: "this is ${tenant.name}"}
failure: compensate
approvals: {onboard: 0, offboard: 1}
offboarding: {grace: P14D, retrieval: P30D, quarantine: P7D}
`

// every is which of the operations finds somebody else's file in its place, fails,
// and takes back what it has made.
const every = 10

// Killed at any moment and started again, Tenure ends every operation, loses no
// step and leaves nothing in the system that the inventory doesn't know.
func TestKilledWhileOperationsRun(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); testKilled(t, "") })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); testKilled(t, postgrestest.Database(t)) })
}

func testKilled(t *testing.T, dsn string) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("TENURE_CRASH_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	n := count(t)
	kills := 12 // while it is at work
	if raced() {
		kills = 6
	}
	t.Logf("%d operations, %d kills; TENURE_CRASH_SEED=%d", n, kills, seed)
	dir := t.TempDir()
	root := filepath.Join(dir, "files")
	prepare(t, dir, dsn, root, n)
	rnd := rand.New(rand.NewPCG(seed, 1))
	killed := 0
	for killed < kills {
		// A tenant makes three or four moves; spread the kills over them all.
		if !killedAfter(t, dir, 1+rnd.IntN(max(2, 6*n/kills)), time.Duration(rnd.IntN(3000))*time.Microsecond) {
			break
		}
		killed++
	}
	if killed < kills/3 {
		t.Fatalf("only %d kills met a process at work: the test shows nothing", killed)
	}
	t.Logf("killed %d times at work", killed)
	if killedAfter(t, dir, math.MaxInt, 0) {
		t.Fatal("it was killed by somebody else")
	}
	check(t, dir, root, n)
}

// count is how many operations run: a thousand, fewer where the race detector
// makes SQLite slow.
func count(t *testing.T) int {
	if s := os.Getenv("TENURE_CRASH_OPERATIONS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < every {
			t.Fatalf("TENURE_CRASH_OPERATIONS=%q is no number of at least %d", s, every)
		}
		return n
	}
	if raced() || testing.Short() {
		return 50
	}
	return 1000
}

func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

func name(i int) string { return fmt.Sprintf("t%04d", i) }

// prepare makes an installation with n operations that nobody has begun.
func prepare(t *testing.T, dir, dsn, root string, n int) {
	t.Helper()
	ctx := context.Background()
	systems := fmt.Sprintf("systems:\n  files:\n    connector: filesystem\n    options: {root: %q}\n", root)
	must(t, os.WriteFile(filepath.Join(dir, "systems.yaml"), []byte(systems), 0o600))
	in, err := installation.Init(ctx, installation.Options{Dir: dir}, installation.Settings{Store: dsn})
	must(t, err)
	defer in.Close()
	_, err = in.AddSystem(ctx, "files", false, "operator")
	must(t, err)
	_, err = in.SubmitBlueprint(ctx, []byte(platform), "crash.yaml", "author")
	must(t, err)
	_, err = in.PublishBlueprint(ctx, "crash@1", "reviewer")
	must(t, err)
	var g errgroup.Group
	g.SetLimit(8)
	for i := range n {
		if i%every == 0 {
			must(t, os.WriteFile(filesystem.Path(root, "document", name(i)+"-readme"), []byte("somebody else's"), 0o600))
		}
		g.Go(func() error {
			_, _, err := in.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: name(i), Blueprint: "crash"}, "operator")
			return err
		})
	}
	must(t, g.Wait())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// killedAfter runs the process and kills it when it has begun so many moves and a
// moment has passed. It says whether the process was killed rather than done.
func killedAfter(t *testing.T, dir string, moves int, moment time.Duration) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir, "GORACE=atexit_sleep_ms=0")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	_, err := cmd.StdinPipe() // closes when this process ends
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	buf := make([]byte, 64)
	for seen := 0; ; {
		k, err := out.Read(buf)
		if seen += k; seen >= moves {
			time.Sleep(moment) // the moment is the point of it
			must(t, cmd.Process.Kill())
			break
		}
		if err != nil {
			break
		}
	}
	switch err := cmd.Wait(); {
	case err == nil:
		return false
	case cmd.ProcessState.Exited():
		t.Fatalf("the process gave up: %v\n%s", err, errs.String())
	}
	return true
}

// check looks at what is there, from inside and from outside.
func check(t *testing.T, dir, root string, n int) {
	t.Helper()
	ctx := context.Background()
	in, err := installation.Open(ctx, installation.Options{Dir: dir})
	must(t, err)
	defer in.Close()
	ops, err := in.DB.Operations(ctx, store.OperationFilter{Limit: n + 1})
	must(t, err)
	if len(ops) != n {
		t.Errorf("%d operations are there of %d", len(ops), n)
	}
	for _, op := range ops {
		checkOperation(t, in, op)
	}
	var want []string
	for i := range n {
		if i%every != 0 {
			want = append(want, "bucket/"+name(i))
		}
		want = append(want, "document/"+name(i)+"-readme")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, things(t, root)); diff != "" {
		t.Errorf("in the folder, wanted - and found +:\n%s", diff)
	}
	look, err := in.Sweep(ctx, "")
	must(t, err)
	if len(look.Systems) != 1 || !look.Systems[0].Trusted {
		t.Errorf("the sweep can't be trusted: %+v", look)
	}
	for _, f := range look.Findings {
		i, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(f.Name, "t"), "-readme"))
		if err != nil || i%every != 0 || f.Type != "document" {
			t.Errorf("outside the inventory: %s", f.Detail)
		}
	}
	rep, err := in.VerifyAudit(ctx)
	must(t, err)
	for _, p := range rep.Problems {
		t.Errorf("audit: %s", p)
	}
}

func checkOperation(t *testing.T, in *installation.Installation, op store.OperationRow) {
	t.Helper()
	v, err := in.Operation(context.Background(), op.ID)
	must(t, err)
	i, err := strconv.Atoi(strings.TrimPrefix(v.Body.Name, "t"))
	must(t, err)
	want := tenure.OperationSucceeded
	if i%every == 0 {
		want = tenure.OperationFailed
	}
	if op.State != want {
		t.Errorf("the operation for %s is %s (%s), want %s", v.Body.Name, op.State, op.Reason, want)
	}
	if len(v.Steps) < len(v.Body.Steps) {
		t.Errorf("the operation for %s has %d steps of %d", v.Body.Name, len(v.Steps), len(v.Body.Steps))
	}
	for _, s := range v.Steps {
		undo := s.Seq >= len(v.Body.Steps)
		if (want == tenure.OperationSucceeded || undo) && (s.State != tenure.StepDone || s.Verdict != tenure.Verified) {
			t.Errorf("step %s for %s is %s %s", s.Key, v.Body.Name, s.State, s.Verdict)
		}
		if s.State == tenure.StepRunning {
			t.Errorf("step %s for %s still runs in an operation that has ended", s.Key, v.Body.Name)
		}
	}
}

// things lists what stands in the folder, by a look of its own.
func things(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	for _, typ := range []string{"backups", "bucket", "document"} {
		entries, err := os.ReadDir(filepath.Join(root, typ))
		must(t, err)
		for _, e := range entries {
			out = append(out, typ+"/"+e.Name())
		}
	}
	slices.Sort(out)
	return out
}
