package lifecycle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
)

// handingOver is a departure whose blueprint has artifacts: one that is to get another owner, one that is to be put
// away, and one of which nothing is foreseen.
func handingOver(s *site) tenure.OperationID {
	s.t.Helper()
	s.publishText(strings.Replace(fmt.Sprintf(blueprintText, "1.2"), "\noffboarding:", `
offboarding:
  artifacts:
    - {name: "Report of ${tenant.name}", where: "Reports, folder Finance", to: the finance team, owner: "group:flows", due: P20D}
    - {name: Sign-up template, where: Builder, archive: "s3://attic/${tenant.name}"}
    - {name: The mail domain, where: "of ${params.login}"}`, 1))
	op := s.begin("acme", "small@1.2")
	s.wantState(op, tenure.OperationSucceeded)
	s.fill("acme-prod", 100, 5)
	return s.leave("acme")
}

// went lists the artifacts of an operation, with where they are, how they stand and where they went.
func (s *site) went(op tenure.OperationID) (out []string) {
	s.t.Helper()
	list, err := s.Checklist(context.Background(), op)
	s.must(err)
	for _, it := range list {
		if it.Artifact {
			out = append(out, fmt.Sprintf("%s|%s|%s|%s", it.Text, it.Where, it.State, it.Handed.Says()))
		}
	}
	return out
}

