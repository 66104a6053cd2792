package guard_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/guard"
)

// monday is a Monday, at three in the morning UTC.
var monday = time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)

const acme = tenure.TenantID("ten_01890a5d-ac96-774b-bcce-b302099a8057")

func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t testing.TB, text string) *guard.Set {
	t.Helper()
	s, err := guard.Load(folder(t, map[string]string{"p.cedar": text}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func gold() tenure.Target {
	return tenure.Target{Tenant: acme, Tier: "gold", Labels: map[string]string{"region": "eu", "env": "prod"}}
}

func operator() tenure.Caller {
	return tenure.Caller{Name: "olu", Kind: tenure.CallerPerson, Strong: true, Grants: []tenure.Grant{{ID: "g1", Role: tenure.Operator, Scope: tenure.Scope{All: true}}}}
}

// TestDenies: each thing that a policy can look at decides, and its near
// neighbour doesn't.
func TestDenies(t *testing.T) {
	t.Parallel()
	machine := operator()
	machine.Kind, machine.Owner, machine.Strong = tenure.CallerMachine, "ada", false
	glass := operator()
	glass.Grants = []tenure.Grant{{ID: "g", Role: tenure.Operator, Scope: tenure.Scope{All: true}, BreakGlass: true}}
	elsewhere := operator()
	elsewhere.Grants = append(elsewhere.Grants, tenure.Grant{ID: "g2", Role: tenure.Legal, Scope: tenure.Scope{Tiers: []string{"free"}}})
	legal := operator()
	legal.Grants = append(legal.Grants, tenure.Grant{ID: "g2", Role: tenure.Legal, Scope: tenure.Scope{Tiers: []string{"gold"}}})
	free := gold()
	free.Tier, free.Labels = "free", nil

	for _, c := range []struct {
		name, policy string
		yes, no      question
	}{
		{"permission", `forbid(principal, action == Action::"operation.request", resource)`,
			ask(operator(), tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationSteer, gold(), monday)},
		{"permissions", `forbid(principal, action in [Action::"hold.release", Action::"operation.approve"], resource)`,
			ask(operator(), tenure.HoldRelease, gold(), monday), ask(operator(), tenure.HoldPlace, gold(), monday)},
		{"tier", `forbid(principal, action, resource is Tenant) when { resource.tier == "gold" }`,
			ask(operator(), tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, free, monday)},
		{"not the installation", `forbid(principal, action, resource) when { resource is Tenant && resource.tier == "gold" }`,
			ask(operator(), tenure.SystemManage, gold(), monday), ask(operator(), tenure.SystemManage, tenure.Target{}, monday)},
		{"label", `forbid(principal, action, resource is Tenant) when { resource.labels.contains("region=eu") }`,
			ask(operator(), tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, free, monday)},
		{"one tenant", `forbid(principal, action, resource == Tenant::"` + string(acme) + `")`,
			ask(operator(), tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, tenure.Target{Tenant: "ten_other"}, monday)},
		{"hour", `forbid(principal, action, resource) when { context.hour < 6 }`,
			ask(operator(), tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, gold(), monday.Add(3*time.Hour))},
		{"hour in another zone is UTC's", `forbid(principal, action, resource) when { context.hour < 6 }`,
			ask(operator(), tenure.OperationRequest, gold(), monday.In(time.FixedZone("", 9*3600))), ask(operator(), tenure.OperationRequest, gold(), monday.Add(3*time.Hour).In(time.FixedZone("", -9*3600)))},
		{"weekday", `forbid(principal, action, resource) when { context.weekday == Weekday::"monday" }`,
			ask(operator(), tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, gold(), monday.AddDate(0, 0, 1))},
		{"date", `forbid(principal, action, resource) when { context.now >= datetime("2026-03-02") && context.now < datetime("2026-03-03") }`,
			ask(operator(), tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, gold(), monday.AddDate(0, 0, 1))},
		{"role here", `forbid(principal, action == Action::"operation.approve", resource) when { principal.roles.contains(Role::"legal") }`,
			ask(legal, tenure.OperationApprove, gold(), monday), ask(elsewhere, tenure.OperationApprove, gold(), monday)},
		{"role anywhere", `forbid(principal, action == Action::"operation.approve", resource) when { principal.allRoles.contains(Role::"legal") }`,
			ask(elsewhere, tenure.OperationApprove, gold(), monday), ask(operator(), tenure.OperationApprove, gold(), monday)},
		{"machines", `forbid(principal, action, resource) when { principal.kind == Kind::"machine" }`,
			ask(machine, tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, gold(), monday)},
		{"somebody's machines", `forbid(principal, action, resource) when { principal.owner == "ada" }`,
			ask(machine, tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, gold(), monday)},
		{"weak sign-in", `forbid(principal, action, resource) unless { principal.strong }`,
			ask(machine, tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, gold(), monday)},
		{"one person", `forbid(principal == Principal::"olu", action, resource)`,
			ask(operator(), tenure.OperationRequest, gold(), monday), ask(tenure.Caller{Name: "ada"}, tenure.OperationRequest, gold(), monday)},
		{"broken glass", `forbid(principal, action, resource) when { context.breakGlass }`,
			ask(glass, tenure.OperationRequest, gold(), monday), ask(operator(), tenure.OperationRequest, gold(), monday)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := load(t, `@id("it") `+c.policy+`;`)
			if d := cmp.Diff([]string{"policy it (p.cedar)"}, c.yes.ask(set)); d != "" {
				t.Errorf("what it forbids is let through (-want +got):\n%s", d)
			}
			if got := c.no.ask(set); got != nil {
				t.Errorf("what it doesn't forbid is denied: %q", got)
			}
		})
	}
}

type question struct {
	c   tenure.Caller
	p   tenure.Permission
	t   tenure.Target
	now time.Time
}

func ask(c tenure.Caller, p tenure.Permission, t tenure.Target, now time.Time) question {
	return question{c, p, t, now}
}

func (q question) ask(s *guard.Set) []string { return s.Denies(q.c, q.p, q.t, q.now) }

// TestErrorDenies: a policy that can't be evaluated doesn't let anybody through.
func TestErrorDenies(t *testing.T) {
	t.Parallel()
	set := load(t, `@id("big") forbid(principal, action, resource) when { context.hour * 9223372036854775807 > 100 };
@id("other") forbid(principal, action, resource) when { false };`)
	got := set.Denies(operator(), tenure.OperationRequest, gold(), monday)
	if len(got) != 1 || !strings.HasPrefix(got[0], "policy big (p.cedar), which couldn't be evaluated: ") {
		t.Errorf("denied by %q", got)
	}
}

// TestOrder: what denies is told in the files' order, all of it.
func TestOrder(t *testing.T) {
	t.Parallel()
	s, err := guard.Load(folder(t, map[string]string{
		"b.cedar":   `@id("third") forbid(principal, action, resource);`,
		"a.cedar":   `@id("first") @about("nobody") forbid(principal, action, resource); @id("second") forbid(principal, action, resource);`,
		"README.md": `permit(principal, action, resource);`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"policy first (a.cedar)", "policy second (a.cedar)", "policy third (b.cedar)"}
	if d := cmp.Diff(want, s.Denies(operator(), tenure.TenantRead, gold(), monday)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(guard.Policy{ID: "first", File: "a.cedar", Line: 1, About: "nobody"}, s.Policies()[0]); d != "" {
		t.Error(d)
	}
}

// TestRefusals: a file with anything wrong in it isn't taken, and its author is
// told where and what.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const id = `@id("x") `
	for _, c := range []struct{ name, text, want string }{
		{"syntax", "\n" + id + "forbid(principal, action, resource) when { context.hour > };", `p.cedar:2: not Cedar: ";": invalid primary`},
		{"template", id + "forbid(principal == ?principal, action, resource);", "p.cedar:1: not Cedar: "},
		{"permit", "\n\n" + id + "permit(principal, action, resource);", "p.cedar:3: policy x permits; policies only forbid"},
		{"no id", "// a word before\nforbid(principal, action, resource);", "p.cedar:2: the policy has no @id"},
		{"odd id", `@id("a b") forbid(principal, action, resource);`, `p.cedar:1: the @id "a b" isn't`},
		{"same id", id + "forbid(principal, action, resource);\n" + id + "forbid(principal, action, resource);", `p.cedar:2: the @id "x" stands at p.cedar:1 already`},
		{"entity type", id + `forbid(principal == User::"x", action, resource);`, "p.cedar:1: policy x: unrecognized entity type `User`"},
		{"action", id + `forbid(principal, action == Action::"tenant.rea", resource);`, `p.cedar:1: policy x: unrecognized action`},
		{"action in a list", id + `forbid(principal, action in [Action::"tenant.read", Action::"all"], resource);`, `unrecognized action`},
		{"action in a condition", id + `forbid(principal, action, resource) when { action == Action::"all" };`, `unrecognized action`},
		{"attribute", id + `forbid(principal, action, resource) when { principal.name == "x" };`, "p.cedar:1: policy x: attribute `name`"},
		{"attribute of a tenant on what may be none", id + `forbid(principal, action, resource) when { resource.tier == "gold" };`, "attribute `tier` on entity type `Installation` not found"},
		{"context", id + `forbid(principal, action, resource) when { context.minute > 1 };`, "attribute `minute`"},
		{"type of a value", id + `forbid(principal, action, resource) when { principal.roles.contains("admin") };`, "String and Role are not compatible"},
		{"no such role", id + `forbid(principal, action, resource) when { principal.roles.contains(Role::"admn") };`, `p.cedar:1: policy x: there is no Role::"admn"; Role is one of viewer, `},
		{"no such role in a list", id + `forbid(principal, action, resource) when { principal.roles.containsAny([Role::"admin", Role::"admn"]) };`, `there is no Role::"admn"`},
		{"no such weekday", id + `forbid(principal, action, resource) unless { context.weekday == Weekday::"Monday" };`, `there is no Weekday::"Monday"`},
		{"another installation", id + `forbid(principal, action, resource == Installation::"that");`, `there is no Installation::"that"`},
		{"a tenant's name", id + `forbid(principal, action, resource == Tenant::"acme");`, `Tenant::"acme" isn't a tenant's id`},
		{"date", id + `forbid(principal, action, resource) when { context.now > datetime("2026-13-01") };`, "2026-13-01"},
		{"principal of another type", id + `forbid(principal is Tenant, action, resource);`, "unable to find an applicable action"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := guard.Load(folder(t, map[string]string{"p.cedar": c.text}))
			if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "p.cedar:") {
				t.Errorf("error: %v\nwant one with: %s", err, c.want)
			}
		})
	}
}

// TestAllProblemsAtOnce: who mends a folder sees everything in one go.
func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := guard.Load(folder(t, map[string]string{
		"a.cedar": `nonsense`, "b.cedar": `forbid(principal, action, resource);`, "c.cedar": `@id("fine") forbid(principal, action, resource);`,
		"d.cedar": `@id("fine") forbid(principal, action, resource);`,
	}))
	for _, want := range []string{"a.cedar:1:", "b.cedar:1:", "d.cedar:1: the @id \"fine\" stands at c.cedar:1 already"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error: %v\nwant: %s", err, want)
		}
	}
}

