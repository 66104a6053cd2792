// Package hygiene looks at systems as they are: what has drifted from the
// inventory, what bears the installation's mark and isn't in it, and what a
// tenant that has gone has left behind, and what the live catalogs show that no
// data class covers. It reads in bulk and changes no system.
package hygiene

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// Looker compares one store with systems.
type Looker struct {
	DB     *store.DB
	Now    func() time.Time
	System func(ctx context.Context, name string) (*connector.System, error) // for data maps

	// Changes says what becomes of a resource's classes, other than that their rows go;
	// nil is nothing else.
	Changes func(ctx context.Context, r tenure.Resource) (map[string]tenure.Disposition, error)

	// Secrets are a tenant's live credentials. What a look shows is searched for them; nil is
	// not at all.
	Secrets func(ctx context.Context, tenant tenure.TenantID) ([]Credential, error)

	// Digest is the keyed digest that what a forgotten tenant was known by is kept as.
	Digest func(kind, value string) string
	// Window is how long accounts of a system may go without a sign-in; nil or 0 is Dormant.
	Window func(system string) time.Duration
}

// pair is one place in the ordered merge of inventory and discovery; either half
// may be missing. The halves are only good during the call.
type pair struct {
	inv  *store.InventoryRow
	seen *connector.Observed
}

// compare merges the inventory of a system with one discovery pass over it, both
// in the byte order of type and name. It holds a few lots of the one and a row of
// the other at a time.
func (l *Looker) compare(ctx context.Context, sys *connector.System, tenant tenure.TenantID, visit func(pair) error) (trusted, err error) {
	inv := l.inventory(ctx, sys.Name, tenant)
	defer inv.end()
	row, err := inv.next()
	pass := func(p pair) error {
		if err := visit(p); err != nil {
			return err
		}
		row, err = inv.next()
		return err
	}
	trusted, derr := sys.Discover(ctx, connector.Scope{Tenant: tenant}, func(o connector.Observed) error {
		for row != nil && less(row.Type, row.Name, o.Type, o.Name) {
			if err := pass(pair{inv: row}); err != nil {
				return err
			}
		}
		switch {
		case err != nil:
			return err
		case row != nil && row.Type == o.Type && row.Name == o.Name:
			return pass(pair{row, &o})
		}
		return visit(pair{seen: &o})
	})
	if derr != nil {
		return nil, derr
	}
	for row != nil && err == nil {
		if err := pass(pair{inv: row}); err != nil {
			return trusted, err
		}
	}
	return trusted, err
}

func less(at, an, bt, bn string) bool {
	if at != bt {
		return at < bt
	}
	return an < bn
}

// Summary is what one look at a system saw.
type Summary struct {
	System   string `json:"system"`
	Checked  int    `json:"checked"`
	Findings int    `json:"findings"`
	Accounts int    `json:"accounts,omitempty"` // that were looked at, whoever's they are
	Untold   int    `json:"untold,omitempty"`   // of those that are tenants': when they were last signed in to isn't told
	Trusted  bool   `json:"trusted"`            // absence in this pass is proven
	Why      string `json:"why,omitempty"`

	Uses map[tenure.TenantID]store.Use `json:"-"` // when tenants were last signed in to, as the accounts tell it
}

// Drift compares live with desired in one system and yields what differs. A
// tenant narrows it. What can't be told, since the pass isn't to be trusted, is
// yielded as unproven rather than as gone.
func (l *Looker) Drift(ctx context.Context, sys *connector.System, tenant tenure.TenantID, yield func(tenure.Finding) error) (Summary, error) {
	sum := Summary{System: sys.Name}
	var missing []store.InventoryRow
	now := l.Now()
	found := func(f tenure.Finding) error {
		f.ID, f.System, f.SeenAt = tenure.NewID[tenure.FindingID](now), cmp.Or(f.System, sys.Name), now
		sum.Findings++
		return yield(f)
	}
	shows := &exposer{look: l, sys: sys}
	declared, err := l.declarations(ctx, sys)
	if err != nil {
		return sum, err
	}
	trusted, err := l.compare(ctx, sys, tenant, func(p pair) error {
		if p.inv != nil && declared != nil && tenant == "" {
			declared.add(p.inv)
		}
		if p.inv == nil || p.inv.State == tenure.ResourcePlanned {
			return nil
		}
		sum.Checked++
		if p.seen == nil {
			if p.inv.State != tenure.ResourceGone {
				row := *p.inv
				row.Normal = nil
				missing = append(missing, row)
			}
			return nil
		}
		return shows.differs(ctx, p, found)
	})
	if err != nil {
		return sum, err
	}
	sum.Trusted = trusted == nil
	if trusted != nil {
		sum.Why = trusted.Error()
	}
	missing, err = shows.without(ctx, missing, found)
	if err != nil {
		return sum, err
	}
	for _, row := range missing {
		f := tenure.Finding{Kind: tenure.FindingDrift, Severity: tenure.High, Tenant: row.Tenant, Resource: row.ID, Type: row.Type, Name: row.Name,
			Field: "presence", Want: string(row.State), Got: "absent", Detail: row.Type + " " + row.Name + " is gone from " + sys.Name}
		if !sum.Trusted {
			f.Kind, f.Severity, f.Got, f.Detail = tenure.FindingUnproven, tenure.Medium, "unknown", row.Type+" "+row.Name+" wasn't seen, and the pass can't be trusted: "+sum.Why
		}
		if err := found(f); err != nil {
			return sum, err
		}
	}
	return sum, l.beyond(ctx, sys, tenant, declared, &sum, found)
}

