package hygiene

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/claim"
	"github.com/tenurehq/tenure/internal/store"
)

// Dormant is how long an account may go without a sign-in where its system's settings
// say nothing.
const Dormant = 90 * 24 * time.Hour

// Claims reads what every tenant is known by.
func (l *Looker) Claims(ctx context.Context) (*claim.Claims, error) {
	digest := l.Digest
	if digest == nil {
		digest = func(_, value string) string { return value }
	}
	c := claim.New(digest)
	err := l.DB.KnownBy(ctx, func(k store.KnownBy) error {
		p := claim.Party{Tenant: k.Tenant, Left: claim.Left(k.State), Name: k.Name, KnownBy: k.KnownBy}
		for _, one := range k.Kept {
			p.Kept = append(p.Kept, claim.Kept(one))
		}
		c.Add(p)
		return nil
	})
	return c, err
}

// roll is one pass over a system's accounts.
type roll struct {
	claims   *claim.Claims
	patterns claim.Patterns
	window   time.Duration
	now      time.Time
	sum      *Summary
}

// accounts yields what is wrong with a system's accounts: ghosts, orphans by their names,
// dormant ones. It merges them with the inventory, both in the byte order of type and
// name, and holds a few rows at a time. It gives back at which places it found something.
func (l *Looker) accounts(ctx context.Context, sys *connector.System, tenant tenure.TenantID, sum *Summary, found func(tenure.Finding) error) (at map[[2]string]bool, trusted error, err error) {
	r := &roll{window: Dormant, now: l.Now(), sum: sum}
	if l.Window != nil {
		if w := l.Window(sys.Name); w > 0 {
			r.window = w
		}
	}
	if r.claims, err = l.Claims(ctx); err != nil {
		return nil, nil, err
	}
	if r.patterns, err = l.patterns(ctx, sys); err != nil {
		return nil, nil, err
	}
	at = make(map[[2]string]bool)
	inv := l.inventory(ctx, sys.Name, "")
	defer inv.end()
	row, err := inv.next()
	if err != nil {
		return nil, nil, err
	}
	trusted, err = sys.Accounts(ctx, func(a connector.Account) error {
		for row != nil && less(row.Type, row.Name, a.Type, a.Name) {
			if row, err = inv.next(); err != nil {
				return err
			}
		}
		var known *store.InventoryRow
		if row != nil && row.Type == a.Type && row.Name == a.Name {
			known = row
		}
		sum.Accounts++
		r.use(a, known)
		f := r.judge(a, known)
		if f == nil || tenant != "" && f.Tenant != tenant {
			return nil
		}
		at[[2]string{a.Type, a.Name}] = true
		return found(*f)
	})
	return at, trusted, err
}

// use notes when the tenant of an account was last used. One that is switched off says nothing.
func (r *roll) use(a connector.Account, known *store.InventoryRow) {
	var tenant tenure.TenantID
	switch {
	case !a.Enabled || a.Owner == connector.Others:
		return
	case known != nil && known.ID == a.Resource:
		tenant = known.Tenant
	case a.Owner == connector.Ours || known != nil:
		return
	default: // of one that may be the tenant's too, a sign-in counts, and that none is told
		tenant = r.claims.Of(a).Tenant
	}
	if tenant == "" {
		return
	}
	if r.sum.Uses == nil {
		r.sum.Uses = make(map[tenure.TenantID]store.Use)
	}
	u := r.sum.Uses[tenant]
	u.Tenant = tenant
	if a.Tells {
		u.Told++
		if a.Seen.After(u.UsedAt) {
			u.UsedAt = a.Seen
		}
	} else {
		u.Untold++
	}
	r.sum.Uses[tenant] = u
}