// TestBounds: a folder can't slow every decision down, and a pipe can't hang it.
func TestBounds(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range guard.MaxPolicies + 1 {
		fmt.Fprintf(&many, "@id(\"p%d\") forbid(principal, action, resource);\n", i)
	}
	if _, err := guard.Load(folder(t, map[string]string{"p.cedar": many.String()})); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("too many policies: %v", err)
	}
	if _, err := guard.Load(folder(t, map[string]string{"p.cedar": strings.Repeat(" ", 1<<20+1)})); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a huge file: %v", err)
	}
	dir := t.TempDir()
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "p.cedar")); err != nil {
		t.Fatal(err)
	}
	if _, err := guard.Load(dir); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a device: %v", err)
	}
}

// TestAbsent: no folder, no policies.
func TestAbsent(t *testing.T) {
	t.Parallel()
	l, err := guard.Watch(filepath.Join(t.TempDir(), "policies"))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Denies(operator(), tenure.TenantRead, gold(), monday); got != nil {
		t.Errorf("denied by %q", got)
	}
	if got := new(guard.Live).Denies(operator(), tenure.TenantRead, gold(), monday); len(got) == 0 {
		t.Error("policies that were never loaded let somebody through")
	}
}

// TestReload: a bad folder leaves the policies in force, a good one replaces
// them, and nobody who asks meanwhile sees anything between.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"p.cedar": `@id("one") forbid(principal, action, resource);`})
	live, err := guard.Watch(dir)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := live.Denies(operator(), tenure.TenantRead, gold(), monday); len(got) != 1 {
					t.Errorf("denied by %q", got)
					return
				}
			}
		}()
	}
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "p.cedar"), []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	for range 20 {
		write(`@id("two") permit(principal, action, resource);`)
		if err := live.Reload(); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "the policies in use stay") || !strings.Contains(err.Error(), "p.cedar:1") {
			t.Errorf("reload: %v", err)
		}
		if got := live.Policies(); len(got) != 1 || got[0].ID != "one" {
			t.Errorf("in use: %v", got)
		}
	}
	write(`@id("three") forbid(principal, action, resource);`)
	if err := live.Reload(); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
	if got := live.Policies(); got[0].ID != "three" {
		t.Errorf("in use: %v", got)
	}
}

