package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/s3test"
)

const results = "reports" // the platform's own bucket

type object = map[string]any

// changing are the attributes of a resource whose events are CSV and whose logs are JSON
// lines.
func changing(fields object) object {
	return object{
		"classes": object{"events/": "events", "logs/": "logs"},
		"transforms": object{
			"events/": object{"format": "csv", "fields": fields, "to": results + "/events/", "metadata": object{"owner": "clear"}},
			"logs/":   object{"format": "jsonl", "fields": object{"user": "clear", "n": "keep"}, "identifying": []any{"n"}, "atLeast": 2, "to": results + "/logs/"},
		},
	}
}

// held is all that is under a prefix, seen from outside: each version's content by key,
// and what is a marker or an upload.
func (w world) held(t testing.TB, bucket, below string) (out map[string][]string) {
	t.Helper()
	out = map[string][]string{}
	for o := range w.root.ListObjectsIter(context.Background(), bucket, minio.ListObjectsOptions{Prefix: below, WithVersions: true, Recursive: true}) {
		must(t, o.Err)
		if o.IsDeleteMarker {
			out[o.Key] = append(out[o.Key], "marker")
			continue
		}
		c, err := w.root.GetObject(context.Background(), bucket, o.Key, minio.GetObjectOptions{VersionID: o.VersionID})
		must(t, err)
		raw, err := io.ReadAll(c)
		must(t, err)
		out[o.Key] = append(out[o.Key], connectortest.Unpacked(t, string(raw)))
	}
	core := minio.Core{Client: w.root}
	r, err := core.ListMultipartUploads(context.Background(), bucket, below, "", "", "", 1000)
	must(t, err)
	for _, u := range r.Uploads {
		out[u.Key] = append(out[u.Key], "upload")
	}
	return out
}

// events makes a file of events at random.
func events(r *rand.Rand) string {
	var out strings.Builder
	out.WriteString("id,email,born\n")
	for range r.IntN(4) {
		fmt.Fprintf(&out, "%d,user%d@example.com,19%02d-%02d-%02d\n", r.IntN(100), r.IntN(1000), r.IntN(100), 1+r.IntN(12), 1+r.IntN(28))
	}
	return out.String()
}

// scene puts objects of a tenant under its site, with earlier versions, delete markers
// and unfinished uploads, and gives what is to be transformed, by key.
func (w world) scene(t testing.TB, r *rand.Rand, ref connector.Ref, n int) (live map[string]string) {
	bucket, below := site(ref)
	live = map[string]string{}
	for i := range n {
		key := fmt.Sprintf("%sevents/%02d.csv", below, i)
		if r.IntN(3) == 0 {
			put(t, w.root, bucket, key, events(r))
		}
		text := events(r)
		if r.IntN(3) == 0 {
			text = connectortest.Packed(t, text)
		}
		_, err := w.root.PutObject(context.Background(), bucket, key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{
			ContentType: "text/x-events", UserMetadata: map[string]string{"owner": "Anna", "batch": "7"}, UserTags: map[string]string{"team": "blue"},
		})
		must(t, err)
		live[key] = text
	}
	put(t, w.root, bucket, below+"events/gone.csv", events(r))
	must(t, w.root.RemoveObject(context.Background(), bucket, below+"events/gone.csv", minio.RemoveObjectOptions{}))
	core := minio.Core{Client: w.root}
	_, err := core.NewMultipartUpload(context.Background(), bucket, below+"events/half.csv", minio.PutObjectOptions{})
	must(t, err)
	return live
}

