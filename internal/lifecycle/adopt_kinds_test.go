package lifecycle_test

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	library "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/filesystem"
	"github.com/tenurehq/tenure/connector/ldap"
	"github.com/tenurehq/tenure/connector/mysql"
	"github.com/tenurehq/tenure/connector/s3"
	"github.com/tenurehq/tenure/connector/sqlite"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/mariadbtest"
	"github.com/tenurehq/tenure/internal/s3test"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

const handmadeText = `
apiVersion: tenure.dev/v1
kind: Blueprint
name: handmade
version: "1.0"
environments:
  - {name: prod, kind: production}
systems:
  pool: {connector: %s}
dataClasses:
  aa: {disposition: purge, retention: [{name: a, kind: keep_until, period: P10D, from: termination}]}
resources:
%s
failure: park
approvals: {onboard: 1, offboard: 1}
offboarding: {grace: PT0S, retrieval: P1D, quarantine: P7D}
`

// handmade is a real system in which things of tenants are made past Tenure.
type handmade struct {
	info      connector.Info
	settings  lifecycle.SystemSettings
	resources string
	make      func(tenant string)
	dump      func() []string     // all but Tenure's own and marks, a line for each thing, with its tenant's name
	spoil     func(tenant string) // makes one thing differ
	says      []string            // with which it is refused then
}

// What stands in each kind of system comes under Tenure: nothing but marks changes, nothing
// drifts, what differs is refused by its name, and the tenant can leave as any other.
func TestAdoptKinds(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) handmade{
		"filesystem": handmadeFolders, "ldap": handmadeDirectory, "mysql": handmadeMariaDB, "s3": handmadeBuckets, "sqlite": handmadeFiles,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adoptHandmade(t, open(t))
		})
	}
}

func adoptHandmade(t *testing.T, h handmade) {
	ctx := context.Background()
	s := newSite(t, func(o *lifecycle.Options) {
		o.Catalog, o.Settings["pool"] = append(o.Catalog, h.info), h.settings
	})
	_, err := s.AddSystem(ctx, "pool", false, "operator")
	s.must(err)
	h.make("acme")
	h.make("birch")
	s.publishText(fmt.Sprintf(handmadeText, h.info.Name, h.resources))
	before := h.dump()
	of := func(tenant string) (out []string) {
		for _, line := range h.dump() {
			if strings.Contains(line, tenant) {
				out = append(out, line)
			}
		}
		return out
	}
	neighbours := of("birch")
	if len(of("acme")) == 0 || len(neighbours) == 0 {
		t.Fatalf("the dump tells nothing of the tenants: %q", before)
	}
	adopt := func(tenant string) lifecycle.Intent {
		return lifecycle.Intent{Kind: tenure.Onboard, Tenant: tenant, Blueprint: "handmade", Adopt: true}
	}
	op := s.request(adopt("acme"), "operator")
	s.approve(op, "reviewer", "counsel")
	s.wantState(op, tenure.OperationSucceeded)
	if d := cmp.Diff(before, h.dump()); d != "" {
		t.Errorf("more than marks has changed (-before +after):\n%s", d)
	}
	s.wantNoDrift("acme")

	_, err = s.Plan(ctx, adopt("birch"), "operator")
	s.must(err)
	h.spoil("birch")
	_, err = s.Plan(ctx, adopt("birch"), "operator")
	wantCode(t, err, tenure.Conflict, h.says...)
	neighbours = of("birch")

	leave := s.leave("acme")
	for range 8 {
		s.pass(5 * day)
		s.finish(leave)
	}
	s.wantState(leave, tenure.OperationSucceeded)
	if left := of("acme"); len(left) > 0 {
		t.Errorf("of acme is left: %q", left)
	}
	if d := cmp.Diff(neighbours, of("birch")); d != "" {
		t.Errorf("the neighbour isn't whole (-before +after):\n%s", d)
	}
	s.audited()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entries are the files and folders below a folder with their modes and sums, but for those
// in Tenure's own.
func entries(t *testing.T, root string) (out []string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), ".tenure") {
			return fs.SkipDir
		}
		if err != nil || strings.HasSuffix(p, "-wal") || strings.HasSuffix(p, "-shm") {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(p, root) + " " + info.Mode().String()
		if info.Mode().IsRegular() {
			raw, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(raw))
		}
		out = append(out, line)
		return nil
	}))
	return out
}