// TestPermissionsAreAll: a permission of the domain that no policy could name
// would be one that none could forbid.
func TestPermissionsAreAll(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "access.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	have := guard.Permissions()
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		v, ok := node.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "Permission" {
			return true
		}
		text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if n++; err != nil || !slices.Contains(have, tenure.Permission(text)) {
			t.Errorf("no policy can name the permission %q", text)
		}
		return true
	})
	if n < 30 || n != len(have) {
		t.Errorf("%d permissions in access.go, %d that policies can name", n, len(have))
	}
}

// TestMorePoliciesDenyMore: adding a policy never takes a denial away.
func TestMorePoliciesDenyMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		texts := rapid.SliceOfN(rapid.Custom(drawPolicy), 1, 6).Draw(r, "policies")
		q := drawQuestion(r)
		var before []string
		for n := 1; n <= len(texts); n++ {
			var all strings.Builder
			for i, text := range texts[:n] {
				fmt.Fprintf(&all, "@id(\"p%d\") %s\n", i, text)
			}
			dir, err := os.MkdirTemp("", "guard")
			if err != nil {
				r.Fatal(err)
			}
			err = os.WriteFile(filepath.Join(dir, "p.cedar"), []byte(all.String()), 0o600)
			set, lerr := guard.Load(dir)
			_ = os.RemoveAll(dir)
			if err != nil || lerr != nil {
				r.Fatal(err, lerr)
			}
			now := q.ask(set)
			for _, b := range before {
				if !slices.Contains(now, b) {
					r.Fatalf("%q denied before a policy was added, and not after", b)
				}
			}
			before = now
		}
	})
}

