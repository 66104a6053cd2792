package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Secrets of Standard Webhooks, the first of its published vector.
const (
	whsec  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	whsec2 = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// TestStandardVector: the published example of Standard Webhooks (spec, "Signature scheme").
func TestStandardVector(t *testing.T) {
	t.Parallel()
	to := &target{Target: Target{Secrets: []tenure.Secret{tenure.NewSecret(whsec)}}}
	m := message{http.Header{}, []byte(`{"test": 2432232314}`)}
	to.signStandard(&m, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0))
	if got := m.header.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
}

// hooked is a target of a kind at a receiver.
func (r *receiver) hooked(name string, kind Kind, secrets ...string) *Target {
	t := r.hook()
	t.Name, t.Kind, t.Secrets = name, kind, nil
	for _, s := range secrets {
		t.Secrets = append(t.Secrets, tenure.NewSecret(s))
	}
	return t
}

// stage writes a notice of a tenant's stage.
func (o *outbox) stage(id string, state tenure.TenantState) {
	o.t.Helper()
	o.must(o.db.Write(o.t.Context(), func(tx *store.Tx) error {
		return tx.AddNotice(store.Notice{ID: id, Kind: tenure.NoticeOf(state), About: someTenant, Recipient: tenure.Timeline, Body: "it is " + string(state), CreatedAt: start})
	}))
}

// TestWebhook: what a receiver gets can be verified with each of two secrets, by what the
// standard says.
func TestWebhook(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	r := newReceiver(t, nil)
	o.write("n1")
	o.must(o.notifier(r.hooked("hooks", Webhook, whsec, whsec2)).Tick(t.Context(), start))
	if len(r.got) != 1 {
		t.Fatal(o.log.String())
	}
	h := r.got[0].Header
	for _, s := range []string{whsec, whsec2} {
		key, _ := base64.StdEncoding.DecodeString(s[len("whsec_"):])
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.%s", h.Get("webhook-id"), start.Unix(), r.bodies[0])
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); !slices.Contains(strings.Fields(h.Get("webhook-signature")), want) || h.Get("webhook-timestamp") != fmt.Sprint(start.Unix()) {
			t.Errorf("headers: %v", h)
		}
	}
	var b struct {
		Type string
		Data Data
	}
	o.must(json.Unmarshal(r.bodies[0], &b))
	if b.Type != "notice" || b.Data.ID != h.Get("webhook-id") || b.Data.Text != "text of n1" || b.Data.Service != "" || b.Data.State != "" {
		t.Errorf("%+v", b)
	}
}

// TestCloudEvents: systems get the stages of a tenant's life and nothing else, and a webhook the
// rest; a stage tells whether the tenant is served.
func TestCloudEvents(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	shop, hooks := newReceiver(t, nil), newReceiver(t, nil)
	o.write("n1")
	for i, s := range []tenure.TenantState{tenure.TenantActive, tenure.TenantSuspended, tenure.TenantTransition, tenure.TenantClosed} {
		o.stage(fmt.Sprint("s", i), s)
	}
	o.must(o.notifier(shop.hooked("shop", CloudEvents, whsec), hooks.hooked("hooks", Webhook, whsec)).Tick(t.Context(), start))
	if len(hooks.got) != 1 || len(shop.got) != 4 {
		t.Fatalf("%d and %d came", len(hooks.got), len(shop.got))
	}
	var told []string
	for i, body := range shop.bodies {
		var e struct {
			SpecVersion, ID, Source, Type, Subject string
			Data                                   Data
		}
		o.must(json.Unmarshal(body, &e))
		if e.SpecVersion != "1.0" || e.Source != "https://tenure.example" || e.Subject != someTenant || e.ID != e.Data.ID || shop.got[i].Header.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("%s", body)
		}
		told = append(told, e.Type+" "+e.Data.Service)
	}
	if want := []string{"dev.tenure.tenant.active on", "dev.tenure.tenant.suspended off", "dev.tenure.tenant.transition on", "dev.tenure.tenant.closed off"}; !slices.Equal(told, want) {
		t.Error(told)
	}
}