// judged compares what is there with the model.
func (w world) judged(t testing.TB, ref connector.Ref, to tenure.Disposition, live map[string]string) {
	t.Helper()
	bucket, below := site(ref)
	left := w.held(t, bucket, below+"events/")
	var want, got []string
	if to == tenure.Anonymise {
		if len(left) > 0 {
			t.Errorf("the tenant still has %v", left)
		}
		for _, text := range live {
			want = append(want, connectortest.ChangedEvents(t, text, to))
		}
		for _, versions := range w.held(t, results, "events/") {
			got = append(got, versions...)
		}
	} else {
		for key, text := range live {
			want = append(want, key+" "+connectortest.ChangedEvents(t, text, to))
		}
		for key, versions := range left {
			got = append(got, key+" "+strings.Join(versions, "|"))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("there is\n%q\nand should be\n%q", got, want)
	}
}

// Objects are rewritten once each, with their metadata, on servers with versions and
// without, and nothing of what was there before is left; a second run changes nothing.
func TestChange(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	must(t, w.root.MakeBucket(t.Context(), results, minio.MakeBucketOptions{}))
	r := rand.New(rand.NewPCG(number(t, "TENURE_SEED", uint64(time.Now().UnixNano())), 1))
	for i, to := range []tenure.Disposition{tenure.Pseudonymise, tenure.Anonymise} {
		fields := connectortest.Pseudonymous
		if to == tenure.Anonymise {
			fields = connectortest.Anonymous
		}
		for j, typ := range []string{"prefix", "bucket", "versions"} {
			a := changing(fields)
			name, of := fmt.Sprintf("%sc%d%d", base, i, j), "prefix"
			if typ != "prefix" {
				name, of = fmt.Sprintf("t-c%d%d", i, j), "bucket"
			}
			if typ == "versions" {
				a["versioning"] = true
			}
			ref := ensure(t, d, of, name, a, "events", "logs")
			live := w.scene(t, r, ref, 6)
			bucket, below := site(ref)
			put(t, w.root, bucket, below+"logs/1.jsonl", `{"user":"Anna","n":1}`)
			before := w.held(t, bucket, below+"logs/")
			n, err := connectortest.ChangeAll(t.Context(), d, ref, "events", to, 1+r.IntN(4), connectortest.Pseudonym)
			if n != 6 || err != nil {
				t.Errorf("%s %s: %d objects are changed: %v %q", typ, to, n, err, tenure.HintsOf(err))
			}
			w.judged(t, ref, to, live)
			if n, err := connectortest.ChangeAll(t.Context(), d, ref, "events", to, 10, connectortest.Pseudonym); n != 0 || err != nil {
				t.Errorf("%s: a second run changes %d: %v", typ, n, err)
			}
			w.judged(t, ref, to, live)
			if after := w.held(t, bucket, below+"logs/"); !maps.EqualFunc(before, after, slices.Equal) {
				t.Errorf("the other class has %v and had %v", after, before)
			}
			if to == tenure.Pseudonymise {
				o, err := w.root.StatObject(t.Context(), bucket, below+"events/00.csv", minio.StatObjectOptions{})
				must(t, err)
				if o.ContentType != "text/x-events" || o.UserMetadata["Batch"] != "7" || o.UserMetadata["Owner"] != "" {
					t.Errorf("its type is %q, its metadata %v", o.ContentType, o.UserMetadata)
				}
				tags, err := w.root.GetObjectTagging(t.Context(), bucket, below+"events/00.csv", minio.GetObjectTaggingOptions{})
				if err != nil || tags.ToMap()["team"] != "blue" {
					t.Errorf("its tags are %v, %v", tags, err)
				}
			}
			// At the end of its class it goes as everything does.
			if _, err := erase(t.Context(), d, ref, "", 10); err != nil {
				t.Error(err)
			}
			_, err = d.Delete(t.Context(), ref)
			must(t, err)
			for o := range w.root.ListObjectsIter(t.Context(), results, minio.ListObjectsOptions{Recursive: true}) {
				must(t, w.root.RemoveObject(t.Context(), results, o.Key, minio.RemoveObjectOptions{}))
			}
			if n := s3test.Held(t, w.root, own, "passed/"); n != 0 {
				t.Errorf("%d lists are left", n)
			}
		}
	}
}

// A kill at any request, before it reaches the server or after, loses no object and
// changes none twice: with the context's end, and with a server that doesn't answer any
// more.
func TestChangeIsKilled(t *testing.T) {
	t.Parallel()
	w, plain := planted(t)
	must(t, w.root.MakeBucket(t.Context(), results, minio.MakeBucketOptions{}))
	real, err := url.Parse(w.Endpoint)
	must(t, err)
	var left atomic.Int64
	var late atomic.Bool
	var kill atomic.Pointer[context.CancelFunc]
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(real); p.Out.Host = p.In.Host }, ErrorLog: nil}
	cut := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if n := left.Add(-1); n < 0 {
			if late.Load() && n == -1 { // it arrives, and nobody hears of it
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				proxy.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.Background()))
			}
			if f := kill.Load(); f != nil {
				(*f)()
			}
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(cut.Close)
	options := w.options()
	options["endpoint"] = cut.URL
	broken := drive(t, options, w.secrets())
	r := rand.New(rand.NewPCG(number(t, "TENURE_SEED", uint64(time.Now().UnixNano())), 2))
	step := int64(number(t, "TENURE_KILL_STEP", 7))
	for _, to := range []tenure.Disposition{tenure.Pseudonymise, tenure.Anonymise} {
		fields := connectortest.Pseudonymous
		if to == tenure.Anonymise {
			fields = connectortest.Anonymous
		}
		ended := false
		for at := 1 + r.Int64N(step); !ended && at < 1000; at += step {
			ref := ensure(t, plain, "prefix", fmt.Sprintf("%s%s%d", base, to, at), changing(fields), "events", "logs")
			live := w.scene(t, r, ref, 3)
			ctx, cancel := context.WithCancel(t.Context())
			late.Store(r.IntN(2) == 0)
			if kill.Store(nil); r.IntN(8) > 0 {
				kill.Store(&cancel)
			}
			left.Store(at)
			_, err := connectortest.ChangeAll(ctx, broken, ref, "events", to, 2, connectortest.Pseudonym)
			ended = left.Load() >= 0 // the kill came after the end
			if ended != (err == nil) {
				t.Errorf("%s killed at %d: %v", to, at, err)
			}
			cancel()
			if _, err := connectortest.ChangeAll(t.Context(), plain, ref, "events", to, 2, connectortest.Pseudonym); err != nil {
				t.Errorf("%s after a kill at %d: %v", to, at, err)
			}
			w.judged(t, ref, to, live)
			for o := range w.root.ListObjectsIter(t.Context(), results, minio.ListObjectsOptions{Recursive: true}) {
				must(t, w.root.RemoveObject(t.Context(), results, o.Key, minio.RemoveObjectOptions{}))
			}
			if t.Failed() {
				return
			}
		}
	}
}

