package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// A tenant may work in its own bucket, and can't do there what would keep Tenure from
// seeing or erasing it: take its mark off, open it, lock objects, or hide a version; and
// it reaches neither Tenure's own bucket nor a neighbour's.
func TestWhatATenantMay(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	secret := tenure.NewSecret(rand.Text())
	who := connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "user", Name: "t-tenant"}
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: who, Credential: secret})
	must(t, err)
	r := ensure(t, d, "bucket", "t-its-own", map[string]any{"writers": []any{who.Name}, "objectLock": true}, "files")
	_ = ensure(t, d, "bucket", "t-neighbour", map[string]any{"versioning": true}, "files")
	put(t, w.root, "t-neighbour", "theirs", "theirs")
	as := w.As(t, who.Name, secret.Reveal())

	first := put(t, as, r.Name, "k", "one")
	put(t, as, r.Name, "k", "two")
	if got := w.read(t, r.Name, "k"); string(got) != "two" {
		t.Errorf("the tenant wrote %q", got)
	}
	must(t, as.RemoveObject(t.Context(), r.Name, "k", minio.RemoveObjectOptions{}))
	mode, on, until := minio.Compliance, minio.LegalHoldEnabled, time.Now().Add(time.Hour)
	mine, err := tags.NewTags(map[string]string{"tenure": "mine"}, false)
	must(t, err)
	for what, f := range map[string]func() error{
		"delete a version": func() error {
			return as.RemoveObject(t.Context(), r.Name, "k", minio.RemoveObjectOptions{VersionID: first.VersionID})
		},
		"change the tags":      func() error { return as.SetBucketTagging(t.Context(), r.Name, mine) },
		"take the tags off":    func() error { return as.RemoveBucketTagging(t.Context(), r.Name) },
		"change the policy":    func() error { return as.SetBucketPolicy(t.Context(), r.Name, "") },
		"suspend the versions": func() error { return as.SuspendVersioning(t.Context(), r.Name) },
		"lock an object": func() error {
			return as.PutObjectRetention(t.Context(), r.Name, "k", minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until, VersionID: first.VersionID})
		},
		"hold an object": func() error {
			return as.PutObjectLegalHold(t.Context(), r.Name, "k", minio.PutObjectLegalHoldOptions{Status: &on, VersionID: first.VersionID})
		},
		"delete the bucket": func() error { return as.RemoveBucket(t.Context(), r.Name) },
		"make a bucket":     func() error { return as.MakeBucket(t.Context(), "t-another", minio.MakeBucketOptions{}) },
		"read the sentinel": func() error {
			_, err := as.StatObject(t.Context(), own, "sentinel", minio.StatObjectOptions{})
			return err
		},
		"write a record": func() error {
			_, err := as.PutObject(t.Context(), own, "marks/x", strings.NewReader("x"), 1, minio.PutObjectOptions{})
			return err
		},
		"read a neighbour's": func() error {
			_, err := as.StatObject(t.Context(), "t-neighbour", "theirs", minio.StatObjectOptions{})
			return err
		},
		"write to a neighbour's": func() error {
			_, err := as.PutObject(t.Context(), "t-neighbour", "x", strings.NewReader("x"), 1, minio.PutObjectOptions{})
			return err
		},
	} {
		if err := f(); minio.ToErrorResponse(err).StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n, err := erase(t.Context(), d, r, "files", 10); n != 3 || err != nil {
		t.Errorf("%d of 3 go: %v", n, err)
	}
}

// A link that the tenant's key signed ends with the key. One that the platform's own key
// signed lives on when the bucket is set aside, which the receipt says.
func TestPresignedLinks(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	secret := tenure.NewSecret(rand.Text())
	who := connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "user", Name: "t-signer"}
	_, _, err := d.Ensure(t.Context(), connector.Desired{Ref: who, Credential: secret})
	must(t, err)
	r := ensure(t, d, "bucket", "t-linked", map[string]any{"writers": []any{who.Name}}, "files")
	put(t, w.root, r.Name, "k", "text")
	link := func(c *minio.Client) string {
		u, err := c.PresignedGetObject(t.Context(), r.Name, "k", time.Hour, nil)
		must(t, err)
		return u.String()
	}
	theirs, ours := link(w.As(t, who.Name, secret.Reveal())), link(w.root)
	opens := func(link string) bool {
		got, err := http.Get(link)
		must(t, err)
		must(t, got.Body.Close())
		return got.StatusCode == http.StatusOK
	}
	if !opens(theirs) || !opens(ours) {
		t.Error("the links don't open")
	}
	_, err = d.(connector.Revoker).Revoke(t.Context(), who)
	must(t, err)
	if opens(theirs) {
		t.Error("the link of a revoked key opens")
	}
	rec, err := d.(connector.Quarantiner).Quarantine(t.Context(), r)
	must(t, err)
	if !opens(ours) || !strings.Contains(rec.Facts["links"], "7 days") {
		t.Errorf("the platform's link opens: %t, and the receipt says %v", opens(ours), rec.Facts)
	}
	_, err = erase(t.Context(), d, r, "files", 10)
	must(t, err)
	if opens(ours) {
		t.Error("a link to what was erased opens")
	}
}