// TestChats: texts are shown as they are, and many are one message.
func TestChats(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	slack, teams := newReceiver(t, nil), newReceiver(t, nil)
	o.must(o.db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.AddNotice(store.Notice{ID: "n", Recipient: "platform", Body: "<!channel> *5* & [a](https://x.example) _b_", CreatedAt: start})
	}))
	to := []*Target{slack.hooked("slack", Slack), teams.hooked("teams", Teams)}
	for _, t := range to {
		t.To = []string{"platform", contact}
	}
	n := o.notifier(to...)
	o.must(n.Tick(t.Context(), start))
	o.write("n1", "n2", "n3", "n4")
	o.must(n.Tick(t.Context(), start.Add(time.Minute)))
	if len(slack.got) != 2 || len(teams.got) != 2 {
		t.Fatalf("%d and %d came; log: %s", len(slack.got), len(teams.got), o.log.String())
	}
	var s struct{ Text string }
	o.must(json.Unmarshal(slack.bodies[0], &s))
	if s.Text != "&lt;!channel&gt; *5* &amp; [a](https://x.example) _b_" || !strings.Contains(string(slack.bodies[0]), `"mrkdwn":false`) {
		t.Error(s.Text)
	}
	var c struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct{ Body []struct{ Text string } }
		}
	}
	o.must(json.Unmarshal(teams.bodies[0], &c))
	if got := c.Attachments[0].Content.Body[0].Text; c.Type != "message" || got != `<!channel> \*5\* & \[a\](https://x.example) \_b\_` {
		t.Error(got)
	}
	o.must(json.Unmarshal(slack.bodies[1], &s))
	if lines := strings.Split(s.Text, "\n"); len(lines) != 5 || lines[0] != "4 notices" {
		t.Errorf("%q", s.Text)
	}
}

// TestDownForADay: a receiver that is down for a day gets each notice once it is back, in order,
// also those that were made meanwhile, over two servers and their restarts.
func TestDownForADay(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		r, well := newReceiver(t, status(503)), newReceiver(t, nil)
		var want []string
		servers := []*Notifier{o.notifier(r.hook(), well.hooked("well", Webhook, whsec)), o.notifier(r.hook(), well.hooked("well", Webhook, whsec))}
		for hour := range 25 {
			now := start.Add(time.Duration(hour) * time.Hour)
			id := fmt.Sprintf("n%02d", hour)
			want = append(want, id)
			o.must(o.db.Write(t.Context(), func(tx *store.Tx) error {
				return tx.AddNotice(store.Notice{ID: id, Recipient: "platform", Body: "text of " + id, CreatedAt: now})
			}))
			if hour == 12 {
				servers[0] = o.notifier(r.hook(), well.hooked("well", Webhook, whsec)) // it starts anew
			}
			for _, s := range servers {
				o.must(s.Tick(t.Context(), now))
			}
		}
		if len(well.got) != 25 {
			t.Errorf("%d notices came to who was well", len(well.got))
		}
		tried := len(r.ids())
		if tried > 60 {
			t.Errorf("it was tried %d times within a day", tried)
		}
		r.say(nil)
		for i := range 4 {
			for _, s := range servers {
				o.must(s.Tick(t.Context(), start.Add(26*time.Hour+time.Duration(i)*time.Hour)))
			}
		}
		if got := r.ids()[tried:]; !slices.Equal(got, want) {
			t.Errorf("once it was back came %v", got)
		}
	})
}

// TestGivenUp: a receiver that fails for five days is given up, which the others are told; what
// is for it waits, and goes in order once somebody enables it.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){"it fails": status(500), "it wants nothing": status(410)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := onOne(t)
			r, other := newReceiver(t, answer), newReceiver(t, nil)
			o.write("n1", "n2")
			n := o.notifier(r.hook(), other.hooked("other", Webhook, whsec))
			days := []int{0, 4, 5, 6}
			if name == "it wants nothing" {
				days = []int{0, 1}
			}
			for _, day := range days {
				o.must(n.Tick(t.Context(), start.Add(time.Duration(day)*24*time.Hour)))
			}
			tried, last := len(r.ids()), start.Add(6*24*time.Hour)
			o.must(n.Tick(t.Context(), last.Add(time.Hour)))
			if len(r.ids()) != tried || tried != len(days)-1 {
				t.Errorf("it was tried %d times, and %d after that", tried, len(r.ids())-tried)
			}
			if last := other.bodies[len(other.bodies)-1]; !strings.Contains(string(last), "tenure notice enable webhook") {
				t.Errorf("the others aren't told: %s", last)
			}
			r.say(nil)
			o.must(o.db.Write(t.Context(), func(tx *store.Tx) error { return tx.SaveNotifyTarget(store.NotifyTarget{Name: "webhook"}) }))
			o.must(n.Tick(t.Context(), last.Add(2*time.Hour)))
			if got := r.ids()[tried:]; len(got) < 2 || got[0] != "n1" || got[1] != "n2" {
				t.Errorf("once it was enabled came %v", got)
			}
		})
	}
}

