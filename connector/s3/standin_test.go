package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/s3"
	"github.com/tenurehq/tenure/internal/s3test"
)

// The tests of this file run on a stand-in: what they need is beyond the real server.

type standIn struct {
	*s3test.StandIn
	driver connector.Driver
}

func newStandIn(t *testing.T) standIn {
	t.Helper()
	s := standIn{StandIn: s3test.NewStandIn(t)}
	s.driver = drive(t, map[string]string{"endpoint": s.URL, "own": own, "names": "t-"}, map[string]tenure.Secret{"accessKey": tenure.NewSecret("access"), "secretKey": tenure.NewSecret("secret key")})
	_, err := s.driver.Plant(t.Context())
	must(t, err)
	return s
}

// installation is the one that all drivers of these tests are of.
var installation = tenure.NewID[tenure.InstallationID](time.Now())

// drive opens a driver that is closed with the test.
func drive(t *testing.T, options map[string]string, secrets map[string]tenure.Secret) connector.Driver {
	t.Helper()
	d, err := s3.Info().Open(t.Context(), connector.Config{
		System: "under-test", Options: options, Secrets: secrets, Now: time.Now,
		Marker: connector.Marker{Installation: installation, System: "under-test", Key: []byte("a key of the tests' own, of 32 b")},
	})
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

// make makes a bucket with one data class.
func (s standIn) make(t *testing.T, name string) connector.Ref {
	t.Helper()
	return ensure(t, s.driver, "bucket", name, map[string]any{"versioning": true}, "files")
}

func ensure(t testing.TB, d connector.Driver, typ, name string, attributes map[string]any, classes ...string) connector.Ref {
	t.Helper()
	want := connector.Desired{Ref: connector.Ref{
		Resource: tenure.NewID[tenure.ResourceID](time.Now()), Tenant: tenure.NewID[tenure.TenantID](time.Now()), Type: typ, Name: name, Attributes: attributes, Classes: classes,
	}}
	if _, _, err := d.Ensure(t.Context(), want); err != nil {
		t.Fatalf("ensure %s: %v %q", name, err, tenure.HintsOf(err))
	}
	return want.Ref
}

// erase takes batches until it is done or refused.
func erase(ctx context.Context, d connector.Driver, r connector.Ref, class string, limit int) (n int64, err error) {
	b := connector.Batch{Run: "run", Class: class, Limit: limit}
	for range 10000 {
		e, err := d.(connector.Eraser).Erase(ctx, r, b)
		if err != nil {
			return n, err
		}
		for _, c := range e.Counts {
			n += c
		}
		if b.Cursor = e.Cursor; e.Done {
			return n, nil
		}
	}
	return n, fmt.Errorf("not done after 10000 batches")
}

// oddKeys are what S3 takes as keys, and people and programs make.
var oddKeys = []string{
	"..", "../up", "a/../b", "/lead", "trail/", "a//b", "./x", ".", "a", "a/b", "a/b/c", "with space", " ", "a+b", "100%", "%41", "%2e%2e/x", "ünï/名前", "e\u0301",
	"q?x=1&y", "#h", "nl\nx", "tab\t", "back\\slash", "quote\"'", "semi;colon", "C:\\x", "<xml>&amp;", "bell\a", "\u202eright", strings.Repeat("k", 1024), strings.Repeat("/", 1024), "null",
}

// A tenant's keys may be whatever S3 takes: all are counted, exported and erased, and
// none leads to another's.
func TestOddKeys(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	r, other := s.make(t, "t-odd"), s.make(t, "t-other")
	for _, key := range oddKeys {
		s.Put(r.Name, key, []byte("one of "+key))
		s.Put(r.Name, key, []byte("two of "+key))
		s.Put(other.Name, key, []byte("other"))
	}
	before := s.Keys(other.Name)
	m, err := s.driver.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: r})
	must(t, err)
	var rows int64
	for _, p := range m.Places {
		rows += p.Rows
	}
	if rows != int64(2*len(oddKeys)) {
		t.Errorf("%d of %d versions are counted", rows, 2*len(oddKeys))
	}
	var out bytes.Buffer
	_, err = s.driver.(connector.Exporter).Export(t.Context(), r, &out)
	must(t, err)
	if n := exported(t, out.Bytes()); n != 2*len(oddKeys) {
		t.Errorf("%d of %d versions are exported", n, 2*len(oddKeys))
	}
	n, err := erase(t.Context(), s.driver, r, "files", 7)
	must(t, err)
	if n != int64(2*len(oddKeys)) || len(s.Keys(r.Name)) > 0 {
		t.Errorf("%d of %d versions are erased; %q are left", n, 2*len(oddKeys), s.Keys(r.Name))
	}
	if after := s.Keys(other.Name); !slices.Equal(before, after) {
		t.Errorf("the neighbour has %q, and had %q", after, before)
	}
}

