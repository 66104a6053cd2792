package s3_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/s3"
	"github.com/tenurehq/tenure/internal/s3test"
)

// listed is all that a bucket holds, seen from outside.
func (w world) listed(t testing.TB, bucket string) []string {
	t.Helper()
	set := map[string]bool{}
	for o := range w.root.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{WithVersions: true, Recursive: true}) {
		must(t, o.Err)
		set[fmt.Sprintf("%q %s %t %s %d", o.Key, o.VersionID, o.IsDeleteMarker, o.ETag, o.Size)] = true
	}
	core := minio.Core{Client: w.root}
	r, err := core.ListMultipartUploads(t.Context(), bucket, "", "", "", "", 1000)
	must(t, err)
	for _, u := range r.Uploads {
		set["upload "+u.Key+" "+u.UploadID] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// A prefix that another's begins with is another's: a/ and ab/.
func TestPrefixOfAnother(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	a := ensure(t, d, "prefix", base+"a", nil, "files")
	ab := ensure(t, d, "prefix", base+"ab", nil, "files")
	_ = ensure(t, d, "prefix", base+"A", nil, "files")
	for _, key := range []string{"ab/x", "ab/y z", "ab/a/x", "A/x", "a-/x", "a.b/x"} {
		put(t, w.root, shared, "tenants/"+key, key)
		put(t, w.root, shared, "tenants/"+key, key+" again")
	}
	before := w.listed(t, shared)
	for _, key := range []string{"a/x", "a/b/c", "a/ab/x", "a/+%"} {
		put(t, w.root, shared, "tenants/"+key, key)
	}
	n, err := erase(t.Context(), d, a, "", 3)
	must(t, err)
	_, err = d.Delete(t.Context(), a)
	must(t, err)
	if after := w.listed(t, shared); n != 4 || !slices.Equal(before, after) {
		t.Errorf("%d of 4 went; others have\n%s\nand had\n%s", n, strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
	seen := map[string]connector.Ownership{}
	_, err = d.Discover(t.Context(), connector.Scope{Types: []string{"prefix"}}, func(o connector.Observed) error { seen[o.Name] = o.Owner; return nil })
	must(t, err)
	if seen[ab.Name] != connector.Ours || seen[base+"a-"] != connector.Unmarked {
		t.Errorf("discovered are %v", seen)
	}
}

// A tenant that left shows where only an earlier version, a delete marker or an upload
// of it is left.
func TestGhosts(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	put(t, w.root, shared, "tenants/hidden/x", "x")
	must(t, w.root.RemoveObject(t.Context(), shared, "tenants/hidden/x", minio.RemoveObjectOptions{}))
	core := minio.Core{Client: w.root}
	_, err := core.NewMultipartUpload(t.Context(), shared, "tenants/half/x", minio.PutObjectOptions{})
	must(t, err)
	must(t, w.root.MakeBucket(t.Context(), "t-stray", minio.MakeBucketOptions{}))
	must(t, w.root.MakeBucket(t.Context(), "logs", minio.MakeBucketOptions{}))
	w.MakeUser(t, "t-ghost", "a secret of its own")
	var got []string
	sight, err := d.Discover(t.Context(), connector.Scope{}, func(o connector.Observed) error {
		got = append(got, fmt.Sprint(o.Type, " ", o.Name, " ", o.Owner))
		return nil
	})
	must(t, err)
	want := []string{"bucket t-stray unmarked", "prefix shared/tenants/half unmarked", "prefix shared/tenants/hidden unmarked", "user t-ghost unmarked"}
	if !sight.Complete || !slices.Equal(got, want) {
		t.Errorf("discovered are %q, want %q", got, want)
	}
	// Nobody is given what stands there already.
	for _, name := range []string{"half", "hidden"} {
		want := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "prefix", Name: base + name}}
		if _, _, err := d.Ensure(t.Context(), want); tenure.CodeOf(err) != tenure.Conflict {
			t.Errorf("ensure of %s: %v", name, err)
		}
	}
}

// A process that was killed between the making of a bucket and its marking finds it
// again; one that somebody else wrote into stays as it is.
func TestCutOffWhileMaking(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	real, err := url.Parse(w.Endpoint)
	must(t, err)
	cut := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.URL.Query().Has("tagging") {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(real); p.Out.Host = p.In.Host }}).ServeHTTP(rw, r)
	}))
	t.Cleanup(cut.Close)
	options := w.options()
	options["endpoint"] = cut.URL
	broken := drive(t, options, w.secrets())
	want := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "bucket", Name: "t-cut"}}
	if _, _, err := broken.Ensure(t.Context(), want); tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Fatalf("the call that is cut off: %v", err)
	}
	if there, err := w.root.BucketExists(t.Context(), want.Name); err != nil || !there {
		t.Fatalf("the bucket isn't there: %v", err)
	}
	other := want
	other.Resource = tenure.NewID[tenure.ResourceID](time.Now())
	if _, _, err := d.Ensure(t.Context(), other); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("another resource: %v", err)
	}
	put(t, w.root, want.Name, "theirs", "theirs")
	if _, _, err := d.Ensure(t.Context(), want); tenure.CodeOf(err) != tenure.Conflict {
		t.Errorf("with an object in it: %v", err)
	}
	must(t, w.root.RemoveObject(t.Context(), want.Name, "theirs", minio.RemoveObjectOptions{}))
	o, rec, err := d.Ensure(t.Context(), want)
	if err != nil || !rec.Changed || o.Owner != connector.Ours || o.Resource != want.Resource {
		t.Errorf("observed %+v, %+v, %v", o, rec, err)
	}
	if _, err := w.root.StatObject(t.Context(), own, "making/"+want.Name, minio.StatObjectOptions{}); err == nil {
		t.Error("the intent is still there")
	}
}

