package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	library "github.com/go-ldap/ldap/v3"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure/connector"
	connectors "github.com/tenurehq/tenure/connector/all"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/oidctest"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/servertest"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

// five are the systems over which a tenant of this measurement stands: a role in PostgreSQL,
// and a user or a client in each of the others.
type five struct {
	dsn  string
	scim *scimtest.Server
	pb   *pocketbasetest.Server
	dir  *slapdtest.Server
	op   *oidctest.Provider
}

// bareCall makes one thing as a program would that knows its system, mark and all.
type bareCall struct {
	name  string
	make  func(ctx context.Context, tenant string) error
	spent atomic.Int64 // nanoseconds, over all callers
}

func (f five) bare(t *testing.T) []*bareCall {
	root, err := pgxpool.New(t.Context(), postgrestest.With(t, f.dsn, func(u *url.URL) { u.RawQuery += fmt.Sprint("&pool_max_conns=", parallel) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.Close)
	conns := make(chan *library.Conn, parallel)
	for range parallel {
		conn, err := f.dir.As(t, slapdtest.Tenure, f.dir.Password)
		if err != nil {
			t.Fatal(err)
		}
		conns <- conn
	}
	post := func(c servertest.Caller, path string, body any, want int) error {
		if status, raw := c.Do(t, http.MethodPost, path, body); status != want {
			return fmt.Errorf("POST %s: status %d: %.200s", path, status, raw)
		}
		return nil
	}
	register := servertest.Caller{Base: f.op.Issuer, Authorization: "Bearer " + f.op.Initial.Reveal()}
	return []*bareCall{
		{name: "postgres", make: func(ctx context.Context, tenant string) error {
			_, err := root.Exec(ctx, `create role "t_`+tenant+`" login password 'a password of this tenant'; comment on role "t_`+tenant+`" is '`+bareMark+`'`, pgx.QueryExecModeSimpleProtocol)
			return err
		}},
		{name: "scim", make: func(_ context.Context, tenant string) error {
			return post(f.scim.Caller, "/scim/v2/Users", map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": "admin@" + tenant + ".example", "externalId": bareMark, "active": true, "password": "a password of " + tenant}, http.StatusCreated)
		}},
		{name: "pocketbase", make: func(_ context.Context, tenant string) error {
			secret := "a password of " + tenant
			if err := post(f.pb.Caller, "/api/collections/bare_marks/records", map[string]any{"key": tenant, "mark": bareMark}, http.StatusOK); err != nil {
				return err
			}
			return post(f.pb.Caller, "/api/collections/users/records", map[string]any{"email": "admin@" + tenant + ".example", "tenant": tenant, "verified": true, "password": secret, "passwordConfirm": secret}, http.StatusOK)
		}},
		{name: "ldap", make: func(_ context.Context, tenant string) error {
			conn := <-conns
			defer func() { conns <- conn }()
			r := library.NewAddRequest("uid="+tenant+",ou=all,"+slapdtest.Base, nil)
			for name, value := range map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {tenant}, "cn": {tenant}, "sn": {tenant}, "description": {bareMark}, "userPassword": {"a password of " + tenant}} {
				r.Attribute(name, value)
			}
			return conn.Add(r)
		}},
		{name: "oidcclient", make: func(_ context.Context, tenant string) error {
			return post(register, "/reg", map[string]any{"client_name": tenant + " app", "software_id": bareMark, "redirect_uris": []string{"https://" + tenant + ".example/back"}}, http.StatusCreated)
		}},
	}
}

func (f five) blueprint() string {
	return `apiVersion: tenure.dev/v1
kind: Blueprint
name: bench
version: "1"
environments:
  - {name: prod, kind: production}
systems:
  db: {connector: postgres}
  people: {connector: scim}
  pocket: {connector: pocketbase}
  directory: {connector: ldap}
  apps: {connector: oidcclient}
resources:
  - {key: role, system: db, type: role, name: "t_${tenant.name}", attributes: {login: true}}
  - {key: person, system: people, type: user, name: "admin@${tenant.name}.example"}
  - {key: builder, system: pocket, type: user, name: "admin@${tenant.name}.example", attributes: {tenant: "${tenant.name}"}}
  - {key: entry, system: directory, type: user, name: "all/${tenant.name}"}
  - {key: app, system: apps, type: client, name: "${tenant.name} app", attributes: {redirectUris: ["https://${tenant.name}.example/back"]}}
failure: compensate
approvals: {onboard: 0, offboard: 2}
offboarding: {grace: P14D, retrieval: P30D, quarantine: P14D}
`
}

func (f five) install(t *testing.T, dir string) *installation.Installation {
	options := map[string]map[string]string{
		"db": {"connector": "postgres", "dsn": f.dsn}, "people": {"connector": "scim", "base": f.scim.URL + "/scim/v2", "token": f.scim.Token, "rate": "100000"},
		"pocket":    {"connector": "pocketbase", "base": f.pb.URL, "identity": f.pb.Identity, "password": f.pb.Password},
		"directory": {"connector": "ldap", "url": f.dir.URL, "bindDN": slapdtest.Tenure, "password": f.dir.Password, "base": slapdtest.Base},
		"apps":      {"connector": "oidcclient", "issuer": f.op.Issuer, "initialToken": f.op.Initial.Reveal(), "endSessions": "/admin/clients/{client_id}/logout", "endSessionsToken": f.op.Admin.Reveal(), "tokenLife": "PT1H"},
	}
	var b strings.Builder
	b.WriteString("systems:\n")
	for name, o := range options {
		fmt.Fprintf(&b, "  %s:\n    connector: %s\n    limit: %d\n    options:\n", name, o["connector"], parallel)
		info := infoOf(t, o["connector"])
		for key, value := range o {
			for _, known := range info.Options {
				if known.Name == key && known.Secret {
					path := filepath.Join(dir, name+"-"+key)
					if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
						t.Fatal(err)
					}
					value = "file:" + path
				}
			}
			if key != "connector" {
				fmt.Fprintf(&b, "      %s: %q\n", key, value)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "systems.yaml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var infos []connector.Info
	for _, o := range options {
		i := infoOf(t, o["connector"])
		i.Probes = nil // which no bare program runs
		infos = append(infos, i)
	}
	inst, err := installation.Init(t.Context(), installation.Options{Dir: dir, Catalog: infos}, installation.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range options {
		if _, err := inst.AddSystem(t.Context(), name, false, "operator"); err != nil {
			t.Fatal(err)
		}
	}
	return inst
}

// made counts the things of the tenants in each system, from outside.
func (f five) made(t *testing.T) []int {
	out := []int{postgrestest.Value[int](t, f.dsn, "select count(*)::int from pg_roles where rolname like 't\\_five-%' and rolcanlogin"), 0, 0, 0, 0}
	is := func(name any) int {
		if strings.Contains(fmt.Sprint(name), "five-") {
			return 1
		}
		return 0
	}
	users, _ := f.scim.All(t)
	for _, u := range users {
		out[1] += is(u["userName"])
	}
	for _, u := range f.pb.Records(t, "users") {
		out[2] += is(u["email"])
	}
	for _, e := range f.dir.All(t, "ou=all,"+slapdtest.Base, "uid") {
		out[3] += is(e.GetAttributeValue("uid"))
	}
	for _, c := range f.op.Clients(t) {
		out[4] += is(c["client_name"])
	}
	return out
}

func infoOf(t *testing.T, name string) connector.Info {
	for _, i := range connectors.Catalog() {
		if i.Name == name {
			return i
		}
	}
	t.Fatalf("there is no connector %s", name)
	return connector.Info{}
}

// TestOnboardOverFive measures onboardings of 200 tenants over five real systems, from the
// request to the active tenant, against a program that sends the calls which make the same
// things with a mark, as many at once. Each has servers of its own.
func TestOnboardOverFive(t *testing.T) {
	measured(t)
	start := func() five {
		f := five{dsn: postgrestest.Database(t), scim: scimtest.Start(t), pb: pocketbasetest.Start(t),
			dir: slapdtest.Start(t, slapdtest.Settings{Entries: "dn: ou=all," + slapdtest.Base + "\nobjectClass: organizationalUnit\nou: all\n"}),
			op:  oidctest.Start(t, oidctest.Options{Registers: true, RedirectURLs: []string{"https://app.example/back"}})}
		f.pb.Must(t, http.MethodPost, "/api/collections", map[string]any{"name": "bare_marks", "type": "base", "fields": []any{map[string]any{"name": "key", "type": "text"}, map[string]any{"name": "mark", "type": "text"}}}, nil)
		return f
	}
	theirs := start()
	calls := theirs.bare(t)
	bare, err := timed(func() error {
		g, ctx := errgroup.WithContext(t.Context())
		g.SetLimit(parallel)
		for i := range onboarded {
			g.Go(func() error {
				each, ctx := errgroup.WithContext(ctx)
				for _, c := range calls {
					each.Go(func() error {
						began := time.Now()
						defer func() { c.spent.Add(int64(time.Since(began))) }()
						return c.make(ctx, fmt.Sprintf("bare-%03d", i))
					})
				}
				return each.Wait()
			})
		}
		return g.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	ours := start()
	dir := t.TempDir()
	inst := ours.install(t, dir)
	defer inst.Close()
	took, err := onboardings(t.Context(), inst, "five", ours.blueprint())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ours.made(t), fmt.Sprint([]int{onboarded, onboarded, onboarded, onboarded, onboarded}); fmt.Sprint(got) != want {
		t.Fatalf("there are %v of the tenants' things, not %s", got, want)
	}
	for _, c := range calls {
		fmt.Printf("  %s alone: %.0f bare calls a second for each of %d callers\n", c.name, float64(onboarded)/time.Duration(c.spent.Load()).Seconds(), parallel)
	}
	ratio := took.Seconds() / bare.Seconds()
	fmt.Printf("onboarding %d tenants over five systems, %d in parallel: bare %s, tenure %s: %.0f tenants a minute\n", onboarded, parallel, round(bare), round(took), onboarded/took.Minutes())
	report(t, line{"onboard-five", round(took), round(bare), times(ratio), "<=1.25x", ratio <= 1.25})
}
