package connectortest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// actor is one installation at work on a world: through the bare driver, or
// through a connector.System where system isn't nil.
type actor struct {
	t       *testing.T
	w       *World
	c       Case
	typ     tenure.ResourceType
	marker  connector.Marker
	driver  connector.Driver
	system  *connector.System
	tenant  tenure.TenantID
	secrets []string
	runs    int // erasures so far
}

func newActor(t *testing.T, w *World, c Case, mode string, m connector.Marker) *actor {
	t.Helper()
	a := &actor{t: t, w: w, c: c, marker: m, tenant: tenure.NewID[tenure.TenantID](time.Now()), secrets: []string{string(m.Key)}}
	a.typ, _ = w.Info.Type(c.Type)
	for _, s := range w.Secrets {
		a.secrets = append(a.secrets, s.Reveal())
	}
	a.open()
	fingerprint, err := a.driver.Plant(t.Context())
	a.must("plant", err)
	if mode == "system" {
		a.system = connector.NewSystem(systemName, w.Info, a.driver, fingerprint, 4)
	}
	return a
}

// open connects once more, as a process that was restarted would.
func (a *actor) open() {
	a.t.Helper()
	c := connector.Config{
		System: systemName, Options: maps.Clone(a.w.Options), Secrets: maps.Clone(a.w.Secrets), Marker: a.marker, Now: time.Now,
	}
	if a.w.Safe != nil {
		c.Safe = a.w.Safe.Of(a.marker.Installation)
	}
	d, err := a.w.Info.Open(a.t.Context(), c)
	if err != nil {
		a.t.Fatalf("open: %v", err)
	}
	a.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			a.t.Errorf("close: %v", err)
		}
	})
	a.driver = d
	if a.system != nil {
		a.system = connector.NewSystem(systemName, a.w.Info, d, a.system.Fingerprint, 4)
	}
}

// another is a second installation on the same world.
func (a *actor) another() *actor {
	a.t.Helper()
	mode := "driver"
	if a.system != nil {
		mode = "system"
	}
	return newActor(a.t, a.w, a.c, mode, newMarker(a.w))
}

// sample is a sample that no other check has seen.
func (a *actor) sample() connector.Desired {
	a.t.Helper()
	d := a.c.New(a.t, int(a.w.serial.Add(1)))
	d.Type, d.Tenant, d.Resource = a.c.Type, a.tenant, tenure.NewID[tenure.ResourceID](time.Now())
	if d.Environment == "" {
		d.Environment = "prod"
	}
	if a.typ.Credential && !a.typ.Issued && d.Credential.IsZero() {
		text := "credential-" + rand.Text()
		d.Credential = tenure.NewSecret(text)
		a.secrets = append(a.secrets, text)
	}
	return d
}

func (a *actor) renamed(d connector.Desired, name string) connector.Desired {
	if a.c.Rename != nil {
		return a.c.Rename(d, name)
	}
	d.Name = name
	return d
}

// made is a sample that is in place.
func (a *actor) made() connector.Desired {
	a.t.Helper()
	d := a.sample()
	_, _, err := a.ensure(d)
	a.must("ensure", err)
	return d
}

// checked passes an error on after looking at its form and its words.
func (a *actor) checked(call string, err error) error {
	a.t.Helper()
	if err == nil {
		return nil
	}
	var coded *tenure.Error
	if !errors.As(err, &coded) {
		a.t.Errorf("%s: %T is no *tenure.Error: %v", call, err, err)
	}
	a.silent(call, fmt.Sprintf("%v %+v %q", err, err, tenure.HintsOf(err)))
	return err
}

// silent fails if a text holds one of the secrets.
func (a *actor) silent(call, text string) {
	a.t.Helper()
	all := a.secrets
	if a.w.Safe != nil {
		all = append(slices.Clone(all), a.w.Safe.secrets()...)
	}
	for _, s := range all {
		if s != "" && strings.Contains(text, s) {
			a.t.Errorf("%s gave a secret away", call)
		}
	}
}

// says fails if a value shows one of the secrets.
func (a *actor) says(call string, v any) {
	a.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		a.t.Errorf("%s: %v", call, err)
	}
	a.silent(call, string(raw)+fmt.Sprintf("%+v", v))
}

func (a *actor) must(call string, err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("%s: %v %q", call, err, tenure.HintsOf(err))
	}
}

