package customer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/s3test"
	"github.com/tenurehq/tenure/internal/servertest"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

// keys are a tenant's credentials, as its onboarding handed them over once.
type keys struct{ database, files, directory, apps string }

// claim reveals what an onboarding hands over, to who asked for it.
func (p *platform) claim(by *client.Client, op tenure.OperationID) (k keys) {
	p.Helper()
	page, err := client.ClaimOutputs.Call(p.Context(), by, client.OperationParams{Operation: string(op)})
	p.must(err)
	into := map[string]*string{"database": &k.database, "files": &k.files, "directory": &k.directory, "apps": &k.apps}
	for _, o := range page.Items {
		*into[o.Name] = o.Secret
	}
	if k.database == "" || k.files == "" || k.directory == "" || k.apps == "" {
		p.Fatalf("the onboarding hands over %+v; want the four credentials", page.Items)
	}
	return k
}

// ways are the systems into which a tenant gets with its credentials, tried one by one past
// Tenure.
func (p *platform) ways(tenant string, k keys) (in []string) {
	p.Helper()
	ctx := p.Context()
	if conn, err := pgx.Connect(ctx, postgrestest.As(p, p.dsn, "t_"+tenant, k.database)); err == nil {
		if _, err = conn.Exec(ctx, `select count(*) from "`+tenant+`".orders`); err == nil {
			in = append(in, "db")
		}
		_ = conn.Close(context.Background())
	}
	s3 := p.files.As(p, "t-"+tenant+"-robot", k.files)
	if _, err := s3.PutObject(ctx, "t-"+tenant, "ping", strings.NewReader("ping"), 4, minio.PutObjectOptions{}); err == nil {
		in = append(in, "files")
	}
	users, _ := p.people.All(p)
	for _, u := range users {
		if u["userName"] == "admin@"+tenant+".example" && u["active"] != false {
			in = append(in, "people")
		}
	}
	if _, err := p.dir.As(p, "uid=anna,ou="+tenant+","+slapdtest.Base, k.directory); err == nil {
		in = append(in, "directory")
	}
	asked := servertest.Caller{Base: p.apps.URL}
	if status, _ := asked.Do(p, http.MethodPost, "/api/collections/users/auth-with-password", map[string]any{"identity": "builder@" + tenant + ".example", "password": k.apps}); status == http.StatusOK {
		in = append(in, "apps")
	}
	return in
}

// everywhere are all of them.
var everywhere = []string{"db", "files", "people", "directory", "apps"}

// gets holds the ways that are open to a tenant against those that should be.
func (p *platform) gets(when, tenant string, k keys, want []string) {
	p.Helper()
	if got := p.ways(tenant, k); !slices.Equal(got, want) {
		p.Errorf("%s %s gets into %q with its credentials; want %q", when, tenant, got, want)
	}
}

// fill gives a tenant data in each system: rows by its own role, objects with earlier versions
// and a delete marker, entries and records.
func (p *platform) fill(tenant string, k keys) {
	p.Helper()
	ctx := p.Context()
	postgrestest.Exec(p, postgrestest.As(p, p.dsn, "t_"+tenant, k.database), strings.ReplaceAll(`
insert into "T".contacts select n, 'contact ' || n || ' of T' from generate_series(1, 20) n;
insert into "T".orders select n, 1 + n % 20, 'article ' || n || ' of T' from generate_series(1, 50) n;
insert into "T".lines select n, m from generate_series(1, 50) n, generate_series(1, 3) m`, "T", tenant))
	s3 := p.files.As(p, "t-"+tenant+"-robot", k.files)
	for _, name := range []string{"letter", "letter", "bill", "deep/er/plan"} {
		body := name + " of " + tenant
		_, err := s3.PutObject(ctx, "t-"+tenant, name, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
		p.must(err)
	}
	p.must(s3.RemoveObject(ctx, "t-"+tenant, "bill", minio.RemoveObjectOptions{}))
	for i := range 5 {
		p.apps.Must(p, http.MethodPost, "/api/collections/"+collection(tenant)+"/records", map[string]any{"title": fmt.Sprintf("note %d of %s", i, tenant)}, nil)
	}
}

// collection is the name of a tenant's collection.
func collection(tenant string) string { return strings.ReplaceAll(tenant, "-", "_") + "_notes" }

// look writes down all that the systems hold, a line for each thing, by system, without what
// Tenure keeps there for itself.
func (p *platform) look() map[string][]string {
	p.Helper()
	out := map[string][]string{"db": p.rows()}
	for name, text := range map[string]string{"files": p.files.Look(p), "people": p.people.Look(p), "directory": p.dir.Look(p), "apps": p.apps.Look(p), "crm": p.crm.Look(p)} {
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); !strings.Contains(line, "/tenure-own/") && !strings.Contains(line, "ou=tenure,") && !strings.Contains(line, "tenure_marks") && !strings.Contains(line, "Tenure sentinel") {
				out[name] = append(out[name], line)
			}
		}
		slices.Sort(out[name])
	}
	return out
}