func handmadeFolders(t *testing.T) handmade {
	root := filepath.Join(t.TempDir(), "root")
	at := func(tenant string) string { return filepath.Join(root, "bucket", tenant) }
	return handmade{
		info:     filesystem.Info(),
		settings: lifecycle.SystemSettings{Connector: "filesystem", Options: map[string]string{"root": root}},
		resources: `  - {key: files, system: pool, type: bucket, name: "${tenant.name}", data: [aa]}
  - {key: settings, system: pool, type: document, name: "${tenant.name}.json", attributes: {text: "{}"}}`,
		make: func(tenant string) {
			must(t, os.Mkdir(at(tenant), 0o700))
			must(t, os.WriteFile(filepath.Join(at(tenant), "one.txt"), []byte(tenant), 0o600))
			must(t, os.WriteFile(filepath.Join(root, "document", tenant+".json"), []byte("{}"), 0o600))
		},
		dump:  func() []string { return entries(t, root) },
		spoil: func(tenant string) { must(t, os.Chmod(at(tenant), 0o750)) },
		says:  []string{`bucket birch`, `has mode "0750", and would have "0700"`},
	}
}

func handmadeFiles(t *testing.T) handmade {
	dir, file, shared := platformFile(t)
	tenants := filepath.Join(dir, "tenants")
	_, err := shared.Exec("create table accounts (login text primary key, plan text, tenure_mark text)")
	must(t, err)
	const ddl = "create table if not exists orders (id integer primary key, v text)"
	run := func(tenant, text string) {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(tenants, tenant+".db"))
		must(t, err)
		_, err = db.Exec(text)
		must(t, err)
		must(t, db.Close())
	}
	return handmade{
		info:     sqlite.Info(),
		settings: lifecycle.SystemSettings{Connector: "sqlite", Options: map[string]string{"dir": tenants, "shared": file}},
		resources: `  - {key: data, system: pool, type: database, name: "${tenant.name}", data: [aa], attributes: {ddl: "` + ddl + `", tables: {orders: aa}}}
  - {key: admin, system: pool, type: account, name: "${tenant.name}-admin", attributes: {table: accounts, key: {login: "${tenant.name}"}, values: {plan: pro}, disable: {plan: none}}}`,
		make: func(tenant string) {
			run(tenant, ddl+"; insert into orders (v) values ('one'), ('two')")
			must(t, os.Chmod(filepath.Join(tenants, tenant+".db"), 0o600))
			_, err := shared.Exec("insert into accounts (login, plan) values (?, 'pro')", tenant)
			must(t, err)
		},
		dump: func() []string {
			out := entries(t, tenants)
			rows, err := shared.Query("select login || ' ' || plan from accounts order by 1")
			must(t, err)
			defer func() { must(t, rows.Close()) }()
			for rows.Next() {
				var s string
				must(t, rows.Scan(&s))
				out = append(out, s)
			}
			must(t, rows.Err())
			return out
		},
		spoil: func(tenant string) { run(tenant, "create table more (a)") },
		says:  []string{"database birch", `has tables ["more","orders"], and would have ["orders"]`},
	}
}