// refused fails unless the error has one of the codes.
func (a *actor) refused(call string, err error, codes ...tenure.Code) {
	a.t.Helper()
	for _, c := range codes {
		if err != nil && tenure.CodeOf(err) == c {
			return
		}
	}
	a.t.Errorf("%s: got error %v (%s), want %v", call, err, tenure.CodeOf(err), codes)
}

// untouched fails if f changed anything in the system.
func (a *actor) untouched(call string, f func()) {
	a.t.Helper()
	before := a.w.Look(a.t)
	f()
	if diff := cmp.Diff(before, a.w.Look(a.t)); diff != "" {
		a.t.Errorf("%s changed the system (-before +after):\n%s", call, diff)
	}
}

func (a *actor) normalise(d connector.Desired) (raw json.RawMessage, err error) {
	a.t.Helper()
	if a.system != nil {
		raw, err = a.system.Normalise(d)
	} else {
		raw, err = a.driver.Normalise(d)
	}
	a.silent("normalise", string(raw))
	return raw, a.checked("normalise", err)
}

func (a *actor) ensure(d connector.Desired) (o connector.Observed, r connector.Receipt, err error) {
	a.t.Helper()
	return a.ensureContext(a.t.Context(), d)
}

func (a *actor) ensureContext(ctx context.Context, d connector.Desired) (o connector.Observed, r connector.Receipt, err error) {
	a.t.Helper()
	if a.system != nil {
		var v tenure.Verdict
		if o, r, v, err = a.system.Ensure(ctx, d); err == nil && v != tenure.Verified {
			a.t.Errorf("ensure %s %q: verdict %q, observed %s", d.Type, d.Name, v, o.Attributes)
		}
	} else {
		o, r, err = a.driver.Ensure(ctx, d)
	}
	a.says("ensure", []any{o, r})
	return o, r, a.checked("ensure", err)
}

// observe gives one observation for each ref, in the order of the refs.
func (a *actor) observe(refs ...connector.Ref) []connector.Observed {
	a.t.Helper()
	if a.system != nil {
		seen, absent, err := a.system.Observe(a.t.Context(), refs)
		a.must("observe", a.checked("observe", err))
		if absent != tenure.Verified {
			a.t.Errorf("observe: absence is %q on a whole system", absent)
		}
		a.says("observe", seen)
		return seen
	}
	byName := map[[2]string]connector.Observed{}
	sight, err := a.driver.Observe(a.t.Context(), refs, func(o connector.Observed) error {
		if _, twice := byName[[2]string{o.Type, o.Name}]; twice {
			a.t.Errorf("observe yields %s %q twice", o.Type, o.Name)
		}
		byName[[2]string{o.Type, o.Name}] = o
		return nil
	})
	a.must("observe", a.checked("observe", err))
	if !sight.Sentinel || !sight.Complete || sight.Fingerprint == "" {
		a.t.Errorf("observe: sighting %+v of a whole system", sight)
	}
	if len(byName) != len(refs) {
		a.t.Errorf("observe: %d answers to %d refs", len(byName), len(refs))
	}
	seen := make([]connector.Observed, len(refs))
	for i, r := range refs {
		o, ok := byName[[2]string{r.Type, r.Name}]
		if !ok {
			a.t.Errorf("observe: no answer for %s %q", r.Type, r.Name)
		}
		seen[i] = o
	}
	a.says("observe", seen)
	return seen
}

func (a *actor) delete(r connector.Ref) (rec connector.Receipt, err error) {
	a.t.Helper()
	if a.system != nil {
		var v tenure.Verdict
		if rec, v, err = a.system.Delete(a.t.Context(), r); err == nil && v != tenure.Verified {
			a.t.Errorf("delete %s %q: verdict %q", r.Type, r.Name, v)
		}
	} else {
		rec, err = a.driver.Delete(a.t.Context(), r)
	}
	a.says("delete", rec)
	return rec, a.checked("delete", err)
}

