package exec

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var built struct {
	sync.Once
	raw []byte
	err error
}

// hostileProgram is the program of testdata/hostile, in a folder of its own with its manifest.
func hostileProgram(t testing.TB, limits string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	built.Do(func() {
		path := filepath.Join(folder, "built")
		out, err := osexec.Command("go", "build", "-o", path, "./testdata/hostile").CombinedOutput()
		if built.err = err; err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
			return
		}
		built.raw, built.err = os.ReadFile(path)
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	write(t, filepath.Join(folder, "hostile"), built.raw, 0o755)
	write(t, filepath.Join(folder, "hostile.yaml"), []byte(manifestOf(built.raw, limits)), 0o600)
	return folder
}

func write(t testing.TB, path string, raw []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, raw, mode); err != nil {
		t.Fatal(err)
	}
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func manifestOf(program []byte, limits string) string {
	return `apiVersion: tenure.dev/v1
kind: Program
name: hostile
version: "1"
summary: A program that does what it shouldn't.
tested: live
how: here
rights: None.
leaves: Nothing.
program: {path: hostile, sha256: ` + digest(program) + `, arguments: ["an argument; $HOME"], environment: {COLOUR: red}}
limits: {` + limits + `}
options:
  - {name: mode, help: What it does.}
  - {name: only, help: In which call.}
  - {name: where, help: Where it echoes.}
  - {name: same, help: Nothing.}
  - {name: mark, help: What it says that a thing bears.}
  - {name: token, help: A secret., secret: true}
types:
  thing:
    summary: A thing.
    layer: configuration
    deletion: It goes.
    verification: It is listed.
    recovery: None.
    can: [adopt]
    attributes: {properties: {size: {type: integer}}}
`
}

const theSecret = `s3cr&t "quoted"/+ text`

// opened is the driver of a folder's program; plain is one without a namespace of its own.
func opened(t testing.TB, folder string, options map[string]string, alone bool) *driver {
	t.Helper()
	path := filepath.Join(folder, "hostile.yaml")
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := Load(src, path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := info.Open(context.Background(), connector.Config{System: "main", Now: time.Now, Options: options, Secrets: map[string]tenure.Secret{"token": tenure.NewSecret(theSecret)}, Marker: hostileMarker})
	if err != nil {
		t.Fatal(err)
	}
	d.(*driver).alone = alone
	return d.(*driver)
}

var hostileMarker = connector.Marker{Installation: "ins_01890a5d-ac96-774b-bcce-b302099a8057", System: "main", Key: []byte("a key of this test alone")}

var theThing = connector.Ref{Resource: "res_01890a5d-ac96-774b-bcce-b302099a8057", Type: "thing", Name: "one"}

func observed(ctx context.Context, d *driver) (o connector.Observed, g connector.Sighting, err error) {
	g, err = d.Observe(ctx, []connector.Ref{theThing}, func(seen connector.Observed) error { o = seen; return nil })
	return o, g, err
}

// Whatever a program says that isn't the protocol ends the call, with a code and plain words.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	folder := hostileProgram(t, "time: PT20S, output: 1")
	for mode, want := range map[string]struct {
		code  tenure.Code
		retry bool
		says  string
	}{
		"unknown":   {tenure.Internal, false, `unknown key "colour"`},
		"case":      {tenure.Internal, false, `unknown key "Observed"`},
		"type":      {tenure.Internal, false, "must be a whole number"},
		"stranger":  {tenure.Internal, false, "wasn't asked for"},
		"twice":     {tenure.Internal, false, "was observed already"},
		"silent":    {tenure.Internal, false, `says nothing of thing "one"`},
		"attribute": {tenure.Internal, false, `attribute "weight"`},
		"absent":    {tenure.Internal, false, "isn't there, and what it is like"},
		"state":     {tenure.Internal, false, "is quarantined, which its manifest doesn't know"},
		"number":    {tenure.Internal, false, "can be kept exactly"},
		"negative":  {tenure.Internal, false, "must be at least 0"},
		"key":       {tenure.Internal, false, "twice in one object"},
		"utf8":      {tenure.Internal, false, "isn't UTF-8"},
		"surrogate": {tenure.Internal, false, "surrogate"},
		"deep":      {tenure.Internal, false, "nested deeper"},
		"none":      {tenure.Unavailable, true, "ended without a result"},
		"cut":       {tenure.Internal, false, "doesn't end"},
		"after":     {tenure.Internal, false, "comes after its end"},
		"exit":      {tenure.Unavailable, true, "exit status 3 (it says: I \ufffd[2Jgave up with [secret])"},
		"signal":    {tenure.Unavailable, true, "ended with"},
		"endless":   {tenure.Internal, false, "was observed already"},
		"long":      {tenure.Internal, false, "more than it may"},
		"code":      {tenure.Internal, false, "is not one of"},
		"refuse":    {tenure.Conflict, true, "not now"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := opened(t, folder, map[string]string{"mode": mode}, false)
			_, _, err := observed(t.Context(), d)
			words := strings.ReplaceAll(fmt.Sprint(err), "no\ufffdt", "not")
			if tenure.CodeOf(err) != want.code || tenure.CanRetry(err) != want.retry || !strings.Contains(words, want.says) {
				t.Errorf("%s, retry %t: %v\nwant %s, %t: %s", tenure.CodeOf(err), tenure.CanRetry(err), err, want.code, want.retry, want.says)
			}
		})
	}
	for mode, says := range map[string]string{"disorder": "byte order", "untyped": "wasn't asked for"} {
		d := opened(t, folder, map[string]string{"mode": mode}, false)
		if _, err := d.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil }); tenure.CodeOf(err) != tenure.Internal || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// A mark that Tenure didn't make counts for nothing, and then nothing is done to the thing.
