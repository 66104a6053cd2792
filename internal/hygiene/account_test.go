package hygiene_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/store"
)

// party stores a tenant in a state, with what other systems know it by.
func (l *look) party(name string, state tenure.TenantState, known tenure.KnownBy) tenure.TenantID {
	l.t.Helper()
	id := tenure.NewID[tenure.TenantID](start)
	l.must(l.DB.Write(context.Background(), func(tx *store.Tx) error {
		if err := tx.CreateTenant(store.TenantRow{Tenant: tenure.Tenant{ID: id, Name: name, CreatedAt: start}}); err != nil {
			return err
		}
		known, err := known.Check()
		if err != nil {
			return err
		}
		if err := tx.SetKnownBy(id, known, 0, start); err != nil {
			return err
		}
		for i := 1; i < len(path) && path[i-1] != state; i++ {
			if err := tx.MoveTenant(id, path[i-1], path[i], start); err != nil {
				return err
			}
		}
		return nil
	}))
	return id
}

// path is a life without a halt.
var path = []tenure.TenantState{
	tenure.TenantRequested, tenure.TenantValidating, tenure.TenantProvisioning, tenure.TenantActive, tenure.TenantTerminating,
	tenure.TenantRetained, tenure.TenantErasing, tenure.TenantAwaitingExpiry, tenure.TenantClosed,
}

func mail(address string) json.RawMessage { return json.RawMessage(`{"email":"` + address + `"}`) }

// hand puts an account that somebody made by hand, under another installation's eyes.
func (l *look) hand(t memory.Thing) {
	if t.Type == "" {
		t.Type = "account"
	}
	if t.CreatedAt.IsZero() {
		t.CreatedAt = start
	}
	l.world.Put(t)
}

// Accounts that somebody made beside Tenure outlive their tenant: each is told with how
// sure that is, and a neighbour's is never taken for the leaver's.
func TestGhostsByIdentity(t *testing.T) {
	l := small(t)
	known := tenure.KnownBy{Domains: []string{"acme.example"}, ExternalIDs: []string{"crm-0001"}}
	left := l.party("acme", tenure.TenantRetained, known)
	l.party("acme-2", tenure.TenantActive, tenure.KnownBy{Domains: []string{"acme.example.org", "eu.acme.example"}})
	l.party("zebra", tenure.TenantActive, tenure.KnownBy{ExternalIDs: []string{"crm-00011"}})
	for name, t := range map[string]memory.Thing{
		"a-external":     {Externals: []string{"crm-0001"}},
		"b-mail":         {Attributes: mail("Jane+ops@ACME.example.")},
		"c@acme.example": {},
		"d-acme-prod":    {},
		"e-off":          {Externals: []string{"crm-0001"}, State: tenure.ResourceSuspended},
		"acme-2-app":     {},
		"n-org":          {Attributes: mail("jane@acme.example.org")},
		"n-sub":          {Attributes: mail("jane@eu.acme.example")},
		"n-other-sub":    {Attributes: mail("jane@us.acme.example")},
		"n-longer":       {Externals: []string{"crm-00011"}},
		"n-acmee":        {},
		"n-public":       {Attributes: mail("acme@gmail.com")},
		"n-case":         {Externals: []string{"CRM-0001"}},
	} {
		t.Name = name
		l.hand(t)
	}
	var got []string
	_, err := l.Sweep(context.Background(), l.sys, left, func(f tenure.Finding) error {
		got = append(got, said(f)+" "+string(f.Confidence))
		if f.Tenant != left || len(f.Steps) == 0 {
			t.Errorf("%+v", f)
		}
		return nil
	})
	l.must(err)
	same(t, got, []string{
		"ghost_user critical account a-external account strong",
		"ghost_user high account b-mail account likely",
		"ghost_user high account c@acme.example account likely",
		"ghost_user medium account d-acme-prod account possible",
	})
}

// What two tenants could claim is nobody's, and a living tenant's account is no ghost.
func TestContestedClaimsNothing(t *testing.T) {
	l := small(t)
	both := tenure.KnownBy{Domains: []string{"group.example"}}
	left := l.party("acme", tenure.TenantClosed, both)
	l.party("beta", tenure.TenantActive, both)
	l.hand(memory.Thing{Name: "x", Attributes: mail("jane@group.example")})
	l.hand(memory.Thing{Name: "acme-beta"})
	l.look(l.Sweep, left, nil)
}

// An account is dormant when nobody signed in for longer than the window; one that never
// was counts from its making, and one whose system doesn't tell is only counted.
func TestDormant(t *testing.T) {
	l := small(t)
	l.tenant = l.party("acme", tenure.TenantActive, tenure.KnownBy{})
	l.make("account", nil, "fresh", "idle", "never", "new", "off", "silent")
	ago := func(days int) time.Time { return start.AddDate(0, 0, -days) }
	for name, change := range map[string]func(*memory.Thing){
		"fresh": func(x *memory.Thing) { x.CreatedAt, x.SeenAt = ago(500), ago(89) },
		"idle":  func(x *memory.Thing) { x.CreatedAt, x.SeenAt = ago(500), ago(91) },
		"never": func(x *memory.Thing) { x.CreatedAt = ago(91) },
		"new":   func(x *memory.Thing) { x.CreatedAt = ago(1) },
		"off":   func(x *memory.Thing) { x.CreatedAt, x.SeenAt, x.State = ago(500), ago(400), tenure.ResourceSuspended },
	} {
		l.world.Tamper("account", name, change)
	}
	sum := l.sweep("dormant_account medium account idle account", "dormant_account medium account never account")
	if sum.Accounts != 6 || sum.Untold != 1 {
		t.Errorf("%+v", sum)
	}
	l.Window = func(string) time.Duration { return 100 * 24 * time.Hour }
	l.sweep()
}

// What is named as tenants' accounts are, and is none's, is an orphan of which nobody is
// sure.
func TestOrphansByName(t *testing.T) {
	l := small(t)
	for _, name := range []string{"acme", "beta", "cedar"} {
		l.tenant = l.party(name, tenure.TenantActive, tenure.KnownBy{})
		l.make("account", nil, "svc_"+name+"_prod")
	}
	l.hand(memory.Thing{Name: "svc_dogwood_prod"})
	l.hand(memory.Thing{Name: "svc_dogwood_prod", State: tenure.ResourceSuspended, Type: "session"})
	l.hand(memory.Thing{Name: "svc_admin_prod"})
	l.hand(memory.Thing{Name: "svc_acme_prod2"})
	var got []string
	_, err := l.Sweep(context.Background(), l.sys, "", func(f tenure.Finding) error {
		if f.Confidence != "" {
			got = append(got, said(f))
		}
		return nil
	})
	l.must(err)
	same(t, got, []string{"orphan low account svc_dogwood_prod account"})
}

// An account of ours that works again after its tenant's access was cut is a ghost.
func TestGhostOfOurs(t *testing.T) {
	l := small(t)
	l.tenant = l.party("acme", tenure.TenantRetained, tenure.KnownBy{})
	ids := l.make("account", nil, "admin", "second")
	l.stands(ids[0], tenure.ResourceRevoked)
	l.sweep("ghost_user critical account admin account")
	l.world.Tamper("account", "admin", func(x *memory.Thing) { x.State = tenure.ResourceRevoked })
	l.sweep()
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
}