func handmadeMariaDB(t *testing.T) handmade {
	dsn, token := mariadbtest.DSN(t), mariadbtest.Token()
	db := mariadbtest.Open(t, dsn)
	password := rand.Text()
	t.Cleanup(func() { mariadbtest.Sweep(t, db, token) })
	mariadbtest.Exec(t, db, fmt.Sprintf(`create database %[1]s_app; create user '%[1]s_platform'@'127.0.0.1' identified by '%[2]s'; grant all privileges on *.* to '%[1]s_platform'@'127.0.0.1' with grant option`, token, password))
	name := func(tenant string) string { return token + "_" + tenant }
	return handmade{
		info: mysql.Info(),
		settings: lifecycle.SystemSettings{Connector: "mysql", Options: map[string]string{"keep": token + "_keep", "databases": token + "_*"},
			Secrets: map[string]tenure.Secret{"dsn": tenure.NewSecret(mariadbtest.As(t, dsn, token+"_platform", password, token+"_app"))}},
		resources: strings.ReplaceAll(`  - {key: data, system: pool, type: database, name: "T_${tenant.name}", data: [aa], attributes: {tables: {orders: aa}}}
  - {key: login, system: pool, type: user, name: "T_${tenant.name}"}
  - {key: rights, system: pool, type: grant, name: "T_${tenant.name}", needs: [data, login], attributes: {to: "T_${tenant.name}", database: "T_${tenant.name}", privileges: [select, insert]}}
  - {key: more, system: pool, type: grant, name: "T_${tenant.name}_more", needs: [data, login], attributes: {to: "T_${tenant.name}", database: "T_${tenant.name}", tables: [orders], privileges: [update]}}`, "T_", token+"_"),
		make: func(tenant string) {
			mariadbtest.Exec(t, db, fmt.Sprintf(`create database %[1]s character set utf8mb4; create table %[1]s.orders (id int auto_increment primary key, v text); insert into %[1]s.orders (v) values ('one'), ('two');
create user '%[1]s'@'%%' identified by 'what it signs in with'; grant select, insert on %[2]s.* to '%[1]s'@'%%'; grant update on %[1]s.orders to '%[1]s'@'%%'`,
				name(tenant), "`"+strings.ReplaceAll(name(tenant), "_", `\_`)+"`"))
		},
		dump: func() (out []string) {
			for _, query := range []string{
				"select concat_ws(' ', schema_name, default_collation_name) from information_schema.schemata where schema_name like 'T%'",
				"select concat_ws(' ', table_schema, table_name, column_name, column_type) from information_schema.columns where table_schema like 'T%'",
				"select concat_ws(' ', user, host, priv) from mysql.global_priv where user like 'T%'",
				"select concat_ws(' ', user, host, db, select_priv, insert_priv, update_priv, delete_priv, grant_priv) from mysql.db where user like 'T%'",
				"select concat_ws(' ', user, host, db, table_name, table_priv, column_priv) from mysql.tables_priv where user like 'T%'",
			} {
				out = append(out, mariadbtest.Strings(t, db, strings.ReplaceAll(query, "T%", token+"%"))...)
			}
			slices.Sort(out)
			return slices.DeleteFunc(out, func(line string) bool { return strings.HasPrefix(line, token+"_keep") })
		},
		spoil: func(tenant string) {
			mariadbtest.Exec(t, db, "grant delete on "+name(tenant)+".orders to "+name(tenant))
		},
		says: []string{"grant " + name("birch"), "delete"},
	}
}

// directoryMark is one among the values of an attribute.
var directoryMark = regexp.MustCompile(` ?"tenure:[^"]*"`)

func handmadeDirectory(t *testing.T) handmade {
	with := slapdtest.Settings{}
	for _, tenant := range []string{"acme", "birch"} {
		with.Entries += strings.NewReplacer("TENANT", tenant, "BASE", slapdtest.Base).Replace(`

dn: ou=TENANT,BASE
objectClass: organizationalUnit
ou: TENANT
description: made long ago

dn: uid=admin,ou=TENANT,BASE
objectClass: inetOrgPerson
uid: admin
cn: The admin
sn: admin
mail: admin@TENANT.example
userPassword: what it signs in with

dn: uid=more,ou=TENANT,BASE
objectClass: inetOrgPerson
uid: more
cn: more
sn: more

dn: cn=staff,ou=TENANT,BASE
objectClass: groupOfNames
cn: staff
member: uid=admin,ou=TENANT,BASE

dn: cn=free,ou=TENANT,BASE
objectClass: groupOfNames
cn: free
member: uid=more,ou=TENANT,BASE
`)
	}
	server := slapdtest.Start(t, with)
	return handmade{
		info: ldap.Info(),
		settings: lifecycle.SystemSettings{Connector: "ldap", Options: map[string]string{"url": server.URL, "bindDN": slapdtest.Tenure, "base": slapdtest.Base},
			Secrets: map[string]tenure.Secret{"password": tenure.NewSecret(server.Password)}},
		resources: `  - {key: unit, system: pool, type: organizational_unit, name: "${tenant.name}", data: [aa]}
  - {key: admin, system: pool, type: user, name: "${tenant.name}/admin", needs: [unit], attributes: {cn: The admin, mail: "admin@${tenant.name}.example"}}
  - {key: staff, system: pool, type: group, name: "${tenant.name}/staff", needs: [admin], attributes: {members: ["${tenant.name}/admin"]}}
  - {key: free, system: pool, type: group, name: "${tenant.name}/free", needs: [unit]}`,
		make: func(string) {},
		dump: func() []string {
			return slices.DeleteFunc(strings.Split(directoryMark.ReplaceAllString(server.Look(t), ""), "\n"), func(line string) bool {
				return strings.Contains(line, "ou=tenure,") || strings.HasSuffix(line, " description=[]")
			})
		},
		spoil: func(tenant string) {
			c := server.AsRoot(t)
			defer func() { must(t, c.Close()) }()
			m := library.NewModifyRequest("uid=admin,ou="+tenant+","+slapdtest.Base, nil)
			m.Replace("mail", []string{"other@" + tenant + ".example"})
			must(t, c.Modify(m))
		},
		says: []string{"user birch/admin", `has mail "other@birch.example", and would have "admin@birch.example"`},
	}
}

