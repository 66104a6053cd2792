package dashboard_test

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func pages(t *testing.T) *dashboard.Pages {
	t.Helper()
	p, err := dashboard.New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rendered(t *testing.T, p *dashboard.Pages, s sample) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.render(p, &b); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return b.String()
}

// TestPages renders every page in every shape. What a user would lose: a page
// that runs somebody else's text, that a policy against inline code breaks, or
// that a screen reader can't follow.
func TestPages(t *testing.T) {
	t.Parallel()
	p := pages(t)
	for _, shape := range append([]shape{{"empty", func(string) string { return "" }, 0}}, shapes...) {
		for _, s := range samples(shape) {
			t.Run(shape.name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				for _, problem := range judge(rendered(t, p, s)) {
					t.Error(problem)
				}
			})
		}
	}
}

// TestZeroViews: a view model that nobody has filled gives a whole page too.
func TestZeroViews(t *testing.T) {
	t.Parallel()
	p := pages(t)
	f := dashboard.Frame{At: now, Who: &dashboard.Who{}}
	zero := []sample{
		{"fleet", func(p *dashboard.Pages, w io.Writer) error { return p.Fleet(w, f, dashboard.FleetView{}) }},
		{"tenants", func(p *dashboard.Pages, w io.Writer) error { return p.Tenants(w, f, dashboard.TenantsView{}) }},
		{"tenant", func(p *dashboard.Pages, w io.Writer) error { return p.Tenant(w, f, dashboard.TenantView{Name: "x"}) }},
		{"operations", func(p *dashboard.Pages, w io.Writer) error { return p.Operations(w, f, dashboard.OperationsView{}) }},
		{"operation", func(p *dashboard.Pages, w io.Writer) error { return p.Operation(w, f, dashboard.OperationView{}) }},
		{"forgotten", func(p *dashboard.Pages, w io.Writer) error {
			return p.Operation(w, f, dashboard.OperationView{Forgotten: true})
		}},
		{"plan", func(p *dashboard.Pages, w io.Writer) error { return p.NewPlan(w, f, dashboard.PlanView{}) }},
		{"approvals", func(p *dashboard.Pages, w io.Writer) error { return p.Approvals(w, f, dashboard.ApprovalsView{}) }},
		{"findings", func(p *dashboard.Pages, w io.Writer) error { return p.Findings(w, f, dashboard.FindingsView{}) }},
		{"holds", func(p *dashboard.Pages, w io.Writer) error { return p.Holds(w, f, dashboard.HoldsView{}) }},
		{"reviews", func(p *dashboard.Pages, w io.Writer) error { return p.Reviews(w, f, dashboard.ReviewsView{}) }},
		{"review", func(p *dashboard.Pages, w io.Writer) error { return p.Review(w, f, dashboard.ReviewView{}) }},
		{"blueprints", func(p *dashboard.Pages, w io.Writer) error { return p.Blueprints(w, f, dashboard.BlueprintsView{}) }},
		{"blueprint", func(p *dashboard.Pages, w io.Writer) error { return p.Blueprint(w, f, dashboard.BlueprintView{}) }},
		{"audit", func(p *dashboard.Pages, w io.Writer) error { return p.Audit(w, f, dashboard.AuditView{}) }},
		{"events", func(p *dashboard.Pages, w io.Writer) error { return p.Events(w, f, dashboard.EventsView{}) }},
		{"event", func(p *dashboard.Pages, w io.Writer) error { return p.Event(w, f, dashboard.EventView{}) }},
		{"rules", func(p *dashboard.Pages, w io.Writer) error { return p.Rules(w, f, dashboard.RulesView{}) }},
		{"rule", func(p *dashboard.Pages, w io.Writer) error { return p.Rule(w, f, dashboard.RuleView{}) }},
		{"entry", func(p *dashboard.Pages, w io.Writer) error { return p.Entry(w, f, dashboard.EntryView{}) }},
		{"systems", func(p *dashboard.Pages, w io.Writer) error { return p.Systems(w, f, dashboard.SystemsView{}) }},
		{"departure", func(p *dashboard.Pages, w io.Writer) error { return p.Departure(w, f, dashboard.DepartureView{}) }},
		{"lease", func(p *dashboard.Pages, w io.Writer) error { return p.Lease(w, f, dashboard.LeaseView{}) }},
		{"leave", func(p *dashboard.Pages, w io.Writer) error { return p.Leave(w, f, dashboard.LeaveView{Title: "x"}) }},
		{"vendor", func(p *dashboard.Pages, w io.Writer) error { return p.Vendor(w, f, dashboard.VendorView{}) }},
		{"certificate", func(p *dashboard.Pages, w io.Writer) error { return p.Certificate(w, f, dashboard.CertificateView{}) }},
		{"confirm", func(p *dashboard.Pages, w io.Writer) error { return p.Confirm(w, f, dashboard.ConfirmView{}) }},
		{"request", func(p *dashboard.Pages, w io.Writer) error { return p.Request(w, f, dashboard.RequestView{}) }},
		{"signin", func(p *dashboard.Pages, w io.Writer) error {
			return p.SignIn(w, dashboard.Frame{}, dashboard.SignInView{})
		}},
		{"problem", func(p *dashboard.Pages, w io.Writer) error {
			return p.Problem(w, dashboard.Frame{}, dashboard.ProblemView{})
		}},
	}
	for _, section := range dashboard.AccessSections {
		zero = append(zero, sample{"access " + string(section), func(p *dashboard.Pages, w io.Writer) error {
			return p.Access(w, f, dashboard.AccessView{Section: section})
		}})
	}
	for _, s := range zero {
		for _, problem := range judge(rendered(t, p, s)) {
			t.Errorf("%s: %s", s.name, problem)
		}
	}
}

