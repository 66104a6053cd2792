package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/exec"
	"github.com/tenurehq/tenure/connector/trial"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails unless err has the code and says the words, in it or in its hints.
func refused(t testing.TB, err error, code tenure.Code, words ...string) {
	t.Helper()
	said := fmt.Sprintf("%v %v", err, tenure.HintsOf(err))
	if tenure.CodeOf(err) != code {
		t.Fatalf("%v is %s, want %s", err, tenure.CodeOf(err), code)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("%q isn't said in: %s", w, said)
		}
	}
}

func see(t testing.TB, d connector.Driver, want connector.Desired) (o connector.Observed) {
	t.Helper()
	g, err := d.Observe(t.Context(), []connector.Ref{want.Ref}, func(seen connector.Observed) error { o = seen; return nil })
	must(t, err)
	if !g.Sentinel || !g.Complete {
		t.Fatalf("sighting %+v", g)
	}
	return o
}

func drift(t testing.TB, o connector.Observed) string {
	t.Helper()
	var in struct{ Drift string }
	must(t, json.Unmarshal(o.Attributes, &in))
	return in.Drift
}

func foresee(t testing.TB, d connector.Driver, want connector.Desired) string {
	t.Helper()
	f, ok := connector.As[connector.Foreseer](d)
	if !ok {
		t.Fatal("it can't foresee")
	}
	out, err := f.Foresee(t.Context(), []connector.Desired{want})
	must(t, err)
	says := ""
	for _, c := range out {
		says += c.Says
	}
	return says
}

func vars(rooms int) map[string]any { return map[string]any{"owner": "acme", "rooms": rooms} }

// TestWhatWasLetPassIsApplied: Terraform's own plan is what a person lets pass, and nothing
// else is applied.
func TestWhatWasLetPassIsApplied(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	digest := s.module(t, "hello", text(t, filepath.Join(hello, "main.tf")))
	d := s.driver(t)
	want := s.desired(t, "acme-prod", "hello", digest, vars(1))
	before := s.look(t)
	says := foresee(t, d, want)
	if !strings.Contains(says, "1 to add, 0 to change, 0 to destroy (+1 terraform_data; plan sha256:") || strings.Contains(says, "acme 0") {
		t.Fatalf("it foresees %q", says)
	}
	if after := s.look(t); after != before {
		t.Errorf("foreseeing changed the system:\n%s", after)
	}
	nothing, gate := "", "a person lets this plan change what others share: x; "+says
	want.Foreseen = &nothing
	_, _, err := d.Ensure(t.Context(), want)
	refused(t, err, tenure.Conflict, "plan_changed", says)
	if strings.Contains(s.state(t, "acme-prod"), "room") {
		t.Error("what nobody let pass was applied")
	}
	want.Foreseen = &gate
	o, rec, err := d.Ensure(t.Context(), want)
	must(t, err)
	if !strings.Contains(says, rec.Facts["plan"]) || rec.Facts["terraform"] == "" || rec.Counts["added"] != 1 || drift(t, o) != "" {
		t.Errorf("receipt %+v, observed %s", rec, o.Attributes)
	}
	if again := foresee(t, d, want); again != "" {
		t.Errorf("it foresees %q of what is there", again)
	}

	more := s.desired(t, "acme-prod", "hello", digest, vars(2))
	more.Resource = want.Resource
	gate = foresee(t, d, more)
	most := more
	most.Attributes = map[string]any{"module": "hello", "digest": digest, "variables": vars(3)}
	most.Foreseen = &gate
	_, _, err = d.Ensure(t.Context(), most)
	refused(t, err, tenure.Conflict, "plan_changed", "2 to add")
	if strings.Contains(s.state(t, "acme-prod"), `"index_key": 1`) {
		t.Error("another plan than the one that was let pass was applied")
	}
}

