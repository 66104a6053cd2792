package s3

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// atOnce is how many requests one call makes at once; tries, how often the library
// tries one.
const (
	atOnce = 8
	tries  = 3
)

// Driver is one server, seen with one key.
type Driver struct {
	endpoint, admin *url.URL
	region          string
	access, secret  string
	own, names      string
	shared          []base
	users           bool
	marker          connector.Marker
	now             func() time.Time

	transport *http.Transport
	careful   *careful
}

var (
	_ connector.Driver      = (*Driver)(nil)
	_ connector.Adopter     = (*Driver)(nil)
	_ connector.Secluder    = (*Driver)(nil)
	_ connector.Suspender   = (*Driver)(nil)
	_ connector.Revoker     = (*Driver)(nil)
	_ connector.Quarantiner = (*Driver)(nil)
	_ connector.Exporter    = (*Driver)(nil)
	_ connector.Eraser      = (*Driver)(nil)
	_ connector.Mapper      = (*Driver)(nil)
	_ connector.Prober      = (*Driver)(nil)
)

// Close lets idle connections go.
func (d *Driver) Close() error {
	d.transport.CloseIdleConnections()
	return nil
}

// with runs a call and gives its error a code.
func with(ctx context.Context, call string, f func() error) error {
	if ctx.Err() != nil {
		return classify(call, context.Cause(ctx))
	}
	return classify(call, f())
}

// Normalise gives the attributes as they will be observed.
func (d *Driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	a, err := d.parse(want.Ref)
	if err != nil {
		return nil, err
	}
	return a.shown(want.Type, want.Name)
}

// thing is one thing as it stands: whose, and what can be said of it.
type thing struct {
	found    bool
	owner    connector.Ownership
	rec      *record           // what its mark says, if it is ours
	resource tenure.ResourceID // "" unless ours
	state    tenure.ResourceState
	user     listedUser
	intent   bool // ours by what Tenure wrote down before it made it: it isn't marked yet
	shown    json.RawMessage
	detail   string
}

func (d *Driver) observed(typ, name string, t thing) connector.Observed {
	o := connector.Observed{Type: typ, Name: name, Found: t.found}
	if !t.found {
		return o
	}
	o.Owner, o.Resource, o.State, o.Attributes, o.Detail = t.owner, t.resource, t.state, t.shown, t.detail
	if o.Attributes == nil {
		o.Attributes = json.RawMessage("{}")
	}
	return o
}

// find reads one thing. A name that can't be one of ours is absent. With attributes it
// reads all that Observe shows.
func (d *Driver) find(ctx context.Context, typ, name string, attributes bool) (thing, error) {
	return d.findAmong(ctx, typ, name, attributes, d.roles)
}

// findAmong is find for one of many: the server's users are listed once for all.
func (d *Driver) findAmong(ctx context.Context, typ, name string, attributes bool, users lister) (thing, error) {
	switch {
	case typ == bucket && d.checkName(typ, name) == nil:
		return d.findBucket(ctx, name, attributes)
	case typ == prefix && d.checkName(typ, name) == nil:
		return d.findPrefix(ctx, name)
	case typ == user && d.users && d.checkName(typ, name) == nil:
		return d.findUser(ctx, name, users)
	}
	return thing{}, nil
}

// owned finds a thing and refuses one that isn't the ref's. An absent one is no error.
func (d *Driver) owned(ctx context.Context, ref connector.Ref, attributes bool) (thing, error) {
	t, err := d.find(ctx, ref.Type, ref.Name, attributes)
	switch {
	case err != nil || !t.found:
		return t, err
	case t.owner != connector.Ours:
		return t, tenure.Errorf(tenure.Conflict, "%s %q is there and isn't ours: its mark is %s", ref.Type, ref.Name, t.owner).
			WithHint("choose another name, or have its owner move it away")
	case t.resource != ref.Resource:
		return t, tenure.Errorf(tenure.Conflict, "%s %q belongs to resource %s", ref.Type, ref.Name, t.resource)
	}
	return t, nil
}

