package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/smtptest"
	"github.com/tenurehq/tenure/internal/store"
)

// person adds somebody with an address and, if any, settings.
func (o *outbox) person(name string, set ...tenure.NoticeSettings) tenure.PrincipalID {
	o.t.Helper()
	return o.reader(name, name, set...)
}

// reader adds somebody who reads a mailbox.
func (o *outbox) reader(name, box string, set ...tenure.NoticeSettings) tenure.PrincipalID {
	o.t.Helper()
	p := store.Principal{ID: tenure.NewID[tenure.PrincipalID](start), Name: name, Email: box + "@platform.example", Kind: tenure.CallerPerson, CreatedBy: "admin", CreatedAt: start}
	o.must(o.db.Write(o.t.Context(), func(tx *store.Tx) error { return tx.SavePrincipal(p) }))
	for _, s := range set {
		o.set(p.ID, s)
	}
	return p.ID
}

func (o *outbox) set(id tenure.PrincipalID, s tenure.NoticeSettings) {
	o.t.Helper()
	o.must(s.Check())
	o.must(o.db.Write(o.t.Context(), func(tx *store.Tx) error {
		have, err := tx.NoticeSetting(id)
		if err == nil {
			err = tx.SaveNoticeSetting(store.NoticeSetting{NoticeSettings: s, Principal: id, SetBy: "test", SetAt: start, Version: have.Version})
		}
		if err == nil {
			err = tx.FreeDeliveries(id)
		}
		return err
	}))
}

// tell puts a notice into the outbox.
func (o *outbox) tell(id string, kind tenure.NoticeKind, to string, at time.Time) {
	o.t.Helper()
	o.must(o.db.Write(o.t.Context(), func(tx *store.Tx) error {
		return tx.AddNotice(store.Notice{ID: id, Kind: kind, Recipient: to, Body: "text of " + id, CreatedAt: at})
	}))
}

// states are where the deliveries of a notice are, by their address.
func (o *outbox) states(id string) map[string]store.DeliveryState {
	out := map[string]store.DeliveryState{}
	for _, d := range o.all() {
		if d.Notice.ID == id {
			address, _, _ := addressee(d.Address)
			out[strings.TrimSuffix(address, "@platform.example")] = d.State
		}
	}
	return out
}

// mails are what has come, each as its addressee and the notices in it, in order.
func mails(t *testing.T, s *smtptest.Server, from int) (out []string) {
	t.Helper()
	for _, l := range s.Letters()[from:] {
		var ids []string
		for line := range strings.Lines(parts(t, l)["text/plain"]) {
			if id, is := strings.CutPrefix(strings.TrimSpace(line), "text of "); is {
				ids = append(ids, id)
			}
		}
		out = append(out, strings.TrimSuffix(l.To[0], "@platform.example")+" "+strings.Join(ids, ","))
	}
	slices.Sort(out)
	return out
}

