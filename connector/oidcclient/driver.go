package oidcclient

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// Driver is one provider.
type Driver struct {
	settings
	http    *rest.Client
	initial rest.Auth // nil if the provider asks for none
	marker  connector.Marker
	safe    connector.Safe
	now     func() time.Time

	mu sync.Mutex
	at endpoints
}

var (
	_ connector.Driver    = (*Driver)(nil)
	_ connector.Suspender = (*Driver)(nil)
	_ connector.Revoker   = (*Driver)(nil)
	_ connector.Prober    = (*Driver)(nil)
	_ connector.Checker   = (*Driver)(nil)
)

// Close lets go of idle connections.
func (d *Driver) Close() error { d.http.Close(); return nil }

func (d *Driver) fingerprint() string { return "oidc " + d.http.Base() }

// sentinelName is what people see the sentinel as.
const sentinelName = "Tenure's sentinel: a client without any right"

// Plant registers the sentinel, a client without power, unless the one that is kept is there.
func (d *Driver) Plant(ctx context.Context) (string, error) {
	k, err := d.load(ctx, "")
	if err != nil {
		return "", err
	}
	if k.Now != nil {
		if m, err := d.fetch(ctx, *k.Now); err != nil || m != nil {
			return d.fingerprint(), err
		}
	}
	mark := d.marker.Mark("sentinel", "sentinel")
	got, err := d.register(ctx, d.registered(sentinelName, mark, attributes{AuthMethod: "client_secret_basic"}, false))
	if err != nil {
		return "", err
	}
	r := got.registration
	if d.borne(got.says) != mark {
		_, err := d.remove(ctx, r)
		if err == nil {
			err = tenure.Errorf(tenure.Blocked, "the provider doesn't keep %s, which bears the owner mark", d.mark).WithHint("let it keep that field, or set the option mark to another one")
		}
		return "", err
	}
	if err := d.save(context.WithoutCancel(ctx), connector.Ref{}, kept{Name: sentinelName, Now: &r}); err != nil {
		_, _ = d.remove(context.WithoutCancel(ctx), r)
		return "", err
	}
	return d.fingerprint(), nil
}

// sighting says who the provider is, and whether the sentinel can be read.
func (d *Driver) sighting(ctx context.Context) (connector.Sighting, error) {
	if _, err := d.configuration(ctx); err != nil {
		return connector.Sighting{}, err
	}
	s := connector.Sighting{Fingerprint: d.fingerprint(), Complete: true}
	k, err := d.load(ctx, "")
	if err != nil || k.Now == nil {
		return s, err
	}
	m, err := d.fetch(ctx, *k.Now)
	if err != nil {
		return s, err
	}
	s.Sentinel = m != nil && d.borne(m) == d.marker.Mark("sentinel", "sentinel")
	return s, nil
}

// Normalise is described at connector.Driver.
func (d *Driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	a, err := read(want.Ref)
	if err != nil {
		return nil, err
	}
	return a.canonical(), nil
}

// look says how one client stands. Sure is false where absence can't be told from a
// registration that Tenure lost its access to.
func (d *Driver) look(ctx context.Context, id tenure.ResourceID, name string, k kept) (o connector.Observed, m metadata, sure bool, err error) {
	o = connector.Observed{Type: client, Name: name}
	if k.Now == nil {
		return o, nil, true, nil
	}
	if m, err = d.fetch(ctx, *k.Now); err != nil {
		return o, nil, false, err
	}
	if m == nil {
		gone, err := d.gone(ctx, k.Now.credential(k.Wanted))
		return o, nil, gone, err
	}
	o.Found, o.State, o.Metrics = true, tenure.ResourcePresent, map[string]int64{"one": 1}
	o.Resource, o.Owner = d.marker.Read(client, d.borne(m))
	if o.Owner == connector.Ours && o.Resource != id {
		o.Owner = connector.Forged // a registration is kept for one resource alone
	}
	if o.Owner != connector.Ours {
		o.Resource = ""
	}
	seen := m.observed(k.Wanted)
	switch {
	case k.State == "" || len(seen.Grants) > 0:
	case !k.Ended:
		o.Detail = "its grants were taken off, and its sessions weren't ended"
	default: // out of service, as Tenure left it
		o.State = k.State
		seen = k.Wanted
	}
	if m.text("client_name") != k.Name {
		o.Detail = "it is called " + strconv.Quote(m.text("client_name")) + " at the provider"
	}
	o.Attributes = seen.canonical()
	return o, m, true, nil
}

