package departure

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	_ "modernc.org/sqlite"

	"github.com/tenurehq/tenure/internal/mariadbtest"
)

//go:embed testdata/club.sql
var clubPostgres string

//go:embed testdata/club.mariadb.sql
var clubMariaDB string

//go:embed testdata/club.sqlite.sql
var clubSQLite string

// club is what the members of three tenants have in five stores: the same people in each
// of them, and in each what ends in every way that there is.
type club struct {
	last   int
	people map[string][]string // the e-mail addresses of each tenant's people
	kept   map[string]bool     // the leaver's tokens that are kept
	facts  map[string]bool     // of the leaver, as texts: what no token tells, and is personal all the same
}

func newClub() *club {
	c := &club{last: 100_000, people: map[string][]string{}, kept: map[string]bool{}, facts: map[string]bool{}}
	for _, who := range tenants {
		for range 5 {
			c.people[who.name] = append(c.people[who.name], c.text(who)+"@mail.example")
		}
	}
	return c
}

func (c *club) number() int {
	c.last++
	return c.last
}

func (c *club) text(who person) string { return fmt.Sprintf("%s%06d", who.token, c.number()) }

// keep is a text that stays as long as the law says.
func (c *club) keep(who person) string {
	s := c.text(who)
	if who == tenants[0] {
		c.kept[s] = true
	}
	return s
}

// fact is a text that tells of a person and has no token.
func (c *club) fact(who person, format string, args ...any) string {
	s := fmt.Sprintf(format, args...)
	if who == tenants[0] {
		c.facts[s] = true
	}
	return s
}

func (c *club) born(who person, year int) string {
	n := c.number()
	return c.fact(who, "%d-%02d-%02d", year, 2+n%11, map[string]int{"acme": 20, "acme-2": 2, "birch": 11}[who.name]+n%8)
}

func (c *club) address(who person) string {
	n := c.number()
	return c.fact(who, "10.%d.%d.%d", map[string]int{"acme": 77, "acme-2": 88, "birch": 99}[who.name], 100+n%100, 101+n%150)
}

func (c *club) income(who person) string {
	return c.fact(who, "%d", map[string]int{"acme": 84_000_000, "acme-2": 51_000_000, "birch": 62_000_000}[who.name]+c.number())
}

// group is a year and a region that three of nine have.
func group(i int) (year int, region string) {
	return []int{1970, 1980, 1970}[i%3], []string{"10", "20", "20"}[i%3]
}

// inserts are a tenant's rows. Amounts are whole in a database without decimals; q is how
// it writes a list and bytes.
func (c *club) inserts(who person, schema string, q dialect) (out []string) {
	add := func(table string, values ...any) {
		texts := make([]string, len(values))
		for i, v := range values {
			switch v := v.(type) {
			case string:
				texts[i] = "'" + v + "'"
			case raw:
				texts[i] = string(v)
			default:
				texts[i] = fmt.Sprint(v)
			}
		}
		out = append(out, "insert into "+schema+table+" values ("+strings.Join(texts, ", ")+")")
	}
	var ids []int
	for i, email := range c.people[who.name] {
		id := c.number()
		ids = append(ids, id)
		profile := fmt.Sprintf(`{"plan":"gold","name":%q,"by":[{"mail":%q}]}`, c.text(who), email)
		add("customers", id, who.name, email, c.text(who), c.fact(who, "%08x-1111-4222-8333-%012x", c.number(), c.number()), c.born(who, 1950+i), profile, raw(q.list(c.text(who), c.text(who))), raw(q.bytes(c.text(who))))
		add("contacts", c.number(), id, email, "of "+c.text(who))
	}
	for i := range 8 {
		add("orders", c.number(), who.name, ids[i%len(ids)], fmt.Sprintf("2025-%02d-%02d", 1+i%2, 3+i), []string{"north", "south"}[i%2], raw(q.amount(1000*(i+1)+11*i+7)), c.text(who))
	}
	for i := range 9 {
		year, region := group(i)
		id := c.number()
		form := fmt.Sprintf(`{"answers":[{"code":"q%d","said":%q}],"by":%q}`, i, c.text(who), c.text(who))
		add("visits", id, who.name, ids[i%len(ids)], c.text(who), c.born(who, year), region+c.text(who), raw(c.income(who)), c.address(who), "J4"+fmt.Sprint(i), form)
		add("visit_notes", c.number(), id, c.text(who))
	}
	for _, id := range ids {
		add("invoices", c.number(), who.name, id, c.keep(who), raw(q.amount(4242)))
	}
	for range 4 {
		add("letters", c.number(), who.name, c.text(who))
		add("secrets", c.number(), who.name, c.text(who))
	}
	return out
}