// TestApplyThatBrokeOffGoesOn: what is left of an apply that broke off needs no other word
// than the one that it had.
func TestApplyThatBrokeOffGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	flag := filepath.Join(t.TempDir(), "flag")
	digest := s.module(t, "halves", `
resource "terraform_data" "first" { input = 1 }
resource "terraform_data" "second" {
  input = terraform_data.first.id
  provisioner "local-exec" { command = "test -e `+flag+`" }
}`)
	d := s.driver(t)
	want := s.desired(t, "acme-prod", "halves", digest, nil)
	says := foresee(t, d, want)
	want.Foreseen = &says
	_, _, err := d.Ensure(t.Context(), want)
	refused(t, err, tenure.Unavailable, "local-exec", "goes on from there")
	if !tenure.CanRetry(err) {
		t.Error("it doesn't say that a retry helps")
	}
	if state := s.state(t, "acme-prod"); !strings.Contains(state, `"first"`) {
		t.Fatalf("the state knows nothing of the first half: %s", state)
	}
	if o := see(t, d, want); !o.Found || o.Owner != connector.Ours || drift(t, o) == "" {
		t.Errorf("half of it is observed as %+v", o)
	}
	if again := foresee(t, d, want); again != says {
		t.Errorf("the rest is foreseen as %q, want what was let pass: %q", again, says)
	}
	must(t, os.WriteFile(flag, nil, 0o600))
	o, _, err := d.Ensure(t.Context(), want)
	must(t, err)
	if drift(t, o) != "" {
		t.Errorf("observed %s", o.Attributes)
	}
}

// TestStateThatWentIsNoAbsence: who takes a state away doesn't make a tenant's things gone.
func TestStateThatWentIsNoAbsence(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	digest := s.module(t, "hello", text(t, filepath.Join(hello, "main.tf")))
	d := s.driver(t)
	want := s.desired(t, "acme-prod", "hello", digest, vars(1))
	_, _, err := d.Ensure(t.Context(), want)
	must(t, err)
	s.exec(t, "create table kept as select * from terraform_remote_state.states where name = 'acme-prod'")
	s.exec(t, "delete from terraform_remote_state.states where name = 'acme-prod'")
	if o := see(t, d, want); !o.Found || o.Owner != connector.Ours || drift(t, o) != "the state is gone" {
		t.Errorf("observed %+v %s", o, o.Attributes)
	}
	_, err = d.Delete(t.Context(), want.Ref)
	refused(t, err, tenure.Blocked, "may still be there", "terraform state push")
	_, _, err = d.Ensure(t.Context(), want)
	refused(t, err, tenure.Blocked, "may still be there")

	// A state of somebody else's in its place is somebody else's.
	s.foreign(t, "acme-prod")
	if o := see(t, d, want); !o.Found || o.Owner != connector.Unmarked {
		t.Errorf("a stranger's state is observed as %+v", o)
	}
	s.exec(t, "delete from terraform_remote_state.states where name = 'acme-prod'")
	s.exec(t, "insert into terraform_remote_state.states select * from kept")

	// The module goes on in its folder: what was applied is destroyed with what it was applied with.
	s.module(t, "hello", `resource "terraform_data" "other" {}`)
	if o := see(t, d, want); drift(t, o) != "" {
		t.Errorf("observed %s", o.Attributes)
	}
	newer := s.desired(t, "birch-prod", "hello", digestOf([]byte("x")), vars(1))
	_, _, err = d.Ensure(t.Context(), newer)
	refused(t, err, tenure.Blocked, "isn't the one that was asked for", "blueprint")
	_, err = d.Delete(t.Context(), want.Ref)
	must(t, err)
	if s.state(t, "acme-prod") != "" || s.count(t, "select count(*) from terraform_remote_state.tenure_workspace") != 0 || s.count(t, "select count(*) from terraform_remote_state.tenure_module") != 0 {
		t.Errorf("something is left:\n%s", s.look(t))
	}
}

