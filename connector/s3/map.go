package s3

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// DataMap counts versions, delete markers and uploads under each prefix of a class. Keys
// under none are gathered by what precedes their first "/" and are uncovered. Locked
// versions are named with their dates, and so is what the server itself does with
// objects.
func (d *Driver) DataMap(ctx context.Context, s connector.Survey) (m connector.Map, err error) {
	ref := s.Ref
	if ref.Type != bucket && ref.Type != prefix {
		return m, tenure.Errorf(tenure.Invalid, "a %s can't be used with map", ref.Type)
	}
	err = with(ctx, "map "+ref.Type, func() (err error) {
		if m.Sighting, err = d.sight(ctx); err != nil || d.checkName(ref.Type, ref.Name) != nil {
			return err
		}
		at, err := d.siteOf(ref)
		if err != nil {
			return err
		}
		if ref.Resource == "" {
			if ref.Type == prefix { // a bucket that is there, and that others will share with it
				m.Places, err = d.beyond(ctx, at.bucket)
			}
			if missing(err) {
				m.Places, err = []connector.Place{{
					Name: at.bucket, Blocks: true, Says: "the shared bucket " + at.bucket + " isn't there", Fix: "make it, or correct the option shared",
				}}, nil
			}
			if err != nil || len(s.Changes) == 0 {
				return err
			}
			a, err := d.parse(ref)
			if err != nil {
				return err
			}
			changes, err := d.changePlaces(ctx, s, a, at, false)
			m.Places = append(m.Places, changes...)
			return err
		}
		a, err := d.parse(ref)
		if err != nil {
			return err
		}
		find := d.owned
		if s.Gone { // whoever put it there
			find = func(ctx context.Context, ref connector.Ref, _ bool) (thing, error) {
				return d.find(ctx, ref.Type, ref.Name, false)
			}
		}
		t, err := find(ctx, ref, false)
		if err != nil || !t.found {
			return err
		}
		m.Places, err = d.beyond(ctx, at.bucket)
		if missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		changes, err := d.changePlaces(ctx, s, a, at, s.Prove)
		m.Places = append(m.Places, changes...)
		if err != nil || s.Brief && ref.Type == bucket {
			return err
		}
		counted, err := d.count(ctx, at, a, ref.Classes)
		m.Places = append(m.Places, counted...)
		return err
	})
	return m, err
}

// count lists what is at a site.
func (d *Driver) count(ctx context.Context, at site, a attributes, classes []string) (out []connector.Place, err error) {
	locking, err := d.locking(ctx, at.bucket)
	if err != nil {
		return nil, err
	}
	byName := map[string]*connector.Place{}
	uploads := map[string]int64{}
	var part []entry
	var held []locked
	look := func() error {
		more, err := d.holds(ctx, at.bucket, part)
		held, part = append(held, more...), part[:0]
		return err
	}
	for e, err := range d.stock(ctx, at.bucket, at.below, "") {
		if err != nil {
			return nil, err
		}
		key := strings.TrimPrefix(e.key, at.below)
		class, below := a.classOf(key, classes)
		if class == "" && d.marker.IsProbe(key) {
			continue
		}
		if class == "" {
			before, _, ok := strings.Cut(key, "/")
			if below = before; ok {
				below += "/"
			}
		}
		name := cmp.Or(below, everyKey(a))
		p := byName[name]
		if p == nil {
			p = &connector.Place{Name: name, Kind: connector.PlaceFiles, Class: class, Via: "keys that begin with it"}
			if class == "" {
				p.Blocks, p.Says, p.Fix = true, fmt.Sprintf("no data class covers the keys under %q", below), "name the prefix in the attribute classes"
			}
			byName[name] = p
		}
		p.Rows++
		p.Bytes += e.size
		if e.kind == isUpload {
			uploads[name]++
		}
		if locking && e.kind == isVersion {
			if part = append(part, e); len(part) == most {
				if err := look(); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := look(); err != nil {
		return nil, err
	}
	for name, p := range byName {
		if n := uploads[name]; n > 0 && p.Says == "" {
			p.Says = fmt.Sprintf("%d of these are unfinished uploads, whose sizes the server doesn't list", n)
		}
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b connector.Place) int { return cmp.Compare(a.Name, b.Name) })
	return append(out, lockPlaces(held)...), nil
}

// everyKey names the place of the keys that no prefix of a class begins.
func everyKey(a attributes) string {
	if len(a.Classes) > 1 {
		return "(every other key)"
	}
	return "(every key)"
}

// shownLocks is how many locked versions a map names one by one.
const shownLocks = 50

// lockPlaces are the versions that can't go yet, the ones that bind longest first.
func lockPlaces(held []locked) (out []connector.Place) {
	slices.SortFunc(held, func(a, b locked) int {
		legal := func(l locked) int {
			if l.hold.legal {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(legal(a), legal(b)), b.hold.until.Compare(a.hold.until), cmp.Compare(a.entry.key, b.entry.key), cmp.Compare(a.entry.id, b.entry.id))
	})
	for i, l := range held {
		if i == shownLocks {
			out = append(out, connector.Place{
				Name: "other locked versions", Kind: connector.PlaceLock, Rows: int64(len(held) - i), Blocks: true,
				Says: fmt.Sprintf("%d more versions are locked, none for longer than those that are named", len(held)-i), Fix: "wait until they are due",
			})
			break
		}
		fix := "wait until then, or have the lock taken off where its mode allows that"
		if l.hold.legal {
			fix = "have the legal hold taken off by who set it"
		}
		out = append(out, connector.Place{
			Name: l.entry.String(), Kind: connector.PlaceLock, Rows: 1, Bytes: l.entry.size, Blocks: true, Says: "the object " + l.hold.String(), Fix: fix,
		})
	}
	return out
}

// beyond says what the server itself does with a bucket's objects: copies that it makes
// elsewhere, which no erasure here reaches, and rules by which objects go.
func (d *Driver) beyond(ctx context.Context, bucket string) (out []connector.Place, err error) {
	r, err := d.client().GetBucketReplication(ctx, bucket)
	switch {
	case err == nil:
		for _, rule := range r.Rules {
			if rule.Status != "Enabled" {
				continue
			}
			out = append(out, connector.Place{
				Name: "replication " + rule.ID, Kind: connector.PlaceForeign, Via: "a replication rule of bucket " + bucket, Blocks: true,
				Says: "objects are copied to " + rule.Destination.Bucket + ", which Tenure doesn't reach: what is deleted here by version stays there",
				Fix:  "take the rule off and have the copies erased where they are",
			})
		}
	case !unable(err) && !is(err, "ReplicationConfigurationNotFoundError", "NoSuchReplicationConfiguration"):
		return nil, err
	}
	l, err := d.client().GetBucketLifecycle(ctx, bucket)
	switch {
	case err == nil:
		for _, rule := range l.Rules {
			if rule.Status == "Enabled" {
				out = append(out, connector.Place{
					Name: "lifecycle " + rule.ID, Kind: connector.PlaceCode, Via: "a lifecycle rule of bucket " + bucket,
					Says: "the server removes or moves objects by this rule, holds or no holds",
				})
			}
		}
	case !unable(err) && !is(err, "NoSuchLifecycleConfiguration"):
		return nil, err
	}
	return out, nil
}