// Observe reads each thing, several at a time; S3 has no bulk query for what it tells.
func (d *Driver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (g connector.Sighting, err error) {
	var stop error
	err = with(ctx, "observe", func() error {
		if g, err = d.sight(ctx); err != nil {
			return err
		}
		var mu sync.Mutex
		users := once(d.roles)
		return each(ctx, refs, func(ctx context.Context, ref connector.Ref) error {
			t, err := d.findAmong(ctx, ref.Type, ref.Name, true, users)
			if err == nil && t.found && ref.Type == bucket && t.owner == connector.Unmarked {
				t, err = d.unmarked(ctx, ref.Name, t)
			}
			mu.Lock()
			defer mu.Unlock()
			if stop != nil {
				return stop
			}
			if denied(err) {
				g.Complete = false
				t = thing{found: true, owner: connector.Unmarked, state: tenure.ResourcePresent, detail: "it can't be read: the credential lacks rights"}
			} else if err != nil {
				return err
			}
			stop = yield(d.observed(ref.Type, ref.Name, t))
			return stop
		})
	})
	if stop != nil {
		return connector.Sighting{}, stop
	}
	return g, err
}

// each runs f on all, several at a time, until one fails.
func each[T any](ctx context.Context, all []T, f func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, v := range all {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			if err := f(ctx, v); err != nil {
				cancel(err)
			}
			<-slots
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Discover yields the buckets and users that bear a mark or have a tenant's name, and
// all that stands at the places of prefixes.
func (d *Driver) Discover(ctx context.Context, s connector.Scope, yield func(connector.Observed) error) (g connector.Sighting, err error) {
	var stop error
	err = with(ctx, "discover", func() error {
		if g, err = d.sight(ctx); err != nil {
			return err
		}
		for _, kind := range []struct {
			typ  string
			list func(context.Context) ([]string, error)
		}{{bucket, d.listBuckets}, {prefix, d.listPrefixes}, {user, d.listUsers}} {
			if len(s.Types) > 0 && !slices.Contains(s.Types, kind.typ) {
				continue
			}
			names, err := kind.list(ctx)
			if denied(err) {
				g.Complete = false
				continue
			}
			if err != nil {
				return err
			}
			slices.Sort(names)
			for part := range slices.Chunk(slices.Compact(names), 256) {
				whole, err := d.discover(ctx, kind.typ, part, s.Tenant, func(o connector.Observed) error {
					stop = yield(o)
					return stop
				})
				g.Complete = g.Complete && whole
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if stop != nil {
		return connector.Sighting{}, stop
	}
	return g, err
}

// discover reads some things of a type and yields them in order.
func (d *Driver) discover(ctx context.Context, typ string, names []string, tenant tenure.TenantID, yield func(connector.Observed) error) (whole bool, err error) {
	found := make([]thing, len(names))
	index := make([]int, len(names))
	for i := range index {
		index[i] = i
	}
	var mu sync.Mutex
	users := once(d.roles)
	whole = true
	err = each(ctx, index, func(ctx context.Context, i int) error {
		t, err := d.look(ctx, typ, names[i], users)
		if denied(err) {
			mu.Lock()
			whole = false
			mu.Unlock()
			return nil
		}
		found[i] = t
		return err
	})
	if err != nil {
		return false, err
	}
	for i, t := range found {
		strange := t.owner == connector.Unmarked && typ != prefix && (d.names == "" || !strings.HasPrefix(names[i], d.names))
		if !t.found || strange || tenant != "" && t.rec != nil && t.rec.Tenant != "" && t.rec.Tenant != tenant {
			continue
		}
		if err := yield(d.observed(typ, names[i], t)); err != nil {
			return false, err
		}
	}
	return whole, nil
}

// look is find for a name that the server gave, which may be none of ours.
func (d *Driver) look(ctx context.Context, typ, name string, users lister) (thing, error) {
	if d.checkName(typ, name) != nil {
		return thing{found: true, owner: connector.Unmarked, state: tenure.ResourcePresent}, nil
	}
	return d.findAmong(ctx, typ, name, true, users)
}

// lister gives the server's users.
type lister func(context.Context) (map[string]listedUser, error)

// once asks when it is asked first, and gives that answer again.
func once(list lister) lister {
	var mu sync.Mutex
	var roles map[string]listedUser
	return func(ctx context.Context) (map[string]listedUser, error) {
		mu.Lock()
		defer mu.Unlock()
		if roles != nil {
			return roles, nil
		}
		got, err := list(ctx)
		if err == nil {
			roles = got
		}
		return got, err
	}
}

// Ensure creates the thing or brings it to desired.
func (d *Driver) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	a, err := d.parse(want.Ref)
	if err != nil {
		return o, rec, err
	}
	err = with(ctx, "ensure "+want.Type, func() error {
		t, err := d.owned(ctx, want.Ref, true)
		if err != nil {
			return err
		}
		if err := d.ready(ctx); err != nil {
			return err
		}
		switch want.Type {
		case bucket:
			rec, err = d.ensureBucket(ctx, want.Ref, t, a)
		case prefix:
			rec, err = d.ensurePrefix(ctx, want.Ref, t)
		default:
			rec, err = d.ensureUser(ctx, want, t)
		}
		if err != nil {
			return err
		}
		t, err = d.find(ctx, want.Type, want.Name, true)
		o = d.observed(want.Type, want.Name, t)
		return err
	})
	return o, rec, err
}

// Delete removes the thing, and its mark or record last. It is repeated safely at any
// point.
func (d *Driver) Delete(ctx context.Context, ref connector.Ref) (rec connector.Receipt, err error) {
	if d.checkName(ref.Type, ref.Name) != nil {
		return rec, nil // such a thing was never made
	}
	err = with(ctx, "delete "+ref.Type, func() error {
		t, err := d.owned(ctx, ref, false)
		if err != nil {
			return err
		}
		switch {
		case ref.Type == bucket:
			rec, err = d.deleteBucket(ctx, ref, t)
		case ref.Type == user:
			rec, err = d.deleteUser(ctx, ref, t)
		case t.found:
			rec, err = d.deletePrefix(ctx, ref)
		}
		if err == nil {
			err = d.forgetPassed(ctx, ref.Resource)
		}
		return err
	})
	return rec, err
}

// Adopt is described at connector.Adopter.
func (d *Driver) Adopt(ctx context.Context, ref connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	if _, err := d.parse(ref); err != nil {
		return rec, err
	}
	err = with(ctx, "adopt "+ref.Type, func() error {
		t, err := d.find(ctx, ref.Type, ref.Name, false)
		switch {
		case err != nil:
			return err
		case !t.found:
			return tenure.Errorf(tenure.NotFound, "%s %q isn't there", ref.Type, ref.Name)
		case t.owner == connector.Ours && t.resource == ref.Resource:
			return nil
		case t.owner == connector.Ours, t.owner == connector.Others:
			return tenure.Errorf(tenure.Conflict, "%s %q bears another mark (%s)", ref.Type, ref.Name, t.owner)
		}
		fresh := d.recordOf(ref)
		if as == tenure.ResourceQuarantined && ref.Type == bucket || as == tenure.ResourceRevoked && ref.Type == user {
			fresh.State = as
		}
		rec.Changed = true
		return d.keep(ctx, fresh, false)
	})
	return rec, err
}