// TestAcknowledges: an answer acknowledges where one is awaited, and says nothing elsewhere.
func TestAcknowledges(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	says := func(text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	done, quiet, unasked := newReceiver(t, says(`{"acknowledged": true}`)), newReceiver(t, says(`ok`)), newReceiver(t, says(`{"acknowledged": true}`))
	to := []*Target{done.hooked("done", Webhook, whsec), quiet.hooked("quiet", Webhook, whsec), unasked.hooked("unasked", Webhook, whsec)}
	to[0].Acknowledge, to[1].Acknowledge = time.Hour, time.Hour
	o.write("n1")
	o.must(o.notifier(to...).Tick(t.Context(), start))
	got := map[string]string{}
	for _, d := range o.all() {
		got[d.Target] = d.Answer
	}
	if got["done"] != "done" || got["quiet"] != "" || got["unasked"] != "" {
		t.Error(got)
	}
	late, err := o.db.MissedAcknowledgements(t.Context(), start.Add(time.Hour), 10)
	o.must(err)
	if len(late) != 1 || late[0].Target != "quiet" {
		t.Errorf("%+v", late)
	}
}

// TestTargetSettings: what can't be right is refused before anything is sent.
func TestTargetSettings(t *testing.T) {
	t.Parallel()
	const url = "https://hooks.example.com/x"
	secrets := []tenure.Secret{tenure.NewSecret(whsec)}
	for what, set := range map[string]Target{
		"no kind":           {Name: "a", URL: url},
		"no name":           {Kind: Slack, URL: url},
		"no secret":         {Name: "a", Kind: Webhook, URL: url},
		"a plain secret":    {Name: "a", Kind: Webhook, URL: url, Secrets: []tenure.Secret{tenure.NewSecret("0123456789abcdef0123456789abcdef")}},
		"a short secret":    {Name: "a", Kind: Webhook, URL: url, Secrets: []tenure.Secret{tenure.NewSecret("whsec_c2hvcnQ=")}},
		"a secret of Slack": {Name: "a", Kind: Slack, URL: url, Secrets: secrets},
		"a pattern":         {Name: "a", Kind: Webhook, URL: url, Secrets: secrets, Notices: []string{"tenant.["}},
		"an unknown kind":   {Name: "a", Kind: Webhook, URL: url, Secrets: secrets, Notices: []string{"tenant.suspend"}},
		"a short promise":   {Name: "a", Kind: Webhook, URL: url, Secrets: secrets, Acknowledge: time.Second},
		"a chat that acks":  {Name: "a", Kind: Slack, URL: url, Acknowledge: time.Hour},
		"an address":        {Name: "a", Kind: Teams, URL: "http://hooks.example.com/x"},
	} {
		if _, err := New(Options{Targets: []Target{set}}); tenure.CodeOf(err) != tenure.Invalid || strings.Contains(fmt.Sprint(err), whsec) {
			t.Errorf("%s: %v", what, err)
		}
	}
	one := Target{Name: "a", Kind: Slack, URL: url}
	if _, err := New(Options{Targets: []Target{one, one}}); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("one name twice: %v", err)
	}
}

// TestCustomersMail: what is for a customer goes to no chat by itself, since it may hold a link that
// is its reader's alone; where nobody can be reached, that is seen.
func TestCustomersMail(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	chat, asked := newReceiver(t, nil), newReceiver(t, nil)
	o.must(o.db.Write(t.Context(), func(tx *store.Tx) error {
		for i, to := range []string{contact, "kim@acme.example", "platform"} {
			if err := tx.AddNotice(store.Notice{ID: fmt.Sprint("n", i), Tenant: someTenant, Recipient: to, Body: "a link", CreatedAt: start}); err != nil {
				return err
			}
		}
		return nil
	}))
	it := asked.hooked("asked", Slack)
	it.To = []string{contact}
	mail := &Target{Name: "mail", Kind: Mail, To: []string{contact}, Mail: &MailServer{Host: "127.0.0.1", Port: 1, TLS: "none", From: "a@b.example"}}
	o.must(o.notifier(chat.hooked("chat", Slack), it, mail).Tick(t.Context(), start))
	if len(chat.got) != 1 || len(asked.got) != 1 {
		t.Errorf("%d came to the chat, %d to who asked for it", len(chat.got), len(asked.got))
	}
	i := slices.IndexFunc(o.all(), func(d store.Delivery) bool { return d.Target == "mail" })
	if i < 0 || o.all()[i].State != store.DeliveryRefused || !strings.Contains(o.all()[i].Error, "no mail address") {
		t.Errorf("%+v", o.all())
	}
}