// Somebody gets what they want and nothing else, in their language; why the rest doesn't come is told. What has to
// come does, and who has set nothing gets everything.
func TestWhatPersonsWant(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		s := smtptest.Start(t, "none", "", "")
		o.person("rita")
		o.person("olga", tenure.NoticeSettings{Unwanted: []string{"tenant.*", "approval.*", "access.*"}, Language: "de"})
		o.person("max", tenure.NoticeSettings{Notices: []string{"tenant.suspended"}})
		set := Options{DB: o.db, Targets: []Target{*letters(s, "none", map[string]string{"security": "box@platform.example, max@platform.example"})}, Groups: map[string][]string{"team": {"rita", "olga", "max"}, "security": {"olga", "max"}, "two": {"olga", "max"}, "desk": {"ada", "ben"}}}
		o.reader("ada", "desk", tenure.NoticeSettings{Unwanted: []string{"tenant.*"}})
		o.reader("ben", "desk")
		n, err := New(set)
		o.must(err)
		o.tell("n1", "tenant.suspended", "group:team", start)
		o.tell("n2", "tenant.active", "group:team", start)
		o.tell("n3", tenure.NoticeApprovalReminder, "group:team", start)
		o.tell("n4", tenure.NoticeApprovalReminder, "person:olga", start)  // it waits for her alone
		o.tell("n5", tenure.NoticeApprovalEscalation, "group:team", start) // nobody else has answered
		o.tell("n6", tenure.NoticeBreakGlass, "security", start)
		o.tell("n7", tenure.NoticeApprovalReminder, "group:two", start) // nobody of them wants it
		o.tell("n8", "tenant.active", "group:desk", start)              // one of two who share an address
		o.must(n.Tick(t.Context(), start.Add(time.Second)))
		const sent, unwanted = store.DeliverySent, store.DeliveryUnwanted
		for id, want := range map[string]map[string]store.DeliveryState{
			"n1": {"rita": sent, "olga": unwanted, "max": sent},
			"n2": {"rita": sent, "olga": unwanted, "max": unwanted},
			"n3": {"rita": sent, "olga": unwanted, "max": unwanted},
			"n4": {"olga": sent},
			"n5": {"rita": sent, "olga": sent, "max": sent},
			"n6": {"box": sent, "olga": sent, "max": sent},
			"n7": {"olga": sent, "max": sent},
			"n8": {"desk": sent},
		} {
			if got := o.states(id); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", id, got, want)
			}
		}
		for _, d := range o.all() {
			if d.State == unwanted && !strings.Contains(d.Error, "the settings of ") {
				t.Errorf("why it doesn't come: %q", d.Error)
			}
		}
		german := 0
		for _, l := range s.Letters() {
			if strings.Contains(parts(t, l)["text/plain"], "Guten Tag") {
				german++
				if l.To[0] != "olga@platform.example" {
					t.Errorf("%s gets German", l.To)
				}
			}
		}
		if german == 0 {
			t.Error("olga gets no German")
		}
	})
}

// Settings that can't be read, as somebody wrote past the program, are none: everything comes at once, also to
// others, and their owner can set them anew.
func TestUnreadableSettingsStopNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		s := smtptest.Start(t, "none", "", "")
		o.person("rita")
		olga := o.person("olga", tenure.NoticeSettings{Unwanted: []string{"tenant.*"}})
		n, err := New(Options{DB: o.db, Targets: []Target{*letters(s, "none", nil)}, Groups: map[string][]string{"team": {"rita", "olga"}}})
		o.must(err)
		o.must(o.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`update notice_setting set body = 'garbage', set_by = set_by, set_at = set_at where principal = $1`, string(olga))
			return err
		}))
		o.tell("n1", "tenant.active", "group:team", start)
		o.must(n.Tick(t.Context(), start.Add(time.Second)))
		if got, want := fmt.Sprint(o.states("n1")), fmt.Sprint(map[string]store.DeliveryState{"rita": store.DeliverySent, "olga": store.DeliverySent}); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		o.set(olga, tenure.NoticeSettings{Unwanted: []string{"tenant.*"}})
		o.tell("n2", "tenant.active", "group:team", start)
		o.must(n.Tick(t.Context(), start.Add(2*time.Second)))
		if got, want := fmt.Sprint(o.states("n2")), fmt.Sprint(map[string]store.DeliveryState{"rita": store.DeliverySent, "olga": store.DeliveryUnwanted}); got != want {
			t.Errorf("set anew: %s, want %s", got, want)
		}
	})
}