// A batch's deletion that is answered 200 may hold errors: what they are of isn't counted
// as gone, the rest goes, and at the end the erasure says what stays.
func TestBatchWithErrors(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"AccessDenied", "SomethingNew", "InvalidArgument", "silent"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t)
			r := s.make(t, "t-batch")
			for i := range 25 {
				s.Put(r.Name, fmt.Sprintf("k%02d", i), []byte("x"))
			}
			s.Refuse = func(key, _ string) string {
				if key == "k03" || key == "k17" {
					return code
				}
				return ""
			}
			n, err := erase(t.Context(), s.driver, r, "files", 4)
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), `"k03"`) || !strings.Contains(err.Error(), `"k17"`) {
				t.Errorf("what stays isn't named: %v", err)
			}
			if keys := s.Keys(r.Name); n != 23 || !slices.Equal(keys, []string{"k03", "k17"}) {
				t.Errorf("%d of 23 are counted, %q are left", n, keys)
			}
			s.Refuse = nil
			if n, err := erase(t.Context(), s.driver, r, "files", 4); n != 2 || err != nil {
				t.Errorf("once nothing is in the way %d of 2 go: %v", n, err)
			}
		})
	}
}

// One entry that the server is too busy for makes a retry, and no block.
func TestBatchThatSlowsDown(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	r := s.make(t, "t-slow")
	s.Put(r.Name, "k", []byte("x"))
	s.Refuse = func(string, string) string { return "SlowDown" }
	if _, err := erase(t.Context(), s.driver, r, "files", 4); tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Errorf("the error is %s: %v", tenure.CodeOf(err), err)
	}
}

// A listing that leaves out half of what is there, and says that it is whole, hides
// nothing in the end: it is asked again until it is empty.
func TestHalfLists(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	r := s.make(t, "t-half")
	for i := range 40 {
		s.Put(r.Name, fmt.Sprintf("k%02d", i), []byte("x"))
	}
	s.Half = true
	n, err := erase(t.Context(), s.driver, r, "files", 100)
	must(t, err)
	if n != 40 || len(s.Keys(r.Name)) > 0 {
		t.Errorf("%d of 40 are erased; %q are left", n, s.Keys(r.Name))
	}
}

// A listing in many pages gives each version once.
func TestManyPages(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	r := s.make(t, "t-pages")
	for i := range 60 {
		s.Put(r.Name, fmt.Sprintf("k%d", i%7), []byte("x"))
	}
	s.Page = 4
	m, err := s.driver.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: r})
	must(t, err)
	if len(m.Places) != 1 || m.Places[0].Rows != 60 {
		t.Errorf("60 versions are mapped as %+v", m.Places)
	}
	if n, err := erase(t.Context(), s.driver, r, "files", 9); n != 60 || err != nil {
		t.Errorf("%d of 60 are erased: %v", n, err)
	}
}