// judge says what is wrong with one account, nil if nothing is. What bears another
// installation's mark is that one's; what bears ours at a place that isn't its own is for
// the comparison with the inventory to tell.
func (r *roll) judge(a connector.Account, known *store.InventoryRow) *tenure.Finding {
	f := &tenure.Finding{Type: a.Type, Name: a.Name, Field: "account", Steps: slices.Concat(a.Disable, a.Remove)}
	if a.ID != "" && a.Owner != connector.Ours {
		f.Field += " " + a.ID // of two that have one name, each is told
	}
	switch {
	case a.Owner == connector.Others:
		return nil
	case known != nil && known.ID == a.Resource:
		f.Tenant, f.Resource, f.Confidence = known.Tenant, known.ID, tenure.Certain
		f.Steps = nil // Tenure's own operations do it
		if a.Enabled && r.claims.Left(known.Tenant) && cutOff(known.State) {
			f.Kind, f.Severity = tenure.FindingGhost, tenure.Critical
			f.Detail = fmt.Sprintf("%s %s is alive, and the access of its tenant is cut", a.Type, a.Name)
			return f
		}
		return r.dormant(f, a)
	case a.Owner == connector.Ours, known != nil:
		return nil // it is told as stray, or as one that has lost its mark
	}
	who := r.claims.Of(a)
	f.Tenant, f.Confidence = who.Tenant, who.Confidence
	switch {
	case !a.Enabled:
		return nil
	case who.Tenant == "" && who.Contested:
		return nil
	case who.Tenant == "":
		if like, _ := r.patterns.Like(a.Type, a.Name); like != "" {
			f.Kind, f.Severity, f.Confidence = tenure.FindingOrphan, tenure.Low, tenure.Possible
			f.Detail = fmt.Sprintf("%s %s is named as tenants' are (%s), bears no mark, and no tenant of that name is known", a.Type, a.Name, like)
			return f
		}
		return nil
	case who.Left:
		f.Kind, f.Severity = tenure.FindingGhost, ghostly(who.Confidence)
		f.Detail = fmt.Sprintf("%s %s is alive after its tenant left: %s (%s). It bears no mark of ours, so a person takes it away", a.Type, a.Name, who.Reason, who.Confidence)
		return f
	case who.Confidence == tenure.Possible:
		return nil
	}
	return r.dormant(f, a)
}

func cutOff(s tenure.ResourceState) bool {
	return s == tenure.ResourceSuspended || s == tenure.ResourceRevoked || s == tenure.ResourceQuarantined || s == tenure.ResourceGone
}

func ghostly(c tenure.Confidence) tenure.Severity {
	switch {
	case c.Proves():
		return tenure.Critical
	case c == tenure.Likely:
		return tenure.High
	}
	return tenure.Medium
}

// dormant is the finding of an account that nobody has signed in to for too long. One that
// never was counts from its making. Where the system tells neither, nothing is said but how
// many they are.
func (r *roll) dormant(f *tenure.Finding, a connector.Account) *tenure.Finding {
	if !a.Enabled {
		return nil
	}
	since, never := a.Seen, false
	if since.IsZero() {
		since, never = a.Created, true
	}
	if !a.Tells || since.IsZero() {
		r.sum.Untold++
		return nil
	}
	idle := r.now.Sub(since)
	if idle <= r.window {
		return nil
	}
	f.Kind, f.Severity = tenure.FindingDormant, tenure.Medium
	f.Want, f.Got = fmt.Sprintf("a sign-in within %d days", days(r.window)), since.UTC().Format(time.DateOnly)
	f.Detail = fmt.Sprintf("%s %s is enabled and was last signed in to on %s", a.Type, a.Name, f.Got)
	if never {
		f.Got = "never, made on " + f.Got
		f.Detail = fmt.Sprintf("%s %s is enabled and was never signed in to since it was made on %s", a.Type, a.Name, since.UTC().Format(time.DateOnly))
	}
	if f.Resource == "" {
		f.Detail += ". It bears no mark of ours, so a person sees to it"
	}
	f.Steps = a.Disable
	return f
}

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

// patterns learns from the inventory how a system's accounts are named.
func (l *Looker) patterns(ctx context.Context, sys *connector.System) (claim.Patterns, error) {
	names := make(map[tenure.TenantID][]string)
	if err := l.DB.KnownBy(ctx, func(k store.KnownBy) error {
		if w := claim.Words(k.Name); claim.Telling(w) {
			names[k.Tenant] = w
		}
		return nil
	}); err != nil {
		return nil, err
	}
	all := make(claim.Patterns)
	err := l.DB.Inventory(ctx, sys.Name, "", func(row store.InventoryRow) error {
		if t, _ := sys.Info.Type(row.Type); t.Layer.IsAccess() {
			all.Learn(row.Type, claim.Words(row.Name), row.Tenant, names[row.Tenant])
		}
		return nil
	})
	return all, err
}