// What comes in somebody's quiet hours waits and comes as one mail afterwards, in order, however many servers send;
// what is urgent comes at once, and so does the rest once there are no quiet hours any more.
func TestQuietHoursOfPersons(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		s := smtptest.Start(t, "none", "", "")
		night := tenure.NoticeSettings{Zone: "Europe/Berlin", Quiet: tenure.QuietHours{From: "22:00", To: "07:00", Weekends: true}}
		o.person("rita", night)
		olga := o.person("olga", night)
		one, other := o.notifier(letters(s, "none", nil)), o.notifier(letters(s, "none", nil))
		tick := func(at time.Time) []string {
			t.Helper()
			before := len(s.Letters())
			o.must(one.Tick(t.Context(), at))
			o.must(other.Tick(t.Context(), at))
			return mails(t, s, before)
		}
		evening := time.Date(2026, 10, 23, 20, 30, 0, 0, time.UTC) // Friday, 22:30 in Berlin; on Sunday the clock goes back
		o.tell("n1", "tenant.active", "person:rita", evening)
		o.tell("n2", "tenant.active", "person:olga", evening)
		o.tell("n3", tenure.NoticeBreakGlass, "person:rita", evening.Add(time.Minute))
		o.tell("n4", "tenant.suspended", "person:rita", evening.Add(2*time.Minute))
		if got := tick(evening.Add(time.Hour)); !slices.Equal(got, []string{"rita n3"}) {
			t.Errorf("at night %v", got)
		}
		for _, d := range o.all() {
			if d.State == store.DeliveryWaiting && (!strings.Contains(d.Error, "settings hold it back") || !d.NextAt.Equal(time.Date(2026, 10, 26, 6, 0, 0, 0, time.UTC))) {
				t.Errorf("until when, and why: %s %q", d.NextAt, d.Error)
			}
		}
		if g, err := o.db.Gauges(t.Context(), evening.Add(time.Hour)); err != nil || g.Unsent != 0 {
			t.Errorf("%d count as not having arrived, %v", g.Unsent, err)
		}
		o.set(olga, tenure.NoticeSettings{})
		if got := tick(evening.Add(2 * time.Hour)); !slices.Equal(got, []string{"olga n2"}) {
			t.Errorf("once olga wants all: %v", got)
		}
		monday := time.Date(2026, 10, 26, 5, 59, 0, 0, time.UTC) // 06:59, by the clock of winter
		if got := tick(monday); len(got) != 0 {
			t.Errorf("a minute early %v", got)
		}
		o.tell("n5", "tenant.active", "person:rita", monday.Add(time.Minute))
		if got := tick(monday.Add(time.Minute)); !slices.Equal(got, []string{"rita n1,n4,n5"}) {
			t.Errorf("in the morning %v", got)
		}
		o.tell("n6", "tenant.active", "person:rita", monday.Add(time.Hour))
		if got := tick(monday.Add(time.Hour)); !slices.Equal(got, []string{"rita n6"}) {
			t.Errorf("by day %v", got)
		}
	})
}

// Somebody who wants one mail a day gets one, however many notices there are, and of others too; who wants them by the hour gets one an hour.
func TestDigestsOfPersons(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		s := smtptest.Start(t, "none", "", "")
		o.person("rita", tenure.NoticeSettings{Pace: tenure.PaceDaily, Clock: "08:00", Zone: "America/St_Johns"})
		o.person("olga", tenure.NoticeSettings{Pace: tenure.PaceHourly, Zone: "Asia/Kathmandu"})
		n := o.notifier(letters(s, "none", nil))
		day := time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC) // 08:30 in St John's; the next day its clock goes forward
		var rita, olga []string
		for i := range 60 {
			id := fmt.Sprintf("n%02d", i)
			o.tell(id, "tenant.active", "person:rita", day.Add(time.Duration(i)*time.Second))
			o.tell(id+"o", "tenant.active", "person:olga", day.Add(time.Duration(i)*time.Second))
			rita, olga = append(rita, id), append(olga, id+"o")
		}
		o.tell("u", tenure.NoticeApprovalEscalation, "person:rita", day)
		for _, c := range []struct {
			at   time.Time
			want []string
		}{
			{day.Add(5 * time.Minute), []string{"rita u"}},
			{day.Add(15*time.Minute - time.Second), nil},
			{day.Add(15 * time.Minute), []string{"olga " + strings.Join(olga, ",")}}, // 17:45 and a quarter
			{time.Date(2026, 3, 8, 10, 29, 0, 0, time.UTC), nil},
			{time.Date(2026, 3, 8, 10, 30, 0, 0, time.UTC), []string{"rita " + strings.Join(rita, ",")}},
			{time.Date(2026, 3, 9, 10, 30, 0, 0, time.UTC), nil},
		} {
			before := len(s.Letters())
			o.must(n.Tick(t.Context(), c.at))
			if got := mails(t, s, before); !slices.Equal(got, c.want) {
				t.Errorf("at %s: %v, want %v", c.at, got, c.want)
			}
		}
	})
}

