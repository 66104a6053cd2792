// Package trial tries a connector that was made of a file against a system, step by step, and
// says what it saw.
package trial

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Trial is one thing that Run did and what it saw.
type Trial struct {
	Type string // "" of what is about the whole system
	Does string // in words
	Saw  string
	Bad  bool     // it isn't as the contract of a connector has it
	Sent []string // the requests, with their statuses
}

// Sample is a thing of one type that is made, cut off and deleted. One whose Name is blank
// isn't tried.
type Sample struct {
	Type       string
	Name       string
	Attributes map[string]any
	Credential bool                   // the type has one
	Can        func(call string) bool // the type has the optional call: suspend, revoke, map
}

// Subject is a connector that is tried.
type Subject struct {
	Open    func(ctx context.Context, c connector.Config, told func(string)) (connector.Driver, error) // told is told what is sent
	Samples []Sample                                                                                   // those that others lie in first
}

// Run makes, finds, changes, cuts off and deletes each sample, and tells each step as it goes.
// Afterwards it deletes the samples, also where a step failed or ctx ended, and its last
// step names those that may still be there. The sentinel, and the place of the marks, stay.
// They bear the marks of an installation that is nobody's. It is true if all was as it should
// be; an error says that it couldn't go on.
func Run(ctx context.Context, s Subject, c connector.Config, tell func(Trial)) (bool, error) {
	r := &trier{tell: tell, good: true, now: c.Now}
	c.Marker = connector.Marker{Installation: tenure.NewID[tenure.InstallationID](c.Now()), System: c.System, Key: []byte(rand.Text())}
	var err error
	if r.d, err = s.Open(ctx, c, func(line string) { r.sent = append(r.sent, line) }); err != nil {
		return false, err
	}
	defer r.d.Close()
	c.Marker.Installation, c.Marker.Key = tenure.NewID[tenure.InstallationID](c.Now()), []byte(rand.Text())
	if r.other, err = s.Open(ctx, c, func(string) {}); err != nil {
		return false, err
	}
	defer r.other.Close()

	fingerprint, err := r.d.Plant(ctx)
	r.say("", "plant the sentinel", "the system is "+fingerprint, err)
	if err != nil {
		return false, err
	}
	again, err := r.d.Plant(ctx)
	r.say("", "plant it again", "the same system", unless(err, again != fingerprint, "another fingerprint: %s", again))
	var made []try // or perhaps made
	for _, t := range s.Samples {
		if t.Name == "" {
			r.say(t.Type, "nothing: the type has no sample", "it wasn't tried", nil)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		r.one(ctx, t, fingerprint, func(want connector.Desired) { made = append(made, try{t, want}) })
	}
	slices.Reverse(made)
	var stayed []string
	for _, one := range made {
		if !r.removed(ctx, one, fingerprint) {
			stayed = append(stayed, fmt.Sprintf("%s %q", one.Type, one.want.Name))
		}
	}
	if len(stayed) > 0 {
		r.say("", "leave nothing behind", "", tenure.Errorf(tenure.Conflict, "may still be there: %s", strings.Join(stayed, ", ")))
	}
	if ctx.Err() != nil {
		return false, tenure.Errorf(tenure.Unavailable, "the trial was stopped: %w", context.Cause(ctx))
	}
	return r.good, nil
}

// tidying is how long it may take to delete one sample.
const tidying = 2 * time.Minute

type try struct {
	Sample
	want connector.Desired
}

type trier struct {
	now   func() time.Time
	d     connector.Driver
	other connector.Driver // of another installation
	tell  func(Trial)
	sent  []string
	good  bool
}

func (r *trier) say(typ, does, saw string, err error) bool {
	t := Trial{Type: typ, Does: does, Saw: saw, Sent: r.sent}
	if err != nil {
		t.Saw, t.Bad, r.good = err.Error(), true, false
	}
	r.sent = nil
	r.tell(t)
	return err == nil
}

// unless is the error, or one with words where it is wrong.
func unless(err error, wrong bool, format string, args ...any) error {
	if err == nil && wrong {
		return tenure.Errorf(tenure.Conflict, format, args...)
	}
	return err
}

func (r *trier) see(ctx context.Context, ref connector.Ref, fingerprint string) (o connector.Observed, err error) {
	sight, err := r.d.Observe(ctx, []connector.Ref{ref}, func(seen connector.Observed) error { o = seen; return nil })
	return o, unless(err, !sight.Complete || !sight.Sentinel || sight.Fingerprint != fingerprint, "the look can't be trusted: complete %t, sentinel %t, system %s", sight.Complete, sight.Sentinel, sight.Fingerprint)
}

// one tries one type and leaves its sample there, for what lies in it. Made is told of the
// sample before it is made: an attempt that fails may leave it.
func (r *trier) one(ctx context.Context, t Sample, fingerprint string, made func(connector.Desired)) {
	d := r.d
	want := connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](r.now()), Tenant: tenure.NewID[tenure.TenantID](r.now()), Environment: "try", Type: t.Type, Name: t.Name, Attributes: t.Attributes, Classes: []string{"first", "second"}}}
	if t.Credential {
		want.Credential = tenure.NewSecret("Try-" + rand.Text())
	}
	goal, err := d.Normalise(want)
	if !r.say(t.Type, "check the sample", "its attributes are "+string(goal), err) {
		return
	}
	o, err := r.see(ctx, want.Ref, fingerprint)
	if !r.say(t.Type, "look for "+want.Name, "it isn't there", unless(err, o.Found, "it is there already, and %s: choose another name for the sample", o.Owner)) {
		return
	}
	made(want)
	o, rec, err := d.Ensure(ctx, want)
	saw := "made, and read back as wanted"
	if !r.say(t.Type, "make it", saw, unless(unless(err, !rec.Changed, "it says that nothing changed"), !bytes.Equal(o.Attributes, goal), "it was read back with %s", o.Attributes)) && err != nil {
		return
	}
	o, err = r.see(ctx, want.Ref, fingerprint)
	r.say(t.Type, "look again", "it is there, ours, "+string(o.State), unless(err, !o.Found || o.Owner != connector.Ours || o.Resource != want.Resource, "found %t, owner %s", o.Found, o.Owner))
	_, rec, err = d.Ensure(ctx, want)
	r.say(t.Type, "make it once more", "nothing changed", unless(err, rec.Changed, "it says that something changed"))
	_, _, err = r.other.Ensure(ctx, want)
	r.say(t.Type, "make it as another installation", "refused: it bears our mark", unless(nil, tenure.CodeOf(err) != tenure.Conflict, "another installation isn't refused: %v", err))
	if s, ok := connector.As[connector.Suspender](d); ok && t.Can("suspend") {
		r.cut(ctx, "suspend it", want, fingerprint, s.Suspend, tenure.ResourceSuspended)
		r.cut(ctx, "resume it", want, fingerprint, s.Resume, tenure.ResourcePresent)
	}
	if s, ok := connector.As[connector.Mapper](d); ok && t.Can("map") {
		m, err := s.DataMap(ctx, connector.Survey{Ref: want.Ref})
		r.say(t.Type, "count what it holds", fmt.Sprintf("%d places", len(m.Places)), err)
	}
}