// The tags that the platform keeps on a bucket stay.
func TestTagsOfOthers(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	r := ensure(t, d, "bucket", "t-tagged", nil)
	w.retag(t, r.Name, func(m map[string]string) { m["cost-centre"] = "42" })
	for _, f := range []func(connector.Driver) error{
		func(d connector.Driver) error {
			_, err := d.(connector.Quarantiner).Quarantine(t.Context(), r)
			return err
		},
		func(d connector.Driver) error {
			_, err := d.(connector.Quarantiner).Unquarantine(t.Context(), r)
			return err
		},
		func(d connector.Driver) error {
			_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
			return err
		},
	} {
		must(t, f(d))
		all, err := w.root.GetBucketTagging(t.Context(), r.Name)
		must(t, err)
		if m := all.ToMap(); m["cost-centre"] != "42" || m["tenure"] == "" {
			t.Errorf("the tags are %v", m)
		}
	}
}

// A mark that is copied to another bucket, or put back to an earlier state, is forged.
func TestMarksAreOfOneThing(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	r := ensure(t, d, "bucket", "t-first", nil)
	must(t, w.root.MakeBucket(t.Context(), "t-second", minio.MakeBucketOptions{}))
	all, err := w.root.GetBucketTagging(t.Context(), r.Name)
	must(t, err)
	must(t, w.root.SetBucketTagging(t.Context(), "t-second", all))
	w.retag(t, r.Name, func(m map[string]string) { m["tenure-tenant"] = "another" })
	refs := []connector.Ref{r, {Type: "bucket", Name: "t-second"}}
	_, err = d.Observe(t.Context(), refs, func(o connector.Observed) error {
		if o.Owner != connector.Forged {
			t.Errorf("%s is %s", o.Name, o.Owner)
		}
		return nil
	})
	must(t, err)
}

