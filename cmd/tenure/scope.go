package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// scopeFlags say over which tenants something is.
type scopeFlags struct {
	all                    bool
	tenants, tiers, labels []string
}

func (s *scopeFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&s.all, "all-tenants", false, "over all tenants")
	f.StringSliceVar(&s.tenants, "tenant", nil, "over this tenant, by id or name (may be repeated)")
	f.StringSliceVar(&s.tiers, "tier", nil, "over this tier (may be repeated)")
	f.StringSliceVar(&s.labels, "label", nil, "over tenants with this label, key=value (may be repeated)")
}

// scope names tenants by their ids, as the API has it.
func (s *scopeFlags) scope(ctx context.Context, at *session) (tenure.Scope, error) {
	out := tenure.Scope{All: s.all, Tiers: s.tiers, Labels: s.labels}
	for _, name := range s.tenants {
		if id, err := tenure.ParseID[tenure.TenantID](name); err == nil {
			out.Tenants = append(out.Tenants, id)
			continue
		}
		t, err := client.ShowTenant.Call(ctx, at.Client, client.TenantParams{Tenant: name})
		if err != nil {
			return out, orClosed(err, name)
		}
		out.Tenants = append(out.Tenants, t.ID)
	}
	return out, nil
}

// parseEnd reads when something ends: a date, a moment in RFC 3339, or how far
// away that is, such as 30d, 2h or P30D (ISO 8601).
func parseEnd(s string, now time.Time) (time.Time, error) {
	if p, err := tenure.ParsePeriod(s); err == nil {
		return p.After(now).UTC(), nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.UTC().AddDate(0, 0, int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.UTC().Add(d), nil
	}
	t, err := parseDate(s)
	if err != nil {
		return t, tenure.Errorf(tenure.Invalid, "%q is neither a date nor a length of time", clip(s, 80)).WithHint("write it like 2027-01-31, 30d, 2h or P30D")
	}
	return t, nil
}