func TestHostileMark(t *testing.T) {
	t.Parallel()
	folder := hostileProgram(t, "")
	good := hostileMarker.Mark("thing", theThing.Resource)
	for mark, want := range map[string]connector.Ownership{
		good: connector.Ours, good[:len(good)-4] + "AAAA": connector.Forged, "tenure:1:x": connector.Malformed, "theirs": connector.Unmarked,
		strings.Replace(good, "ins_0", "ins_1", 1): connector.Others, " ": connector.Unmarked,
	} {
		d := opened(t, folder, map[string]string{"mode": "forged", "only": "observe", "mark": mark}, false)
		o, _, err := observed(t.Context(), d)
		if err != nil || o.Owner != want || (o.Resource != "") != (want == connector.Ours) {
			t.Errorf("%q: %s %q, %v; want %s", mark, o.Owner, o.Resource, err, want)
		}
		if _, err := d.Delete(t.Context(), theThing); (want == connector.Ours) != (err == nil) || err != nil && tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("delete of what bears %q: %v", mark, err)
		}
	}
}

// What a program doesn't find counts as absent only if it saw everything, and the sentinel with
// it. Otherwise access that is still open would be told as cut, and data as erased.
func TestPartialLook(t *testing.T) {
	t.Parallel()
	folder := hostileProgram(t, "")
	path := filepath.Join(folder, "hostile.yaml")
	manifest := manifestOf(built.raw, "")
	write(t, path, []byte(strings.Replace(manifest, "can: [adopt]", "holds: data\n    can: [adopt, suspend, revoke, quarantine, export, erase, map]", 1)), 0o600)
	all := map[string]func(d *driver) error{
		"ensure": func(d *driver) error {
			_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: theThing})
			return err
		},
		"suspend":    func(d *driver) error { _, err := d.Suspend(t.Context(), theThing); return err },
		"revoke":     func(d *driver) error { _, err := d.Revoke(t.Context(), theThing); return err },
		"quarantine": func(d *driver) error { _, err := d.Quarantine(t.Context(), theThing); return err },
		"adopt":      func(d *driver) error { _, err := d.Adopt(t.Context(), theThing, tenure.ResourcePresent); return err },
		"export":     func(d *driver) error { _, err := d.Export(t.Context(), theThing, io.Discard); return err },
		"erase":      func(d *driver) error { _, err := d.Erase(t.Context(), theThing, connector.Batch{}); return err },
		"erase what is gone": func(d *driver) error {
			_, err := d.Erase(t.Context(), theThing, connector.Batch{Gone: true})
			return err
		},
	}
	for mode, says := range map[string]string{"partial": "complete: false", "headless": "sentinel: false"} {
		d := opened(t, folder, map[string]string{"mode": mode}, false)
		d.told = func(call string, _ error, _ time.Duration) {
			if call != "observe" {
				t.Errorf("%s: the program is asked to %s", mode, call)
			}
		}
		for call, do := range all {
			if err := do(d); tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), says) {
				t.Errorf("%s, %s: %v", mode, call, err)
			}
		}
	}
	d := opened(t, folder, nil, false)
	for _, call := range []string{"revoke", "quarantine", "erase"} {
		if err := all[call](d); err != nil {
			t.Errorf("%s, where everything was seen: %v", call, err)
		}
	}
}