// TestArtifacts: what others go on using is named in the plan of the departure, each artifact is done with what became of
// it and not without, its owner is reminded as of a task, and the closing certificate waits for what was added by hand.
func TestArtifacts(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := context.Background()
		op := handingOver(s)
		p, err := s.db.Plan(ctx, s.view(op).Plan)
		s.must(err)
		var said []string
		for i := range p.Steps {
			if strings.HasPrefix(p.Steps[i].Key, "artifact/") {
				said = append(said, p.Steps[i].Summary)
			}
		}
		var params struct{ Login string }
		s.must(json.Unmarshal(rowOf(t, s.life, "acme").Parameters, &params))
		login := params.Login
		if want := []string{"hand Report of acme (Reports, folder Finance) over to the finance team", "archive Sign-up template (Builder) at s3://attic/acme", fmt.Sprintf("hand The mail domain (of %s) over, or archive it", login)}; !slices.Equal(said, want) {
			t.Fatalf("the plan says %q", said)
		}
		added, err := s.AddArtifact(ctx, op, " Deployment repository ", "the forge", "person:rita", s.Now().Add(30*day), "operator")
		s.must(err)
		s.pass(time.Minute)
		second, err := s.AddArtifact(ctx, op, "Old dashboard", "", "", time.Time{}, "operator")
		s.must(err)
		s.pass(time.Minute)
		task, err := s.AddTask(ctx, op, "Tell the auditors", "", time.Time{}, "operator")
		s.must(err)
		s.tickChecklist()
		s.pass(15 * day)
		s.tickChecklist()
		if got, want := s.told(), []string{"person:rita: There is a task", "group:flows: There is a task"}; !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("told: %q", got)
		}
		notices, err := s.db.Notices(ctx, p.Tenant)
		s.must(err)
		if last := notices[len(notices)-1].Body; !strings.Contains(last, "hand Report of acme (Reports, folder Finance) over to the finance team.") || !strings.Contains(last, "--gate artifact/1 --reassigned-to WHOM, or --archived-at WHERE") {
			t.Errorf("its owner is told %q", last)
		}
		s.pass(6 * day)
		s.tickChecklist()
		if got := s.told(); !slices.Contains(got, "platform: A task is overdue") {
			t.Errorf("told: %q", got)
		}

		reassigned := func(to string) tenure.Handed {
			return tenure.Handed{Outcome: tenure.ArtifactReassigned, Destination: to}
		}
		archived := tenure.Handed{Outcome: tenure.ArtifactArchived, Destination: "s3://attic/acme/template"}
		for _, item := range []string{"artifact/1", string(added.ID)} {
			_, err = s.FinishTask(ctx, op, item, "sam", "done")
			wantCode(t, err, tenure.Invalid, "reassigned or archived")
			for what, h := range map[string]tenure.Handed{
				"nobody": reassigned(" "), "two lines": reassigned("a\nb"), "turned around": reassigned("a\u202eb"), "a long text": reassigned(strings.Repeat("a", 501)),
				"another outcome": {Outcome: "sold", Destination: "a"}, "a place alone": {Destination: "a"},
			} {
				if _, err := s.HandOver(ctx, op, item, h, "sam", ""); tenure.CodeOf(err) != tenure.Invalid {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		_, err = s.HandOver(ctx, op, string(task.ID), archived, "sam", "")
		wantCode(t, err, tenure.Invalid, "no artifact")
		_, err = s.HandOver(ctx, op, "artifact/1", reassigned(" Kim's team "), "sam", "by letter")
		s.must(err)
		_, err = s.HandOver(ctx, op, "artifact/2", archived, "sam", "")
		s.must(err)
		_, err = s.Skip(ctx, op, "artifact/3", "they have no domain", "operator")
		s.must(err)
		_, err = s.Skip(ctx, op, "artifact/3", "", "operator")
		wantCode(t, err, tenure.Forbidden, "a second person")
		_, err = s.Skip(ctx, op, "artifact/3", "", "counsel")
		s.must(err)
		_, err = s.HandOver(ctx, op, string(added.ID), reassigned("the developers"), "rita", "")
		s.must(err)
		s.settle()
		before := len(s.told())
		s.pass(8 * day)
		s.tickChecklist()
		if got := s.told(); len(got) != before {
			t.Errorf("of what is done was told %q", got)
		}
		for range 20 {
			if strings.Contains(s.show(op), "open tasks") {
				break
			}
			s.pass(100 * day)
			s.confirmIll(op)
		}
		if v := s.view(op); v.State.Ended() || !strings.Contains(v.Reason+s.show(op), "2 open tasks on the checklist, first: Old dashboard") {
			t.Fatalf("with an artifact open the departure is %s: %s", v.State, v.Reason)
		}
		_, err = s.EndTask(ctx, op, string(second.ID), "nobody looks at it", "operator", true)
		s.must(err)
		_, err = s.FinishTask(ctx, op, string(task.ID), "operator", "")
		s.must(err)
		want := []string{
			"Report of acme|Reports, folder Finance|done|reassigned to Kim's team", "Sign-up template|Builder|done|archived at s3://attic/acme/template",
			fmt.Sprintf("The mail domain|of %s|dropped|", login), "Deployment repository|the forge|done|reassigned to the developers", "Old dashboard||dropped|",
		}
		if got := s.went(op); !slices.Equal(got, want) {
			t.Errorf("the artifacts are %q", got)
		}
		s.settle()
		s.pass(time.Minute)
		s.wantState(op, tenure.OperationSucceeded)
		s.audited()
		d := s.paper(op, "closing")
		var certified []string
		for _, a := range d.Artifacts {
			certified = append(certified, a.Name+" "+a.Outcome)
		}
		name := func(n, outcome string) string { return evidence.NameDigest(p.Tenant, n) + " " + outcome }
		if want := []string{name("Report of acme", "reassigned"), name("Sign-up template", "archived"), name("Deployment repository", "reassigned"), name("Old dashboard", "dropped")}; !slices.Equal(certified, want) {
			t.Errorf("the certificate lists %q", certified)
		}
		if len(d.Exceptions) != 1 || d.Exceptions[0].What != "step:artifact/3" {
			t.Errorf("exceptions: %+v", d.Exceptions)
		}
	})
}