func handmadeBuckets(t *testing.T) handmade {
	server := s3test.Start(t)
	do := func(method, path, query, body string) {
		t.Helper()
		sum := md5.Sum([]byte(body)) // as S3 wants it of some calls
		if raw, status := server.Request(t, method, path, query, http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}}, []byte(body)); status >= 300 {
			t.Fatalf("%s %s?%s: %d %s", method, path, query, status, raw)
		}
	}
	return handmade{
		info: s3.Info(),
		settings: lifecycle.SystemSettings{Connector: "s3", Options: map[string]string{"endpoint": server.Endpoint, "own": "tenure-own", "names": "t-", "users": "versitygw"},
			Secrets: map[string]tenure.Secret{"accessKey": tenure.NewSecret(server.Access), "secretKey": tenure.NewSecret(server.Secret)}},
		resources: `  - {key: files, system: pool, type: bucket, name: "t-${tenant.name}", data: [aa], attributes: {versioning: true}}
  - {key: key, system: pool, type: user, name: "t-${tenant.name}-key"}`,
		make: func(tenant string) {
			bucket := "/t-" + tenant
			do(http.MethodPut, bucket, "", "")
			do(http.MethodPut, bucket, "versioning=", `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`)
			do(http.MethodPut, bucket, "tagging=", `<Tagging><TagSet><Tag><Key>team</Key><Value>north</Value></Tag></TagSet></Tagging>`)
			do(http.MethodPut, bucket+"/one.txt", "", "one")
			server.MakeUser(t, "t-"+tenant+"-key", "what it signs in with")
		},
		dump: func() []string {
			out := slices.DeleteFunc(strings.Split(server.Look(t), "\n"), func(line string) bool {
				return strings.Contains(line, "tenure-own") || strings.Contains(line, "X-Amz-Tagging") || strings.Contains(line, "users.json")
			})
			for _, line := range strings.Split(string(server.Users(t, "list-users", nil, nil)), "<Accounts>") {
				if strings.Contains(line, "<Access>t-") {
					out = append(out, line)
				}
			}
			for _, bucket := range []string{"t-acme", "t-birch"} {
				if raw, status := server.Request(t, http.MethodGet, "/"+bucket, "tagging=", nil, nil); status == http.StatusOK {
					for _, tag := range strings.Split(string(raw), "<Tag>")[1:] {
						if !strings.Contains(tag, "<Key>tenure") {
							out = append(out, bucket+" "+strings.TrimSuffix(tag, "</TagSet></Tagging>"))
						}
					}
				}
			}
			return out
		},
		spoil: func(tenant string) {
			do(http.MethodPut, "/t-"+tenant, "versioning=", `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Suspended</Status></VersioningConfiguration>`)
		},
		says: []string{"bucket t-birch", "has versioning false, and would have true"},
	}
}
