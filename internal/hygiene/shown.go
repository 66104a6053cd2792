package hygiene

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// Shown is the field of findings at live credentials that a system shows to whoever reads a
// resource.
const Shown = "shown"

// Credential is a live credential and the resource that it opens.
type Credential struct {
	Resource   tenure.ResourceID
	Type, Name string
	System     string
	Secret     tenure.Secret
}

// exposer takes credentials out of what one system shows. Those of a tenant are read once.
type exposer struct {
	look *Looker
	sys  *connector.System
	by   map[tenure.TenantID][]veiled
}

type veiled struct {
	Credential
	connector.Veil
}

// conceal is a text of a tenant's resource without credentials, with a finding for each that
// stood in it: the tenant's live ones, those that Tenure works with in the system, and what
// has the form of a well-known secret, which is a finding at the resource itself. A private
// key is taken for the rest of the text.
func (e *exposer) conceal(ctx context.Context, row *store.InventoryRow, field, text string) (string, []tenure.Finding, error) {
	if text == "" || e.look.Secrets == nil {
		return text, nil, nil
	}
	where := fmt.Sprintf("%s of %s %s in %s", field, row.Type, row.Name, e.sys.Name)
	if _, read := e.by[row.Tenant]; !read {
		kept, err := e.look.Secrets(ctx, row.Tenant)
		if err != nil {
			return "", nil, err
		}
		if e.by == nil {
			e.by = make(map[tenure.TenantID][]veiled)
		}
		all := make([]veiled, len(kept))
		for i, k := range kept {
			all[i] = veiled{k, connector.NewVeil(k.Secret)}
		}
		e.by[row.Tenant] = all
	}
	var found []tenure.Finding
	say := func(f tenure.Finding, what string) {
		f.Kind, f.Severity, f.Field, f.Got = tenure.FindingCredential, tenure.Critical, Shown, where
		f.Detail = what + " shows in " + where
		found = append(found, f)
	}
	for _, k := range e.by[row.Tenant] {
		if clean := k.Text(text); clean != text {
			text = clean
			say(tenure.Finding{Tenant: row.Tenant, Resource: k.Resource, System: k.System, Type: k.Type, Name: k.Name}, "the live credential of "+k.Type+" "+k.Name)
		}
	}
	if clean := e.sys.Conceal(text); clean != text {
		text = clean
		say(tenure.Finding{System: e.sys.Name, Name: e.sys.Name}, "a credential that Tenure works with in "+e.sys.Name)
	}
	for {
		kind, from, to := tenure.KnownSecret(text)
		if kind == "" {
			return text, found, nil
		}
		rest := text[to:]
		if strings.HasPrefix(text[from:to], "-----BEGIN") { // the key follows
			rest = ""
		}
		text = text[:from] + tenure.Secret{}.String() + rest
		found = append(found, tenure.Finding{
			Kind: tenure.FindingExposure, Severity: tenure.Critical, Tenant: row.Tenant, Resource: row.ID, Type: row.Type, Name: row.Name,
			Field: field, Detail: "what looks like " + kind + " shows in " + where,
		})
	}
}
