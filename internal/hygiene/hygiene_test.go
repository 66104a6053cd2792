package hygiene_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
)

// Nothing has changed: not one finding. Drift noise is what makes people look away.
func TestNoDrift(t *testing.T) {
	l := small(t)
	l.make("store", map[string]any{"region": "eu"}, "acme")
	l.make("account", map[string]any{"roles": []any{"admin"}}, "admin")
	if sum := l.drift(); sum.Checked != 2 || !sum.Trusted {
		t.Errorf("%+v", sum)
	}
	l.sweep()
}

// A field that was changed by hand is named; what gives access weighs more.
func TestDriftOfFields(t *testing.T) {
	l := small(t)
	l.make("store", map[string]any{"region": "eu"}, "acme")
	l.make("account", map[string]any{"roles": []any{"reader"}}, "admin")
	l.world.Tamper("store", "acme", func(x *memory.Thing) { x.Attributes = json.RawMessage(`{"public":false,"region":"us"}`) })
	l.world.Tamper("account", "admin", func(x *memory.Thing) { x.Attributes = json.RawMessage(`{"roles":["owner"]}`) })
	l.drift("drift high account admin roles", "drift medium store acme region")
}

// An account that was revoked and works again is an exposure, not a nuance.
func TestAccessComesBack(t *testing.T) {
	l := small(t)
	for _, id := range append(l.make("account", nil, "admin"), l.make("store", nil, "acme")...) {
		l.stands(id, tenure.ResourceRevoked)
	}
	l.drift("exposure critical account admin state", "drift medium store acme state")
}

// What is gone is said to be gone only by a pass that proves it.
func TestAbsence(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*look)
		want  string
		trust bool
	}{
		"proven":        {func(*look) {}, "drift high store acme presence", true},
		"no sentinel":   {func(l *look) { l.world.LoseSentinel() }, "unproven_absence medium store acme presence", false},
		"hidden rights": {func(l *look) { l.world.Hide(true) }, "unproven_absence medium store acme presence", false},
		"other system":  {func(l *look) { l.sys.Fingerprint = "memory another" }, "unproven_absence medium store acme presence", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := small(t)
			l.make("store", nil, "acme")
			l.world.Remove("store", "acme")
			c.spoil(l)
			sum := l.drift(c.want)
			if sum.Trusted != c.trust || (sum.Why == "") != c.trust {
				t.Errorf("trusted %v, because %q", sum.Trusted, sum.Why)
			}
		})
	}
}

// Another's thing in a tenant's place is critical: its data may go there. One that has
// lost its mark is told apart, as it can be marked again.
func TestForeignInPlace(t *testing.T) {
	l := small(t)
	ids := l.make("store", nil, "acme", "beta", "cedar")
	l.world.Tamper("store", "acme", func(x *memory.Thing) { x.Mark = "" })
	l.world.Tamper("store", "beta", func(x *memory.Thing) { x.Mark = l.marker.Mark("store", ids[0]) })
	l.world.Tamper("store", "cedar", func(x *memory.Thing) { x.Mark = "tenure:1:rubbish" })
	l.drift("lost_mark critical store acme mark", "foreign critical store beta mark", "lost_mark critical store cedar mark")
}

// What is only planned may be absent, and drift doesn't look at it.
func TestPlannedIsNoDrift(t *testing.T) {
	l := small(t)
	ids := l.make("store", nil, "acme")
	l.stands(ids[0], tenure.ResourcePlanned)
	l.world.Remove("store", "acme")
	if sum := l.drift(); sum.Checked != 0 {
		t.Errorf("%d were checked", sum.Checked)
	}
}

// What a repair couldn't bring back stays drift: a look that was silent of it would say
// that all is well.
func TestUnknownIsComparedStill(t *testing.T) {
	l := small(t)
	ids := l.make("store", nil, "acme")
	l.world.Tamper("store", "acme", func(x *memory.Thing) { x.Attributes = json.RawMessage(`{"public":false,"region":"us"}`) })
	l.stands(ids[0], tenure.ResourceUnknown)
	l.drift("drift medium store acme region")
}