// TestLockIsNamed: a state that somebody works on is left alone; who it is is said.
func TestLockIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.options["wait"] = "0"
	digest := s.module(t, "hello", text(t, filepath.Join(hello, "main.tf")))
	d := s.driver(t)
	want := s.desired(t, "acme-prod", "hello", digest, vars(1))
	_, _, err := d.Ensure(t.Context(), want)
	must(t, err)
	want.Attributes["variables"] = vars(2)
	s.exec(t, "select pg_advisory_lock(id) from terraform_remote_state.states where name = 'acme-prod'")
	_, _, err = d.Ensure(t.Context(), want)
	refused(t, err, tenure.Blocked, "is locked by role", "since 20", "pg_terminate_backend(")
	if !tenure.CanRetry(err) {
		t.Error("it doesn't say that a retry helps")
	}
	s.exec(t, "select pg_advisory_unlock(id) from terraform_remote_state.states where name = 'acme-prod'")
	_, _, err = d.Ensure(t.Context(), want)
	must(t, err)
}

// TestKilledRunLeavesNoLock: a run that is killed leaves nothing that somebody has to unlock.
func TestKilledRunLeavesNoLock(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	flag := filepath.Join(t.TempDir(), "flag")
	digest := s.module(t, "slow", `
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "test -e `+flag+` || { touch `+flag+`; sleep 600; }" }
}`)
	d := s.driver(t)
	want := s.desired(t, "acme-prod", "slow", digest, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() { _, _, err := d.Ensure(ctx, want); ended <- err }()
	for there := false; !there; {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it was killed: %v", err)
		case <-time.After(20 * time.Millisecond):
			_, err := os.Stat(flag)
			there = err == nil
		}
	}
	cancel()
	if err := <-ended; err == nil {
		t.Fatal("it went through although it was killed")
	}
	if o := see(t, d, want); !o.Found || o.Owner != connector.Ours || drift(t, o) == "" {
		t.Errorf("a killed apply is observed as %+v", o)
	}
	_, _, err := d.Ensure(t.Context(), want)
	must(t, err)
	if o := see(t, d, want); drift(t, o) != "" {
		t.Errorf("observed %s", o.Attributes)
	}
}

// TestWhatStandsInTheWayIsNamed: what Terraform refuses is said with what to do, and nothing goes.
func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.driver(t)
	kept := s.desired(t, "acme-prod", "kept", s.module(t, "kept", `
resource "terraform_data" "x" {
  lifecycle { prevent_destroy = true }
}`), nil)
	_, _, err := d.Ensure(t.Context(), kept)
	must(t, err)
	_, err = d.Delete(t.Context(), kept.Ref)
	refused(t, err, tenure.Blocked, "Instance cannot be destroyed", "prevent_destroy")
	if !strings.Contains(s.state(t, "acme-prod"), `"x"`) {
		t.Error("it is gone")
	}

	far := s.desired(t, "acme-far", "far", s.module(t, "far", `resource "null_resource" "x" {}`), nil)
	_, _, err = d.Ensure(t.Context(), far)
	refused(t, err, tenure.Blocked, "provider", "plugins")
	_, err = d.Delete(t.Context(), far.Ref)
	must(t, err)
	if s.state(t, "acme-far") != "" {
		t.Error("a workspace in which nothing was made stays")
	}

	broken := s.desired(t, "acme-broken", "broken", s.module(t, "broken", "resource {"), nil)
	_, _, err = d.Ensure(t.Context(), broken)
	refused(t, err, tenure.Blocked, "module/main.tf line 1")
	calls := s.desired(t, "acme-calls", "calls", s.module(t, "calls", `
module "x" {
  source = "`+s.folder+`/kept"
}`), nil)
	_, _, err = d.Ensure(t.Context(), calls)
	refused(t, err, tenure.Blocked, "its digest doesn't cover")

	wrong := s.desired(t, "acme-wrong", "kept", kept.Attributes["digest"].(string), map[string]any{"source": "x"})
	_, _, err = d.Ensure(t.Context(), wrong)
	refused(t, err, tenure.Invalid, "source")

	s.options["binary"] = filepath.Join(t.TempDir(), "absent")
	_, err = s.opened(t).Plant(t.Context())
	refused(t, err, tenure.Blocked, "absent", "binary")
}