var (
	tagPattern   = regexp.MustCompile(`(?s)<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^"'>]|"[^"]*"|'[^']*')*)>`)
	attrPattern  = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9-]*)(?:="([^"]*)")?`)
	localAddress = regexp.MustCompile(`^(/($|[^/])|#|\?)`)
)

// judge reads a page as a strict reader would, and says what is wrong with it.
func judge(page string) (problems []string) {
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if strings.Contains(page, "<script>") || strings.Contains(page, "<img") {
		complain("somebody's text became markup")
	}
	if strings.Contains(page, "ZgotmplZ") {
		complain("a value stands where it is filtered out")
	}
	ids, h1, mains, labels, refs := map[string]int{}, 0, 0, 0, []string{}
	labelFor := map[string]bool{}
	type input struct {
		id       string
		inLabel  bool
		labelled bool
		line     string
	}
	var inputs []input
	for _, m := range tagPattern.FindAllStringSubmatch(page, -1) {
		closing, name, attrs := m[1] == "/", strings.ToLower(m[2]), map[string]string{}
		if closing {
			if name == "label" {
				labels--
			}
			continue
		}
		for _, a := range attrPattern.FindAllStringSubmatch(m[3], -1) {
			attrs[strings.ToLower(a[1])] = a[2]
		}
		for a, v := range attrs {
			switch {
			case a == "style" || strings.HasPrefix(a, "on") && len(a) > 3 && a != "one":
				complain("inline %s in <%s>", a, name)
			case a == "id":
				ids[v]++
				if v == "" || strings.ContainsAny(v, " \t\n") {
					complain("<%s> has the id %q", name, v)
				}
			case a == "href" || a == "src" || a == "action":
				if !localAddress.MatchString(v) && v != "" {
					complain("<%s %s=%q> leads elsewhere", name, a, v)
				}
			case a == "aria-labelledby":
				refs = append(refs, v)
			}
		}
		switch name {
		case "h1":
			h1++
		case "main":
			mains++
		case "label":
			labels++
			labelFor[attrs["for"]] = true
		case "style":
			complain("inline style sheet")
		case "script":
			if attrs["src"] == "" {
				complain("inline script")
			}
		case "th":
			if attrs["scope"] == "" {
				complain("a table header without scope: %s", m[0])
			}
		case "input", "select", "textarea":
			if attrs["type"] != "hidden" {
				inputs = append(inputs, input{attrs["id"], labels > 0, attrs["aria-label"] != "", m[0]})
			}
		}
	}
	for _, i := range inputs {
		if !i.inLabel && !i.labelled && (i.id == "" || !labelFor[i.id]) {
			complain("nobody can tell what %s is for", i.line)
		}
	}
	for id, n := range ids {
		if n > 1 {
			complain("the id %q stands %d times", id, n)
		}
	}
	for _, r := range refs {
		if ids[r] == 0 {
			complain("aria-labelledby names %q, which isn't there", r)
		}
	}
	if h1 != 1 || mains != 1 {
		complain("%d headings of the first level and %d main parts", h1, mains)
	}
	return problems
}

