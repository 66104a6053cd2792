package lifecycle_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/witness"
)

// bystander is an HTTP witness that can be made to misbehave.
type bystander struct {
	mu     sync.Mutex
	latest []byte
	shows  []byte // instead of the latest
	status int    // of every answer, if it isn't 0
	keeps  bool
}

func (b *bystander) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch {
	case b.status != 0:
		w.WriteHeader(b.status)
	case r.Method == http.MethodGet && b.shows != nil:
		_, _ = w.Write(b.shows)
	case r.Method == http.MethodGet && b.latest == nil:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet:
		_, _ = w.Write(b.latest)
	case b.keeps:
		_, b.latest, _ = bytes.Cut(body, []byte("\n\n")) // the proof's lines end with a blank one
	}
}

func (b *bystander) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// departsAs lets a tenant leave up to where its certificate is due, with a witness.
func departsAs(t *testing.T, w witness.Witness) (*site, tenure.OperationID) {
	s := newSite(t, func(o *lifecycle.Options) { o.Witness, o.WitnessName = w, "the witness at far.example" })
	op := s.classes("rows", 10)
	s.toCertificate(op)
	return s, op
}

// toCertificate lets time pass and persons confirm until an operation is blocked.
func (s *site) toCertificate(op tenure.OperationID) {
	s.t.Helper()
	for range 100 {
		if s.view(op).State == tenure.OperationBlocked {
			return
		}
		s.confirmIll(op)
		if s.view(op).State != tenure.OperationBlocked {
			s.pass(day)
		}
	}
	s.t.Fatal(s.show(op))
}

// A certificate that is signed before the witness has what it cites can be signed over
// a past that is rewritten afterwards.
func TestCertificateWaitsForTheWitness(t *testing.T) {
	t.Parallel()
	other := func(t *testing.T) []byte { // another log's checkpoint
		s := newSite(t, nil)
		note, _, err := s.Checkpoint(context.Background())
		s.must(err)
		return note
	}
	for _, c := range []struct {
		name string
		ill  func(t *testing.T, b *bystander)
		says string
	}{
		{"away", func(_ *testing.T, b *bystander) { b.status = http.StatusServiceUnavailable }, "503"},
		{"refuses everybody", func(_ *testing.T, b *bystander) { b.status = http.StatusForbidden }, "403"},
		{"accepts and keeps nothing", func(_ *testing.T, b *bystander) { b.keeps = false }, "doesn't have it"},
		{"shows another log's", func(t *testing.T, b *bystander) { b.shows = other(t) }, "isn't this log's"},
		{"shows nonsense", func(_ *testing.T, b *bystander) { b.shows = []byte("hello\n") }, "not a signed note"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &bystander{keeps: true}
			server := httptest.NewServer(b)
			t.Cleanup(server.Close)
			c.ill(t, b)
			s, op := departsAs(t, witness.NewHTTP(server.URL))
			v := s.view(op)
			if v.State != tenure.OperationBlocked {
				t.Fatalf("it is %s\n%s", v.State, s.show(op))
			}
			contains(t, v.Reason, "certificate/interim: no certificate is signed before the witness at far.example has all that it cites", c.says)
			if list, err := s.Certificates(context.Background(), "acme"); err != nil || len(list) != 0 {
				t.Fatalf("there are certificates: %v %v", list, err)
			}
			if n := s.commits(func() { s.minute(s.Service, op) }); n > 2 {
				t.Errorf("a minute at a witness that is ill costs %d commits", n)
			}
			s.pass(7 * time.Hour) // far more often than a step that fails is tried
			s.wantState(op, tenure.OperationBlocked)
			b.set(func() { b.keeps, b.shows, b.status = true, nil, 0 })
			_, _, err := s.Checkpoint(context.Background()) // as a server does each minute
			s.must(err)
			s.settle()
			s.through(op)
			s.paper(op, "interim")
			s.paper(op, "closing")
			s.audited()
		})
	}
}

// When the certificate is signed, the witness has every entry that it cites.
func TestWitnessHasWhatCertificatesCite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "away", "checkpoints")
	s, op := departsAs(t, witness.NewFile(file))
	v := s.view(op)
	contains(t, v.Reason, "no certificate is signed before", "no such file")
	s.wantState(op, tenure.OperationBlocked)
	s.must(os.Mkdir(filepath.Dir(file), 0o700))
	s.pass(time.Hour)
	s.through(op)
	notes, err := os.ReadFile(file)
	s.must(err)
	for _, kind := range []string{"interim", "closing"} {
		d := s.paper(op, kind)
		cites := make(map[string]bool)
		for _, e := range d.Entries {
			cites[e] = true
		}
		last, issued := int64(-1), int64(-1)
		for r, err := range s.db.Entries(context.Background(), 0) {
			s.must(err)
			if cites[tenure.Digest(r.Entry)] {
				last = r.Index
			}
			if e, err := audit.Decode(r.Entry); err == nil && e.Kind == "certificate.issued" && strings.Contains(string(e.Data), `"kind":"`+kind+`"`) {
				issued = r.Index
			}
		}
		if !covers(t, notes, last, issued) {
			t.Errorf("no checkpoint at the witness covers entry %d and not %d: the %s certificate was signed first", last, issued, kind)
		}
	}
}

// covers says whether a checkpoint in a witness's file has entry last and not entry before.
func covers(t *testing.T, notes []byte, last, before int64) (ok bool) {
	for len(notes) > 0 {
		head, body, _ := bytes.Cut(notes, []byte("\n"))
		n := 0
		for _, d := range head {
			n = n*10 + int(d-'0')
		}
		c, err := audit.ParseCheckpoint(body[:n])
		if err != nil {
			t.Fatal(err)
		}
		ok = ok || c.Size > last && c.Size <= before
		notes = body[n:]
	}
	return ok
}

// A store that was put back to an earlier day gets no certificate, whatever it says.
func TestNoCertificateOverADroppedPast(t *testing.T) {
	t.Parallel()
	b := &bystander{keeps: true}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	s := newSite(t, func(o *lifecycle.Options) { o.Witness = witness.NewHTTP(server.URL) })
	op := s.classes("rows", 10)
	signer, err := s.keys.Signer(context.Background())
	s.must(err)
	ahead, err := audit.SignCheckpoint(audit.Checkpoint{Origin: signer.Name(), Size: 1 << 20}, signer)
	s.must(err)
	b.set(func() { b.shows = ahead })
	s.toCertificate(op)
	contains(t, s.view(op).Reason, "entries were dropped")
}