// TestDriftIsSeenThroughTerraform: what was taken out of a state by hand is missed.
func TestDriftIsSeenThroughTerraform(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.options["look"] = "plan"
	digest := s.module(t, "hello", text(t, filepath.Join(hello, "main.tf")))
	d := s.driver(t)
	want := s.desired(t, "acme-prod", "hello", digest, vars(1))
	o, _, err := d.Ensure(t.Context(), want)
	must(t, err)
	if drift(t, o) != "" {
		t.Fatalf("observed %s", o.Attributes)
	}
	s.exec(t, `update terraform_remote_state.states set data = (select jsonb_set(data::jsonb, '{resources}', jsonb_path_query_array(data::jsonb, '$.resources[*] ? (@.name != "room")'))::text) where name = 'acme-prod'`)
	if got := drift(t, see(t, d, want)); !strings.Contains(got, "1 to add") {
		t.Errorf("drift %q", got)
	}
	o, rec, err := d.Ensure(t.Context(), want)
	must(t, err)
	if !rec.Changed || drift(t, o) != "" || !strings.Contains(s.state(t, "acme-prod"), `"room"`) {
		t.Errorf("repaired: %+v, %s", rec, o.Attributes)
	}
}

// TestSecretsStayWhereTheyAre: the connection string is in no argument and in no file, and what
// a module holds to be sensitive is in nothing that Tenure is told.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	leak, tofu := filepath.Join(dir, "leak"), filepath.Join(dir, "tofu")
	script := "#!/bin/sh\ncase \"$*\" in *postgres://*) echo \"$*\" >>" + leak + ";; esac\n[ -z \"$PROVIDER_TOKEN\" ] && echo no token >>" + leak + "\n" + built.tofu + " \"$@\"\nend=$?\ngrep -rlF -e postgres:// -e \"$PROVIDER_TOKEN\" . >>" + leak + "\nexit $end\n"
	must(t, os.WriteFile(tofu, []byte(script), 0o700))
	s.options["binary"] = tofu
	s.secrets["environment"] = tenure.NewSecret("PROVIDER_TOKEN=token-that-nobody-sees\n")
	digest := s.module(t, "safe", `
resource "terraform_data" "password" { input = sensitive("hunter-of-secrets") }
output "password" {
  value     = terraform_data.password.output
  sensitive = true
}`)
	d := s.driver(t)
	want := s.desired(t, "acme-prod", "safe", digest, nil)
	says := foresee(t, d, want)
	want.Foreseen = &says
	o, rec, err := d.Ensure(t.Context(), want)
	must(t, err)
	told := fmt.Sprintf("%s %+v %s %+v", says, o, o.Attributes, rec)
	if strings.Contains(told, "hunter") {
		t.Errorf("it tells what is sensitive: %s", told)
	}
	_, err = d.Delete(t.Context(), want.Ref)
	must(t, err)
	if raw, _ := os.ReadFile(leak); len(raw) > 0 {
		t.Errorf("a secret lies about:\n%s", raw)
	}
}

// TestTrial: the manifest that the program prints can be tried, on the local backend.
func TestTrial(t *testing.T) {
	t.Parallel()
	programInfo(t)
	folder, err := filepath.Abs(filepath.Dir(hello))
	must(t, err)
	src, err := osexec.Command(filepath.Join(built.dir, "tenure-connector-tofu"), "manifest", filepath.Join(folder, "hello"), `{"owner": "${try}", "rooms": 2}`).Output()
	must(t, err)
	m, err := exec.Parse(src, filepath.Join(built.dir, "tofu.yaml"))
	must(t, err)
	states := t.TempDir()
	good, err := exec.Try(t.Context(), m, connector.Config{System: "infra", Now: time.Now, Options: map[string]string{"backend": "local", "folder": states, "modules": folder, "binary": built.tofu, "look": "state"}}, func(tr trial.Trial) {
		if tr.Bad {
			t.Errorf("%s: %s", tr.Does, tr.Saw)
		}
	})
	must(t, err)
	if left, _ := filepath.Glob(filepath.Join(states, "states", "*")); !good || len(left) != 1 {
		t.Errorf("good %t, left %q", good, left)
	}
}
