package departure

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure/internal/s3test"
)

// objects are tenants' documents in S3: a prefix of a bucket that they share, or a
// bucket of each one's own, with all versions kept.
type objects struct {
	first  string // the class of what isn't people's
	pooled bool
	srv    *s3test.Server
	proxy  *counter
	at     string // the server's address, through the proxy
	client *minio.Client
}

const sharedBucket = "documents"

func newObjects(t *testing.T, p platform, pooled bool) *objects {
	t.Helper()
	k := &objects{first: p.first, pooled: pooled, srv: s3test.Start(t)}
	k.client = k.srv.Client(t)
	k.proxy, k.at = newCounter(t, k.srv.Address)
	if pooled {
		must(t, k.client.MakeBucket(t.Context(), sharedBucket, minio.MakeBucketOptions{}))
		must(t, k.client.EnableVersioning(t.Context(), sharedBucket))
	}
	return k
}

func (k *objects) systems() map[string]any {
	options := map[string]any{"endpoint": "http://" + k.at, "region": k.srv.Region, "accessKey": k.srv.Access, "secretKey": k.srv.Secret, "own": "tenure-own", "names": "t-"}
	if k.pooled {
		options["shared"] = sharedBucket + "/of/"
	}
	return map[string]any{"objects": map[string]any{"connector": "s3", "options": options}}
}

func (k *objects) resources(*testing.T) []any {
	a := map[string]any{"classes": map[string]any{"": k.first, "letters/": "people"}}
	r := map[string]any{"key": "objects", "system": "objects", "data": []any{k.first, "people"}, "attributes": a, "type": "prefix", "name": sharedBucket + "/of/${tenant.name}"}
	if !k.pooled {
		a["versioning"], r["type"], r["name"] = true, "bucket", "t-${tenant.name}"
	}
	return []any{r}
}

// place is where a tenant's objects are.
func (k *objects) place(who person) (bucket, below string) {
	if k.pooled {
		return sharedBucket, "of/" + who.name + "/"
	}
	return "t-" + who.name, ""
}

// fill gives each tenant objects under plain and odd keys, earlier versions, delete
// markers and unfinished uploads.
func (k *objects) fill(t *testing.T, rnd *rand.Rand) {
	t.Helper()
	ctx, core := t.Context(), minio.Core{Client: k.client}
	last := 700000
	for _, who := range tenants {
		bucket, below := k.place(who)
		text := func() string {
			last++
			return fmt.Sprintf("%s%06d", who.token, last)
		}
		keys := []string{}
		for _, form := range []string{"%s.pdf", "letters/%s", "letters/ünï Ω %s", "a b+c&d=%%2e/%s?x#y", "very/deep/ly/%s/in.txt", "letters/%s%%20%%00", "%s~'\"<>;", "…/%s", strings.Repeat("l", 180) + "/" + strings.Repeat("n", 200) + "%s"} {
			for range 1 + rnd.IntN(2) {
				keys = append(keys, below+fmt.Sprintf(form, text()))
			}
		}
		for i, key := range keys {
			for range 1 + rnd.IntN(3) {
				body := text() + " " + text()
				_, err := k.client.PutObject(ctx, bucket, key, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
				must(t, err)
			}
			if i%4 == 1 {
				must(t, k.client.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}))
			}
		}
		for _, key := range []string{below + "scan-" + text(), below + "letters/" + text()} {
			id, err := core.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{})
			must(t, err)
			body := []byte(text())
			_, err = core.PutObjectPart(ctx, bucket, key, id, 1, bytes.NewReader(body), int64(len(body)), minio.PutObjectPartOptions{})
			must(t, err)
		}
	}
}

// buckets are those that aren't Tenure's.
func (k *objects) buckets(t *testing.T) (out []string) {
	t.Helper()
	all, err := k.client.ListBuckets(t.Context())
	must(t, err)
	for _, b := range all {
		if b.Name != "tenure-own" {
			out = append(out, b.Name)
		}
	}
	return out
}

// rows are all versions, delete markers and unfinished uploads, with what is in them.
func (k *objects) rows(t *testing.T) (out []string) {
	t.Helper()
	core := minio.Core{Client: k.client}
	for _, bucket := range k.buckets(t) {
		line := func(key, format string, args ...any) {
			table := "objects"
			if strings.HasPrefix(key, "letters/") || strings.Contains(key, "/letters/") {
				table = "letters"
			}
			out = append(out, bucket+"."+table+" "+key+" "+fmt.Sprintf(format, args...))
		}
		seen := map[string]bool{} // the server gives some twice
		for o := range k.client.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{WithVersions: true, Recursive: true}) {
			must(t, o.Err)
			if seen[o.Key+" "+o.VersionID] {
				continue
			}
			seen[o.Key+" "+o.VersionID] = true
			if o.IsDeleteMarker {
				line(o.Key, "marker %s %v", o.VersionID, o.IsLatest)
				continue
			}
			body, _, _, err := core.GetObject(t.Context(), bucket, o.Key, minio.GetObjectOptions{VersionID: o.VersionID})
			must(t, err)
			text, err := io.ReadAll(body)
			must(t, err)
			must(t, body.Close())
			line(o.Key, "version %s %v %s %s", o.VersionID, o.IsLatest, o.ETag, text)
		}
		r, err := core.ListMultipartUploads(t.Context(), bucket, "", "", "", "", 1000)
		must(t, err)
		for _, u := range r.Uploads {
			parts, err := core.ListObjectParts(t.Context(), bucket, u.Key, u.UploadID, 0, 1000)
			must(t, err)
			line(u.Key, "upload %s, %d parts", u.UploadID, len(parts.ObjectParts))
		}
	}
	return out
}

// shape is what the buckets are, save the leaver's own.
func (k *objects) shape(t *testing.T) string {
	t.Helper()
	var out []string
	for _, bucket := range k.buckets(t) {
		if bucket == "t-acme" {
			continue
		}
		v, err := k.client.GetBucketVersioning(t.Context(), bucket)
		must(t, err)
		policy, err := k.client.GetBucketPolicy(t.Context(), bucket)
		must(t, err)
		out = append(out, bucket+" "+v.Status+" "+policy)
	}
	return strings.Join(out, "\n")
}

func (k *objects) raw(t *testing.T) []byte { return []byte(strings.Join(k.rows(t), "\n")) }

func (k *objects) class(_ *testing.T, table string) string {
	if strings.HasSuffix(table, ".letters") {
		return "people"
	}
	return k.first
}

func (k *objects) announced(line string, _ []string) string { return line }

func (k *objects) door() string { return "http " + k.at }

func (k *objects) counter() *counter { return k.proxy }

// kill ends the server; it has no sessions.
func (k *objects) kill(bool) bool { return k.srv.Kill() == nil }

func (k *objects) await(t *testing.T) {
	t.Helper()
	k.srv.Again(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for !open(ctx, "http", k.srv.Address) {
		must(t, ctx.Err())
		time.Sleep(20 * time.Millisecond)
	}
}