// rows are all rows of all schemas but Tenure's, the schemas with their rights, and the
// roles of tenants with their passwords' digests.
func (p *platform) rows() (out []string) {
	p.Helper()
	ctx := p.Context()
	conn, err := pgx.Connect(ctx, p.dsn)
	p.must(err)
	defer conn.Close(context.Background())
	read := func(query string) (lines []string) {
		rows, err := conn.Query(ctx, query)
		p.must(err)
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		p.must(err)
		return lines
	}
	out = append(out, read(`select format('role %s %s %s %s', rolname, rolcanlogin, rolconnlimit, rolpassword) from pg_authid where rolname like 't\_customer-%'`)...)
	out = append(out, read(`select format('schema %s %s %s', nspname, nspowner::regrole, nspacl) from pg_namespace where nspname !~ '^(pg_|information_schema|tenure)'`)...)
	for _, table := range read(`select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'p') and nspname !~ '^(pg_|information_schema|tenure)'`) {
		out = append(out, read(`select format('table %s %s', c.oid::regclass, relacl) from pg_class c where oid = '`+table+`'::regclass`)...)
		out = append(out, read(`select '`+table+` ' || to_jsonb(t)::text from `+table+` t`)...)
	}
	sort.Strings(out)
	return out
}

// raw is all that can be seen of the systems, what Tenure keeps there among it.
func (p *platform) raw() string {
	p.Helper()
	var b strings.Builder
	for _, text := range []string{p.files.Look(p), p.people.Look(p), p.dir.Look(p), p.apps.Look(p), p.crm.Look(p), strings.Join(p.rows(), "\n")} {
		b.WriteString(text + "\n")
	}
	for o := range p.files.Client(p).ListObjectsIter(p.Context(), "tenure-own", minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		p.must(o.Err)
		b.WriteString(o.Key + "\n")
		if r, err := p.files.Client(p).GetObject(p.Context(), "tenure-own", o.Key, minio.GetObjectOptions{VersionID: o.VersionID}); err == nil {
			raw, _ := io.ReadAll(r)
			b.Write(append(bytes.TrimSpace(raw), '\n'))
		}
	}
	conn, err := pgx.Connect(p.Context(), p.dsn)
	p.must(err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(p.Context(), `select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'r' and nspname ~ '^tenure'`)
	p.must(err)
	own, err := pgx.CollectRows(rows, pgx.RowTo[string])
	p.must(err)
	for _, table := range own {
		rows, err := conn.Query(p.Context(), `select to_jsonb(t)::text from `+table+` t`)
		p.must(err)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		p.must(err)
		b.WriteString(strings.Join(texts, "\n") + "\n")
	}
	return b.String()
}

// held counts the versions and delete markers in a tenant's bucket.
func (p *platform) held(tenant string) int {
	p.Helper()
	return s3test.Held(p, p.files.Client(p), "t-"+tenant, "")
}
