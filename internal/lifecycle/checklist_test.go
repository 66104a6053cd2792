package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// leaving is a departure whose blueprint has a task with an owner and a date, and one without.
func leaving(s *site) tenure.OperationID {
	s.t.Helper()
	s.publishText(strings.Replace(fmt.Sprintf(blueprintText, "1.2"), "\noffboarding:", "\noffboarding:\n  tasks:\n    - {task: Hand the flows over, owner: \"group:flows\", due: P20D}\n    - Say goodbye", 1))
	op := s.begin("acme", "small@1.2")
	s.wantState(op, tenure.OperationSucceeded)
	s.fill("acme-prod", 100, 5)
	return s.leave("acme")
}

// told lists the notices about tasks in the order of their making, as recipient and the beginning of the text.
func (s *site) told() (out []string) {
	s.t.Helper()
	list, err := s.db.Notices(context.Background(), rowOf(s.t, s.life, "acme").ID)
	s.must(err)
	for _, n := range list {
		if n.Kind == tenure.NoticeTask {
			what, _, _ := strings.Cut(n.Body, " in the ")
			out = append(out, n.Recipient+": "+what)
		}
	}
	return out
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func (s *site) tickChecklist() {
	s.t.Helper()
	for range 2 { // twice as after a restart
		s.must(s.TickChecklist(context.Background(), s.Now()))
	}
	s.settle()
}

func (s *site) checklist(op tenure.OperationID) (out []string) {
	s.t.Helper()
	list, err := s.Checklist(context.Background(), op)
	s.must(err)
	for _, it := range list {
		out = append(out, fmt.Sprintf("%s|%s|%s|%v", it.Text, it.Owner, it.State, it.Waiting))
	}
	return out
}

// TestChecklist: a departure's tasks have owners who are told when they can be done, a day before they are due, when
// they are, and each week after that; a task that a person added keeps the closing certificate waiting, and nothing
// else; who dropped it and why is kept.
func TestChecklist(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := context.Background()
		op := leaving(s)
		s.tickChecklist()
		if got := s.told(); got != nil {
			t.Errorf("before anything waits were told %q", got)
		}
		added, err := s.AddTask(ctx, op, "Tell the auditors", "person:rita", s.Now().Add(30*day), "operator")
		s.must(err)
		s.pass(time.Minute)
		second, err := s.AddTask(ctx, op, "Return the badges", "", time.Time{}, "operator")
		s.must(err)
		s.tickChecklist()
		want := []string{"Hand the flows over|group:flows|open|false", "Say goodbye||open|false", "Tell the auditors|person:rita|open|true", "Return the badges||open|true"}
		if got := s.checklist(op); !slices.Equal(got, want) {
			t.Errorf("the checklist is %q", got)
		}
		_, err = s.ChangeTask(ctx, op, "task/2", "security", time.Time{}, "operator") // before its turn
		s.must(err)
		s.tickChecklist()
		s.pass(15 * day) // the grace has ended, and the plan's tasks wait
		s.tickChecklist()
		if got, want := s.told(), []string{"person:rita: There is a task", "group:flows: There is a task", "security: There is a task"}; !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("told: %q", got)
		}
		s.pass(4*day + time.Hour)
		s.tickChecklist()
		s.pass(day)
		s.tickChecklist()
		s.pass(7 * day)
		s.tickChecklist()
		if got, want := s.told()[3:], []string{"group:flows: There is a task", "group:flows: A task is overdue", "platform: A task is overdue", "group:flows: A task is overdue", "platform: A task is overdue"}; !slices.Equal(got, want) {
			t.Errorf("told: %q", got)
		}
		_, err = s.ChangeTask(ctx, op, "task/1", "person:sam", time.Time{}, "operator")
		s.must(err)
		s.tickChecklist()
		if got := s.told(); !slices.Contains(got, "person:sam: There is a task") {
			t.Errorf("told: %q", got)
		}
		list, err := s.Checklist(ctx, op)
		s.must(err)
		_, err = s.ChangeTask(ctx, op, "task/1", "person:sam", s.Now().Add(time.Hour), "operator")
		s.must(err)
		s.tickChecklist()
		before := len(s.told())
		for _, item := range []string{string(list[0].ID), "task/2"} {
			_, err := s.FinishTask(ctx, op, item, "sam", "done")
			s.must(err)
			s.must(s.TickChecklist(ctx, s.Now())) // before the gate is looked at
		}
		if got := s.told(); len(got) != before {
			t.Errorf("of what is done was told %q", got)
		}
		said := len(s.told())
		for range 20 {
			if strings.Contains(s.show(op), "open tasks") {
				break
			}
			s.pass(100 * day)
			s.confirmIll(op)
		}
		s.tickChecklist()
		if v := s.view(op); v.State.Ended() || !strings.Contains(v.Reason+s.show(op), "2 open tasks on the checklist, first: Tell the auditors") {
			t.Fatalf("with its tasks open the departure is %s: %s\n%s", v.State, v.Reason, s.show(op))
		}
		if n := s.rows("acme-prod", "orders"); n > 0 {
			t.Errorf("a task on the checklist kept %d rows", n)
		}
		if got := s.told(); len(got) == said {
			t.Error("nobody is told of the task that is overdue")
		}
		_, err = s.EndTask(ctx, op, string(second.ID), "", "operator", true)
		wantCode(t, err, tenure.Invalid, "reason")
		_, err = s.EndTask(ctx, op, string(second.ID), "there are none", "operator", true)
		s.must(err)
		_, err = s.EndTask(ctx, op, "task/1", "no", "operator", true)
		wantCode(t, err, tenure.Conflict, "ended already")
		_, err = s.FinishTask(ctx, op, string(added.ID), "rita", "by letter")
		s.must(err)
		_, err = s.FinishTask(ctx, op, string(added.ID), "rita", "again")
		wantCode(t, err, tenure.Conflict, "done already")
		want = []string{"Hand the flows over|person:sam|done|false", "Say goodbye|security|done|false", "Tell the auditors|person:rita|done|false", "Return the badges||dropped|false"}
		if got := s.checklist(op); !slices.Equal(got, want) {
			t.Errorf("the checklist is %q", got)
		}
		s.settle()
		s.pass(time.Minute)
		s.wantState(op, tenure.OperationSucceeded)
		_, err = s.AddTask(ctx, op, "too late", "", time.Time{}, "operator")
		wantCode(t, err, tenure.Conflict, "has ended")
		s.audited()
	})
}