// A secret that a program repeats, in whatever form, reaches nobody.
func TestHostileEcho(t *testing.T) {
	t.Parallel()
	folder := hostileProgram(t, "")
	var forms []string
	add := func(text string) { forms = append(forms, text) }
	add(theSecret)
	add(hex.EncodeToString([]byte(theSecret)))
	add(strings.ToUpper(hex.EncodeToString([]byte(theSecret))))
	add(strings.Trim(base64.RawStdEncoding.EncodeToString([]byte(theSecret)), "=")[:20])
	add(base64.StdEncoding.EncodeToString([]byte("u" + theSecret))[4:20])
	add(base64.StdEncoding.EncodeToString([]byte("us" + theSecret))[4:20])
	add(`s3cr&t \"quoted\"`)
	add("s3cr%26t")
	for _, where := range []string{"observed", "error", "stderr"} {
		d := opened(t, folder, map[string]string{"mode": "echo", "where": where}, false)
		o, _, err := observed(t.Context(), d)
		raw, _ := json.Marshal(o)
		said := fmt.Sprintf("%s %+v %v %q", raw, o, err, tenure.HintsOf(err))
		if !strings.Contains(said, "[secret]") {
			t.Errorf("%s: it isn't even mentioned: %s", where, said)
		}
		for _, form := range forms {
			if strings.Contains(said, form) {
				t.Errorf("%s: it tells %s in %s", where, form, said)
			}
		}
	}
}

