package store_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// elevation stores a request at a moment.
func (f *fixture) elevation(who tenure.PrincipalID, s tenure.Scope, at time.Time) tenure.Elevation {
	f.t.Helper()
	length, err := tenure.ParsePeriod("PT2H")
	f.must(err)
	e := tenure.Elevation{ID: tenure.NewID[tenure.ElevationID](at), Principal: who, Name: "ada", Role: tenure.Operator, Scope: s, Reason: "a stuck migration", For: length}
	e, err = e.Request(nil, tenure.ElevationLimits{}.WithDefaults(), at)
	f.must(err)
	f.write(func(tx *store.Tx) error { return tx.SaveElevation(e) })
	return e
}

// What is stored comes back as it was, and a change on old ground is refused.
func TestElevationRows(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		ten := f.tenant("acme")
		e := f.elevation(f.principal("ada").ID, tenure.Scope{Tenants: []tenure.TenantID{ten.ID}, Tiers: []string{"gold", "team"}, Labels: []string{"a=b"}}, start)
		got, err := f.Elevation(t.Context(), e.ID)
		f.must(err)
		if d := cmp.Diff(e, got.Elevation, cmp.AllowUnexported(tenure.Period{})); d != "" {
			t.Errorf("it comes back as another (-want +got):\n%s", d)
		}
		if _, digest, err := got.Asked(); err != nil || digest != e.Digest {
			t.Errorf("what was read hashes to %s (%v), and %s was signed", digest, err, e.Digest)
		}
		limits := tenure.ElevationLimits{}.WithDefaults()
		bo := tenure.Caller{Kind: tenure.CallerPerson, Principal: "prn_bo", Name: "bo"}
		approved, err := e.Approve(bo, e.Digest, limits, start)
		f.must(err)
		var wait sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wait.Go(func() {
				errs[i] = f.Write(context.Background(), func(tx *store.Tx) error { return tx.MoveElevation(approved) })
			})
		}
		wait.Wait()
		if n := len(slices.DeleteFunc(errs, func(err error) bool { return err != nil })); n != 1 {
			t.Errorf("%d of four changes from the same ground won, want one", n)
		}
		approved.Version++
		claim := func(at time.Time) error {
			return f.Write(context.Background(), func(tx *store.Tx) error {
				row, err := tx.Elevation(e.ID)
				if err != nil {
					return err
				}
				return tx.BeginLogin(row.Elevation, "t_elev_x", at.Add(-5*time.Minute), at)
			})
		}
		f.must(claim(start))
		refused(t, claim(start.Add(time.Minute)), tenure.Conflict, "being claimed")
		f.write(func(tx *store.Tx) error { return tx.CancelLogin(e.ID) })
		f.must(claim(start.Add(time.Minute)))
		logins, err := f.ElevationLogins(t.Context(), "")
		if err != nil || len(logins) != 1 || logins[0].Login != "t_elev_x" {
			t.Errorf("the logins are %+v (%v)", logins, err)
		}
		f.write(func(tx *store.Tx) error { return tx.LoginGone(e.ID, start) })
		if logins, err := f.ElevationLogins(t.Context(), ""); err != nil || len(logins) != 0 {
			t.Errorf("a login that has gone is listed: %+v (%v)", logins, err)
		}
		_, err = f.Elevation(t.Context(), tenure.NewID[tenure.ElevationID](start))
		refused(t, err, tenure.NotFound)
	})
}