// raw is SQL as it is.
type raw string

type dialect struct {
	list   func(a, b string) string
	bytes  func(s string) string
	amount func(cents int) string
}

func euros(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

func listJSON(a, b string) string { return fmt.Sprintf(`'["%s","%s"]'`, a, b) }

func hexed(s string) string { return "x'" + hex.EncodeToString([]byte(s)) + "'" }

var (
	inPostgres = dialect{func(a, b string) string { return "array['" + a + "', '" + b + "']" }, func(s string) string { return `'\x` + hex.EncodeToString([]byte(s)) + "'" }, euros}
	inMariaDB  = dialect{listJSON, hexed, euros}
	inSQLite   = dialect{listJSON, hexed, func(cents int) string { return fmt.Sprint(cents) }}
)

// clubClasses are the data classes, in the order in which they go.
var clubClasses = []string{"orders", "visits", "letters", "secrets", "customers", "invoices"}

// clubRules say how each of them ends.
var clubRules = map[string]any{
	"pseudonyms": map[string]any{"people": map[string]any{"retention": until("key", "P100D")}},
	"dataClasses": map[string]any{
		"orders":    map[string]any{"disposition": "aggregate", "retention": until("books", "P20D")},
		"visits":    map[string]any{"disposition": "anonymise", "personal": true, "retention": until("care", "P30D")},
		"letters":   map[string]any{"disposition": "purge", "retention": until("post", "P30D")},
		"secrets":   map[string]any{"disposition": "crypto-erase", "retention": until("safe", "P30D")},
		"customers": map[string]any{"disposition": "pseudonymise", "personal": true, "retention": until("contract", "P40D"), "end": until("warranty", "P2Y")},
		"invoices":  map[string]any{"disposition": "keep", "retention": until("dispute", "P50D"), "end": until("tax", "P1Y")},
	},
}

func until(name, period string) []any {
	return []any{map[string]any{"name": name, "kind": "keep_until", "period": period, "from": "termination"}}
}

type object = map[string]any

func clubRows(system, schema string) []any {
	columns := func(keep string, more object) object {
		out := object{"columns": more}
		for c := range strings.FieldsSeq(keep) {
			more[c] = "keep"
		}
		return out
	}
	person := object{"pseudonym": "people"}
	visits := columns("id", object{"tenant_key": "clear", "customer_id": "clear", "name": "clear", "born": "year", "postcode": object{"prefix": 2}, "income": object{"bucket": 1_000_000}, "ip": "network", "diagnosis": "permute", "form": object{"members": object{"answers[].code": "keep"}}})
	visits["identifying"], visits["atLeast"] = []any{"born", "postcode"}, 3
	tables := object{"customers": "customers", "contacts": "customers", "orders": "orders", "visits": "visits", "visit_notes": "visits", "invoices": "invoices", "letters": "letters", "secrets": "secrets"}
	a := object{
		"column": "tenant_key", "key": "${tenant.name}", "tables": tables,
		"transforms": object{
			"customers":   columns("id tenant_key", object{"email": person, "phone": "clear", "ref": person, "born": "year", "profile": object{"members": object{"plan": "keep"}}, "labels": object{"each": person}, "photo": "clear"}),
			"contacts":    columns("id customer_id", object{"email": person, "note": "clear"}),
			"visits":      visits,
			"visit_notes": columns("id visit_id", object{"body": "clear"}),
		},
		"aggregates": object{"sales": object{"from": "orders", "by": object{"month": object{"column": "placed", "as": "month"}, "region": object{"column": "region", "as": "keep"}}, "sums": object{"revenue": "total"}, "count": "orders", "atLeast": 2, "of": "customer_id"}},
	}
	if schema != "" {
		a["schema"] = schema
	}
	return []any{object{"key": system, "system": system, "type": "rows", "name": "${tenant.name}", "data": list(clubClasses), "attributes": a}}
}

func list(all []string) (out []any) {
	for _, s := range all {
		out = append(out, s)
	}
	return out
}

// clubPG, clubMaria and clubDesk are its rows.
type clubPG struct {
	*postgres
	*club
}

func newClubPG(t *testing.T, c *club) keeper {
	k := &postgres{platform: platform{name: "club"}, pooled: true, srv: start(t)}
	k.dsn = k.srv.database(t, "club")
	must(t, run(k.dsn, clubPostgres))
	k.proxy, k.via = between(t, k.dsn)
	return clubPG{k, c}
}

func (k clubPG) resources(*testing.T) []any { return clubRows("main", "club") }

func (k clubPG) fill(t *testing.T, _ *rand.Rand) {
	for _, who := range tenants {
		must(t, run(k.dsn, strings.Join(k.inserts(who, "club.", inPostgres), ";\n")))
	}
}

type clubMaria struct {
	*mariadb
	*club
}

func newClubMaria(t *testing.T, c *club) keeper {
	k := startMariaDB(t, platform{name: "club"}, true)
	k.exec(t, clubMariaDB)
	return clubMaria{k, c}
}

func (k clubMaria) resources(*testing.T) []any { return clubRows("maria", "club") }

func (k clubMaria) fill(t *testing.T, _ *rand.Rand) {
	db := k.open(t)
	defer db.Close()
	for _, who := range tenants {
		mariadbtest.Exec(t, db, strings.Join(k.inserts(who, "club.", inMariaDB), ";\n"))
	}
}

type clubDesk struct {
	desk
	*club
}

func newClubDesk(t *testing.T, c *club) keeper {
	k := clubDesk{desk{dir: t.TempDir(), pooled: true}, c}
	must(t, os.MkdirAll(k.folder(), 0o700))
	db := k.open(t, k.shared())
	defer db.Close()
	_, err := db.Exec("pragma journal_mode = wal; " + clubSQLite)
	must(t, err)
	return k
}

func (k clubDesk) resources(*testing.T) []any { return clubRows("desk", "") }

func (k clubDesk) fill(t *testing.T, _ *rand.Rand) {
	db := k.open(t, k.shared())
	defer db.Close()
	for _, who := range tenants {
		_, err := db.Exec(strings.Join(k.inserts(who, "", inSQLite), ";\n"))
		must(t, err)
	}
}

func (k clubDesk) rows(t *testing.T) (out []string) {
	db := k.open(t, k.shared())
	defer db.Close()
	tables, err := db.Query("select name from sqlite_schema where type = 'table' and name not like 'tenure%' and name not like 'sqlite%'")
	must(t, err)
	var names []string
	for tables.Next() {
		var name string
		must(t, tables.Scan(&name))
		names = append(names, name)
	}
	must(t, tables.Err())
	for _, name := range names {
		rows, err := db.Query("select * from " + quoted(name))
		must(t, err)
		for _, line := range lines(t, rows, "club."+name) {
			out = append(out, strings.ReplaceAll(line, "T00:00:00Z\"", "\"")) // dates, as the driver gives them
		}
	}
	return out
}

// lines are rows as lines of their table and their values as JSON.
func lines(t *testing.T, rows *sql.Rows, table string) (out []string) {
	defer rows.Close()
	names, err := rows.Columns()
	must(t, err)
	values, into := make([]sql.RawBytes, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		must(t, rows.Scan(into...))
		cells := make([]string, len(names))
		for i, v := range values {
			cells[i] = fmt.Sprintf("%q: %s", names[i], cell(v))
		}
		out = append(out, table+" {"+strings.Join(cells, ", ")+"}")
	}
	must(t, rows.Err())
	return out
}

// Files of records, by their prefix, and what becomes of them.
var (
	clubFields = object{"id": "keep", "email": object{"pseudonym": "people"}, "phone": "clear", "born": "year", "note": "clear"}
	clubLogs   = object{"at": "month", "user.name": "clear", "user.born": "year", "zip": object{"prefix": 2}, "ip": "network", "items[].price": "keep", "n": "keep"}
)

// csv is a tenant's people as a file of records.
func (c *club) csv(who person) string {
	var out strings.Builder
	out.WriteString("\ufeffid,email,phone,born,note\r\n")
	for i, email := range c.people[who.name] {
		fmt.Fprintf(&out, "%d,%s,%s,%s,\"says \"\"%s\"\"\r\nand %s\"\r\n", i, email, c.text(who), c.born(who, 1950+i), c.text(who), c.text(who))
	}
	return out.String()
}

// log is what a tenant's people did.
func (c *club) log(who person) string {
	var out strings.Builder
	for i := range 9 {
		year, region := group(i)
		fmt.Fprintf(&out, `{"at":"2025-03-%02dT10:20:30Z","user":{"name":%q,"born":%q},"zip":%q,"ip":%q,"items":[{"price":12.50},{"price":9007199254740993}],"n":%d}`+"\n", i+1, c.text(who), c.born(who, year), region+c.text(who), c.address(who), i)
	}
	return out.String()
}

// documents are a tenant's objects or files: content by name. What stays under its name
// has none that tells of anybody.
func (c *club) documents(who person) map[string]string {
	out := map[string]string{"events/people.csv": c.csv(who), "logs/" + c.text(who) + ".jsonl": c.log(who), "bills/2025.txt": "bill " + c.keep(who)}
	for range 3 {
		out["letters/"+c.text(who)] = c.text(who)
		out["vault/"+c.text(who)] = c.text(who)
	}
	return out
}

type clubObjects struct {
	*objects
	*club
}

func newClubObjects(t *testing.T, c *club) keeper {
	k := clubObjects{newObjects(t, platform{}, true), c}
	must(t, k.client.MakeBucket(t.Context(), "reports", minio.MakeBucketOptions{}))
	return k
}

func (k clubObjects) resources(*testing.T) []any {
	a := object{
		"classes": object{"events/": "customers", "logs/": "visits", "letters/": "letters", "bills/": "invoices", "vault/": "secrets"},
		"transforms": object{
			"events/": object{"format": "csv", "fields": clubFields, "metadata": object{"owner": "clear"}},
			"logs/":   object{"format": "jsonl", "fields": clubLogs, "identifying": []any{"user.born", "zip"}, "atLeast": 3, "to": "reports/logs/"},
		},
	}
	return []any{object{"key": "objects", "system": "objects", "data": list(clubClasses[1:]), "attributes": a, "type": "prefix", "name": sharedBucket + "/of/${tenant.name}"}}
}

func (k clubObjects) fill(t *testing.T, _ *rand.Rand) {
	ctx, core := t.Context(), minio.Core{Client: k.client}
	for _, who := range tenants {
		bucket, below := k.place(who)
		for _, of := range []func(person) map[string]string{k.documents, k.documents} { // earlier versions, and those that hold
			for name, body := range of(who) {
				o := minio.PutObjectOptions{ContentType: "text/x-" + strings.Split(name, "/")[0]}
				if !strings.HasPrefix(name, "bills/") {
					o.UserMetadata = map[string]string{"owner": k.text(who)}
				}
				if strings.HasPrefix(name, "logs/") {
					o.UserTags = map[string]string{"owner": k.text(who)}
				}
				_, err := k.client.PutObject(ctx, bucket, below+name, strings.NewReader(body), int64(len(body)), o)
				must(t, err)
			}
		}
		for _, class := range []string{"events/", "logs/", "letters/", "vault/"} {
			gone := below + class + k.text(who)
			body := k.text(who)
			_, err := k.client.PutObject(ctx, bucket, gone, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
			must(t, err)
			must(t, k.client.RemoveObject(ctx, bucket, gone, minio.RemoveObjectOptions{}))
			half := below + class + k.text(who)
			id, err := core.NewMultipartUpload(ctx, bucket, half, minio.PutObjectOptions{})
			must(t, err)
			_, err = core.PutObjectPart(ctx, bucket, half, id, 1, strings.NewReader(body), int64(len(body)), minio.PutObjectPartOptions{})
			must(t, err)
		}
	}
}

// raw is every version with its headers and tags, every upload, and what Tenure keeps there.
func (k clubObjects) raw(t *testing.T) []byte {
	ctx, out := t.Context(), bytes.NewBuffer(k.objects.raw(t))
	for _, bucket := range append(k.buckets(t), "tenure-own") {
		for o := range k.client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{WithVersions: bucket == sharedBucket, Recursive: true}) {
			if must(t, o.Err); o.IsDeleteMarker {
				continue
			}
			is, err := k.client.StatObject(ctx, bucket, o.Key, minio.StatObjectOptions{VersionID: o.VersionID})
			must(t, err)
			fmt.Fprintln(out, bucket, o.Key, is.Metadata)
			if tags, err := k.client.GetObjectTagging(ctx, bucket, o.Key, minio.GetObjectTaggingOptions{VersionID: o.VersionID}); err == nil {
				fmt.Fprintln(out, tags)
			}
			if bucket == "tenure-own" {
				o, err := k.client.GetObject(ctx, bucket, o.Key, minio.GetObjectOptions{VersionID: o.VersionID})
				must(t, err)
				_, err = io.Copy(out, o)
				must(t, err)
			}
		}
	}
	return out.Bytes()
}

type clubFolder struct {
	folder
	*club
}

const clubResults = "results/logs"

func newClubFolder(t *testing.T, c *club) keeper {
	k := clubFolder{newFolder(t, platform{}), c}
	must(t, os.MkdirAll(filepath.Join(k.root, clubResults), 0o700))
	return k
}

func (k clubFolder) resources(*testing.T) []any {
	a := object{
		"classes": object{"events": "customers", "logs": "visits", "letters": "letters", "bills": "invoices", "vault": "secrets"},
		"transforms": object{
			"events": object{"format": "csv", "fields": clubFields},
			"logs":   object{"format": "jsonl", "fields": clubLogs, "identifying": []any{"user.born", "zip"}, "atLeast": 3, "to": clubResults},
		},
	}
	return []any{object{"key": "files", "system": "files", "type": "bucket", "name": "${tenant.name}", "data": list(clubClasses[1:]), "attributes": a}}
}

func (k clubFolder) fill(t *testing.T, _ *rand.Rand) {
	for _, who := range tenants {
		for name, body := range k.documents(who) {
			if strings.HasPrefix(name, "events/") {
				var packed bytes.Buffer
				w := gzip.NewWriter(&packed)
				w.Name = k.text(who)
				_, err := io.WriteString(w, body)
				must(t, err)
				must(t, w.Close())
				name, body = name+".gz", packed.String()
			}
			file := filepath.Join(k.root, "bucket", who.name, name)
			must(t, os.MkdirAll(filepath.Dir(file), 0o700))
			must(t, os.WriteFile(file, []byte(body), 0o600))
		}
	}
}

// raw is every byte below the root, and what compressed files hold.
func (k clubFolder) raw(t *testing.T) []byte {
	out := bytes.NewBuffer(k.folder.raw(t))
	k.each(t, func(path string, e fs.DirEntry) {
		if e.Type().IsRegular() {
			out.WriteString(unpacked(t, filepath.Join(k.root, path)))
		}
	})
	return out.Bytes()
}

// unpacked is what a file holds.
func unpacked(t *testing.T, file string) string {
	body, err := os.ReadFile(file)
	must(t, err)
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return string(body)
	}
	plain, err := io.ReadAll(r)
	must(t, err)
	return r.Name + string(plain)
}

// records are the rows of a table in lines, as documents.
func records(t *testing.T, all []string, table string) (out []object) {
	t.Helper()
	for _, line := range all {
		name, body, _ := strings.Cut(line, " ")
		if _, short, _ := strings.Cut(name, "."); short != table {
			continue
		}
		var doc object
		dec := json.NewDecoder(strings.NewReader(body))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, doc)
	}
	return out
}

// read is an object's content.
func (k clubObjects) read(t *testing.T, bucket, key string) string {
	o, err := k.client.GetObject(context.Background(), bucket, key, minio.GetObjectOptions{})
	must(t, err)
	body, err := io.ReadAll(o)
	must(t, err)
	return string(body)
}