// differs yields what of one resource isn't as it should be.
func (e *exposer) differs(ctx context.Context, p pair, found func(tenure.Finding) error) error {
	base := tenure.Finding{Kind: tenure.FindingDrift, Tenant: p.inv.Tenant, Resource: p.inv.ID, Type: p.inv.Type, Name: p.inv.Name}
	if unmarked(p.seen.Owner) {
		return found(lost(*p.inv, e.sys.Name, p.seen.Owner))
	}
	if p.seen.Owner != connector.Ours || p.seen.Resource != p.inv.ID {
		f := base
		f.Kind, f.Severity, f.Field, f.Want, f.Got = tenure.FindingForeign, tenure.Critical, "mark", string(p.inv.ID), string(p.seen.Owner)
		f.Detail = fmt.Sprintf("%s %s bears another mark (%s)", f.Type, f.Name, p.seen.Owner)
		return found(f)
	}
	typ, _ := e.sys.Info.Type(p.inv.Type)
	if live := p.seen.State; live != "" && live != p.inv.State && stateMatters(p.inv.State) {
		f := base
		f.Severity, f.Field, f.Want, f.Got = tenure.Medium, "state", string(p.inv.State), string(live)
		f.Detail = fmt.Sprintf("%s %s is %s, not %s", f.Type, f.Name, live, f.Want)
		if live == tenure.ResourcePresent && typ.Layer.IsAccess() {
			f.Kind, f.Severity = tenure.FindingExposure, tenure.Critical
			f.Detail = fmt.Sprintf("%s %s gives access again, and should be %s", f.Type, f.Name, f.Want)
		}
		if err := found(f); err != nil {
			return err
		}
	}
	if p.inv.State != tenure.ResourcePresent && p.inv.State != tenure.ResourceUnknown || len(p.inv.Normal) == 0 || bytes.Equal(p.inv.Normal, p.seen.Attributes) {
		return nil
	}
	var want, got map[string]json.RawMessage
	if json.Unmarshal(p.inv.Normal, &want) != nil || json.Unmarshal(p.seen.Attributes, &got) != nil {
		f := base
		f.Severity, f.Field, f.Detail = tenure.Medium, "attributes", "the attributes can't be read"
		return found(f)
	}
	for _, field := range fields(want, got) {
		if bytes.Equal(want[field], got[field]) {
			continue
		}
		f := base
		clean, shown, err := e.conceal(ctx, p.inv, field, string(got[field]))
		if err != nil {
			return err
		}
		for _, s := range shown {
			if err := found(s); err != nil {
				return err
			}
		}
		f.Field, f.Want, f.Got = field, clip(want[field]), clip([]byte(clean))
		f.Severity = severity(typ, field)
		f.Detail = fmt.Sprintf("%s of %s %s is %s, not %s", field, f.Type, f.Name, orNothing(f.Got), orNothing(f.Want))
		if err := found(f); err != nil {
			return err
		}
	}
	return nil
}

func orNothing(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}

func stateMatters(s tenure.ResourceState) bool {
	switch s {
	case tenure.ResourcePresent, tenure.ResourceSuspended, tenure.ResourceRevoked, tenure.ResourceQuarantined:
		return true
	}
	return false
}

func fields(a, b map[string]json.RawMessage) []string {
	var out []string
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func clip(b []byte) string {
	if len(b) > 300 {
		return string(b[:300]) + "…"
	}
	return string(b)
}

// severity ranks a drifted attribute: what can leak across tenants is critical,
// what gives access is high.
func severity(t tenure.ResourceType, field string) tenure.Severity {
	switch {
	case slices.Contains(t.Isolation, "*"), slices.Contains(t.Isolation, field):
		return tenure.Critical
	case t.Layer.IsAccess():
		return tenure.High
	}
	return tenure.Medium
}