// A listing that is broken off between two pages isn't taken for a whole one.
func TestCutOffBetweenPages(t *testing.T) {
	t.Parallel()
	for call, f := range map[string]func(context.Context, connector.Driver, connector.Ref) error{
		"map": func(ctx context.Context, d connector.Driver, r connector.Ref) error {
			_, err := d.(connector.Mapper).DataMap(ctx, connector.Survey{Ref: r})
			return err
		},
		"export": func(ctx context.Context, d connector.Driver, r connector.Ref) error {
			_, err := d.(connector.Exporter).Export(ctx, r, io.Discard)
			return err
		},
		"delete": func(ctx context.Context, d connector.Driver, r connector.Ref) error {
			_, err := d.Delete(ctx, r)
			return err
		},
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t)
			r := s.make(t, "t-cut")
			for i := range 10 {
				s.Put(r.Name, fmt.Sprintf("k%02d", i), []byte("x"))
			}
			s.Page = 2
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var pages atomic.Int32
			s.Fault = func(q *http.Request) (int, string) {
				if q.URL.Query().Has("versions") && pages.Add(1) == 2 {
					cancel()
				}
				return 0, ""
			}
			if err := f(ctx, s.driver, r); tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// A server that is busy, away for a moment or that refuses a right is told apart, and
// nothing is lost or taken for gone.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		status int
		code   string
		want   tenure.Code
		retry  bool
	}{
		{http.StatusServiceUnavailable, "SlowDown", tenure.Unavailable, true},
		{http.StatusServiceUnavailable, "ServiceUnavailable", tenure.Unavailable, true},
		{http.StatusInternalServerError, "InternalError", tenure.Unavailable, true},
		{http.StatusTooManyRequests, "TooManyRequests", tenure.Unavailable, true},
		{http.StatusForbidden, "AccessDenied", tenure.Forbidden, false},
		{http.StatusForbidden, "InvalidAccessKeyId", tenure.Forbidden, false},
	} {
		t.Run(fault.code, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t)
			r := s.make(t, "t-faulty")
			s.Put(r.Name, "k", []byte("x"))
			var broken atomic.Bool
			broken.Store(true)
			s.Fault = func(q *http.Request) (int, string) {
				if broken.Load() && q.URL.Query().Has("versions") {
					return fault.status, fault.code
				}
				return 0, ""
			}
			_, err := erase(t.Context(), s.driver, r, "files", 10)
			if tenure.CodeOf(err) != fault.want || tenure.CanRetry(err) != fault.retry {
				t.Errorf("the error is %s, retry %t: %v", tenure.CodeOf(err), tenure.CanRetry(err), err)
			}
			if _, err := s.driver.Delete(t.Context(), r); err == nil {
				t.Error("a bucket that can't be listed is deleted")
			}
			broken.Store(false)
			if n, err := erase(t.Context(), s.driver, r, "files", 10); n != 1 || err != nil {
				t.Errorf("after it %d of 1 go: %v", n, err)
			}
		})
	}
}

// What the credential may not read isn't absent: the pass isn't complete.
func TestRightsLost(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	r := s.make(t, "t-hidden")
	s.Fault = func(q *http.Request) (int, string) {
		if strings.HasPrefix(q.URL.Path, "/t-") {
			return http.StatusForbidden, "AccessDenied"
		}
		return 0, ""
	}
	sight, err := s.driver.Observe(t.Context(), []connector.Ref{r}, func(o connector.Observed) error {
		if !o.Found || o.Owner == connector.Ours {
			t.Errorf("observed as found=%t %s", o.Found, o.Owner)
		}
		return nil
	})
	if err != nil || sight.Complete || !sight.Sentinel {
		t.Errorf("the sighting is %+v, %v", sight, err)
	}
	if sight, err = s.driver.Discover(t.Context(), connector.Scope{}, func(connector.Observed) error { return nil }); err != nil || sight.Complete {
		t.Errorf("the discovery's sighting is %+v, %v", sight, err)
	}
}

