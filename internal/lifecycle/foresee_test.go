package lifecycle_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/connector/mysql"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/mariadbtest"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// wantAdopted holds that what stands beside the things of a tenant either keeps it from being
// adopted, by name, or is none that a look at drift finds.
func (s *site) wantAdopted(in lifecycle.Intent, plant string, refused bool, names ...string) {
	s.t.Helper()
	p, err := s.Plan(context.Background(), in, "operator")
	if err != nil {
		if !refused {
			s.t.Errorf("after %q it isn't adopted: %v", plant, err)
			return
		}
		wantCode(s.t, err, tenure.Conflict, names...)
		if len(tenure.HintsOf(err)) == 0 {
			s.t.Errorf("after %q no hint says what to do", plant)
		}
		return
	}
	if refused {
		s.t.Errorf("after %q it is adopted all the same", plant)
	}
	op, err := s.Start(context.Background(), p.Digest, lifecycle.Intent{}, "operator")
	s.must(err)
	s.settle()
	s.approve(op.ID, "reviewer", "counsel")
	s.wantState(op.ID, tenure.OperationSucceeded)
	look, err := s.Drift(context.Background(), in.Tenant)
	s.must(err)
	if len(look.Dead) > 0 {
		s.t.Errorf("systems that couldn't be asked: %v", look.Dead)
	}
	for _, f := range look.Findings {
		told := slices.ContainsFunc(p.Plan.Diff, func(d tenure.Difference) bool { return d.Field == "finding" && d.From == f.Detail })
		if !told {
			s.t.Errorf("after %q a look at drift finds %s %s: %s", plant, f.Kind, f.Severity, f.Detail)
		}
	}
}

// Rights and settings that nobody declared, and tables that no class covers, keep a tenant
// from being adopted: otherwise the first repair would take from an application what it
// lives by. What the blueprint declares doesn't.
func TestAdoptSeesWhatDriftWouldFind(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	token := "t" + postgrestest.Token()
	text := func(version, more string) string {
		return withResources("silo", version, `  - {key: login, system: pool, type: role, name: "`+token+`${tenant.name}", attributes: {login: true}}
  - {key: data, system: pool, type: schema, name: "s_${tenant.name}", needs: [login], data: [aa, bb, cc], attributes: {owner: "${resources.login.name}", tables: {a: aa, b: bb, c: cc}}}
`+more)
	}
	app := token + "app"
	p.sql(p.db, "create role "+app)
	made := []string{app}
	t.Cleanup(func() {
		for _, role := range made {
			_, _ = p.db.Exec("drop owned by " + role + " cascade; drop role " + role)
		}
	})
	stand := func(name string) (fill func(string) string) {
		role := token + name
		made = append(made, role)
		fill = strings.NewReplacer("SCHEMA", "s_"+name, "ROLE", role, "APP", app).Replace
		p.sql(p.db, fill(`create role ROLE login password 'what it signs in with'; create schema SCHEMA authorization ROLE; set role ROLE;
			create table SCHEMA.a (i int); create table SCHEMA.b (i int); create table SCHEMA.c (i int); reset role`))
		return fill
	}
	intent := func(name string) lifecycle.Intent {
		return lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "silo", Adopt: true}
	}
	p.publishText(text("2.0", ""))
	stand("plain")
	p.wantAdopted(intent("plain"), "", false)
	for i, c := range []struct {
		plant string
		names []string
	}{
		{"grant usage on schema SCHEMA to APP; grant select, insert on SCHEMA.a to APP", []string{"prod/data (schema SCHEMA in pool): role APP may usage on schema SCHEMA", "role APP may insert, select on table SCHEMA.a"}},
		{"grant usage on schema SCHEMA to " + token + "plain", []string{token + "plain, another tenant's, may usage"}},
		{"grant select on SCHEMA.b to public", []string{"PUBLIC may select on table SCHEMA.b"}},
		{"alter default privileges for role ROLE in schema SCHEMA grant select on tables to APP", []string{"APP gets select on tables"}},
		{"grant ROLE to APP", []string{"role APP is a member of ROLE"}},
		{"alter role ROLE set search_path = SCHEMA", []string{"prod/login (role ROLE in pool): setting search_path of role ROLE is SCHEMA"}},
		{"create schema lookup_SCHEMA; create table lookup_SCHEMA.t (i int); grant select on lookup_SCHEMA.t to ROLE", []string{"role ROLE may select on table lookup_SCHEMA.t"}},
		{"create table SCHEMA.theirs (i int); alter table SCHEMA.theirs owner to APP", []string{"role APP, which isn't the tenant's, owns table SCHEMA.theirs"}},
		{"set role ROLE; create table SCHEMA.extra (i int); reset role", []string{"SCHEMA.extra"}},
	} {
		name := fmt.Sprintf("odd%d", i)
		fill := stand(name)
		p.sql(p.db, fill(c.plant))
		names := make([]string, len(c.names))
		for i := range names {
			names[i] = fill(c.names[i])
		}
		p.wantAdopted(intent(name), c.plant, true, names...)
	}

	// What the blueprint declares is no difference, and no repair takes it away.
	p.publishText(text("2.1", `  - {key: app, system: pool, type: grant, name: "`+token+`${tenant.name}-app", needs: [data], attributes: {role: "`+app+`", schema: "s_${tenant.name}", tables: [a], privileges: [select]}}
  - {key: writes, system: pool, type: grant, name: "`+token+`${tenant.name}-writes", needs: [data], attributes: {role: "`+app+`", schema: "s_${tenant.name}", tables: [a], privileges: [insert]}}`))
	declared := intent("odd0")
	declared.Blueprint = "silo@2.1"
	p.wantAdopted(declared, "", false)
	if n := count(t, p.db, "select has_table_privilege('"+app+"', 's_odd0.a', 'insert')::int"); n != 1 {
		t.Error("the application has lost what is declared")
	}
}

