package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	library "github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/http/descriptions"
	"github.com/tenurehq/tenure/connector/ldap"
	"github.com/tenurehq/tenure/internal/hygiene"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/servertest"
	"github.com/tenurehq/tenure/internal/slapdtest"
	"github.com/tenurehq/tenure/internal/store"
)

// Measurements against servers that test support starts run as tests, where `make bench`
// asks for them.
func measured(t *testing.T) {
	t.Helper()
	if os.Getenv("TENURE_BENCH") == "" {
		t.Skip("make bench measures this")
	}
}

// report prints the closing lines as the program does.
func report(t *testing.T, lines ...line) {
	t.Helper()
	for _, l := range lines {
		word := "short"
		if l.met {
			word = "met"
		}
		fmt.Printf("bench %s %s %s %s %s %s\n", l.name, l.figure, l.baseline, l.ratio, l.target, word)
	}
}

const (
	directoryUsers = 100_000
	directoryPlant = 3 // of them were meddled with
)

// directory is a system of users that hold a mark, and a way to list them bare.
type directory struct {
	name string
	sys  *connector.System
	ref  func(i int) connector.Ref
	bare func(ctx context.Context) (int, error) // lists every user whole, and gives how many
}

func TestDriftInSCIM(t *testing.T) {
	measured(t)
	s := scimtest.Start(t)
	infos := descriptions.Infos()
	info := infos[slices.IndexFunc(infos, func(i connector.Info) bool { return i.Name == "scim" })]
	d, err := info.Open(t.Context(), connector.Config{
		System: systemName, Options: map[string]string{"base": s.URL + "/scim/v2", "rate": "100000"}, Secrets: map[string]tenure.Secret{"token": tenure.NewSecret(s.Token)}, Marker: driftMarker(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := d.Plant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of := directory{name: "drift-scim", sys: connector.NewSystem(systemName, info, d, fingerprint, 8)}
	defer of.sys.Close()
	of.ref = func(i int) connector.Ref {
		id := fmt.Sprintf("0191d3a0-0000-7000-8000-%012x", i)
		return connector.Ref{Resource: tenure.ResourceID("res_" + id), Tenant: tenure.TenantID("ten_" + id), Type: "user", Name: fmt.Sprintf("user%06d@acme.example", i), Attributes: map[string]any{"displayName": fmt.Sprintf("User %d", i), "email": fmt.Sprintf("user%06d@acme.example", i)}}
	}
	const lot = 10_000
	for first := 0; first < directoryUsers; first += lot {
		var users []map[string]any
		for i := first; i < first+lot; i++ {
			r := of.ref(i)
			name := r.Attributes["displayName"]
			if i%(directoryUsers/directoryPlant) == 1 {
				name = "Somebody else"
			}
			users = append(users, map[string]any{
				"id": fmt.Sprintf("u%06d", i), "userName": r.Name, "displayName": name, "active": true, "externalId": driftMarker().Mark(r.Type, r.Resource),
				"emails": []any{map[string]any{"value": r.Attributes["email"], "type": "work", "primary": true}},
				"meta":   map[string]any{"created": "2026-01-01T00:00:00Z", "lastModified": "2026-01-01T00:00:00Z"},
			})
		}
		s.Must(t, http.MethodPost, "/seed", users, nil)
	}
	caller := servertest.Caller{Base: s.URL + "/scim/v2", Authorization: "Bearer " + s.Token, Type: "application/scim+json"}
	of.bare = func(context.Context) (int, error) {
		seen := 0
		for start, total := 1, 1; start <= total; start += 100 {
			var page struct {
				TotalResults int
				Resources    []map[string]any
			}
			caller.Must(t, http.MethodGet, fmt.Sprintf("/Users?startIndex=%d&count=100", start), nil, &page)
			total = page.TotalResults
			seen += len(page.Resources)
		}
		return seen, nil
	}
	driftIn(t, of)
}

// driftIn compares the users with an inventory of them, as drift does. The baseline lists
// the same users in the same pages, reads each, and compares nothing.
func driftIn(t *testing.T, of directory) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "drift.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for first := 0; first < directoryUsers; first += 2000 {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			for i := first; i < first+2000; i++ {
				if err := storeSeen(tx, of.sys, of.ref(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	look := &hygiene.Looker{DB: db, Now: time.Now}
	idle := settled()
	var ours, bare []time.Duration
	var peak footprint
	for i := range 3 {
		for n := range 2 {
			if (i+n)%2 == 0 {
				took, err := timed(func() error {
					seen, err := of.bare(t.Context())
					if err == nil && seen < directoryUsers {
						err = fmt.Errorf("the bare listing gave %d users", seen)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				bare = append(bare, took)
				continue
			}
			watch, found := newWatch(), 0
			took, err := timed(func() error {
				sum, err := look.Drift(t.Context(), of.sys, "", func(tenure.Finding) error { found++; return nil })
				if err == nil && (!sum.Trusted || sum.Checked != directoryUsers || found != directoryPlant) {
					err = fmt.Errorf("drift checked %d with %d findings, trusted %v (%s)", sum.Checked, found, sum.Trusted, sum.Why)
				}
				return err
			})
			if seen := watch.end(); seen.resident > peak.resident {
				peak = seen
			}
			if err != nil {
				t.Fatal(err)
			}
			ours = append(ours, took)
		}
	}
	ratio := median(ours).Seconds() / median(bare).Seconds()
	fmt.Printf("%s over %d users: %v bare, %v with the inventory; above idle: %.1f MiB resident\n", of.name, directoryUsers, bare, ours, mib(peak.resident-idle.resident))
	report(t, line{of.name, round(median(ours)), round(median(bare)), times(ratio), "<=1.30x", ratio <= 1.3})
}

func TestDriftInLDAP(t *testing.T) {
	measured(t)
	of := directory{name: "drift-ldap"}
	of.ref = func(i int) connector.Ref {
		id := fmt.Sprintf("0191d3a0-0000-7000-8000-%012x", i)
		return connector.Ref{Resource: tenure.ResourceID("res_" + id), Tenant: tenure.TenantID("ten_" + id), Type: "user", Name: fmt.Sprintf("acme/user%06d", i), Attributes: map[string]any{"mail": fmt.Sprintf("user%06d@acme.example", i), "displayName": fmt.Sprintf("User %d", i)}}
	}
	m := driftMarker()
	var ldif strings.Builder
	fmt.Fprintf(&ldif, "dn: ou=acme,%s\nobjectClass: organizationalUnit\nou: acme\n\n", slapdtest.Base)
	for i := range directoryUsers {
		r := of.ref(i)
		uid := strings.TrimPrefix(r.Name, "acme/")
		uuid := fmt.Sprintf("0191d3a0-0000-7000-9000-%012x", i)
		shown := r.Attributes["displayName"]
		if i%(directoryUsers/directoryPlant) == 1 {
			shown = "Somebody else"
		}
		mark := m.Named(r.Resource) // as the connector writes it
		mark += " seal=" + m.Seal(mark+"\nldap\x00user\x00\x00of="+uuid)
		fmt.Fprintf(&ldif, "dn: uid=%s,ou=acme,%s\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: %s\nmail: %s\ndisplayName: %s\ndescription: %s\nentryUUID: %s\n\n",
			uid, slapdtest.Base, uid, uid, uid, r.Attributes["mail"], shown, mark, uuid)
	}
	s := slapdtest.Start(t, slapdtest.Settings{Entries: ldif.String()})
	d, err := ldap.Info().Open(t.Context(), connector.Config{
		System: systemName, Options: map[string]string{"url": s.URL, "bindDN": slapdtest.Tenure, "base": slapdtest.Base}, Secrets: map[string]tenure.Secret{"password": tenure.NewSecret(s.Password)}, Marker: m, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := d.Plant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of.sys = connector.NewSystem(systemName, ldap.Info(), d, fingerprint, 8)
	defer of.sys.Close()
	bare, err := s.As(t, slapdtest.Tenure, s.Password)
	if err != nil {
		t.Fatal(err)
	}
	of.bare = func(context.Context) (int, error) {
		seen, paging := 0, library.NewControlPaging(500)
		for {
			got, err := bare.Search(library.NewSearchRequest(slapdtest.Base, library.ScopeWholeSubtree, library.NeverDerefAliases, 0, 0, false, "(objectClass=inetOrgPerson)",
				[]string{"objectClass", "entryUUID", "description", "uid", "cn", "sn", "mail", "displayName", "pwdAccountLockedTime", "pwdPolicySubentry"}, []library.Control{paging}))
			if err != nil {
				return seen, err
			}
			seen += len(got.Entries)
			answer, _ := library.FindControl(got.Controls, library.ControlTypePaging).(*library.ControlPaging)
			if answer == nil || len(answer.Cookie) == 0 {
				return seen, nil
			}
			paging.SetCookie(answer.Cookie)
		}
	}
	driftIn(t, of)
}
