package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/statement"
	"github.com/tenurehq/tenure/internal/store"
)

// soughtKey is the evidence key under which a closed tenant's name and those of its
// resources are sealed: one for each tenant, so that its end is theirs.
func soughtKey(tenant tenure.TenantID) keystore.KeySpec {
	return keystore.KeySpec{Tenant: tenant, Purpose: keystore.Evidence, Class: "sought"}
}

// sealed is what a box holds: what it takes to find a resource's data again, and whose
// it was.
type sealed struct {
	TenantName  string          `json:"tenantName"`
	Name        string          `json:"name"`
	Environment string          `json:"environment,omitempty"`
	Key         string          `json:"key"`
	Layer       tenure.Layer    `json:"layer"`
	Desired     json.RawMessage `json:"desired,omitempty"`
	Classes     []string        `json:"classes,omitempty"`
	Keep        bool            `json:"keep,omitempty"` // the record itself stays, and bears no mark
}

// keepSought seals what it takes to find the data of a tenant that has closed, before
// Tenure's own rows forget it.
func (s *Service) keepSought(ctx context.Context, t *engine.Task) ([]store.Sought, error) {
	if t.Plan.Kind != tenure.Offboard || len(t.Plan.Resources) == 0 {
		return nil, nil
	}
	key, err := s.o.Keys.Create(ctx, soughtKey(t.Plan.Tenant))
	if err != nil {
		return nil, err
	}
	aead, err := s.o.Keys.AEAD(ctx, key)
	if err != nil {
		return nil, err
	}
	steps, err := s.o.DB.Steps(ctx, t.Operation.ID)
	if err != nil {
		return nil, err
	}
	places := statement.Places(t.Plan, steps)
	var out []store.Sought
	for i := range t.Plan.Resources {
		pr := &t.Plan.Resources[i]
		desired, err := tenure.Canonical(pr.Desired)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(sealed{TenantName: t.Plan.Name, Name: pr.Name, Environment: pr.Environment, Key: pr.Key, Layer: pr.Layer, Desired: desired, Classes: pr.Classes, Keep: pr.Keep})
		if err != nil {
			return nil, tenure.Errorf(tenure.Internal, "seal the name and key of a closed tenant's resource: %w", err)
		}
		box, err := aead.Encrypt(text, []byte(pr.ID))
		if err != nil {
			return nil, tenure.Errorf(tenure.Internal, "seal the name and key of a closed tenant's resource: %w", err)
		}
		row := store.Sought{Resource: pr.ID, Tenant: t.Plan.Tenant, System: pr.System, Type: pr.Type, Key: string(key), Box: box, ExpiresAt: s.soughtUntil(t.Now), LookedAt: t.Now}
		if sys, err := s.system(ctx, pr.System); err == nil {
			if typ, _ := sys.Info.Type(pr.Type); !typ.Whole {
				row.Places = inClear(places[pr.ID], t.Plan.Name, pr.Name)
			}
		}
		out = append(out, row)
	}
	return out, nil
}

// soughtUntil is when the key that seals what is sought is destroyed.
func (s *Service) soughtUntil(now time.Time) time.Time {
	if s.o.SoughtFor.IsZero() {
		return now.AddDate(2, 0, 0)
	}
	return s.o.SoughtFor.After(now)
}

// inClear leaves out the places whose names would tell who the tenant was.
func inClear(places []string, secret ...string) []string {
	return slices.DeleteFunc(slices.Clone(places), func(p string) bool {
		return strings.ContainsAny(p, "\n") || slices.ContainsFunc(secret, func(name string) bool { return name != "" && strings.Contains(p, name) })
	})
}