// What comes between the plan and its approval is looked for again, right before the first
// mark: nothing is marked then, and it goes on once that is gone.
func TestAdoptLooksAgain(t *testing.T) {
	t.Parallel()
	p := postgresPool(t)
	token := "t" + postgrestest.Token()
	p.publishText(withResources("silo", "2.0", `  - {key: data, system: pool, type: schema, name: "s_${tenant.name}", data: [aa, bb, cc], attributes: {tables: {a: aa, b: bb, c: cc}}}`))
	p.sql(p.db, "create schema s_acme; create table s_acme.a (i int); create table s_acme.b (i int); create table s_acme.c (i int); create role "+token)
	t.Cleanup(func() { _, _ = p.db.Exec("drop owned by " + token + "; drop role " + token) })
	op := p.request(lifecycle.Intent{Kind: tenure.Onboard, Tenant: "acme", Blueprint: "silo", Adopt: true}, "operator")
	p.sql(p.db, "grant usage on schema s_acme to "+token)
	p.approve(op, "reviewer", "counsel")
	p.wantState(op, tenure.OperationBlocked)
	if got := p.show(op); !strings.Contains(got, token) {
		t.Errorf("it isn't said what stands in the way:\n%s", got)
	}
	if n := count(t, p.db, "select count(*) from tenure.mark where type = 'schema'"); n != 0 {
		t.Errorf("%d marks", n)
	}
	p.sql(p.db, "revoke usage on schema s_acme from "+token)
	_, err := p.Retry(context.Background(), op, "", "operator")
	p.must(err)
	p.settle()
	p.wantState(op, tenure.OperationSucceeded)
	p.wantFound("acme")
}

