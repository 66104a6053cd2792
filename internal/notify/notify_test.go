package notify

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/nametest"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// someTenant is one that the store doesn't know.
const someTenant = "ten_01890a5d-ac96-774b-bcce-b302099a8057"

const (
	shared = "marked-secret-4cf0a9"
	hidden = "marked-path-91be77" // a part of the address that is a secret too
)

// receiver is a webhook that remembers what came and answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies [][]byte
	answer func(w http.ResponseWriter, r *http.Request)
}

func newReceiver(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.got, r.bodies = append(r.got, q), append(r.bodies, body)
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, q)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) say(answer func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// ids are those that came, in order.
func (r *receiver) ids() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.got {
		out = append(out, q.Header.Get(KeyHeader))
	}
	return out
}

func (r *receiver) hook() *Target {
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return &Target{Name: "webhook", Kind: Plain, URL: r.URL + "/" + hidden, Secrets: []tenure.Secret{tenure.NewSecret(shared)}, Trust: &tls.Config{RootCAs: pool}}
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "you sent "+shared)
	}
}

// outbox is a store of a test's own with notices in it.
type outbox struct {
	t   *testing.T
	db  *store.DB
	log bytes.Buffer
}

func onBoth(t *testing.T, test func(*testing.T, *outbox)) {
	t.Helper()
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "tenure.db") },
		"postgres": func(t *testing.T) string { return postgrestest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, dsn(t)))
		})
	}
}

func onOne(t *testing.T) *outbox {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "tenure.db"))
}

func open(t *testing.T, dsn string) *outbox {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &outbox{t: t, db: db}
}

func (o *outbox) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// write puts notices into the outbox, a second apart.
func (o *outbox) write(ids ...string) {
	o.t.Helper()
	o.must(o.db.Write(o.t.Context(), func(tx *store.Tx) error {
		for i, id := range ids {
			n := store.Notice{ID: id, Tenant: someTenant, Operation: "op_1", Recipient: "contact", Body: "text of " + id, CreatedAt: start.Add(time.Duration(i) * time.Second)}
			if err := tx.AddNotice(n); err != nil {
				return err
			}
		}
		return nil
	}))
}

// notifier is a new one, as after a start.
func (o *outbox) notifier(targets ...*Target) *Notifier {
	o.t.Helper()
	set := Options{DB: o.db, Log: slog.New(slog.NewTextHandler(&o.log, nil)), Source: "https://tenure.example"}
	for _, t := range targets {
		set.Targets = append(set.Targets, *t)
	}
	n, err := New(set)
	o.must(err)
	return n
}

func (o *outbox) sent(id string) time.Time {
	o.t.Helper()
	for _, d := range o.all() {
		if d.Notice.ID == id && d.State == store.DeliverySent {
			return d.EndedAt
		}
	}
	return time.Time{}
}

// all are the deliveries, the oldest first.
func (o *outbox) all() []store.Delivery {
	o.t.Helper()
	list, err := o.db.Deliveries(o.t.Context(), store.DeliveryFilter{Limit: 1000})
	o.must(err)
	slices.Reverse(list)
	return list
}

// TestSends: each notice arrives once, in order, under its id and a signature that
// the receiver can check; sending again sends nothing, and when it was sent stays.
func TestSends(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		r := newReceiver(t, nil)
		o.write("n1", "n2", "n3")
		now := start.Add(time.Minute)
		o.must(o.notifier(r.hook()).Tick(t.Context(), now))
		o.must(o.notifier(r.hook()).Tick(t.Context(), now.Add(time.Hour)))
		if d := cmp.Diff([]string{"n1", "n2", "n3"}, r.ids()); d != "" {
			t.Fatal(d)
		}
		for _, id := range r.ids() {
			if !o.sent(id).Equal(now) {
				t.Errorf("%s: sent at %s", id, o.sent(id))
			}
		}
		var b Body
		o.must(json.Unmarshal(r.bodies[1], &b))
		if d := cmp.Diff(Body{ID: "n2", Tenant: someTenant, Operation: "op_1", Recipient: "contact", Text: "text of n2", CreatedAt: start.Add(time.Second)}, b); d != "" {
			t.Error(d)
		}
		mac := hmac.New(sha256.New, []byte(shared))
		fmt.Fprintf(mac, "%d.%s", now.Unix(), r.bodies[1])
		if want, got := fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(mac.Sum(nil))), r.got[1].Header.Get(SignatureHeader); got != want {
			t.Errorf("signature %q, want %q", got, want)
		}
	})
}