// width is how many registrations are read at once: each is a request of its own.
const width = 8

// Observe is described at connector.Driver. The protocol reads one client a request.
func (d *Driver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (connector.Sighting, error) {
	s, err := d.sighting(ctx)
	if err != nil {
		return s, err
	}
	all := make([]connector.Observed, len(refs))
	sure := make([]bool, len(refs))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(width)
	for i, r := range refs {
		group.Go(func() error {
			k, err := d.load(inner, r.Resource)
			if tenure.CodeOf(err) == tenure.NotFound {
				all[i] = connector.Observed{Type: r.Type, Name: r.Name, Detail: "the key of what is kept of it was destroyed"}
				return nil
			}
			if err == nil {
				all[i], _, sure[i], err = d.look(inner, r.Resource, r.Name, k)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return s, err
	}
	s.Complete = !slices.Contains(sure, false)
	for _, o := range all {
		if err := yield(o); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Discover is described at connector.Driver. It sees what something is kept of: the
// protocol lists nothing.
func (d *Driver) Discover(ctx context.Context, scope connector.Scope, yield func(connector.Observed) error) (connector.Sighting, error) {
	s, err := d.sighting(ctx)
	if err != nil || len(scope.Types) > 0 && !slices.Contains(scope.Types, client) {
		return s, err
	}
	var refs []connector.Ref
	err = d.safe.Each(ctx, func(id tenure.ResourceID, i connector.Issued) error {
		var k kept
		if err := json.Unmarshal([]byte(i.Note.Reveal()), &k); err != nil {
			return tenure.Errorf(tenure.Internal, "what is kept of %s can't be read", id)
		}
		if k.Now != nil && (scope.Tenant == "" || scope.Tenant == k.Tenant) {
			refs = append(refs, connector.Ref{Resource: id, Type: client, Name: k.Name})
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	slices.SortFunc(refs, func(a, b connector.Ref) int { return strings.Compare(a.Name, b.Name) })
	return d.Observe(ctx, refs, func(o connector.Observed) error {
		if !o.Found {
			return nil
		}
		return yield(o)
	})
}

// mine reads what is kept of a resource and how it stands. What bears another mark is
// Conflict, and what can't be told from it Blocked.
func (d *Driver) mine(ctx context.Context, r connector.Ref) (k kept, o connector.Observed, err error) {
	if _, err := read(r); err != nil {
		return k, o, err
	}
	if k, err = d.load(ctx, r.Resource); err != nil {
		return k, o, err
	}
	o, m, sure, err := d.look(ctx, r.Resource, r.Name, k)
	switch {
	case err != nil:
	case !sure:
		err = tenure.Errorf(tenure.Blocked, "client %q: the provider refuses the token that manages its registration, and the client still authenticates", r.Name).
			WithHint("delete client %s at the provider", k.Now.Client)
	case m != nil && o.Owner != connector.Ours:
		err = tenure.Errorf(tenure.Conflict, "client %q bears another mark (%s)", r.Name, o.Owner)
	}
	return k, o, err
}

// Ensure is described at connector.Driver.
func (d *Driver) Ensure(ctx context.Context, want connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	goal, err := read(want.Ref)
	if err != nil {
		return o, rec, err
	}
	if _, err := d.configuration(ctx); err != nil {
		return o, rec, err
	}
	k, o, err := d.mine(ctx, want.Ref)
	if err != nil {
		return o, rec, err
	}
	fresh := !want.Reissue.IsZero() && k.Now != nil && k.Issued < want.Reissue.UnixMicro()
	if k.State == tenure.ResourceRevoked && !fresh && o.Found {
		return o, rec, tenure.Errorf(tenure.Conflict, "client %q was revoked; it comes back only as a new one", want.Name)
	}
	k.Name, k.Tenant = want.Name, want.Tenant
	if !o.Found || fresh {
		if o.Found {
			k.Old = append(k.Old, *k.Now)
		}
		k.Now, k.State, k.Ended, k.Wanted = nil, "", false, goal
		if err := d.make(ctx, want.Ref, &k); err != nil {
			return o, rec, err
		}
		rec.Changed = true
	}
	if o, _, _, err = d.look(ctx, want.Resource, want.Name, k); err != nil {
		return o, rec, err
	}
	renamed := o.Detail != ""
	if k.State == "" && (renamed || !bytes.Equal(o.Attributes, goal.canonical())) || !bytes.Equal(k.Wanted.canonical(), goal.canonical()) {
		rec.Changed, k.Wanted = true, goal
		if err := d.save(ctx, want.Ref, k); err != nil {
			return o, rec, err
		}
		if k.State == "" {
			if err := d.bring(ctx, want.Ref, &k, true); err != nil {
				return o, rec, err
			}
		}
		if o, _, _, err = d.look(ctx, want.Resource, want.Name, k); err != nil {
			return o, rec, err
		}
	}
	if err := d.retire(ctx, want.Ref, &k, &rec); err != nil {
		return o, rec, err
	}
	rec.Facts = k.facts()
	return o, rec, nil
}

// facts are what a receipt says of the client: its public id, and what was lost.
func (k kept) facts() map[string]string {
	out := map[string]string{}
	if k.Now != nil {
		out["client"] = k.Now.Client
	}
	if lost := k.Asked - k.Heard; lost > 0 {
		out["registrations without an answer"] = strconv.Itoa(lost)
	}
	return out
}

// make registers a client without power and keeps what the provider issued for it. Asked
// stays raised for one that may be left at the provider.
func (d *Driver) make(ctx context.Context, r connector.Ref, k *kept) error {
	k.Asked++
	if err := d.save(ctx, r, *k); err != nil {
		return err
	}
	got, err := d.register(ctx, d.registered(r.Name, d.marker.Mark(client, r.Resource), k.Wanted, false))
	if err != nil {
		if !got.left {
			k.Asked--
			_ = d.save(context.WithoutCancel(ctx), r, *k)
		}
		return err
	}
	k.Heard++
	k.Now, k.Issued = &got.registration, d.now().UnixMicro()
	return d.save(context.WithoutCancel(ctx), r, *k)
}

// bring gives the client its power, or takes it off, and keeps what the provider issued anew.
func (d *Driver) bring(ctx context.Context, r connector.Ref, k *kept, power bool) error {
	got, err := d.replace(ctx, *k.Now, d.registered(r.Name, d.marker.Mark(client, r.Resource), k.Wanted, power))
	if err != nil {
		return err
	}
	if got == *k.Now {
		return nil
	}
	k.Now = &got
	return d.save(context.WithoutCancel(ctx), r, *k)
}

// retire deletes the clients that a new one has replaced.
func (d *Driver) retire(ctx context.Context, r connector.Ref, k *kept, rec *connector.Receipt) error {
	for len(k.Old) > 0 {
		if _, err := d.drop(ctx, k.Old[0], k.Wanted); err != nil {
			return err
		}
		k.Old, rec.Changed = k.Old[1:], true
		if err := d.save(ctx, r, *k); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes a registration and sees that the client is gone.
func (d *Driver) drop(ctx context.Context, r registration, a attributes) (bool, error) {
	if err := d.end(ctx, r.Client); err != nil {
		return false, err
	}
	was, err := d.remove(ctx, r)
	if err != nil {
		return was, err
	}
	switch gone, err := d.gone(ctx, r.credential(a)); {
	case err != nil:
		return was, err
	case !gone:
		return was, tenure.Errorf(tenure.Blocked, "client %s was deleted, and the provider still takes it", r.Client).WithHint("look at it at the provider")
	}
	return was, nil
}

// Delete is described at connector.Driver.
func (d *Driver) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	if _, err := d.configuration(ctx); err != nil {
		return rec, err
	}
	k, o, err := d.mine(ctx, r)
	if err != nil {
		return rec, err
	}
	if err := d.retire(ctx, r, &k, &rec); err != nil {
		return rec, err
	}
	rec.Facts = k.facts()
	if !o.Found {
		return rec, nil
	}
	if rec.Changed, err = d.drop(ctx, *k.Now, k.Wanted); err != nil {
		return rec, err
	}
	d.tell(&rec)
	return rec, nil
}
