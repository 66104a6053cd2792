package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

func draft(version, body string) store.Blueprint {
	return store.Blueprint{BlueprintRef: tenure.BlueprintRef{Name: "small", Version: version, Digest: tenure.Digest([]byte(body))}, Body: []byte(body), Author: "ada", CreatedAt: start}
}

// What was published under a version never changes: tenants are bound to it.
func TestBlueprintImmutable(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		one, other := draft("1.0", "one"), draft("1.0", "other")
		save := func(b store.Blueprint) error {
			return f.Write(ctx, func(tx *store.Tx) error { return tx.SaveBlueprint(b) })
		}
		publish := func(b store.Blueprint, by string, at time.Time) {
			f.write(func(tx *store.Tx) error { return tx.PublishBlueprint(b.Digest, by, at) })
		}
		f.must(save(other)) // two drafts of one version may stand side by side
		f.must(save(one))
		publish(one, "ben", start.Add(time.Hour))
		f.must(save(one)) // the same again is the same
		publish(one, "mallory", start.Add(2*time.Hour))
		refused(t, save(draft("1.0", "third")), tenure.Conflict, "immutable", one.Digest)
		got, err := f.Blueprint(ctx, "small", "", "")
		f.must(err)
		one.PublishedBy, one.PublishedAt = "ben", start.Add(time.Hour)
		if d := cmp.Diff(one, got); d != "" {
			t.Errorf("the published revision (-want +got):\n%s", d)
		}
		if !got.Published() {
			t.Error("it isn't published")
		}
		if got, err = f.Blueprint(ctx, "small", "1.0", ""); err != nil || got.Digest != one.Digest {
			t.Errorf("by its version: %s, %v", got.Digest, err)
		}
		if got, err = f.Blueprint(ctx, "", "", other.Digest); err != nil || got.Published() {
			t.Errorf("the draft by its digest: %+v, %v", got, err)
		}
		all, err := f.Blueprints(ctx)
		f.must(err)
		if len(all) != 2 {
			t.Errorf("%d revisions, want 2", len(all))
		}
		_, err = f.Blueprint(ctx, "big", "", "")
		refused(t, err, tenure.NotFound)
	})
}

// A second draft of a version can't be published beside the first.
func TestBlueprintPublishedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		one, other := draft("1.0", "one"), draft("1.0", "other")
		f.write(func(tx *store.Tx) error {
			return firstError(tx.SaveBlueprint(one), tx.SaveBlueprint(other), tx.PublishBlueprint(one.Digest, "ben", start))
		})
		refused(t, f.Write(ctx, func(tx *store.Tx) error { return tx.PublishBlueprint(other.Digest, "ben", start) }), tenure.Conflict)
		if got, err := f.Blueprint(ctx, "small", "1.0", ""); err != nil || got.Digest != one.Digest {
			t.Errorf("version 1.0 is now %s, %v", got.Digest, err)
		}
	})
}

// Another system behind a known name is refused, unless a person means it.
func TestSystem(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ctx := context.Background()
		s := store.System{Name: "main", Connector: "memory", Version: "1", Fingerprint: "a", AddedBy: "ada", AddedAt: start}
		save := func(replace bool) error {
			return f.Write(ctx, func(tx *store.Tx) error { return tx.SaveSystem(s, replace) })
		}
		f.must(save(false))
		s.Fingerprint = "b"
		refused(t, save(false), tenure.Conflict)
		f.must(save(true))
		got, err := f.Systems(ctx)
		f.must(err)
		if d := cmp.Diff([]store.System{s}, got); d != "" {
			t.Errorf("systems:\n%s", d)
		}
	})
}