// TestJudge: the reader above sees what it is there for.
func TestJudge(t *testing.T) {
	t.Parallel()
	const good = `<main><h1>x</h1>%s</main>`
	for part, want := range map[string]bool{
		``: true, `<p style="x">`: false, `<p onclick="x">`: false, `<script>x</script>`: false, `<style>x</style>`: false,
		`<a href="https://example.com/">x</a>`: false, `<a href="//example.com/">x</a>`: false, `<a href="/x">x</a>`: true, `<a href="javascript:x">x</a>`: false,
		`<input name="x">`: false, `<label>x<input name="x"></label>`: true, `<i id="a"></i><i id="a"></i>`: false, `<h1>y</h1>`: false, `<th>x</th>`: false,
		`<p aria-labelledby="no">`: false,
	} {
		if got := len(judge(fmt.Sprintf(good, part))) == 0; got != want {
			t.Errorf("%s: fine %v, want %v", part, got, want)
		}
	}
}

// TestOperationSays: on the page of an operation stands what somebody needs who
// must decide about it.
func TestOperationSays(t *testing.T) {
	t.Parallel()
	page := rendered(t, pages(t), samples(shapes[0])[4])
	for _, want := range []string{
		digest, `data-events="/v1/operations/op_1/events"`, `data-summary="Offboard of acme: waiting, 26 of 54 steps done`, "identity: 503 service unavailable", "try 3",
		`{&#34;revoked&#34;: 14, &#34;observed&#34;: 0}`, "marco</b> as approver", "can be undone until", `action="/operations/op_1/approve"`, "it has passed its point of no return",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("it doesn't say %q", want)
		}
	}
	if strings.Count(page, `class="box `) != 54 || strings.Count(page, `<li id="step-`) != 54 {
		t.Errorf("%d boxes and %d steps, want 54 of each", strings.Count(page, `class="box `), strings.Count(page, `<li id="step-`))
	}
}

// TestConfirmAsks: who destroys something sees what, until when it can be
// undone, and must type the name; the digest that was shown is what is sent.
func TestConfirmAsks(t *testing.T) {
	t.Parallel()
	p := pages(t)
	all := samples(shapes[0])
	at := slices.IndexFunc(all, func(s sample) bool { return s.name == "confirm" })
	page := rendered(t, p, all[at])
	for _, want := range []string{`name="confirm"`, `name="digest" value="` + digest, "1,204,331", "2026-12-06 09:30\u00a0UTC", `method="post" action="/tenants/ten_1/offboard"`, "not at all"} {
		if !strings.Contains(page, want) {
			t.Errorf("it doesn't say %q", want)
		}
	}
	if final := rendered(t, p, all[at+1]); !strings.Contains(final, "undone: the keys are destroyed") || strings.Contains(final, "nobody can bring it back") {
		t.Error("what can't be undone isn't said to be so")
	}
}

// TestDepartureIsAlone: the one who leaves gets no navigation, no search and no
// name of anybody.
func TestDepartureIsAlone(t *testing.T) {
	t.Parallel()
	all := samples(shapes[0])
	page := rendered(t, pages(t), all[slices.IndexFunc(all, func(s sample) bool { return s.name == "departure" })])
	for _, never := range []string{"<nav", `type="search"`, "lena", "marco", "ten_"} {
		if strings.Contains(page, never) {
			t.Errorf("it holds %q", never)
		}
	}
}

// TestNavigation: nobody is shown a page that they may not see.
func TestNavigation(t *testing.T) {
	t.Parallel()
	viewer := dashboard.Navigation(tenure.Viewer.May, dashboard.Badges{})
	for _, n := range viewer {
		if n.Area == dashboard.AreaAudit {
			t.Errorf("a viewer is shown %s", n.Label)
		}
	}
	if all := dashboard.Navigation(func(tenure.Permission) bool { return true }, dashboard.Badges{}); len(all) != 12 || len(viewer) == 0 {
		t.Errorf("%d items for all, %d for a viewer", len(all), len(viewer))
	}
	keys := map[string]bool{}
	for _, n := range dashboard.Navigation(func(tenure.Permission) bool { return true }, dashboard.Badges{}) {
		if keys[n.Key] {
			t.Errorf("the key %s goes to two pages", n.Key)
		}
		keys[n.Key] = true
	}
}
