package survey_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tenurehq/tenure"
	directory "github.com/tenurehq/tenure/connector/ldap"
	"github.com/tenurehq/tenure/connector/postgres"
	"github.com/tenurehq/tenure/connector/s3"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/s3test"
	"github.com/tenurehq/tenure/internal/servertest"
	"github.com/tenurehq/tenure/internal/slapdtest"
	"github.com/tenurehq/tenure/internal/survey"
)

// TestPlatformRunByHand surveys real servers of a platform that never saw Tenure: a list of
// customers and shared tables beside schemas and roles, a directory, buckets with dumps. What
// was planted is found, and nothing is written, as the servers themselves tell.
func TestPlatformRunByHand(t *testing.T) {
	t.Parallel()
	db, token := postgrestest.Database(t), postgrestest.Token()
	postgrestest.Exec(t, db, strings.ReplaceAll(`
create table customers (id int primary key, name text, domain text, status text, crm_id text);
insert into customers values (1, 'Acme Ltd', 'acme.example', 'active', '001A0000x1'), (2, 'Birch & Sons', 'birch.example', 'active', null), (3, 'Cedar', 'cedar.example', 'active', null), (4, 'Dogwood', 'dogwood.example', 'active', null), (5, 'Elm', 'elm.example', 'cancelled', null);
create table orders (id serial primary key, customer_id int references customers, total int); insert into orders (customer_id, total) select i % 5 + 1, i from generate_series(1, 50) i;
create table notes (tenant_key text, body text); insert into notes values ('acme', 'a'), ('zeta', 'z'), (null, 'n');
create table visits (id serial, page text); insert into visits (page) values ('/');
create schema t_acme; create schema t_birch; create schema t_cedar; create schema t_elm; create schema t_zeta;
create table t_cedar.docs (id int); create table t_elm.docs (id int);
create role TOKEN_acme login connection limit 5; create role TOKEN_birch login; create role TOKEN_cedar login connection limit 5; create role TOKEN_elm login connection limit 5; create role TOKEN_readers;
grant usage on schema t_acme to TOKEN_acme; grant usage on schema t_birch to TOKEN_birch; grant usage on schema t_cedar to TOKEN_cedar, TOKEN_readers; grant usage on schema t_elm to TOKEN_elm;
grant select on t_cedar.docs to TOKEN_readers; grant TOKEN_readers to TOKEN_birch;
create role TOKEN_exchange login; grant select on orders to TOKEN_exchange; create role TOKEN_helpdesk login in role pg_read_all_data; create role TOKEN_super login superuser;
create role TOKEN_survey login password 'look-only-text'; grant pg_read_all_data to TOKEN_survey`, "TOKEN", "r"+token))
	t.Cleanup(func() {
		for _, role := range []string{"acme", "birch", "cedar", "elm", "readers", "exchange", "helpdesk", "super", "survey"} {
			name := "r" + token + "_" + role
			postgrestest.Exec(t, db, "drop owned by "+name+"; drop role "+name)
		}
	})

	const auditor = "cn=auditor," + slapdtest.Base
	ldif := "dn: " + auditor + "\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: auditor\nuserPassword: look-only-text\n\n"
	for _, unit := range []string{"people", "acme", "birch", "cedar", "elm"} {
		ldif += fmt.Sprintf("dn: ou=%[1]s,%[2]s\nobjectClass: organizationalUnit\nou: %[1]s\n\n", unit, slapdtest.Base)
	}
	for uid, in := range map[string]string{"ann@acme.example": "ou=acme", "bo@birch.example": "ou=birch", "max@elm.example": "ou=elm", "ivy@nowhere.example": "ou=people"} {
		ldif += fmt.Sprintf("dn: uid=%[1]s,%[2]s,%[3]s\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: x\nsn: x\nmail: %[1]s\n\n", uid, in, slapdtest.Base)
	}
	dir := slapdtest.Start(t, slapdtest.Settings{Entries: ldif, Access: "\naccess to attrs=userPassword\n\tby anonymous auth\n\tby * none\naccess to *\n\tby dn.exact=\"" + auditor + "\" read\n\tby * break\n"})

	store := s3test.Start(t)
	client, err := minio.New(strings.TrimPrefix(store.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(store.Access, store.Secret, ""), Region: store.Region})
	if err != nil {
		t.Fatal(err)
	}
	for bucket, key := range map[string]string{"acme-files": "a.txt", "birch-files": "b.txt", "elm-files": "e.txt", "dumps": "elm-2026-01-01.sql.gz"} {
		if err := client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.PutObject(t.Context(), bucket, key, strings.NewReader("12345"), 5, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	asked := servertest.Record(t, store.Endpoint)

	secret := tenure.NewSecret
	sources := []survey.Source{
		{Name: "main-db", Info: postgres.Info(), Secrets: map[string]tenure.Secret{"dsn": secret(postgrestest.As(t, db, "r"+token+"_survey", "look-only-text"))}},
		{Name: "directory", Info: directory.Info(), Options: map[string]string{"url": dir.URL, "bindDN": auditor, "base": slapdtest.Base}, Secrets: map[string]tenure.Secret{"password": secret("look-only-text")}, Prices: map[string]int64{"user": 500}, Currency: "EUR"},
		{Name: "files", Info: s3.Info(), Options: map[string]string{"endpoint": asked.URL, "region": store.Region, "own": "tenure"}, Secrets: map[string]tenure.Secret{"accessKey": secret(store.Access), "secretKey": secret(store.Secret)}},
	}
	for i, s := range sources { // what isn't given is as the connector has it
		if sources[i].Options == nil {
			sources[i].Options = map[string]string{}
		}
		for _, o := range s.Info.Options {
			if _, given := sources[i].Options[o.Name]; !given && o.Default != "" {
				sources[i].Options[o.Name] = o.Default
			}
		}
	}
	written := func() string {
		return postgrestest.Value[string](t, db, "select string_agg(nspname || ' ' || (select count(*) from pg_class c where c.relnamespace = n.oid), ', ' order by nspname) || ' ' || (select pg_current_xact_id_if_assigned() is null) from pg_namespace n where nspname not like 'pg_t%'") +
			postgrestest.Value[string](t, db, "select count(*)::text || ' ' || coalesce(sum(hashtext(o::text)), 0)::text from orders o") + csn(t, dir)
	}
	before := written()
	ask := survey.Ask{Now: now, Own: []string{"platform.example"}}
	seen, err := survey.Look(t.Context(), sources, ask)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seen {
		if s.Failed != "" {
			t.Fatalf("%s: %s", s.Source.Name, s.Failed)
		}
	}
	if after := written(); after != before {
		t.Errorf("the survey changed a server:\n%s\n%s", before, after)
	}
	for _, request := range asked.Asked() {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			t.Errorf("the survey asked the object store for %s", request)
		}
	}

	r := survey.Map(seen, ask)
	var found []string
	for _, f := range r.Findings {
		found = append(found, fmt.Sprintf("%s %s: %s %s: %s", f.Kind, f.Tenant, f.System, strings.ReplaceAll(f.What(), token, ""), f.Says))
	}
	for _, want := range []string{
		"ghost Elm: directory user elm/max@elm.example",
		"ghost Elm: main-db role r_elm",
		"crossing Birch & Sons: main-db role r_birch",
		"wide : main-db role r_exchange: it reaches 5 things of 5 tenants (Acme Ltd, Birch & Sons, Cedar and 2 more): it has rights on table orders",
		"wide : main-db role r_helpdesk: it reaches ",
		"wide : main-db role r_super: it reaches ",
		"residue Elm: main-db schema t_elm",
		"residue Elm: main-db rows 5 in table orders",
		"residue Elm: directory organizational unit elm",
		"residue Elm: files bucket elm-files",
		"outlives Elm: files object dumps/elm-2026-01-01.sql.gz",
		"orphan zeta: main-db schema t_zeta",
		"orphan zeta: main-db rows zeta in table notes",
		"orphan : directory user people/ivy@nowhere.example",
		"uncovered : main-db table visits",
		"uncovered : main-db rows in table notes",
	} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, want) }) {
			t.Errorf("not found: %s", want)
		}
	}
	for _, x := range r.Tenants {
		if x.Name == "Dogwood" {
			if lacks := strings.Join(x.Lacks, "\n"); !strings.Contains(lacks, "schema in main-db") || !strings.Contains(lacks, "role in main-db") {
				t.Errorf("Dogwood lacks %q, want a schema and a role", lacks)
			}
		}
		for _, f := range found {
			if strings.HasPrefix(f, "orphan "+x.Name+":") && len(x.Listed) > 0 {
				t.Errorf("%s, and a list names it", f)
			}
		}
	}
	if r.Waste["EUR"] == 0 {
		t.Errorf("two users that nobody needs cost nothing: %v", r.Waste)
	}
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil || strings.Contains(page.String(), "look-only-text") {
		t.Errorf("the page holds a secret, or can't be written: %v", err)
	}
	if t.Failed() {
		t.Logf("found:\n%s", strings.Join(found, "\n"))
	}
}

// csn is by which change a directory stands.
func csn(t *testing.T, s *slapdtest.Server) string {
	t.Helper()
	c, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Bind(slapdtest.Tenure, s.Password); err != nil {
		t.Fatal(err)
	}
	got, err := c.Search(ldap.NewSearchRequest(slapdtest.Base, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"contextCSN"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(got.Entries[0].GetAttributeValues("contextCSN"), " ")
}