// A program finds its arguments as they are written, three pipes, a folder of its own and
// nothing else of Tenure's.
func TestInside(t *testing.T) {
	t.Setenv("TENURE_STORE", "postgres://somewhere")
	open, err := syscall.Open("/etc/hosts", syscall.O_RDONLY, 0) // as a shell would leave it open
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(open)
	folder := hostileProgram(t, "")
	for _, alone := range []bool{false, true} {
		d := opened(t, folder, map[string]string{"mode": "inside"}, alone)
		o, _, err := observed(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"an argument; $HOME"`, `"COLOUR=red"`, `"PATH=/usr/local/bin:/usr/bin:/bin"`} {
			if !strings.Contains(o.Detail, want) {
				t.Errorf("%s isn't in %s", want, o.Detail)
			}
		}
		if strings.Contains(o.Detail, "TENURE_STORE") || strings.Contains(o.Detail, "/etc/hosts") || strings.Count(o.Detail, "=pipe:") != 3 {
			t.Errorf("it finds what is Tenure's: %s", o.Detail)
		}
		where := o.Detail[strings.LastIndexByte(o.Detail, ' ')+1:]
		if _, err := os.Stat(where); !strings.Contains(where, folderPrefix) || !os.IsNotExist(err) {
			t.Errorf("its folder %s is still there: %v", where, err)
		}
	}
}

// running counts the processes with a word in their arguments.
func running(t testing.TB, word string) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if raw, err := os.ReadFile(path); err == nil && strings.Contains(string(raw), word) && !strings.Contains(string(raw), "-test.run") {
			n++
		}
	}
	return n
}

// soon waits for a condition.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s doesn't come", what)
		}
	}
}

// What a program leaves running ends with it; one that hangs ends at its limit, or when its
// caller leaves, with all that it started.
func TestNothingIsLeftRunning(t *testing.T) {
	t.Parallel()
	folder := hostileProgram(t, "time: PT3S")
	for _, alone := range []bool{false, true} {
		token := "left-" + rand.Text()
		d := opened(t, folder, map[string]string{"mode": "child:" + token}, alone)
		if o, _, err := observed(t.Context(), d); err != nil || o.Found {
			t.Errorf("alone %t: %+v, %v", alone, o, err)
		}
		soon(t, "the end of the child", func() bool { return running(t, token) == 0 })

		token = "hung-" + rand.Text()
		d = opened(t, folder, map[string]string{"mode": "nest:" + token}, alone)
		_, _, err := observed(t.Context(), d)
		if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) || !strings.Contains(err.Error(), "within 3s") {
			t.Errorf("alone %t: one that hangs: %v", alone, err)
		}
		soon(t, "the end of what hangs", func() bool { return running(t, token) == 0 })

		token = "gone-" + rand.Text()
		d = opened(t, folder, map[string]string{"mode": "nest:" + token}, alone)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, _, err := observed(ctx, d); ended <- err }()
		soon(t, "the child", func() bool { return running(t, token) > 0 })
		cancel()
		if err := <-ended; tenure.CodeOf(err) != tenure.Unavailable || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("alone %t: one whose caller left: %v", alone, err)
		}
		soon(t, "the end of what was cancelled", func() bool { return running(t, token) == 0 })
	}
	if !namespaces(t) {
		return
	}
	token := "away-" + rand.Text()
	d := opened(t, folder, map[string]string{"mode": "daemon:" + token}, false)
	if _, _, err := observed(t.Context(), d); err != nil {
		t.Errorf("one that leaves a daemon: %v", err)
	}
	soon(t, "the end of the daemon", func() bool { return running(t, token) == 0 })
}

// namespaces says whether this machine lets programs have a PID namespace.
func namespaces(t testing.TB) bool {
	t.Helper()
	cmd := osexec.Command("/bin/true")
	cmd.SysProcAttr = attributes()[0]
	err := cmd.Run()
	if err != nil {
		t.Logf("this machine grants no PID namespaces: %v", err)
	}
	return err == nil
}

// TestCaller isn't a test: TestTenureIsKilled runs it as the process that is killed.
func TestCaller(t *testing.T) {
	folder := os.Getenv("TENURE_TEST_FOLDER")
	if folder == "" {
		t.Skip("it is run by TestTenureIsKilled")
	}
	_, _, _ = observed(t.Context(), opened(t, folder, map[string]string{"mode": "nest:" + os.Getenv("TENURE_TEST_TOKEN")}, false))
}

// When Tenure is killed in the middle of a call, the program ends with all that it started,
// and the folder that it ran in goes later.
func TestTenureIsKilled(t *testing.T) {
	t.Parallel()
	if !namespaces(t) {
		t.Skip("TestTenureIsKilled needs PID namespaces")
	}
	folder, token, temp := hostileProgram(t, "time: PT5M"), "killed-"+rand.Text(), t.TempDir()
	cmd := osexec.Command(os.Args[0], "-test.run=^TestCaller$")
	cmd.Env = append(os.Environ(), "TENURE_TEST_FOLDER="+folder, "TENURE_TEST_TOKEN="+token, "TMPDIR="+temp)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	soon(t, "the program", func() bool { return running(t, token) > 0 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	soon(t, "the end of the program", func() bool { return running(t, token) == 0 })
	left, err := filepath.Glob(filepath.Join(temp, folderPrefix+"*"))
	if err != nil || len(left) != 1 {
		t.Fatalf("folders: %q, %v", left, err)
	}
	sweep(temp, time.Now())
	if _, err := os.Stat(left[0]); err != nil {
		t.Errorf("a folder that was used just now: %v", err)
	}
	sweep(temp, time.Now().Add(2*abandoned))
	if _, err := os.Stat(left[0]); !os.IsNotExist(err) {
		t.Errorf("the folder of a call that was killed is still there: %v", err)
	}
}

// A program that was changed isn't run, also between two calls.
func TestChangedProgram(t *testing.T) {
	t.Parallel()
	folder := hostileProgram(t, "")
	d := opened(t, folder, nil, false)
	if _, _, err := observed(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "hostile")
	write(t, path, append(built.raw[:len(built.raw):len(built.raw)], 0), 0o755)
	if _, _, err := observed(t.Context(), d); tenure.CodeOf(err) != tenure.Blocked || tenure.CanRetry(err) || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("one byte more: %v", err)
	}
	write(t, path, built.raw, 0o755)
	if _, _, err := observed(t.Context(), d); err != nil {
		t.Errorf("as it was: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := observed(t.Context(), d); tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Errorf("gone: %v", err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := observed(t.Context(), d); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("a folder: %v", err)
	}
}

// Memory and output beyond the limits end the program, and chatter on its standard error does no harm.
func TestLimits(t *testing.T) {
	t.Parallel()
	folder := hostileProgram(t, "time: PT30S, memory: 256, output: 1")
	d := opened(t, folder, map[string]string{"mode": "memory"}, false)
	if _, _, err := observed(t.Context(), d); tenure.CodeOf(err) != tenure.Unavailable || !strings.Contains(err.Error(), "exit status") {
		t.Errorf("memory: %v", err)
	}
	folder = hostileProgram(t, "time: PT2S, output: 1")
	d = opened(t, folder, map[string]string{"mode": "chatter"}, false)
	if _, _, err := observed(t.Context(), d); tenure.CodeOf(err) != tenure.Unavailable || !strings.Contains(err.Error(), "within 2s") || len(err.Error()) > 1000 {
		t.Errorf("chatter: %v", err)
	}
}

// Many calls at once don't disturb each other.
func TestParallelCalls(t *testing.T) {
	t.Parallel()
	folder := hostileProgram(t, "")
	d := opened(t, folder, nil, false)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			r := theThing
			r.Name = fmt.Sprint("thing ", i)
			o := connector.Observed{Found: true}
			g, err := d.Observe(t.Context(), []connector.Ref{r}, func(seen connector.Observed) error { o = seen; return nil })
			if err != nil || o.Found || o.Name != r.Name || !g.Sentinel {
				t.Errorf("%s: %+v, %+v, %v", r.Name, o, g, err)
			}
		})
	}
	all.Wait()
}

// BenchmarkCall is one call; the baseline is the bare start of the same program.
func BenchmarkCall(b *testing.B) {
	folder := hostileProgram(b, "")
	b.Run("call", func(b *testing.B) {
		d := opened(b, folder, nil, false)
		for b.Loop() {
			if _, _, err := observed(b.Context(), d); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("without a namespace", func(b *testing.B) {
		d := opened(b, folder, nil, true)
		for b.Loop() {
			if _, _, err := observed(b.Context(), d); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare start", func(b *testing.B) {
		for b.Loop() {
			cmd := osexec.Command(filepath.Join(folder, "hostile"))
			cmd.Stdin = strings.NewReader(`{"call":"observe","resources":[{"type":"thing","name":"one"}]}`)
			if out, err := cmd.Output(); err != nil {
				b.Fatal(err, out)
			}
		}
	})
}