// TestArtifactRefuses: what can't be an artifact isn't put on a checklist.
func TestArtifactRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := leaving(s)
	for what, c := range map[string][3]string{
		"no name": {" ", "", ""}, "two lines": {"a\nb", "", ""}, "a long name": {strings.Repeat("a", 501), "", ""}, "a place of two lines": {"a", "b\nc", ""},
		"a long place": {"a", strings.Repeat("b", 501), ""}, "a place turned around": {"a", "b\u202ec", ""}, "an address": {"a", "", "kim@acme.example"},
	} {
		if _, err := s.AddArtifact(context.Background(), op, c[0], c[1], c[2], time.Time{}, "operator"); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestForgedArtifact: an artifact that somebody calls a task, or whose outcome they make up, past the program lets no
// certificate out.
func TestForgedArtifact(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]string{
		"a task":             `update task set artifact = 0 where operation = ? and step = ''`,
		"another place":      `update task set place = 'elsewhere' where operation = ? and step = ''`,
		"gone while open":    `delete from task where operation = ? and state = 'open'`,
		"gone once done":     `delete from task where operation = ? and state = 'done'`,
		"dropped":            `update task set state = 'dropped', ended_by = 'sam', ended_at = 1 where operation = ? and state = 'open'`,
		"a second one":       `insert into task (operation, id, tenant, step, task, added_by, added_at, owner, due_at, set_by, set_at, state, ended_by, ended_at, note, remind_at, artifact, place, outcome, destination) select operation, 'tsk_01890a5d-ac96-774b-bcce-b302099a8057', tenant, step, task, added_by, added_at, owner, due_at, set_by, set_at, state, ended_by, ended_at, note, remind_at, artifact, place, outcome, destination from task where operation = ? and state = 'done'`,
		"another outcome":    `update task set outcome = 'archived' where operation = ? and state = 'done'`,
		"another owner":      `update task set destination = 'me' where operation = ? and state = 'done'`,
		"an outcome of none": `update task set outcome = '', destination = '' where operation = ? and state = 'done'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			op := leaving(s)
			ctx := context.Background()
			_, err := s.AddArtifact(ctx, op, "Deployment repository", "the forge", "", time.Time{}, "operator")
			s.must(err)
			done, err := s.AddArtifact(ctx, op, "Old dashboard", "", "", time.Time{}, "operator")
			s.must(err)
			_, err = s.HandOver(ctx, op, string(done.ID), tenure.Handed{Outcome: tenure.ArtifactReassigned, Destination: "the finance team"}, "operator", "")
			s.must(err)
			s.behind(forge, string(op))
			s.behind(`update operation set due_at = 1 where id = ?`, string(op))
			s.pass(20 * day)
			if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "task") {
				t.Errorf("the departure is %s: %s", v.State, v.Reason)
			}
		})
	}
}

// TestForgedArtifactEndsNothing: what was written past the program of a task isn't vouched for by the one who ends it.
func TestForgedArtifactEndsNothing(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]string{
		"one that was added as the plan's": `update task set step = 'artifact/1' where operation = ? and step = ''`,
		"another tenant's":                 `update task set tenant = 'ten_01890a5d-ac96-774b-bcce-b302099a8057' where operation = ? and step = 'artifact/1'`,
		"somebody else's":                  `update task set owner = 'person:mallory' where operation = ? and step = 'artifact/1'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			op := handingOver(s)
			ctx := context.Background()
			_, err := s.AddArtifact(ctx, op, "Deployment repository", "the forge", "", time.Time{}, "operator")
			s.must(err)
			s.pass(15 * day)
			if !strings.Contains(forge, "step = ''") {
				s.tickChecklist() // which lists the plan's
			}
			s.behind(forge, string(op))
			_, err = s.HandOver(ctx, op, "artifact/1", tenure.Handed{Outcome: tenure.ArtifactReassigned, Destination: "the finance team"}, "sam", "")
			s.must(err)
			s.settle()
			if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "task") {
				list, _ := s.db.Tasks(ctx, op)
				t.Errorf("the departure is %s: %s; %+v", v.State, v.Reason, list)
			}
		})
	}
}