// TestChecklistRefuses: what can't be a task isn't one.
func TestChecklistRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := context.Background()
	op := leaving(s)
	for what, c := range map[string]struct {
		text, owner string
		due         time.Time
	}{
		"no text":         {text: " "},
		"two lines":       {text: "a\nb"},
		"a long text":     {text: strings.Repeat("a", 501)},
		"a line as owner": {text: "a", owner: "a\r\nb"},
		"an address":      {text: "a", owner: "kim@acme.example"},
		"a typo":          {text: "a", owner: "grp:x"},
		"turned around":   {text: "a\u202eb"},
		"the timeline":    {text: "a", owner: tenure.Timeline},
		"yesterday":       {text: "a", due: s.Now().Add(-day)},
		"in 20 years":     {text: "a", due: s.Now().AddDate(20, 0, 0)},
	} {
		if _, err := s.AddTask(ctx, op, c.text, c.owner, c.due, "operator"); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := s.AddTask(ctx, op, "a", "", time.Time{}, "")
	wantCode(t, err, tenure.Unauthorized, "nobody")
	_, err = s.ChangeTask(ctx, op, "task/9", "", time.Time{}, "operator")
	wantCode(t, err, tenure.NotFound, "task/9")
	coming := s.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "globex", Blueprint: "small@1.2", Tier: "team", Parameters: map[string]any{"login": "a@b.example"}}, "operator")
	_, err = s.AddTask(ctx, coming, "a", "", time.Time{}, "operator")
	wantCode(t, err, tenure.Conflict, "onboard")
}

// TestForgedChecklist: a task that somebody takes off the list, or marks as done, past the program lets no certificate out.
func TestForgedChecklist(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]string{
		"removed": `delete from task where operation = ?`,
		"done":    `update task set state = 'done' where operation = ?`,
		"planned": `update task set step = 'task/2' where operation = ?`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			op := leaving(s)
			_, err := s.AddTask(context.Background(), op, "Tell the auditors", "", time.Time{}, "operator")
			s.must(err)
			s.behind(forge, string(op))
			s.behind(`update operation set due_at = 1 where id = ?`, string(op))
			s.pass(20 * day)
			if v := s.view(op); v.State != tenure.OperationBlocked || !strings.Contains(v.Reason, "task op_") {
				t.Errorf("the departure is %s: %s", v.State, v.Reason)
			}
		})
	}
}