// TestReceiverDown: while it answers 500, asks for time, or can't be reached, it
// is left alone for longer and longer, and everything arrives once it works.
func TestReceiverDown(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		r := newReceiver(t, status(500))
		o.write("n1", "n2")
		n := o.notifier(r.hook())
		tick := func(after time.Duration) int {
			t.Helper()
			o.must(n.Tick(t.Context(), start.Add(after)))
			return len(r.ids())
		}
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{0, 1}, {4 * time.Second, 1}, {5 * time.Second, 2}, {14 * time.Second, 2}, {15 * time.Second, 3}} {
			if got := tick(c.after); got != c.want {
				t.Errorf("after %s: %d tries, want %d", c.after, got, c.want)
			}
		}
		r.say(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Retry-After", "600")
			status(429)(w, q)
		})
		tick(time.Minute)
		if got := tick(10 * time.Minute); got != 4 {
			t.Errorf("%d tries: it asked for ten minutes", got)
		}
		r.say(nil)
		if got := tick(12 * time.Minute); got != 6 {
			t.Errorf("%d tries", got)
		}
		if o.sent("n1").IsZero() || o.sent("n2").IsZero() {
			t.Error("they never arrived")
		}
		if d := cmp.Diff([]string{"n1", "n1", "n1", "n1", "n1", "n2"}, r.ids()); d != "" {
			t.Error(d)
		}
	})
}

// TestRefusedNotice: one that the receiver doesn't want holds up no other, and is
// tried again later.
func TestRefusedNotice(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	r := newReceiver(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get(KeyHeader) == "bad" {
			status(400)(w, q)
		}
	})
	o.write("bad", "good")
	n := o.notifier(r.hook())
	o.must(n.Tick(t.Context(), start))
	o.must(n.Tick(t.Context(), start.Add(time.Second)))
	if o.sent("good").IsZero() || !o.sent("bad").IsZero() || len(r.ids()) != 2 {
		t.Errorf("came: %v", r.ids())
	}
	r.say(nil)
	o.must(n.Tick(t.Context(), start.Add(2*time.Minute)))
	if o.sent("bad").IsZero() {
		t.Error("it wasn't tried again")
	}
}

// TestHostileRedirect: a receiver can't send a signed notice on to somewhere else.
func TestHostileRedirect(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		o := onOne(t)
		elsewhere := newReceiver(t, nil)
		r := newReceiver(t, func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, elsewhere.URL, code) })
		o.write("n1")
		o.must(o.notifier(r.hook()).Tick(t.Context(), start))
		if len(elsewhere.ids()) > 0 || !o.sent("n1").IsZero() {
			t.Errorf("%d was followed, or counts as arrived", code)
		}
		if !strings.Contains(o.log.String(), "redirects aren't followed") {
			t.Errorf("log: %s", o.log.String())
		}
	}
}

// TestSlowReceiver: one that never answers costs one timeout, not one for each
// notice.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	release := make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	o.write("n1", "n2", "n3")
	w := r.hook()
	w.Timeout = 50 * time.Millisecond
	o.must(o.notifier(w).Tick(t.Context(), start))
	due := o.all()
	if len(due) != 3 || due[0].Attempts != 1 || due[1].Attempts+due[2].Attempts != 0 {
		t.Errorf("after one look: %+v", due)
	}
	if !strings.Contains(o.log.String(), "it didn't answer in time") {
		t.Errorf("log: %s", o.log.String())
	}
}