// A list shows an elevation to whoever sees all that it is over, and to its
// holder; a page ends where the next begins.
func TestElevationsVisible(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		who := f.principal("ada").ID
		acme, globex := f.tenant("acme"), f.tenant("globex")
		scopes := map[string]tenure.Scope{
			"acme":  {Tenants: []tenure.TenantID{acme.ID}},
			"both":  {Tenants: []tenure.TenantID{acme.ID, globex.ID}},
			"gold":  {Tiers: []string{"gold"}},
			"mixed": {Tenants: []tenure.TenantID{acme.ID}, Tiers: []string{"gold"}, Labels: []string{"a=b"}},
			"all":   {All: true},
		}
		names := map[tenure.ElevationID]string{}
		for i, name := range []string{"acme", "both", "gold", "mixed", "all"} {
			names[f.elevation(who, scopes[name], start.Add(time.Duration(i)*time.Second)).ID] = name
		}
		list := func(filter store.ElevationFilter) (out []string) {
			t.Helper()
			rows, err := f.Elevations(t.Context(), filter)
			f.must(err)
			for _, r := range rows {
				out = append(out, names[r.ID])
			}
			return out
		}
		all := tenure.Scope{All: true}
		for what, c := range map[string]struct {
			filter store.ElevationFilter
			want   []string
		}{
			"who sees all":                  {store.ElevationFilter{Visible: store.All}, []string{"all", "mixed", "gold", "both", "acme"}},
			"who sees nothing":              {store.ElevationFilter{}, nil},
			"whose they are":                {store.ElevationFilter{Mine: who}, []string{"all", "mixed", "gold", "both", "acme"}},
			"who sees acme":                 {store.ElevationFilter{Visible: store.Visible{Reach: scopes["acme"], Limit: all}}, []string{"acme"}},
			"who sees both":                 {store.ElevationFilter{Visible: store.Visible{Reach: scopes["both"], Limit: all}}, []string{"both", "acme"}},
			"who sees acme, tier and label": {store.ElevationFilter{Visible: store.Visible{Reach: scopes["mixed"], Limit: all}}, []string{"mixed", "gold", "acme"}},
			"all, with a token for gold":    {store.ElevationFilter{Visible: store.Visible{Reach: all, Limit: scopes["gold"]}}, []string{"gold"}},
			"a page":                        {store.ElevationFilter{Visible: store.All, Limit: 2}, []string{"all", "mixed"}},
			"nobody's":                      {store.ElevationFilter{Visible: store.All, Principal: "bo"}, nil},
			"active ones":                   {store.ElevationFilter{Visible: store.All, State: tenure.ElevationActive}, nil},
			"break-glass":                   {store.ElevationFilter{Visible: store.All, Kind: tenure.BreakGlass}, nil},
		} {
			if got := list(c.filter); !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, want %q", what, got, c.want)
			}
		}
		first, err := f.Elevations(t.Context(), store.ElevationFilter{Visible: store.All, Limit: 2})
		f.must(err)
		if got := list(store.ElevationFilter{Visible: store.All, Limit: 2, Before: first[1].ID}); !slices.Equal(got, []string{"gold", "both"}) {
			t.Errorf("the page that follows is %q", got)
		}
	})
}

// What is due is found by its date, or because what it stands on has gone.
func TestDueElevations(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		who := f.principal("ada").ID
		e := f.elevation(who, tenure.Scope{All: true}, start)
		due := func(now time.Time) int {
			t.Helper()
			rows, err := f.DueElevations(t.Context(), now, now.Add(-72*time.Hour))
			f.must(err)
			return len(rows)
		}
		if n := due(start.Add(72*time.Hour - time.Second)); n != 0 {
			t.Errorf("%d are due before the date", n)
		}
		if n := due(start.Add(72 * time.Hour)); n != 1 {
			t.Errorf("%d are due at the date, want one", n)
		}
		f.write(func(tx *store.Tx) error { return tx.SetPrincipalState(who, true, 0) })
		if n := due(start); n != 1 {
			t.Errorf("%d are due when the principal is disabled, want one", n)
		}
		f.write(func(tx *store.Tx) error {
			why, err := tx.Withdrawn(e)
			if why == "" {
				t.Error("nothing says why")
			}
			return err
		})
		f.write(func(tx *store.Tx) error { return tx.SetPrincipalState(who, false, 0) })

		length, err := tenure.ParsePeriod("PT1H")
		f.must(err)
		glass := tenure.Elevation{ID: tenure.NewID[tenure.ElevationID](start), Principal: who, Name: "ada", Role: tenure.Operator, Scope: tenure.Scope{All: true}, Reason: "checkout is down", For: length}
		glass, err = glass.Break(nil, tenure.ElevationLimits{}.WithDefaults(), start)
		f.must(err)
		grant := glass.Grant(tenure.NewID[tenure.GrantID](start))
		f.write(func(tx *store.Tx) error {
			if err := tx.SaveElevation(glass); err != nil {
				return err
			}
			return tx.SaveGrant(grant)
		})
		grants, err := f.Grants(t.Context(), who, false)
		if err != nil || len(grants) != 1 || !grants[0].BreakGlass || grants[0].Elevation != glass.ID || !grants[0].ExpiresAt.Equal(start.Add(time.Hour)) {
			t.Errorf("the grants are %+v (%v)", grants, err)
		}
		if n := due(start.Add(time.Hour - time.Second)); n != 0 {
			t.Errorf("%d are due before the end", n)
		}
		if n := due(start.Add(time.Hour)); n != 1 {
			t.Errorf("%d are due at the end, want one", n)
		}
		if rows, err := f.UnreviewedBreakGlass(t.Context(), start.Add(time.Hour)); err != nil || len(rows) != 1 {
			t.Errorf("%d wait for a review (%v), want one", len(rows), err)
		}
		if rows, err := f.UnreviewedBreakGlass(t.Context(), start.Add(time.Hour-time.Second)); err != nil || len(rows) != 0 {
			t.Errorf("%d wait for a review before they ended (%v)", len(rows), err)
		}
		f.write(func(tx *store.Tx) error { return tx.RevokeElevationGrants(glass, "ann", start) })
		if n := due(start); n != 1 {
			t.Errorf("%d are due when the grant was revoked, want one", n)
		}
	})
}