func (r *trier) cut(ctx context.Context, does string, want connector.Desired, fingerprint string, call func(context.Context, connector.Ref) (connector.Receipt, error), state tenure.ResourceState) {
	rec, err := call(ctx, want.Ref)
	err = unless(err, !rec.Changed, "it says that nothing changed")
	o := connector.Observed{}
	if err == nil {
		o, err = r.see(ctx, want.Ref, fingerprint)
	}
	r.say(want.Type, does, "it is "+string(o.State), unless(err, o.State != state, "it is %s", o.State))
}

// removed deletes a sample, also once ctx has ended, and says whether it is known to be gone.
func (r *trier) removed(ctx context.Context, t try, fingerprint string) (gone bool) {
	stopped := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidying)
	defer cancel()
	d, want := r.d, t.want
	there, err := r.see(ctx, want.Ref, fingerprint)
	if err == nil && !there.Found {
		_, err = d.Delete(ctx, want.Ref) // what the attempt to make it left beside
		r.say(want.Type, "delete what is left of it", "nothing is there", err)
		return err == nil
	}
	if stopped {
		_, err = d.Delete(ctx, want.Ref)
		r.say(want.Type, "delete it, since the trial was stopped", "the system says that it is gone", err)
		there, err = r.see(ctx, want.Ref, fingerprint)
		return r.say(want.Type, "look whether it is gone", "it isn't there", unless(err, there.Found, "it is still there"))
	}
	_, err = r.other.Delete(ctx, want.Ref)
	r.say(want.Type, "delete it as another installation", "refused: it bears our mark", unless(nil, tenure.CodeOf(err) != tenure.Conflict, "another installation isn't refused: %v", err))
	if s, ok := connector.As[connector.Revoker](d); ok && t.Can("revoke") {
		r.cut(ctx, "revoke it", want, fingerprint, s.Revoke, tenure.ResourceRevoked)
	}
	_, err = d.Delete(ctx, want.Ref)
	r.say(want.Type, "delete it", "the system says that it is gone", err)
	o, err := r.see(ctx, want.Ref, fingerprint)
	gone = r.say(want.Type, "look whether it is gone", "it isn't there", unless(err, o.Found, "it is still there"))
	_, err = d.Delete(ctx, want.Ref)
	r.say(want.Type, "delete it once more", "nothing to do", err)
	left := ""
	_, err = d.Discover(ctx, connector.Scope{Types: []string{want.Type}}, func(o connector.Observed) error {
		if o.Owner == connector.Ours {
			left = strings.TrimSpace(left + " " + o.Name)
		}
		return nil
	})
	r.say(want.Type, "look for all that bears our mark", "nothing", unless(err, left != "", "still there: %s", left))
	return gone
}