// TestRestart: a process that dies between sending and noting it sends again,
// under the same id, once its claim has lapsed and not before.
func TestRestart(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		r := newReceiver(t, nil)
		o.write("n1")
		n := o.notifier(r.hook())
		o.must(n.route(t.Context(), start))
		for _, want := range []int{1, 0} { // two have claimed it, and one has got it
			o.must(o.db.Write(t.Context(), func(tx *store.Tx) error {
				got, err := tx.ClaimDeliveries(o.all(), start, start.Add(claim))
				if len(got) != want {
					t.Errorf("%d were claimed, want %d", len(got), want)
				}
				return err
			}))
		}
		o.must(n.Tick(t.Context(), start.Add(claim-time.Second)))
		if got := r.ids(); len(got) != 0 {
			t.Errorf("sent while another has it: %v", got)
		}
		o.must(n.Tick(t.Context(), start.Add(claim)))
		if d := cmp.Diff([]string{"n1"}, r.ids()); d != "" {
			t.Error(d)
		}
	})
}

// TestTwoProcesses: they share the work.
func TestTwoProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, o *outbox) {
		r := newReceiver(t, nil)
		var ids []string
		for i := range 40 {
			ids = append(ids, fmt.Sprintf("n%02d", i))
		}
		o.write(ids...)
		var wg sync.WaitGroup
		for range 3 {
			n := o.notifier(r.hook())
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := n.Tick(t.Context(), start.Add(time.Minute)); err != nil {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		seen := make(map[string]int)
		for _, id := range r.ids() {
			seen[id]++
		}
		for _, id := range ids {
			if seen[id] != 1 {
				t.Errorf("%s came %d times", id, seen[id])
			}
		}
	})
}

// TestGivesUp: what nobody took for a week isn't sent any more: a receiver set up
// years later isn't flooded.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	r := newReceiver(t, nil)
	o.write("n1")
	o.must(o.notifier(r.hook()).Tick(t.Context(), start.Add(giveUp+time.Second)))
	if got := r.ids(); len(got) != 0 {
		t.Errorf("sent: %v", got)
	}
}

// TestLogAlone: without a webhook the text goes to the log, if that was asked for,
// and else stays where it is.
func TestLogAlone(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	o.write("n1")
	o.must(o.notifier().Tick(t.Context(), start))
	if !o.sent("n1").IsZero() || o.log.Len() > 0 {
		t.Errorf("nobody asked for it: %s", o.log.String())
	}
	n, err := New(Options{DB: o.db, Log: slog.New(slog.NewTextHandler(&o.log, nil)), Say: true})
	o.must(err)
	o.must(n.Tick(t.Context(), start))
	o.must(n.Tick(t.Context(), start))
	if strings.Count(o.log.String(), `text="text of n1"`) != 1 {
		t.Errorf("log: %s", o.log.String())
	}
}

// TestNoSecretsTold: neither the shared secret, nor the address's path, nor what
// the receiver answers reaches the log or the store's row.
func TestNoSecretsTold(t *testing.T) {
	t.Parallel()
	o := onOne(t)
	r := newReceiver(t, status(500))
	o.write("n1", "n2")
	n := o.notifier(r.hook())
	for i, answer := range []func(http.ResponseWriter, *http.Request){
		status(500), status(404), status(302),
		func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://x/"+shared)
			w.WriteHeader(307)
		},
	} {
		r.say(answer)
		o.must(n.Tick(t.Context(), start.Add(time.Duration(i)*3*time.Hour)))
	}
	r.CloseClientConnections()
	r.Listener.Close()
	o.must(n.Tick(t.Context(), start.Add(24*time.Hour)))
	due := o.all()
	if len(due) != 2 || due[0].Error == "" || due[0].Attempts < 5 {
		t.Errorf("rows: %+v", due)
	}
	for what, text := range map[string]string{"log": o.log.String(), "rows": fmt.Sprintf("%+v", due), "notifier": fmt.Sprintf("%+v", n.targets[0].Secrets)} {
		for _, secret := range []string{shared, hidden} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds %s: %s", what, secret, text)
			}
		}
	}
}