// A chat at night is told of break-glass alone, and of the rest in the morning in one message.
func TestQuietHoursOfTargets(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	r := newReceiver(t, nil)
	chat := Target{Name: "chat", Kind: Slack, URL: r.URL, Trust: r.hook().Trust, Quiet: tenure.QuietHours{From: "18:00", To: "09:00"}, Zone: "America/New_York"}
	n := o.notifier(&chat)
	night := time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC)
	o.tell("n1", "tenant.active", "platform", night)
	o.tell("n2", tenure.NoticeBreakGlass, "security", night)
	o.tell("n3", "tenant.active", "platform", night)
	o.must(n.Tick(t.Context(), night))
	o.must(n.Tick(t.Context(), night.Add(11*time.Hour)))
	if len(r.bodies) != 1 || !strings.Contains(string(r.bodies[0]), "text of n2") {
		t.Fatalf("at night %q", r.bodies)
	}
	o.must(n.Tick(t.Context(), night.Add(12*time.Hour)))
	if len(r.bodies) != 2 || !strings.Contains(string(r.bodies[1]), "text of n1") || !strings.Contains(string(r.bodies[1]), "text of n3") {
		t.Errorf("in the morning %q", r.bodies)
	}
	for what, bad := range map[string]Target{
		"no zone":        {Name: "a", Kind: Slack, URL: r.URL, Quiet: chat.Quiet, Zone: "Mars/Olympus"},
		"no hours":       {Name: "a", Kind: Slack, URL: r.URL, Quiet: tenure.QuietHours{From: "18:00"}},
		"to acknowledge": {Name: "a", Kind: Webhook, URL: r.URL, Acknowledge: time.Hour, Quiet: chat.Quiet},
	} {
		if _, err := New(Options{Targets: []Target{bad}}); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What is ahead of a date isn't held back past it, and isn't sent once it has passed.
func TestAheadOfADate(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		s := smtptest.Start(t, "none", "", "")
		o.person("rita", tenure.NoticeSettings{Quiet: tenure.QuietHours{From: "20:00", To: "08:00"}})
		n := o.notifier(letters(s, "none", nil))
		night := time.Date(2026, 3, 3, 22, 0, 0, 0, time.UTC)
		o.must(o.db.Write(t.Context(), func(tx *store.Tx) error {
			for id, of := range map[string]time.Duration{"soon": 4 * time.Hour, "later": 24 * time.Hour, "over": -time.Minute} {
				if err := tx.AddNotice(store.Notice{ID: id, Kind: "tenant.active", Recipient: "person:rita", Body: "text of " + id, CreatedAt: night, AheadOf: night.Add(of)}); err != nil {
					return err
				}
			}
			return nil
		}))
		o.must(n.Tick(t.Context(), night))
		if got := mails(t, s, 0); !slices.Equal(got, []string{"rita soon"}) {
			t.Errorf("at night %v", got)
		}
		o.must(n.Tick(t.Context(), night.Add(25*time.Hour))) // nothing ran meanwhile
		if got := mails(t, s, 1); len(got) != 0 {
			t.Errorf("of a date that has passed comes %v", got)
		}
		if o.states("over")["rita"] != store.DeliveryExpired || o.states("later")["rita"] != store.DeliveryExpired {
			t.Errorf("they are %v and %v", o.states("over"), o.states("later"))
		}
	})
}