// An object that is written to while it is changed is changed as it is then, and nothing
// of either content is left.
func TestChangeMeanwhile(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	must(t, w.root.MakeBucket(t.Context(), results, minio.MakeBucketOptions{}))
	a := changing(connectortest.Pseudonymous)
	a["versioning"] = true
	ref := ensure(t, d, "bucket", "t-meanwhile", a, "events", "logs")
	put(t, w.root, ref.Name, "events/a.csv", "id,email,born\n1,anna@example.com,1990-02-03\n")
	const then = "id,email,born\n1,anna@example.com,1990-02-03\n2,otto@example.com,1990-02-03\n"
	written := false
	name := func(key, value string, _ bool) ([]byte, error) {
		if !written {
			written = true
			put(t, w.root, ref.Name, "events/a.csv", then)
		}
		return connectortest.Pseudonym(key, value, false)
	}
	b := connector.Batch{Run: "run", Class: "events", Limit: 9, Disposition: tenure.Pseudonymise, Name: name}
	if _, err := d.(connector.Eraser).Erase(t.Context(), ref, b); tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Errorf("written to meanwhile, the change says %v", err)
	}
	if _, err := connectortest.ChangeAll(t.Context(), d, ref, "events", tenure.Pseudonymise, 9, connectortest.Pseudonym); err != nil {
		t.Error(err)
	}
	w.judged(t, ref, tenure.Pseudonymise, map[string]string{"events/a.csv": then})
}

// What can't be rewritten blocks before anything is written, and the object is named.
func TestChangeIsBlocked(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	must(t, w.root.MakeBucket(t.Context(), results, minio.MakeBucketOptions{}))
	for name, c := range map[string]struct{ class, key, text, says string }{
		"format": {"events", "events/z.csv", "id,email,born\n1,\"SECRET\n", `"tenants/format/events/z.csv"`},
		"field":  {"events", "events/z.csv", "id,email,born,phone\n1,,,SECRET\n", "phone"},
		"key":    {"events", "events/hidden@example.com.csv", "id,email,born\n1,hidden@example.com,\n", "repeats"},
		"quoted": {"events", "events/hidden%40example.com.csv", "id,email,born\n1,hidden@example.com,\n", "repeats"},
		"groups": {"logs", "logs/z.jsonl", `{"user":"SECRET","n":77}`, "[77] has 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref := ensure(t, d, "prefix", base+name, changing(connectortest.Pseudonymous), "events", "logs")
			bucket, below := site(ref)
			put(t, w.root, bucket, below+"events/a.csv", "id,email,born\n1,anna@example.com,1990-02-03\n")
			put(t, w.root, bucket, below+"logs/a.jsonl", "{\"n\":1}\n{\"n\":1}\n")
			put(t, w.root, bucket, below+c.key, c.text)
			before := w.listed(t, bucket)
			m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: ref, Prove: true, Changes: map[string]tenure.Disposition{c.class: tenure.Pseudonymise}})
			must(t, err)
			i := slices.IndexFunc(m.Places, func(p connector.Place) bool { return p.Kind == connector.PlaceChange })
			if i < 0 || !m.Places[i].Blocks || m.Places[i].Class != c.class || !strings.Contains(m.Places[i].Says, c.says) || strings.Contains(m.Places[i].Says, "SECRET") {
				t.Errorf("the map shows %+v", m.Places)
			}
			_, err = connectortest.ChangeAll(t.Context(), d, ref, c.class, tenure.Pseudonymise, 10, connectortest.Pseudonym)
			if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the change says %v", err)
			}
			mine := func(all []string) []string {
				return slices.DeleteFunc(all, func(s string) bool { return !strings.Contains(s, `"`+below) })
			}
			if after := w.listed(t, bucket); !slices.Equal(mine(before), mine(after)) {
				t.Errorf("something was written:\n%v\n%v", mine(before), mine(after))
			}
		})
	}
}