// TestAddresses: what may be sent to, and what may not.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"https://hooks.example.com/x": true, "https://10.1.2.3/x": true, "https://[2001:db8::1]:8443/": true,
		"http://127.0.0.1:8080/": true, "http://localhost:8080/": true, "http://[::1]:80/": true, "https://127.0.0.1/": true,
		"http://hooks.example.com/": false, "http://10.1.2.3/": false, "ftp://hooks.example.com/": false, "file:///etc/passwd": false,
		"https://169.254.169.254/latest/meta-data": false, "https://[::ffff:169.254.169.254]/": false, "https://[fe80::1]/": false,
		"https://[fe80::1%25eth0]/": false, "https://[::ffff:a9fe:a9fe]/": false, "https://[fd00:ec2::254]/": false, "https://100.100.100.200/": false, "https://[::ffff:100.100.100.200]/": false,
		"https://[64:ff9b::a9fe:a9fe]/": false, "https://[2002:a9fe:a9fe::1]/": false, "https://[2002:7f00:1::]/": false, "https://[::a9fe:a9fe]/": false,
		"https://0.0.0.0/": false, "https://[::]/": false, "https://224.0.0.1/": false, "https://[ff02::1]/": false, "https://255.255.255.255/": false,
		"http://127.0.0.1.example.com/": false, "https://user:pass@hooks.example.com/": false, "https:///x": false, "hooks.example.com": false, "": false,
		"https://hooks.example.com/#x": false, "javascript:alert(1)": false,
	} {
		_, err := New(Options{Targets: []Target{{Name: "webhook", Kind: Plain, URL: url, Secrets: []tenure.Secret{tenure.NewSecret(shared)}}}})
		if ok != (err == nil) || err != nil && tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := New(Options{Targets: []Target{{Name: "webhook", Kind: Plain, URL: "https://hooks.example.com/", Secrets: []tenure.Secret{tenure.NewSecret("short")}}}}); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("a secret that can be guessed: %v", err)
	}
}

// TestNamesThatResolveInside: a name that resolves to an address that nothing may
// be sent to isn't connected to, though the settings looked fine.
func TestNamesThatResolveInside(t *testing.T) {
	t.Parallel()
	inside := newReceiver(t, nil)
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for ip, why := range map[string]string{"127.0.0.1": "it is this machine", "169.254.169.254": "link-local", "0.0.0.0": "no machine", "100.100.100.200": "credentials"} {
		o := onOne(t)
		o.write("n1")
		w := inside.hook()
		w.URL = "https://hooks.example.com:" + port + "/"
		w.resolver = &net.Resolver{PreferGo: true, Dial: nametest.Server(t, netip.MustParseAddr(ip))}
		o.must(o.notifier(w).Tick(t.Context(), start))
		if len(inside.ids()) > 0 || !o.sent("n1").IsZero() {
			t.Errorf("%s was sent to", ip)
		}
		if !strings.Contains(o.log.String(), "nothing is sent there: ") || !strings.Contains(o.log.String(), why) {
			t.Errorf("%s: log: %s", ip, o.log.String())
		}
	}
}

// TestNamesThatTurnInside: a name that led to a receiver elsewhere and leads to this
// machine the next time (DNS rebinding) isn't connected to then.
func TestNamesThatTurnInside(t *testing.T) {
	t.Parallel()
	inside := newReceiver(t, nil)
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o := onOne(t)
	o.write("n1")
	w := inside.hook()
	w.URL, w.Timeout = "https://hooks.example.com:"+port+"/", 300*time.Millisecond
	w.resolver = &net.Resolver{PreferGo: true, Dial: nametest.Server(t, netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("127.0.0.1"))}
	n := o.notifier(w)
	for i := range 4 {
		o.must(n.Tick(t.Context(), start.Add(time.Duration(i)*48*time.Hour)))
	}
	if len(inside.ids()) > 0 || !o.sent("n1").IsZero() {
		t.Error("the notice was sent to this machine")
	}
	if !strings.Contains(o.log.String(), "it is this machine") {
		t.Errorf("it wasn't asked a second time, so this test says nothing: %s", o.log.String())
	}
}