// What drifts in a bucket is shown for what it is, and put right.
func TestDrift(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	r := ensure(t, d, "bucket", "t-drift", map[string]any{"writers": []any{friend}, "versioning": true})
	observe := func() (o connector.Observed, m map[string]json.RawMessage) {
		t.Helper()
		_, err := d.Observe(t.Context(), []connector.Ref{r}, func(got connector.Observed) error { o = got; return nil })
		must(t, err)
		must(t, json.Unmarshal(o.Attributes, &m))
		return o, m
	}
	right, _ := observe()
	for name, tamper := range map[string]func(){
		"policy":     func() { must(t, w.root.SetBucketPolicy(t.Context(), r.Name, "")) },
		"versioning": func() { must(t, w.root.SuspendVersioning(t.Context(), r.Name)) },
		"grants": func() {
			w.Request(t, "PUT", "/"+r.Name, "ownershipControls=", nil, []byte(`<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>`))
			if raw, status := w.Request(t, "PUT", "/"+r.Name, "acl=", map[string][]string{"X-Amz-Acl": {"public-read"}}, nil); status != 200 {
				t.Fatalf("%d %s", status, raw)
			}
		},
	} {
		tamper()
		o, m := observe()
		if bytes.Equal(o.Attributes, right.Attributes) {
			t.Errorf("%s: nothing is seen: %s", name, m[name])
		}
		got, rec, err := d.Ensure(t.Context(), connector.Desired{Ref: r})
		if err != nil || !rec.Changed || !bytes.Equal(got.Attributes, right.Attributes) {
			t.Errorf("%s: repaired to %s, %+v, %v", name, got.Attributes, rec, err)
		}
	}
	// The same policy in another spelling is no drift.
	must(t, w.root.SetBucketPolicy(t.Context(), r.Name, `{"Version":"2012-10-17","Statement":[
		{"Sid":"TenureWritersObjects","Effect":"Allow","Principal":{"AWS":"`+friend+`"},"Action":["s3:PutObject","s3:GetObject","s3:DeleteObject","s3:ListMultipartUploadParts","s3:AbortMultipartUpload"],"Resource":"arn:aws:s3:::`+r.Name+`/*"},
		{"Sid":"TenureWritersBucket","Effect":"Allow","Principal":{"AWS":["`+friend+`"]},"Action":["s3:ListBucketMultipartUploads","s3:ListBucket","s3:GetBucketLocation"],"Resource":["arn:aws:s3:::`+r.Name+`"]}]}`))
	if o, _ := observe(); !bytes.Equal(o.Attributes, right.Attributes) {
		t.Errorf("another spelling is drift: %s, want %s", o.Attributes, right.Attributes)
	}
}

// More versions than a page of the server's holds, many of them of one key: each is
// counted once and all go. The real server repeats some where a page ends.
func TestManyVersions(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	r := ensure(t, d, "bucket", "t-many", map[string]any{"versioning": true}, "files")
	const hot, cold = 200, 900 // a page ends among those that have one version each
	var group sync.WaitGroup
	keys := make(chan string)
	for range 8 {
		group.Go(func() {
			for key := range keys {
				put(t, w.root, r.Name, key, "x")
			}
		})
	}
	for i := range cold {
		keys <- fmt.Sprintf("b/%d", i)
		if i < hot {
			keys <- "a hot one"
		}
	}
	close(keys)
	group.Wait()
	m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: r})
	must(t, err)
	if len(m.Places) != 1 || m.Places[0].Rows != hot+cold {
		t.Errorf("%d versions are mapped as %+v", hot+cold, m.Places)
	}
	n, err := erase(t.Context(), d, r, "files", 1000)
	must(t, err)
	if left := s3test.Held(t, w.root, r.Name, ""); n != hot+cold || left != 0 {
		t.Errorf("%d of %d went, %d are left", n, hot+cold, left)
	}
}

// A server that keeps no versions has all the rest; a bucket that wants them is refused.
func TestServerWithoutVersions(t *testing.T) {
	t.Parallel()
	w := world{Server: s3test.StartPlain(t)}
	w.root = w.Client(t)
	must(t, w.root.MakeBucket(t.Context(), shared, minio.MakeBucketOptions{}))
	d := drive(t, w.options(), w.secrets())
	_, err := d.Plant(t.Context())
	must(t, err)
	r := ensure(t, d, "bucket", "t-plain", nil, "files")
	p := ensure(t, d, "prefix", base+"p", nil, "files")
	core := minio.Core{Client: w.root}
	for i := range 12 {
		put(t, w.root, r.Name, fmt.Sprintf("k%d", i), "x")
		put(t, w.root, shared, fmt.Sprintf("tenants/p/k%d", i), "x")
		_, err := core.NewMultipartUpload(t.Context(), r.Name, fmt.Sprintf("u%d", i), minio.PutObjectOptions{})
		must(t, err)
	}
	for ref, want := range map[string]int64{r.Name: 24, p.Name: 12} {
		at := r
		if ref == p.Name {
			at = p
		}
		m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: at})
		must(t, err)
		if len(m.Places) != 1 || m.Places[0].Rows != want {
			t.Errorf("%s is mapped as %+v", ref, m.Places)
		}
		if n, err := erase(t.Context(), d, at, "files", 5); n != want || err != nil {
			t.Errorf("%s: %d of %d go: %v", ref, n, want, err)
		}
		if _, err := d.Delete(t.Context(), at); err != nil {
			t.Errorf("delete %s: %v", ref, err)
		}
	}
	want := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "bucket", Name: "t-versions", Attributes: map[string]any{"versioning": true}}}
	if _, _, err := d.Ensure(t.Context(), want); tenure.CodeOf(err) != tenure.Invalid || len(tenure.HintsOf(err)) == 0 {
		t.Errorf("a bucket with versions: %v", err)
	}
}

