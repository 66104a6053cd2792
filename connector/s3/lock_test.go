package s3_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// planted is a world with Tenure's own bucket in it, and a driver.
func planted(t *testing.T) (world, connector.Driver) {
	t.Helper()
	w := newWorld(t)
	d := drive(t, w.options(), w.secrets())
	_, err := d.Plant(t.Context())
	must(t, err)
	return w, d
}

// A locked object stays until its date, or until whoever set a legal hold takes it off.
// Tenure says which ones and until when, forces none, and erases the rest.
func TestLocks(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	r := ensure(t, d, "bucket", "t-locked", map[string]any{"objectLock": true}, "files")
	until := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	versions := map[string]string{}
	for _, key := range []string{"governed", "compliant", "held", "free", "past"} {
		versions[key] = put(t, w.root, r.Name, key, key).VersionID
	}
	for key, mode := range map[string]minio.RetentionMode{"governed": minio.Governance, "compliant": minio.Compliance} {
		must(t, w.root.PutObjectRetention(t.Context(), r.Name, key, minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until}))
	}
	on, off := minio.LegalHoldEnabled, minio.LegalHoldDisabled
	must(t, w.root.PutObjectLegalHold(t.Context(), r.Name, "held", minio.PutObjectLegalHoldOptions{Status: &on}))
	put(t, w.root, r.Name, "governed", "a later version, which is free")
	must(t, w.root.RemoveObject(t.Context(), r.Name, "held", minio.RemoveObjectOptions{})) // a marker hides it

	m, err := d.(connector.Mapper).DataMap(t.Context(), connector.Survey{Ref: r})
	must(t, err)
	says := map[string]string{}
	for _, p := range m.Places {
		if p.Kind == connector.PlaceLock {
			if !p.Blocks || p.Fix == "" {
				t.Errorf("the lock %+v doesn't block, or doesn't say what to do", p)
			}
			says[p.Name] = p.Says
		}
	}
	date := until.Format(time.RFC3339)
	if len(says) != 3 {
		t.Errorf("3 locks are mapped as %q", says)
	}
	want := map[string]string{"governed": "is locked in mode GOVERNANCE until " + date, "compliant": "is locked in mode COMPLIANCE until " + date, "held": "is under a legal hold"}
	for key, words := range want {
		if got := says[`"`+key+`" (version `+versions[key]+`)`]; !strings.Contains(got, words) {
			t.Errorf("of %s the map says %q, want %q: %q", key, got, words, says)
		}
	}

	n, err := erase(t.Context(), d, r, "files", 2)
	if tenure.CodeOf(err) != tenure.Blocked || n != 4 {
		t.Errorf("%d of 4 go, and the error is %v", n, err)
	}
	for key, words := range want {
		if err == nil || !strings.Contains(err.Error(), `"`+key+`" (version `+versions[key]+`) `+words) {
			t.Errorf("the error doesn't say that %s %s: %v", key, words, err)
		}
	}
	if n := w.count(t, r, ""); n != 0 {
		t.Errorf("%d under elsewhere", n)
	}
	var left []string
	for o := range w.root.ListObjectsIter(t.Context(), r.Name, minio.ListObjectsOptions{WithVersions: true, Recursive: true}) {
		left = append(left, o.Key)
	}
	if !slices.Equal(left, []string{"compliant", "governed", "held"}) {
		t.Errorf("left are %q", left)
	}
	if _, err := d.Delete(t.Context(), r); tenure.CodeOf(err) != tenure.Blocked {
		t.Errorf("the bucket's deletion is %v", err)
	}

	must(t, w.root.PutObjectLegalHold(t.Context(), r.Name, "held", minio.PutObjectLegalHoldOptions{Status: &off}))
	if n, err := erase(t.Context(), d, r, "files", 2); n != 1 || tenure.CodeOf(err) != tenure.Blocked || strings.Contains(err.Error(), "held") {
		t.Errorf("without its legal hold %d of 1 go, and the error is %v", n, err)
	}
}

// Object Lock can't be put on a bucket, or taken off it, afterwards: it is said.
func TestLockIsForGood(t *testing.T) {
	t.Parallel()
	_, d := planted(t)
	for _, lock := range []bool{true, false} {
		name := map[bool]string{true: "t-with", false: "t-without"}[lock]
		r := ensure(t, d, "bucket", name, map[string]any{"objectLock": lock})
		r.Attributes = map[string]any{"objectLock": !lock}
		if _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r}); tenure.CodeOf(err) != tenure.Blocked || len(tenure.HintsOf(err)) == 0 {
			t.Errorf("objectLock from %t to %t: %v", lock, !lock, err)
		}
	}
}