// A locked version is never forced: its key is left alone and named, and the others are
// changed.
func TestChangeOfLocked(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	must(t, w.root.MakeBucket(t.Context(), results, minio.MakeBucketOptions{}))
	a := changing(connectortest.Anonymous)
	a["objectLock"] = true
	ref := ensure(t, d, "bucket", "t-lock", a, "events", "logs")
	for _, key := range []string{"events/a.csv", "events/b.csv", "events/c.csv"} {
		put(t, w.root, ref.Name, key, "id,email,born\n1,anna@example.com,1990-02-03\n")
	}
	on := minio.LegalHoldEnabled
	must(t, w.root.PutObjectLegalHold(t.Context(), ref.Name, "events/b.csv", minio.PutObjectLegalHoldOptions{Status: &on}))
	// An earlier version that is locked would take the latest one's place.
	put(t, w.root, ref.Name, "events/aa.csv", "id,email,born\n2,otto@example.com,1990-02-03\n")
	must(t, w.root.PutObjectLegalHold(t.Context(), ref.Name, "events/aa.csv", minio.PutObjectLegalHoldOptions{Status: &on}))
	earlier, err := w.root.StatObject(t.Context(), ref.Name, "events/aa.csv", minio.StatObjectOptions{})
	must(t, err)
	put(t, w.root, ref.Name, "events/aa.csv", "id,email,born\n3,otto@example.com,1990-02-03\n")
	n, err := connectortest.ChangeAll(t.Context(), d, ref, "events", tenure.Anonymise, 1, connectortest.Pseudonym)
	if n != 2 || !strings.Contains(err.Error(), "events/aa.csv") || tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "events/b.csv") || !strings.Contains(err.Error(), "legal hold") {
		t.Errorf("%d are changed: %v", n, err)
	}
	if got := w.held(t, results, ""); len(got) != 2 {
		t.Errorf("the results are %v", got)
	}
	off := minio.LegalHoldDisabled
	must(t, w.root.PutObjectLegalHold(t.Context(), ref.Name, "events/b.csv", minio.PutObjectLegalHoldOptions{Status: &off}))
	must(t, w.root.PutObjectLegalHold(t.Context(), ref.Name, "events/aa.csv", minio.PutObjectLegalHoldOptions{Status: &off, VersionID: earlier.VersionID}))
	if n, err := connectortest.ChangeAll(t.Context(), d, ref, "events", tenure.Anonymise, 10, connectortest.Pseudonym); n != 2 || err != nil {
		t.Errorf("once the hold is off %d are changed: %v", n, err)
	}
}

// What can't be is refused before a blueprint is published.
func TestChangeIsRefused(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	for to, says := range map[string]string{own + "/x/": "Tenure's own", "t-other/": "a tenant's", "shared/": "tenants' prefixes", "shared/tenants/z/": "tenants' prefixes", "reports": "isn't BUCKET/", "reports//": "isn't BUCKET/"} {
		a := changing(connectortest.Anonymous)
		a["transforms"].(object)["events/"].(object)["to"] = to
		_, err := d.Normalise(connector.Desired{Ref: connector.Ref{Type: "bucket", Name: "t-x", Attributes: a}})
		if tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	places := func(a object, to tenure.Disposition) (out []string) {
		m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: connector.Ref{Type: "bucket", Name: "t-x", Attributes: a, Classes: []string{"events", "logs"}}, Changes: map[string]tenure.Disposition{"events": to}})
		must(t, err)
		for _, p := range m.Places {
			if p.Blocks {
				out = append(out, p.Says)
			}
		}
		return out
	}
	none := changing(connectortest.Anonymous)
	delete(none["transforms"].(object), "events/")
	for name, c := range map[string]struct {
		a    object
		to   tenure.Disposition
		says string
	}{
		"none":      {none, tenure.Pseudonymise, "says nothing"},
		"pseudonym": {changing(connectortest.Pseudonymous), tenure.Anonymise, "personal data"},
		"no bucket": {changing(connectortest.Anonymous), tenure.Anonymise, "isn't there"},
	} {
		if got := places(c.a, c.to); len(got) != 1 || !strings.Contains(got[0], c.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
	must(t, w.root.MakeBucket(t.Context(), results, minio.MakeBucketOptions{}))
	if got := places(changing(connectortest.Anonymous), tenure.Anonymise); len(got) != 0 {
		t.Errorf("what can be is refused: %q", got)
	}
}