// A task that was changed past the program is told to nobody, whatever address stands there now, and the
// server's log says which operation isn't as the log says.
func TestTasksChangedPastTheProgramAreToldToNobody(t *testing.T) {
	t.Parallel()
	s, ctx := newSite(t, nil), context.Background()
	op := leaving(s)
	_, err := s.AddTask(ctx, op, "Tell the auditors", "person:sam", time.Time{}, "operator")
	s.must(err)
	s.tickChecklist()
	before := s.told()
	s.behind(`update task set owner = 'stranger@example.com', remind_at = 1 where operation = ? and step = ''`, string(op))
	for range 2 {
		if err := s.TickChecklist(ctx, s.Now()); len(s.told()) > len(before) || err != nil && !strings.Contains(err.Error(), "isn't as the log says") {
			t.Errorf("told %q, %v", s.told(), err)
		}
	}
	s.pass(2 * time.Hour)
	if err := s.TickChecklist(ctx, s.Now()); err == nil || !strings.Contains(err.Error(), "isn't as the log says") {
		t.Errorf("after an hour: %v", err)
	}
	s.behind(`update task set owner = 'person:sam' where operation = ?`, string(op))
	s.pass(2 * time.Hour)
	s.tickChecklist()
	if got := s.told(); len(got) != len(before)+1 || got[len(got)-1] != "person:sam: There is a task" {
		t.Errorf("once it is as it was: %q", got)
	}
}

// A reminder that hasn't gone out, as where quiet hours hold it back, doesn't once its task has ended.
func TestRemindersEndWithTheirTask(t *testing.T) {
	t.Parallel()
	s, ctx := newSite(t, nil), context.Background()
	op := leaving(s)
	waiting := func() (out []string) {
		list, err := s.db.Unrouted(ctx, time.Time{}, 100)
		s.must(err)
		for _, n := range list {
			if n.Kind == tenure.NoticeTask {
				out = append(out, n.ID)
			}
		}
		return out
	}
	for _, routed := range []bool{false, true} {
		added, err := s.AddTask(ctx, op, "Tell the auditors", "person:sam", time.Time{}, "operator")
		s.must(err)
		s.tickChecklist()
		var its string
		for _, id := range waiting() {
			if strings.Contains(id, string(added.ID)) {
				its = id
			}
		}
		if its == "" {
			t.Fatal("nobody is told")
		}
		if routed {
			s.must(s.db.Write(ctx, func(tx *store.Tx) error {
				_, err := tx.RouteNotice(store.Notice{ID: its, Tenant: s.view(op).Tenant, CreatedAt: s.Now()}, []store.Delivery{{ID: "d", Target: "mail", Address: "sam@platform.example", NextAt: s.Now().Add(8 * time.Hour)}}, s.Now())
				return err
			}))
		}
		_, err = s.EndTask(ctx, op, string(added.ID), "they know", "operator", true)
		s.must(err)
		if slices.Contains(waiting(), its) {
			t.Error("a reminder of what has ended is still shared out")
		}
		if !routed {
			continue
		}
		d, err := s.db.Delivery(ctx, "d")
		s.must(err)
		if d.State != store.DeliveryExpired || !strings.Contains(d.Error, "the task has ended") {
			t.Errorf("its delivery is %s: %s", d.State, d.Error)
		}
	}
}

// Whoever owns a task may say that it is done: by name, in a group, or by a role over the tenant.
func TestOwnersOfTasks(t *testing.T) {
	t.Parallel()
	s, ctx := newSite(t, func(o *lifecycle.Options) { o.Groups = map[string][]string{"flows": {"fay"}} }), context.Background()
	op := leaving(s)
	sams, err := s.AddTask(ctx, op, "Tell the auditors", "person:sam", time.Time{}, "operator")
	s.must(err)
	for _, c := range []struct {
		item, who string
		owns      bool
	}{
		{string(sams.ID), "sam", true}, {string(sams.ID), "Sam", true}, {string(sams.ID), "fay", false}, {"task/1", "fay", true}, {"task/1", "sam", false},
		{"task/2", "sam", false}, {"", "sam", false}, {"nothing", "sam", false},
	} {
		if owns, err := s.OwnsTask(ctx, op, c.item, c.who); err != nil || owns != c.owns {
			t.Errorf("%s owns %q: %t, %v", c.who, c.item, owns, err)
		}
	}
}
