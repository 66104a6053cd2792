package s3_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/s3test"
)

// A bucket whose versioning was suspended holds versions without an id of their own beside
// those with one; all go.
func TestSuspendedVersioning(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	r := ensure(t, d, "bucket", "t-mixed", map[string]any{"versioning": true}, "files")
	for _, key := range []string{"a", "b/c", "d"} {
		put(t, w.root, r.Name, key, "first")
		put(t, w.root, r.Name, key, "second")
	}
	must(t, w.root.SuspendVersioning(t.Context(), r.Name))
	for _, key := range []string{"a", "e"} {
		put(t, w.root, r.Name, key, "third")
		put(t, w.root, r.Name, key, "fourth")
	}
	must(t, w.root.RemoveObject(t.Context(), r.Name, "d", minio.RemoveObjectOptions{}))
	if n := s3test.Held(t, w.root, r.Name, ""); n < 9 {
		t.Fatalf("%d entries are there at first", n)
	}
	if _, err := erase(t.Context(), d, r, "files", 2); err != nil {
		t.Error(err)
	}
	if n := s3test.Held(t, w.root, r.Name, ""); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Error(err)
	}
}

// An object that can't be read, since it lies in an archive or under a key of the
// customer's own, is named by the export, which would leave it out; an erasure takes it.
func TestUnreadableObjects(t *testing.T) {
	t.Parallel()
	for code, status := range map[string]int{"InvalidObjectState": http.StatusForbidden, "InvalidRequest": http.StatusBadRequest} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t)
			r := s.make(t, "t-cold")
			s.Put(r.Name, "cold", []byte("in an archive"))
			s.Put(r.Name, "warm", []byte("at hand"))
			s.Fault = func(q *http.Request) (int, string) {
				if q.Method == http.MethodGet && strings.HasSuffix(q.URL.Path, "/cold") {
					return status, code
				}
				return 0, ""
			}
			_, err := s.driver.(connector.Exporter).Export(t.Context(), r, &strings.Builder{})
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), `"cold"`) || len(tenure.HintsOf(err)) == 0 {
				t.Errorf("the export says %v %q", err, tenure.HintsOf(err))
			}
			if n, err := erase(context.Background(), s.driver, r, "files", 10); n != 2 || err != nil {
				t.Errorf("%d of 2 go: %v", n, err)
			}
		})
	}
}

// A map that is taken while a probe is at work doesn't show what the probe wrote, and
// shows what a tenant named like it.
func TestMapBesideProbe(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	ref := ensure(t, d, "prefix", base+"probed", object{"classes": object{"events/": "events"}}, "events")
	bucket, below := site(ref)
	ours := connector.Marker{Installation: installation, System: "under-test", Key: []byte("a key of the tests' own, of 32 b")}
	forged := connector.Marker{Installation: installation, System: "under-test", Key: []byte("another key")}
	for _, m := range []connector.Marker{ours, forged} {
		put(t, w.root, bucket, below+m.ProbeName(), "x")
	}
	m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: ref})
	must(t, err)
	if len(m.Places) != 1 || !m.Places[0].Blocks || m.Places[0].Rows != 1 {
		t.Errorf("the map shows %+v", m.Places)
	}
}