func drawPolicy(r *rapid.T) string {
	action := rapid.SampledFrom([]string{"action", `action == Action::"operation.approve"`, `action in [Action::"hold.release", Action::"tenant.read"]`}).Draw(r, "action")
	cond := rapid.SampledFrom([]string{
		"true", "false", "principal.strong", "context.hour < 12", `principal.roles.contains(Role::"operator")`, `resource is Tenant && resource.tier == "gold"`,
		`context.hour * 9223372036854775807 > 1`, `resource is Tenant && resource.labels.contains("region=eu")`, "context.breakGlass",
	}).Draw(r, "condition")
	return "forbid(principal, " + action + ", resource) " + rapid.SampledFrom([]string{"when", "unless"}).Draw(r, "when") + " { " + cond + " };"
}

func drawQuestion(r *rapid.T) question {
	c := tenure.Caller{Name: rapid.StringMatching(`[a-z]{0,3}`).Draw(r, "name"), Kind: rapid.SampledFrom([]tenure.CallerKind{tenure.CallerPerson, tenure.CallerMachine}).Draw(r, "kind"), Strong: rapid.Bool().Draw(r, "strong")}
	for range rapid.IntRange(0, 3).Draw(r, "grants") {
		c.Grants = append(c.Grants, tenure.Grant{Role: rapid.SampledFrom(tenure.Roles).Draw(r, "role"), Scope: tenure.Scope{All: rapid.Bool().Draw(r, "all")}, BreakGlass: rapid.Bool().Draw(r, "glass")})
	}
	target := rapid.SampledFrom([]tenure.Target{{}, gold(), {Tenant: acme}}).Draw(r, "target")
	return question{c, rapid.SampledFrom(guard.Permissions()).Draw(r, "permission"), target, monday.Add(time.Duration(rapid.IntRange(0, 47).Draw(r, "hours")) * time.Hour)}
}

// BenchmarkDenies is one decision under 20 policies, none of which forbids.
func BenchmarkDenies(b *testing.B) {
	var text strings.Builder
	for i := range 20 {
		cond := []string{
			`context.hour > 40`, `principal.roles.contains(Role::"legal")`, `resource is Tenant && resource.tier == "x"`,
			`resource is Tenant && resource.labels.contains("a=b") && context.weekday == Weekday::"sunday"`, `context.breakGlass`,
		}[i%5]
		fmt.Fprintf(&text, "@id(\"p%d\") forbid(principal, action, resource) when { %s };\n", i, cond)
	}
	set := load(b, text.String())
	c, t := operator(), gold()
	b.ReportAllocs()
	for b.Loop() {
		if set.Denies(c, tenure.OperationRequest, t, monday) != nil {
			b.Fatal("denied")
		}
	}
}