// A suspended user signs in with nothing that anybody knows, a repair leaves it so, and
// afterwards it has its own secret again.
func TestSuspendedUser(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	secret := tenure.NewSecret(rand.Text())
	want := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "user", Name: "t-suspended"}, Credential: secret}
	_, _, err := d.Ensure(t.Context(), want)
	must(t, err)
	r := ensure(t, d, "bucket", "t-reached", map[string]any{"readers": []any{want.Name}})
	works := func() bool {
		there, err := w.As(t, want.Name, secret.Reveal()).BucketExists(t.Context(), r.Name)
		return there && err == nil
	}
	state := func() (s tenure.ResourceState) {
		_, err := d.Observe(t.Context(), []connector.Ref{want.Ref}, func(o connector.Observed) error { s = o.State; return nil })
		must(t, err)
		return s
	}
	s := d.(connector.Suspender)
	_, err = s.Suspend(t.Context(), want.Ref)
	must(t, err)
	if works() || state() != tenure.ResourceSuspended {
		t.Errorf("suspended, it works: %t, and is %s", works(), state())
	}
	if list := w.Users(t, "list-users", nil, nil); bytes.Contains(list, []byte(secret.Reveal())) {
		t.Error("the secret stands on the server in clear")
	}
	if _, rec, err := d.Ensure(t.Context(), want); err != nil || rec.Changed || works() || state() != tenure.ResourceSuspended {
		t.Errorf("after a repair it works: %t, and is %s; %+v, %v", works(), state(), rec, err)
	}
	_, err = s.Resume(t.Context(), want.Ref)
	must(t, err)
	if !works() || state() != tenure.ResourcePresent {
		t.Errorf("resumed, it works: %t, and is %s", works(), state())
	}
	_, err = s.Suspend(t.Context(), want.Ref)
	must(t, err)
	_, err = d.(connector.Revoker).Revoke(t.Context(), want.Ref)
	must(t, err)
	if _, err = s.Resume(t.Context(), want.Ref); tenure.CodeOf(err) != tenure.Conflict || works() || state() != tenure.ResourceRevoked {
		t.Errorf("revoked, it works: %t, and is %s; %v", works(), state(), err)
	}
}

// A bucket into which somebody goes on writing isn't reported deleted: the call ends,
// says why, and a later one deletes it.
func TestDeletionUnderWrites(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	r := ensure(t, d, "bucket", "t-busy", map[string]any{"versioning": true}, "files")
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, _ = w.root.PutObject(ctx, r.Name, fmt.Sprintf("w%d/%d", i, n), strings.NewReader("x"), 1, minio.PutObjectOptions{})
			}
		})
	}
	_, err := d.Delete(t.Context(), r)
	there, _ := w.root.BucketExists(t.Context(), r.Name)
	stop()
	writers.Wait()
	if err == nil && there { // somebody's write made it anew: it isn't the one that was deleted
		_, err = d.Observe(t.Context(), []connector.Ref{r}, func(o connector.Observed) error {
			if o.Owner == connector.Ours {
				t.Error("the bucket is said to be deleted, and is there with its mark")
			}
			return nil
		})
		must(t, err)
		return
	}
	if err == nil == there || err != nil && (tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err)) {
		t.Errorf("the bucket is there: %t, and the deletion says %v", there, err)
	}
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Errorf("once nobody writes: %v", err)
	}
	if there, err := w.root.BucketExists(t.Context(), r.Name); there || err != nil {
		t.Errorf("the bucket is there: %t, %v", there, err)
	}
}

// A server that was killed while it deleted an object leaves empty folders, which no list of
// versions shows. The bucket goes all the same.
func TestEmptyFolders(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	r := ensure(t, d, "bucket", "t-folders", map[string]any{"versioning": true}, "files")
	for _, folder := range []string{"a/b/c", "d"} {
		must(t, os.MkdirAll(filepath.Join(w.Folder, "objects", r.Name, folder), 0o700))
	}
	_, err := w.root.PutObject(t.Context(), r.Name, "a/kept", strings.NewReader("x"), 1, minio.PutObjectOptions{})
	must(t, err)
	if _, err := d.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if there, err := w.root.BucketExists(t.Context(), r.Name); there || err != nil {
		t.Errorf("the bucket is there: %t, %v", there, err)
	}
}

// A shared bucket that isn't there is said where it is asked for; prefixes in it hold
// nothing.
func TestSharedBucketIsAway(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	p := ensure(t, d, "prefix", base+"p", nil, "files")
	must(t, w.root.RemoveBucket(t.Context(), shared))
	m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: connector.Ref{Type: "prefix", Name: base + "new", Classes: []string{"files"}}})
	must(t, err)
	if len(m.Places) != 1 || !m.Places[0].Blocks || !strings.Contains(m.Places[0].Says, shared) {
		t.Errorf("at publish the map says %+v", m.Places)
	}
	want := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Now()), Type: "prefix", Name: base + "new"}}
	if _, _, err := d.Ensure(t.Context(), want); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("ensure: %v", err)
	}
	if n, err := erase(t.Context(), d, p, "files", 10); n != 0 || err != nil {
		t.Errorf("%d go: %v", n, err)
	}
	_, err = d.Delete(t.Context(), p)
	must(t, err)
}