// Copies that the server makes elsewhere aren't reached, and that blocks; rules by which
// it removes objects are shown.
func TestReplicationAndLifecycle(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	r := s.make(t, "t-copied")
	s.Set(r.Name, "replication", []byte(`<ReplicationConfiguration><Role>r</Role>
<Rule><ID>off-site</ID><Status>Enabled</Status><Priority>1</Priority><Filter><Prefix></Prefix></Filter><Destination><Bucket>arn:aws:s3:::elsewhere</Bucket></Destination></Rule>
<Rule><ID>old</ID><Status>Disabled</Status><Priority>2</Priority><Filter><Prefix></Prefix></Filter><Destination><Bucket>arn:aws:s3:::past</Bucket></Destination></Rule>
</ReplicationConfiguration>`))
	s.Set(r.Name, "lifecycle", []byte(`<LifecycleConfiguration><Rule><ID>month</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>`))
	m, err := s.driver.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: r})
	must(t, err)
	var got []string
	for _, p := range m.Places {
		got = append(got, fmt.Sprint(p.Name, " ", p.Kind, " ", p.Blocks, " ", strings.Contains(p.Says, "arn:aws:s3:::elsewhere")))
	}
	if want := []string{"replication off-site foreign true true", "lifecycle month code false false"}; !slices.Equal(got, want) {
		t.Errorf("the map has %q, want %q", got, want)
	}
}

// The stand-in must speak as the library hears it, or the tests on it say nothing.
func TestStandIn(t *testing.T) {
	t.Parallel()
	s := s3test.NewStandIn(t)
	c, err := minio.New(strings.TrimPrefix(s.URL, "http://"), &minio.Options{Creds: credentials.NewStaticV4("a", "b", ""), Region: "us-east-1"})
	must(t, err)
	must(t, c.MakeBucket(t.Context(), "one", minio.MakeBucketOptions{}))
	must(t, c.EnableVersioning(t.Context(), "one"))
	put(t, c, "one", "k", "text")
	must(t, c.RemoveObject(t.Context(), "one", "k", minio.RemoveObjectOptions{}))
	core := minio.Core{Client: c}
	if _, err := core.NewMultipartUpload(t.Context(), "one", "k", minio.PutObjectOptions{}); err != nil {
		t.Error(err)
	}
	if n := s3test.Held(t, c, "one", ""); n != 3 {
		t.Errorf("%d of 3 entries are listed", n)
	}
}

// An earlier version that doesn't go would stand in the place of what is anonymised: its
// key is left alone, also where a server lists thousands of other keys before it.
func TestChangeOfWhatIsListedLast(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	made, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/"+results, nil)
	must(t, err)
	answer, err := s.Client().Do(made)
	must(t, err)
	must(t, answer.Body.Close())
	a := changing(connectortest.Anonymous)
	a["versioning"] = true
	r := ensure(t, s.driver, "bucket", "t-last", a, "events", "logs")
	const text = "id,email,born\n1,anna@example.com,1990-02-03\n"
	s.Put(r.Name, "events/0", []byte(text))
	earlier := s.Put(r.Name, "events/a", []byte(text))
	s.Put(r.Name, "events/a", []byte(text+"2,otto@example.com,1990-02-03\n"))
	for i := range 2100 {
		s.Put(r.Name, fmt.Sprintf("events/a%04d", i), []byte(text))
	}
	s.Backwards = true
	s.Refuse = func(_, version string) string {
		if version == earlier {
			return "silent"
		}
		return ""
	}
	b := connector.Batch{Run: "run", Class: "events", Limit: 1, Disposition: tenure.Anonymise, Name: connectortest.Pseudonym}
	for range 3 { // the first takes what comes before it
		e, err := s.driver.(connector.Eraser).Erase(t.Context(), r, b)
		must(t, err)
		b.Cursor = e.Cursor
	}
	if n := len(slices.DeleteFunc(s.Keys(r.Name), func(key string) bool { return key != "events/a" })); n != 2 {
		t.Errorf("of a key whose earlier version stays there are %d versions, want 2", n)
	}
}