// The sweep names everything that the inventory doesn't know, as what it is, and
// keeps silent about what belongs to another installation.
func TestSweep(t *testing.T) {
	l := small(t)
	gone := append(l.make("account", nil, "ghost"), l.make("store", nil, "left")...)
	for _, id := range gone {
		l.stands(id, tenure.ResourceGone)
	}
	kept := l.make("store", nil, "kept")
	unknown := tenure.NewID[tenure.ResourceID](start)
	other := l.marker
	other.Installation = tenure.NewID[tenure.InstallationID](start)
	for name, mark := range map[string]string{
		"a-copy": l.marker.Mark("store", kept[0]), "b-forged": l.marker.Mark("cache", kept[0]), "c-malformed": "tenure:1:rubbish",
		"d-orphan": l.marker.Mark("store", unknown), "e-other": other.Mark("store", unknown), "f-unmarked": "",
	} {
		l.world.Put(memory.Thing{Type: "store", Name: name, Mark: mark})
	}
	want := []string{
		"ghost_user critical account ghost ",
		"foreign high store b-forged ",
		"foreign high store c-malformed ",
		"orphan high store d-orphan ",
		"orphan medium store f-unmarked ",
		"residue high store left ",
		"orphan medium store a-copy ", // looked at once the pass is over
	}
	l.sweep(want...)
	l.look(l.Sweep, l.tenant, []string{want[0], want[5], want[6]})
	l.look(l.Sweep, tenure.NewID[tenure.TenantID](start), nil)
}

// The ordered merge keeps its place over thousands of rows, whatever the
// database's own collation, and finds each of those that differ.
func TestMergeOfMany(t *testing.T) {
	onBoth(t, func(l *look) {
		const many = 1500
		var names []string
		for i := range many {
			names = append(names, fmt.Sprintf("%c-%04d_%c", "aBz~é"[i%4], i, 'A'+i%7))
		}
		ids := l.make("store", map[string]any{"region": "eu"}, names...)
		l.make("cache", nil, names[:50]...)
		drifted, missing, strange := 0, 0, 0
		for i, name := range names {
			switch {
			case i%100 == 7:
				l.world.Tamper("store", name, func(x *memory.Thing) { x.Attributes = json.RawMessage(`{"public":false,"region":"us"}`) })
				drifted++
			case i%100 == 8:
				l.world.Remove("store", name)
				missing++
			case i%100 == 9:
				l.world.Put(memory.Thing{Type: "store", Name: name + "-more", Mark: l.marker.Mark("store", tenure.NewID[tenure.ResourceID](start))})
				strange++
			}
		}
		kinds := make(map[string]int)
		seen := make(map[tenure.ResourceID]bool)
		sum, err := l.Drift(context.Background(), l.sys, "", func(f tenure.Finding) error {
			kinds[f.Field]++
			if seen[f.Resource] {
				l.t.Errorf("%s is found twice", f.Name)
			}
			seen[f.Resource] = true
			return nil
		})
		l.must(err)
		if sum.Checked != many+50 || !sum.Trusted || kinds["region"] != drifted || kinds["presence"] != missing || len(kinds) != 2 {
			l.t.Errorf("%+v found %v, want %d drifted and %d missing", sum, kinds, drifted, missing)
		}
		if !seen[ids[7]] || !seen[ids[8]] || seen[ids[9]] {
			l.t.Error("the findings name other resources than those that were touched")
		}
		orphans := 0
		_, err = l.Sweep(context.Background(), l.sys, "", func(f tenure.Finding) error { orphans++; return nil })
		l.must(err)
		if orphans != strange {
			l.t.Errorf("%d orphans, want %d", orphans, strange)
		}
	})
}

// A look that is broken off, by the reader or by the system, says so.
func TestBrokenOff(t *testing.T) {
	l := small(t)
	l.make("store", nil, "a", "b")
	for _, n := range []string{"a", "b"} {
		l.world.Remove("store", n)
	}
	mine := errors.New("enough")
	if _, err := l.Drift(context.Background(), l.sys, "", func(tenure.Finding) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("the reader's error is lost: %v", err)
	}
	l.world.Down(true)
	_, err := l.Drift(context.Background(), l.sys, "", func(f tenure.Finding) error {
		t.Errorf("a system that doesn't answer has given a finding: %s", said(f))
		return nil
	})
	if tenure.CodeOf(err) != tenure.Unavailable || !tenure.CanRetry(err) {
		t.Errorf("a system that is down: %v", err)
	}
}
