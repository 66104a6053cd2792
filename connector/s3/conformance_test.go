package s3_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/s3"
	"github.com/tenurehq/tenure/internal/s3test"
)

func TestConformance(t *testing.T) { connectortest.Run(t, open) }

// The names that the worlds of these tests have.
const (
	own    = "tenure-own"
	shared = "shared"
	base   = "shared/tenants/"
	friend = "outside-friend" // a user to whom buckets are given
)

// world is a server with a user and a shared bucket, and hands on it.
type world struct {
	*s3test.Server
	root   *minio.Client
	friend *minio.Client
}

func newWorld(t testing.TB) world {
	t.Helper()
	w := world{Server: s3test.Start(t)}
	w.root = w.Client(t)
	secret := rand.Text()
	w.MakeUser(t, friend, secret)
	w.friend = w.As(t, friend, secret)
	must(t, w.root.MakeBucket(t.Context(), shared, minio.MakeBucketOptions{}))
	must(t, w.root.EnableVersioning(t.Context(), shared))
	return w
}

func (w world) options() map[string]string {
	return map[string]string{"endpoint": w.Endpoint, "own": own, "names": "t-", "shared": base, "users": "versitygw"}
}

func (w world) secrets() map[string]tenure.Secret {
	return map[string]tenure.Secret{"accessKey": tenure.NewSecret(w.Access), "secretKey": tenure.NewSecret(w.Secret)}
}