// On MariaDB rights are attributes of what they are on, by the grants that are declared; those
// that are about to be adopted count as well.
func TestAdoptMariaDB(t *testing.T) {
	t.Parallel()
	dsn, token := mariadbtest.DSN(t), mariadbtest.Token()
	db := mariadbtest.Open(t, dsn)
	t.Cleanup(func() { mariadbtest.Sweep(t, db, token) })
	home := token + "_home"
	mariadbtest.Exec(t, db, "create database "+home+"; create role "+token+"_app")
	s := newSite(t, func(o *lifecycle.Options) {
		o.Catalog = append(o.Catalog, mysql.Info())
		at := dsn[:strings.LastIndex(dsn, "/")+1] + home
		o.Settings["pool"] = lifecycle.SystemSettings{Connector: "mysql", Options: map[string]string{"keep": token + "_keep", "databases": token + "*"}, Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(at)}}
	})
	_, err := s.AddSystem(context.Background(), "pool", false, "operator")
	s.must(err)
	text := func(version, more string) string {
		return strings.Replace(withResources("silo", version, `  - {key: login, system: pool, type: user, name: "`+token+`_${tenant.name}"}
  - {key: data, system: pool, type: database, name: "`+token+`_d_${tenant.name}", data: [aa, bb, cc], attributes: {collation: utf8mb4_general_ci, tables: {a: aa, b: bb, c: cc}}}
  - {key: rights, system: pool, type: grant, name: "`+token+`_${tenant.name}-rights", needs: [login, data], attributes: {to: "`+token+`_${tenant.name}", database: "`+token+`_d_${tenant.name}", privileges: [select, insert]}}
`+more), "connector: postgres", "connector: mysql", 1)
	}
	s.publishText(text("2.0", ""))
	stand := func(name string) (fill func(string) string) {
		fill = strings.NewReplacer("DATA", token+"_d_"+name, "PATTERN", strings.ReplaceAll(token+"_d_"+name, "_", `\_`), "USER", token+"_"+name, "APP", token+"_app").Replace
		mariadbtest.Exec(t, db, fill(`create database DATA character set utf8mb4 collate utf8mb4_general_ci; create table DATA.a (i int primary key); create table DATA.b (i int primary key); create table DATA.c (i int primary key);
			create user USER@'%' identified by 'what it signs in with'; grant select, insert on "PATTERN".* to USER@'%'`))
		return fill
	}
	intent := func(name string) lifecycle.Intent {
		return lifecycle.Intent{Kind: tenure.Onboard, Tenant: name, Blueprint: "silo", Adopt: true}
	}
	stand("plain")
	s.wantAdopted(intent("plain"), "", false)
	for i, c := range []struct {
		plant   string
		refused bool
		names   []string
	}{
		{"grant delete on \"PATTERN\".* to USER@'%'", true, []string{"delete"}},
		{"grant update on DATA.a to USER@'%'", true, []string{"update"}},
		{"grant select on \"PATTERN\".* to '" + token + "_plain'@'%'", true, []string{token + "_plain: select"}},
		{"grant select on \"PATTERN\".* to APP", false, nil}, // no look at drift on MariaDB finds rights of accounts that are no tenant's
		{"create table DATA.extra (i int primary key)", true, []string{"DATA.extra"}},
	} {
		name := fmt.Sprintf("odd%d", i)
		fill := stand(name)
		mariadbtest.Exec(t, db, fill(c.plant))
		names := make([]string, len(c.names))
		for i := range names {
			names[i] = fill(c.names[i])
		}
		s.wantAdopted(intent(name), c.plant, c.refused, names...)
	}
}

// What no data class covers keeps a tenant from being adopted wherever a system tells it.
func TestAdoptSeesUncoveredData(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.byHand("acme")
	l.world.Tamper("store", "acme-prod", func(th *memory.Thing) { th.Rows["secrets"] = []string{"one"} })
	_, err := l.Plan(context.Background(), adoptIntent("acme"), "operator")
	wantCode(t, err, tenure.Conflict, "prod/store (store acme-prod in main): ", "no data class covers the rows of secrets")
	var e *tenure.Error
	if b, _ := json.Marshal(tenure.HintsOf(err)); !errors.As(err, &e) || !strings.Contains(string(b), "name secrets under data") {
		t.Errorf("the hints are %s", b)
	}
}