func (a *actor) discover(s connector.Scope) []connector.Observed {
	a.t.Helper()
	var out []connector.Observed
	collect := func(o connector.Observed) error { out = append(out, o); return nil }
	if a.system != nil {
		trusted, err := a.system.Discover(a.t.Context(), s, collect)
		a.must("discover", a.checked("discover", err))
		a.must("discover: trust", trusted)
	} else {
		sight, err := a.driver.Discover(a.t.Context(), s, collect)
		a.must("discover", a.checked("discover", err))
		if !sight.Sentinel || !sight.Complete || sight.Fingerprint == "" {
			a.t.Errorf("discover: sighting %+v of a whole system", sight)
		}
	}
	a.says("discover", out)
	return out
}

// do runs one of the calls that take a ref and give a receipt.
func (a *actor) do(call string, r connector.Ref) (rec connector.Receipt, err error) {
	a.t.Helper()
	ctx, v := a.t.Context(), tenure.Verified
	switch {
	case a.system != nil && call == "suspend":
		rec, v, err = a.system.Suspend(ctx, r)
	case a.system != nil && call == "resume":
		rec, v, err = a.system.Resume(ctx, r)
	case a.system != nil && call == "revoke":
		rec, v, err = a.system.Revoke(ctx, r)
	case a.system != nil && call == "quarantine":
		rec, v, err = a.system.Quarantine(ctx, r)
	case a.system != nil && call == "unquarantine":
		rec, v, err = a.system.Unquarantine(ctx, r)
	case call == "suspend":
		rec, err = a.driver.(connector.Suspender).Suspend(ctx, r)
	case call == "resume":
		rec, err = a.driver.(connector.Suspender).Resume(ctx, r)
	case call == "revoke":
		rec, err = a.driver.(connector.Revoker).Revoke(ctx, r)
	case call == "quarantine":
		rec, err = a.driver.(connector.Quarantiner).Quarantine(ctx, r)
	case call == "unquarantine":
		rec, err = a.driver.(connector.Quarantiner).Unquarantine(ctx, r)
	}
	if err == nil && v != tenure.Verified {
		a.t.Errorf("%s %s %q: verdict %q", call, r.Type, r.Name, v)
	}
	a.says(call, rec)
	return rec, a.checked(call, err)
}

func (a *actor) export(r connector.Ref, w io.Writer) (rec connector.Receipt, err error) {
	a.t.Helper()
	if a.system != nil {
		rec, err = a.system.Export(a.t.Context(), r, w)
	} else {
		rec, err = a.driver.(connector.Exporter).Export(a.t.Context(), r, w)
	}
	a.says("export", rec)
	return rec, a.checked("export", err)
}

func (a *actor) erase(r connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	a.t.Helper()
	if a.system != nil {
		e, err = a.system.Erase(a.t.Context(), r, b)
	} else {
		e, err = a.driver.(connector.Eraser).Erase(a.t.Context(), r, b)
	}
	a.says("erase", e)
	return e, a.checked("erase", err)
}

// same fails unless the observation is what the desire normalises to.
func (a *actor) same(d connector.Desired, o connector.Observed) {
	a.t.Helper()
	want, err := a.normalise(d)
	a.must("normalise", err)
	if !o.Found || o.Owner != connector.Ours || o.Resource != d.Resource || o.Type != d.Type || o.Name != d.Name {
		a.t.Errorf("observed found=%t owner=%q resource=%q %s %q, want ours, %q %s %q",
			o.Found, o.Owner, o.Resource, o.Type, o.Name, d.Resource, d.Type, d.Name)
	}
	if !bytes.Equal(o.Attributes, want) {
		a.t.Errorf("attributes of %s %q (-normalised +observed):\n%s", d.Type, d.Name, cmp.Diff(string(want), string(o.Attributes)))
	}
}

// gone fails if the thing is still there.
func (a *actor) gone(r connector.Ref) {
	a.t.Helper()
	if o := a.observe(r)[0]; o.Found {
		a.t.Errorf("%s %q is still observed", r.Type, r.Name)
	}
	if a.c.Exists != nil && a.c.Exists(a.t, r) {
		a.t.Errorf("%s %q is still there, seen from outside", r.Type, r.Name)
	}
}

// there fails unless the thing is as desired and, from outside, there.
func (a *actor) there(d connector.Desired) {
	a.t.Helper()
	a.same(d, a.observe(d.Ref)[0])
	if a.c.Exists != nil && !a.c.Exists(a.t, d.Ref) {
		a.t.Errorf("%s %q isn't there, seen from outside", d.Type, d.Name)
	}
}