func open(t *testing.T) *connectortest.World {
	w := newWorld(t)
	return &connectortest.World{
		Info: s3.Info(), Options: w.options(), Secrets: w.secrets(),
		Look: w.Look,
		LoseSentinel: func(t testing.TB) {
			must(t, w.root.RemoveObject(t.Context(), own, "sentinel", minio.RemoveObjectOptions{}))
		},
		Outage: func(t testing.TB) func() { w.Stop(t); return func() { w.Again(t) } },
		Cases:  []connectortest.Case{w.bucketCase(), w.prefixCase(), w.userCase()},
		Probes: w.probes(),
		// The server can't be made to encrypt, or to stop: TestEncryption tries it.
		Untried: []string{"encryption"},
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func renamed(before string) func(connector.Desired, string) connector.Desired {
	return func(d connector.Desired, name string) connector.Desired {
		if d.Name = name; !strings.HasPrefix(name, before) {
			d.Name = before + name
		}
		return d
	}
}

var classes = map[string]any{"orders/": "orders", "finance/invoices-": "invoices"}

var prefixes = map[string]string{"orders": "orders/", "invoices": "finance/invoices-", "": "elsewhere/deep/"}

// site is where a ref's objects are.
func site(r connector.Ref) (bucket, below string) {
	if r.Type == "bucket" {
		return r.Name, ""
	}
	return shared, strings.TrimPrefix(r.Name, shared+"/") + "/"
}

var serial atomic.Int64

// fill puts n things of a class there: objects under odd keys, earlier versions of them,
// delete markers and unfinished uploads.
func (w world) fill(t testing.TB, r connector.Ref, class string, n int) {
	bucket, below := site(r)
	core := minio.Core{Client: w.root}
	key := ""
	for i := range n {
		switch i % 4 {
		case 0:
			key = fmt.Sprintf("%s%sd%d/ä f+%%41&?=#%d", below, prefixes[class], i%3, serial.Add(1))
			fallthrough
		case 1:
			put(t, w.root, bucket, key, rand.Text())
		case 2:
			must(t, w.root.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{}))
		case 3:
			id, err := core.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{})
			must(t, err)
			_, err = core.PutObjectPart(t.Context(), bucket, key, id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
			must(t, err)
		}
	}
}

func put(t testing.TB, c *minio.Client, bucket, key, text string) minio.UploadInfo {
	t.Helper()
	info, err := c.PutObject(t.Context(), bucket, key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return info
}

func (w world) count(t testing.TB, r connector.Ref, class string) int {
	bucket, below := site(r)
	return s3test.Held(t, w.root, bucket, below+prefixes[class])
}

func (w world) retag(t testing.TB, bucket string, edit func(map[string]string)) {
	t.Helper()
	all, err := w.root.GetBucketTagging(t.Context(), bucket)
	must(t, err)
	m := all.ToMap()
	edit(m)
	if len(m) == 0 {
		must(t, w.root.RemoveBucketTagging(t.Context(), bucket))
		return
	}
	fresh, err := tags.NewTags(m, false)
	must(t, err)
	must(t, w.root.SetBucketTagging(t.Context(), bucket, fresh))
}

func (w world) bucketCase() connectortest.Case {
	c := connectortest.Case{Type: "bucket", Rename: renamed("t-")}
	c.New = func(_ testing.TB, n int) connector.Desired {
		return connector.Desired{Ref: connector.Ref{
			Name: fmt.Sprintf("t-bucket%d", n), Classes: []string{"orders", "invoices"},
			Attributes: map[string]any{"writers": []any{friend}, "versioning": true, "classes": classes},
		}}
	}
	c.Changed = func(d connector.Desired) connector.Desired {
		d.Attributes = map[string]any{"readers": []any{friend}, "classes": classes}
		return d
	}
	c.Invalid = []map[string]any{
		{"unknown": 1}, {"public": "yes"}, {"readers": []any{"*"}}, {"readers": []any{""}}, {"writers": "one"}, {"versioning": 1},
		{"classes": map[string]any{"a": ""}},
	}
	c.Tamper = func(t testing.TB, r connector.Ref) {
		must(t, w.root.SetBucketPolicy(t.Context(), r.Name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::`+r.Name+`/*"}]}`))
	}
	c.Foreign = func(t testing.TB, r connector.Ref) {
		must(t, w.root.MakeBucket(t.Context(), r.Name, minio.MakeBucketOptions{}))
		put(t, w.root, r.Name, "theirs", "theirs")
	}
	c.Remark = func(t testing.TB, r connector.Ref, mark string) {
		w.retag(t, r.Name, func(m map[string]string) { m["tenure"] = mark })
	}
	c.Unmark = func(t testing.TB, r connector.Ref) { w.retag(t, r.Name, func(m map[string]string) { clear(m) }) }
	c.Exists = func(t testing.TB, r connector.Ref) bool {
		there, err := w.root.BucketExists(t.Context(), r.Name)
		must(t, err)
		reached, _ := w.friend.BucketExists(t.Context(), r.Name)
		return there && reached
	}
	c.Fill, c.Count = w.fill, w.count
	c.Late = func(t testing.TB, r connector.Ref, class string, n int) {
		must(t, w.root.MakeBucket(t.Context(), r.Name, minio.MakeBucketOptions{}))
		must(t, w.root.EnableVersioning(t.Context(), r.Name))
		w.fill(t, r, class, n)
	}
	c.Without = []string{"tally"} // no write to S3 is one with the deletion of objects
	c.Exported = exported
	return c
}

// markKey is where Tenure keeps the record of a prefix or a user.
func markKey(typ, name string) string {
	sum := sha256.Sum256([]byte(name))
	return "marks/" + typ + "/" + hex.EncodeToString(sum[:]) + ".json"
}

func (w world) read(t testing.TB, bucket, key string) []byte {
	t.Helper()
	o, err := w.root.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	must(t, err)
	raw, err := io.ReadAll(o)
	must(t, err)
	return raw
}

func (w world) remark(t testing.TB, r connector.Ref, mark string) {
	var m map[string]any
	must(t, json.Unmarshal(w.read(t, own, markKey(r.Type, r.Name)), &m))
	m["mark"] = mark
	raw, err := json.Marshal(m)
	must(t, err)
	put(t, w.root, own, markKey(r.Type, r.Name), string(raw))
}

func (w world) unmark(t testing.TB, r connector.Ref) {
	must(t, w.root.RemoveObject(t.Context(), own, markKey(r.Type, r.Name), minio.RemoveObjectOptions{}))
}

func (w world) prefixCase() connectortest.Case {
	c := connectortest.Case{Type: "prefix", Rename: renamed(base)}
	c.New = func(_ testing.TB, n int) connector.Desired {
		return connector.Desired{Ref: connector.Ref{
			Name: fmt.Sprintf("%sp%d", base, n), Classes: []string{"orders", "invoices"}, Attributes: map[string]any{"classes": classes},
		}}
	}
	c.Invalid = []map[string]any{{"unknown": 1}, {"public": true}, {"classes": map[string]any{"a": ""}}, {"classes": map[string]any{"/a": "x"}}, {"classes": 1}}
	c.Foreign = func(t testing.TB, r connector.Ref) {
		_, below := site(r)
		put(t, w.root, shared, below+"theirs", "theirs")
	}
	c.Remark, c.Unmark, c.Hollow = w.remark, w.unmark, true
	c.Exists = func(t testing.TB, r connector.Ref) bool {
		bucket, below := site(r)
		_, err := w.root.StatObject(t.Context(), own, markKey(r.Type, r.Name), minio.StatObjectOptions{})
		return err == nil || s3test.Held(t, w.root, bucket, below) > 0
	}
	c.Fill, c.Count, c.Late, c.Exported = w.fill, w.count, w.fill, exported
	c.Without = []string{"tally"}
	return c
}

func (w world) userCase() connectortest.Case {
	c := connectortest.Case{Type: "user", Rename: renamed("t-")}
	c.New = func(_ testing.TB, n int) connector.Desired {
		return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("t-user%d", n)}}
	}
	c.Invalid = []map[string]any{{"role": "admin"}}
	c.Tamper = func(t testing.TB, r connector.Ref) {
		w.Users(t, "update-user", url.Values{"access": {r.Name}}, struct {
			XMLName struct{} `xml:"MutableProps"`
			Role    string
		}{Role: "admin"})
	}
	c.Foreign = func(t testing.TB, r connector.Ref) { w.MakeUser(t, r.Name, rand.Text()) }
	c.Remark, c.Unmark = w.remark, w.unmark
	c.Exists = func(t testing.TB, r connector.Ref) bool {
		return bytes.Contains(w.Users(t, "list-users", nil, nil), []byte("<Access>"+r.Name+"</Access>"))
	}
	c.Works = func(t testing.TB, d connector.Desired) bool {
		_, err := w.As(t, d.Name, d.Credential.Reveal()).ListBuckets(t.Context())
		return err == nil
	}
	return c
}

// exported counts the entries of an export's manifest whose sum is right.
func exported(t testing.TB, data []byte) (n int) {
	t.Helper()
	sums := map[string]string{}
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			t.Error("the export has no manifest")
			return 0
		}
		must(t, err)
		raw, err := io.ReadAll(r)
		must(t, err)
		if h.Name != "manifest.json" {
			if sums[h.Name] != "" {
				t.Errorf("the export has %q twice", h.Name)
			}
			sums[h.Name] = fmt.Sprintf("%x", sha256.Sum256(raw))
			continue
		}
		var m struct {
			Objects []struct{ Path, SHA256 string }
			Skipped []struct{ Key string }
		}
		must(t, json.Unmarshal(raw, &m))
		for _, o := range m.Objects {
			if sums[o.Path] == o.SHA256 {
				n++
			}
		}
		return n + len(m.Skipped)
	}
}

// probes plants, for each probe, what it has to find.
func (w world) probes() []connectortest.ProbeCase {
	var secret tenure.Secret
	made := func(typ, name string, attributes map[string]any) func(testing.TB, connector.Driver) connector.Check {
		return func(t testing.TB, d connector.Driver) connector.Check {
			want := connector.Desired{Ref: connector.Ref{Type: typ, Name: name, Attributes: attributes, Resource: tenure.NewID[tenure.ResourceID](time.Now())}}
			if typ == "user" {
				secret = tenure.NewSecret(rand.Text())
				want.Credential = secret
			}
			_, _, err := d.Ensure(context.Background(), want)
			must(t, err)
			return connector.Check{Ref: want.Ref, Credential: want.Credential}
		}
	}
	const name = "t-probed"
	policy := func(t testing.TB, bucket, who, resource, action string) {
		must(t, w.root.SetBucketPolicy(t.Context(), bucket, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":`+who+`,"Action":"`+action+`","Resource":"arn:aws:s3:::`+resource+`"}]}`))
	}
	return []connectortest.ProbeCase{
		{Kind: "reachable", Name: "bucket", Check: made("bucket", name, map[string]any{"versioning": true}), Misconfigure: func(t testing.TB) {
			must(t, w.root.RemoveBucket(t.Context(), name))
		}},
		{Kind: "reachable", Name: "prefix", Check: made("prefix", base+"probed", nil), Misconfigure: func(t testing.TB) {
			must(t, w.root.RemoveBucket(t.Context(), shared))
		}},
		{Kind: "isolation", Name: "reads", Check: made("user", name, nil), Misconfigure: func(t testing.TB) {
			policy(t, own, `{"AWS":["`+name+`"]}`, own+"/*", "s3:GetObject")
		}},
		{Kind: "isolation", Name: "lists", Check: made("user", name, nil), Misconfigure: func(t testing.TB) {
			policy(t, own, `{"AWS":["`+name+`"]}`, own, "s3:ListBucket")
		}},
		{Kind: "isolation", Name: "another secret", Check: made("user", name, nil), Misconfigure: func(t testing.TB) {
			w.Users(t, "update-user", url.Values{"access": {name}}, struct {
				XMLName struct{} `xml:"MutableProps"`
				Secret  string
			}{Secret: rand.Text()})
		}},
		{Kind: "exposure", Name: "policy", Check: made("bucket", name, nil), Misconfigure: func(t testing.TB) {
			policy(t, name, `"*"`, name+"/*", "s3:GetObject")
		}},
		{Kind: "exposure", Name: "access list", Check: made("bucket", name, nil), Misconfigure: func(t testing.TB) {
			w.Request(t, http.MethodPut, "/"+name, "ownershipControls=", nil, []byte(`<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>`))
			if raw, status := w.Request(t, http.MethodPut, "/"+name, "acl=", http.Header{"X-Amz-Acl": {"public-read"}}, nil); status != http.StatusOK {
				t.Fatalf("%d %s", status, raw)
			}
		}},
	}
}
