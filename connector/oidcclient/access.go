package oidcclient

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// tell says in a receipt until when tokens may live that nobody asks the provider about.
func (d *Driver) tell(rec *connector.Receipt) {
	if d.life.IsZero() {
		return
	}
	if rec.Facts == nil {
		rec.Facts = map[string]string{}
	}
	rec.Facts["tokens may live until"] = d.life.After(d.now()).UTC().Format("2006-01-02T15:04:05Z")
}

// end ends a client's sessions and grants where the provider has a way to do that.
func (d *Driver) end(ctx context.Context, clientID string) error {
	if d.ends == "" {
		return nil
	}
	path := strings.ReplaceAll(d.ends, "{client_id}", url.PathEscape(clientID))
	a, err := d.http.As(d.settings.end).Send(ctx, rest.Request{Method: http.MethodPost, Path: path, Again: true})
	if err != nil {
		return err
	}
	if a.OK() || a.OK(http.StatusNotFound, http.StatusGone) {
		return nil
	}
	return a.Err()
}

// out takes a client out of service: no grant, no redirect address, its sessions ended. It
// is out only once all of that is done; what failed on the way is done by the next call.
func (d *Driver) out(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	k, o, err := d.mine(ctx, r)
	switch {
	case err != nil:
		return rec, err
	case !o.Found && as == tenure.ResourceRevoked:
		return rec, nil
	case !o.Found:
		return rec, tenure.Errorf(tenure.NotFound, "client %q isn't there", r.Name)
	case o.State == as || o.State == tenure.ResourceRevoked:
		return rec, nil
	}
	if k.State != tenure.ResourceRevoked { // a revocation that isn't complete stays one
		k.State = as
	}
	k.Ended = false
	if err := d.save(ctx, r, k); err != nil {
		return rec, err
	}
	rec.Changed = true
	if err := d.bring(ctx, r, &k, false); err != nil {
		return rec, err
	}
	if err := d.end(ctx, k.Now.Client); err != nil {
		return rec, err
	}
	k.Ended = true
	if err := d.save(context.WithoutCancel(ctx), r, k); err != nil {
		return rec, err
	}
	d.tell(&rec)
	return rec, nil
}

// Suspend is described at connector.Suspender.
func (d *Driver) Suspend(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.out(ctx, r, tenure.ResourceSuspended)
}

// Revoke is described at connector.Revoker. The registration stays, so that it can be seen
// to be without power; a new client takes its place when it is reinstated.
func (d *Driver) Revoke(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return d.out(ctx, r, tenure.ResourceRevoked)
}

// Resume is described at connector.Suspender.
func (d *Driver) Resume(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	k, o, err := d.mine(ctx, r)
	switch {
	case err != nil:
		return rec, err
	case !o.Found:
		return rec, tenure.Errorf(tenure.NotFound, "client %q isn't there", r.Name)
	case k.State == tenure.ResourceRevoked:
		return rec, tenure.Errorf(tenure.Conflict, "client %q is revoked and can't be resumed", r.Name)
	case o.State == tenure.ResourcePresent && k.State == "":
		return rec, nil
	}
	rec.Changed = true
	if err := d.bring(ctx, r, &k, true); err != nil {
		return rec, err
	}
	k.State, k.Ended = "", false
	return rec, d.save(ctx, r, k)
}