// TestRefusesAll: a receiver that refuses whatever comes is left alone, and given up in time.
func TestRefusesAll(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	r := newReceiver(t, status(400))
	var ids []string
	for i := range 30 {
		ids = append(ids, fmt.Sprintf("n%02d", i))
	}
	o.write(ids...)
	n := o.notifier(r.hook())
	o.must(n.Tick(t.Context(), start.Add(time.Minute)))
	if got := len(r.ids()); got != refusals {
		t.Errorf("%d were tried at once", got)
	}
	o.must(n.Tick(t.Context(), start.Add(5*24*time.Hour+time.Hour)))
	standing, err := o.db.NotifyTargets(t.Context())
	o.must(err)
	if len(standing) != 1 || standing[0].DisabledAt.IsZero() {
		t.Errorf("%+v", standing)
	}
}

// TestRefusedInARow: more that a receiver won't take than it is asked about at once don't hold up what
// it takes.
func TestRefusedInARow(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	r := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		if strings.HasPrefix(q.Header.Get(KeyHeader), "bad") {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	var ids []string
	for i := range 3 * refusals {
		ids = append(ids, fmt.Sprintf("bad%02d", i))
	}
	o.write(append(ids, "good")...)
	n := o.notifier(r.hook())
	for minute := range 20 {
		o.must(n.Tick(t.Context(), start.Add(time.Duration(1+minute)*time.Minute)))
	}
	if o.sent("good").IsZero() {
		t.Errorf("after %d tries what it takes hasn't come", len(r.ids()))
	}
}

// TestTurns: a slow receiver with much to come keeps no other waiting for long.
func TestTurns(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	r, other := newReceiver(t, nil), newReceiver(t, nil)
	o.write("n1", "n2", "n3")
	n := o.notifier(r.hook(), other.hooked("other", Webhook, whsec))
	n.turn = time.Nanosecond
	for tick := range 3 {
		o.must(n.Tick(t.Context(), start.Add(time.Minute)))
		if len(r.ids()) != tick+1 || len(other.ids()) != tick+1 {
			t.Errorf("in turn %d came %v and %v", tick+1, r.ids(), other.ids())
		}
	}
}

// TestReplayOfOld: what was given up after a week is sent when a person says so.
func TestReplayOfOld(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		r := newReceiver(t, status(500))
		o.write("n1")
		n := o.notifier(r.hook())
		o.must(n.Tick(t.Context(), start))
		late := start.Add(tenure.NoticeLife + time.Hour)
		o.must(n.Tick(t.Context(), late))
		r.say(nil)
		o.must(n.Tick(t.Context(), late.Add(time.Hour)))
		old := o.all()[0]
		if old.State != store.DeliveryExpired {
			t.Fatalf("%+v", old)
		}
		o.must(o.db.Write(t.Context(), func(tx *store.Tx) error { return tx.ReplayDelivery(old.ID, late.Add(2*time.Hour)) }))
		o.must(n.Tick(t.Context(), late.Add(2*time.Hour)))
		if o.sent("n1").IsZero() {
			t.Errorf("%+v", o.all())
		}
	})
}

// TestTextsAreTamed: a text forges no line, and turns no other around.
func TestTextsAreTamed(t *testing.T) {
	t.Parallel()
	d := told{name: "acme", Delivery: store.Delivery{Notice: store.Notice{Body: "Evil\r\n\u202eacme: it ends\x00"}}}
	if got := line(d); got != "Evil acme: it ends" {
		t.Errorf("%q", got)
	}
	if l, err := letter([]told{d}, "en", "platform"); err != nil || strings.ContainsAny(l.Text+l.HTML, "\r\x00\u202e") {
		t.Errorf("%q %v", l.Text, err)
	}
}