// Who may write Tenure's own bucket can forge what Tenure goes by: it is said.
func TestExposed(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	says := func() []string {
		out, err := d.(connector.Secluder).Exposed(t.Context())
		must(t, err)
		return out
	}
	if got := says(); len(got) > 0 {
		t.Errorf("as it should be: %q", got)
	}
	must(t, w.root.SetBucketPolicy(t.Context(), own, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["`+friend+`"]},"Action":"s3:PutObject","Resource":"arn:aws:s3:::`+own+`/*"}]}`))
	if got := says(); len(got) != 1 || !strings.Contains(got[0], own) {
		t.Errorf("with a policy: %q", got)
	}
}

// Options that can't be right are refused when the system is opened.
func TestOptions(t *testing.T) {
	t.Parallel()
	good := map[string]string{"endpoint": "https://s3.example.com", "own": own, "shared": "a-bucket/, docs/tenants/, docs/more/"}
	for name, values := range map[string][]string{
		"endpoint": {"", "s3.example.com", "ftp://x", "https://user:secret@x", "https://x/path", "https://x?y"},
		"own":      {"", "UPPER", "a", "x_y"},
		"shared":   {"docs/a/,docs/", "docs/,docs/a/", own + "/", "docs//", "docs/a//b/", "UP/"},
		"users":    {"aws"},
		"admin":    {"nowhere"},
	} {
		for _, v := range values {
			options := maps.Clone(good)
			options[name] = v
			_, err := s3.Info().Open(t.Context(), connector.Config{Options: options, Secrets: map[string]tenure.Secret{"accessKey": tenure.NewSecret("a"), "secretKey": tenure.NewSecret("b")}})
			if tenure.CodeOf(err) != tenure.Invalid || strings.Contains(fmt.Sprint(err), "secret@") {
				t.Errorf("%s %q: %v", name, v, err)
			}
		}
	}
	d := drive(t, good, map[string]tenure.Secret{"accessKey": tenure.NewSecret("a"), "secretKey": tenure.NewSecret("b")})
	for _, r := range []connector.Ref{
		{Type: "user", Name: "someone"}, {Type: "bucket", Name: own}, {Type: "bucket", Name: "docs"}, {Type: "prefix", Name: "docs/x"}, {Type: "prefix", Name: "docs/tenants/"},
		{Type: "prefix", Name: "docs/tenants/a/b"}, {Type: "prefix", Name: "docs/tenants/.."}, {Type: "other", Name: "x"},
	} {
		if _, err := d.Normalise(connector.Desired{Ref: r}); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s %q: %v", r.Type, r.Name, err)
		}
	}
	for _, r := range []connector.Ref{{Type: "prefix", Name: "docs/tenants/a"}, {Type: "prefix", Name: "a-bucket/acme"}, {Type: "bucket", Name: "any"}} {
		if _, err := d.Normalise(connector.Desired{Ref: r}); err != nil {
			t.Errorf("%s %q: %v", r.Type, r.Name, err)
		}
	}
}

// A profile that asks for what the server doesn't show isn't met.
func TestEncryption(t *testing.T) {
	t.Parallel()
	_, d := planted(t)
	r := ensure(t, d, "bucket", "t-profile", nil)
	for _, c := range []struct {
		profile tenure.Encryption
		passes  bool
	}{
		{tenure.Encryption{}, true},
		{tenure.Encryption{InTransit: "required"}, false}, // the test's server has no TLS
		{tenure.Encryption{AtRest: "required"}, false},
		{tenure.Encryption{KeyOwner: "tenant"}, false},
	} {
		o, err := d.(connector.Prober).Probe(t.Context(), connector.Check{Kind: "encryption", Ref: r, Encryption: c.profile})
		if err != nil || o.Passed != c.passes || o.Detail == "" {
			t.Errorf("%+v: %+v, %v", c.profile, o, err)
		}
	}
}