// unseal opens a box, only for a look at the places or a supplementary plan.
func (s *Service) unseal(ctx context.Context, row store.Sought) (r tenure.Resource, v sealed, err error) {
	aead, err := s.o.Keys.AEAD(ctx, keystore.KeyID(row.Key))
	if err != nil {
		return r, v, err
	}
	text, err := aead.Decrypt(row.Box, []byte(row.Resource))
	if err != nil {
		return r, v, tenure.Errorf(tenure.Blocked, "the sealed name and key of %s can't be opened: %w", row.Resource, err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return r, v, tenure.Errorf(tenure.Internal, "the sealed name and key of %s: %w", row.Resource, err)
	}
	return tenure.Resource{
		ID: row.Resource, Tenant: row.Tenant, Environment: v.Environment, Key: v.Key, System: row.System, Type: row.Type, Name: v.Name, Layer: v.Layer,
		State: tenure.ResourceGone, Desired: v.Desired, Classes: v.Classes,
	}, v, nil
}

// returned looks at the places of closed tenants in a system, also where marks were
// lost, and returns a finding for each at which there is something again. What another
// tenant has there by now is that tenant's.
func (s *Service) returned(ctx context.Context, sys *connector.System, tenant tenure.TenantID) ([]tenure.Finding, error) {
	rows, err := s.o.DB.Sought(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var out []tenure.Finding
	for _, row := range rows {
		if row.System != sys.Name || len(row.Box) == 0 {
			continue
		}
		r, box, err := s.unseal(ctx, row)
		if err != nil {
			return nil, err
		}
		taken, err := s.o.DB.Occupied(ctx, row.System, row.Type, r.Name)
		if err != nil {
			return nil, err
		}
		if taken {
			continue
		}
		found, err := s.stands(ctx, sys, r, box.Keep)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			out = append(out, s.cameBack(row, p, box.TenantName, r.Name))
		}
	}
	return out, nil
}

// stands returns what is there of a resource that should be gone. A record that is kept is
// back only if it bears the mark again.
func (s *Service) stands(ctx context.Context, sys *connector.System, r tenure.Resource, keep bool) (found []connector.Place, err error) {
	err = s.look.Maps(ctx, []tenure.Resource{r}, nil, connector.Survey{Gone: true}, func(v hygiene.Map) error {
		for _, p := range v.Places {
			if p.IsData() && p.Rows > 0 {
				found = append(found, p)
			}
		}
		return nil
	})
	if err != nil || len(found) > 0 {
		return found, err
	}
	seen, _, err := sys.Observe(ctx, []connector.Ref{connector.RefOf(r)})
	if err != nil {
		return nil, err
	}
	if o := seen[0]; o.Found && o.Owner != connector.Others && (!keep || o.Owner != connector.Unmarked) && (o.Owner != connector.Ours || o.Resource == r.ID) {
		found = append(found, connector.Place{})
	}
	return found, nil
}

// cameBack is the finding of what is back at a closed tenant's place. It names nobody.
func (s *Service) cameBack(row store.Sought, p connector.Place, secret ...string) tenure.Finding {
	now := s.Now()
	where := "in its place"
	if len(inClear([]string{p.Name}, secret...)) == 1 && p.Name != "" {
		where = "in " + p.Name
	}
	one, many := "row is", "rows are"
	if p.Kind == connector.PlaceObjects {
		one, many = "large object is", "large objects are"
	} else if p.Kind == connector.PlaceFiles {
		one, many = "object is", "objects are"
	}
	what := plural(int(p.Rows), one, many) + " back " + where
	if p.Rows == 0 {
		what = "a resource of type " + row.Type + " is back in its place"
	}
	return tenure.Finding{
		ID: tenure.NewID[tenure.FindingID](now), Kind: tenure.FindingResidue, Severity: tenure.Critical, Tenant: row.Tenant, Resource: row.Resource,
		System: row.System, Type: row.Type, Field: where, Got: fmt.Sprint(p.Rows), SeenAt: now,
		Detail: fmt.Sprintf("%s in system %s, after the tenant had closed; see how to take it away: tenure plan supplement %s", what, row.System, row.Tenant),
	}
}

// reopenable are the resources of a closed tenant at whose places a fresh look finds
// something; Conflict if it finds nothing.
func (s *Service) reopenable(ctx context.Context, tenant tenure.TenantID) (out []tenure.Resource, tenantName string, err error) {
	rows, err := s.o.DB.Sought(ctx, tenant)
	if err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		if len(row.Box) == 0 {
			return nil, "", tenure.Errorf(tenure.Blocked, "the name and key by which this tenant's data could be found were destroyed: their retention has ended").
				WithHint("what is there now has to be found and removed by hand")
		}
		sys, err := s.system(ctx, row.System)
		if err != nil {
			return nil, "", err
		}
		r, box, err := s.unseal(ctx, row)
		if err != nil {
			return nil, "", err
		}
		tenantName = box.TenantName
		taken, err := s.o.DB.Occupied(ctx, row.System, row.Type, r.Name)
		if err != nil {
			return nil, "", err
		}
		if taken {
			continue
		}
		found, err := s.stands(ctx, sys, r, box.Keep)
		if err != nil {
			return nil, "", err
		}
		if len(found) > 0 {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil, "", tenure.Errorf(tenure.Conflict, "there is nothing to do: nothing of this tenant is back")
	}
	return out, tenantName, nil
}

const (
	soughtEvery = 24 * time.Hour // how often each closed tenant's places are looked at
	soughtLot   = 20             // tenants in one turn of the clock
	unstarted   = 72 * time.Hour // how long a supplementary plan that nobody starts names a closed tenant
)

// TickSought looks at the places of closed tenants once a day. When the retention of
// what it needs for that ends, it destroys the key that seals it and logs that.
func (s *Service) TickSought(ctx context.Context, now time.Time) error {
	ended, err := s.o.DB.SoughtUntil(ctx, now, soughtLot)
	if err != nil {
		return err
	}
	var failed []error // one tenant's trouble mustn't keep the others from their turn
	for _, id := range ended {
		failed = append(failed, s.endSought(ctx, id))
	}
	due, err := s.o.DB.SoughtSince(ctx, now.Add(-soughtEvery), soughtLot)
	if err != nil {
		return err
	}
	for _, id := range due {
		failed = append(failed, s.lookAtClosed(ctx, id, now))
	}
	return errors.Join(failed...)
}

// lookAtClosed looks at one closed tenant's places. A system that doesn't answer is
// asked again the next day; the sweep says that it couldn't be asked.
func (s *Service) lookAtClosed(ctx context.Context, id tenure.TenantID, now time.Time) error {
	rows, err := s.o.DB.Sought(ctx, id)
	if err != nil {
		return err
	}
	var names []string
	for _, r := range rows {
		if !slices.Contains(names, r.System) {
			names = append(names, r.System)
		}
	}
	for _, name := range names {
		sys, err := s.system(ctx, name)
		if err != nil {
			continue
		}
		found, err := s.returned(ctx, sys, id)
		if err != nil {
			continue
		}
		if err := s.o.DB.Write(ctx, func(tx *store.Tx) error { return saveFindings(tx, found) }); err != nil {
			return err
		}
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.ForgetPlans(id, now.Add(-unstarted)); err != nil {
			return err
		}
		return tx.LookedAtSought(id, now)
	})
}

func (s *Service) endSought(ctx context.Context, id tenure.TenantID) error {
	key := soughtKey(id).ID()
	if _, err := s.o.Keys.Destroy(ctx, key); err != nil && tenure.CodeOf(err) != tenure.NotFound {
		return err
	}
	e, err := s.entry(ctx, "sought.end", "", id, "", string(id), map[string]string{"key": string(key), "why": "the retention of the sealed name and key has ended"})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.EndSought(id); err != nil {
			return err
		}
		if err := tx.EndKnown(id); err != nil {
			return err
		}
		return tx.Log(e)
	})
}
