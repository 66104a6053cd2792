package s3_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/s3test"
	"github.com/tenurehq/tenure/internal/servertest"
)

// A server on which nobody ever planted anything is told as it stands, and stays so.
func TestTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	for _, name := range []string{"acme-files", "dumps", "globex"} {
		must(t, w.root.MakeBucket(ctx, name, minio.MakeBucketOptions{}))
	}
	w.MakeUser(t, "acme", "a secret of its own")
	labels, err := tags.NewTags(map[string]string{"tenant": "acme", "note": "north +=/ odd"}, false)
	must(t, err)
	must(t, w.root.SetBucketTagging(ctx, "acme-files", labels))
	put(t, w.root, "acme-files", "a.txt", "one")
	put(t, w.root, "acme-files", "2031/b.txt", "three")
	must(t, w.root.SetBucketPolicy(ctx, "acme-files", `{"Version":"2012-10-17","Statement":[{"Sid":"Web \"site\"","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::acme-files/*"}]}`))
	must(t, w.root.SetBucketPolicy(ctx, shared, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":["acme"]},"Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/tenants/acme/*"},
		{"Effect":"Allow","Principal":{"AWS":["`+friend+`"]},"Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"]}]}`))
	put(t, w.root, shared, "tenants/acme/x", "four")
	put(t, w.root, shared, "tenants/acme/x", "fourth")
	put(t, w.root, shared, "tenants/left/x", "seven77")
	must(t, w.root.RemoveObject(ctx, shared, "tenants/left/x", minio.RemoveObjectOptions{}))
	put(t, w.root, shared, "tenants/ quo\"te\n名/x", "x")
	put(t, w.root, shared, "loose", "x")
	put(t, w.root, "dumps", "acme-2031-02-03.tar.gz", "12345")
	put(t, w.root, "dumps", "gone/db.sql", "123")
	put(t, w.root, "globex", "report.pdf", "x")
	put(t, w.root, "globex", "globex.dump", "xy")

	before := w.Look(t)
	proxy := servertest.Record(t, w.Endpoint)
	options := w.options()
	options["endpoint"] = proxy.URL
	d := drive(t, options, w.secrets())
	got, told := connectortest.Traced(t, d, connector.Tracing{}, true)
	if after := w.Look(t); after != before {
		t.Errorf("the look changed the server:\n%s", cmp.Diff(before, after))
	}
	for _, asked := range proxy.Asked() {
		if !strings.HasPrefix(asked, "GET ") && asked != "PATCH /list-users" {
			t.Errorf("the look asked %s", asked)
		}
	}
	want := []string{
		`place bucket:acme-files "acme-files" type=bucket word=bucket label=note:north +=/ odd label=tenant:acme open=the policy's statement "Web \"site\"" lets everybody in rows=2 bytes=8 made=<some> used=<some> bears=unmarked`,
		`place prefix:acme-files/2031/ "acme-files/2031" type=prefix word=prefix in=bucket:acme-files called=2031 rows=1 bytes=5 used=<some>`,
		`place bucket:dumps "dumps" type=bucket word=bucket rows=2 bytes=8 made=<some> used=<some> bears=unmarked`,
		`place prefix:dumps/gone/ "dumps/gone" type=prefix word=prefix in=bucket:dumps called=gone rows=1 bytes=3 used=<some>`,
		`copy object:dumps/acme-2031-02-03.tar.gz "dumps/acme-2031-02-03.tar.gz" word=object in=bucket:dumps called=acme-2031-02-03.tar.gz rows=1 bytes=5 made=<some>`,
		`copy object:dumps/gone/db.sql "dumps/gone/db.sql" word=object in=prefix:dumps/gone/ called=db.sql rows=1 bytes=3 made=<some>`,
		`place bucket:globex "globex" type=bucket word=bucket rows=2 bytes=3 made=<some> used=<some> bears=unmarked`,
		`copy object:globex/globex.dump "globex/globex.dump" word=object in=bucket:globex called=globex.dump rows=1 bytes=2 made=<some>`,
		`place object:globex/report.pdf "globex/report.pdf" word=object in=bucket:globex called=report.pdf rows=1 bytes=1 made=<some> used=<some>`,
		`place bucket:shared "shared" type=bucket word=bucket rows=3 bytes=8 made=<some> used=<some> bears=unmarked`,
		`place prefix:shared/tenants/ "shared/tenants" type=prefix word=prefix in=bucket:shared called=tenants rows=2 bytes=7 used=<some>`,
		"place prefix:shared/tenants/ quo\"te\n名/ \"shared/tenants/ quo\\\"te\\n名\" type=prefix word=prefix in=prefix:shared/tenants/ called= quo\"te\n名 rows=1 bytes=1 used=<some>",
		`place prefix:shared/tenants/acme/ "shared/tenants/acme" type=prefix word=prefix in=prefix:shared/tenants/ called=acme rows=1 bytes=6 used=<some>`,
		`place prefix:shared/tenants/left/ "shared/tenants/left" type=prefix word=prefix in=prefix:shared/tenants/ called=left rows=0 bytes=0 used=<some>`,
		`copy versions:shared/tenants/acme/ "shared/tenants/acme" word=earlier versions in=prefix:shared/tenants/acme/ rows=1 bytes=4 made=<some>`,
		`copy versions:shared/tenants/left/ "shared/tenants/left" word=earlier versions in=prefix:shared/tenants/left/ rows=1 bytes=7 made=<some>`,
		`place object:shared/loose "shared/loose" word=object in=bucket:shared called=loose rows=1 bytes=1 made=<some> used=<some>`,
		`account user:acme "acme" type=user word=user reaches=prefix:shared/tenants/acme/`,
		`account user:outside-friend "outside-friend" type=user word=user reaches=bucket:shared`,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(told.Says) > 0 || told.Fingerprint != "" {
		t.Errorf("%s\n%+v", diff, told)
	}

	// Once Tenure is at work there, its own bucket is left out, and marks are told.
	_, err = d.Plant(ctx)
	must(t, err)
	ensure(t, d, "bucket", "t-ours", nil)
	got, told = connectortest.Traced(t, d, connector.Tracing{}, true)
	ours := `place bucket:t-ours "t-ours" type=bucket word=bucket rows=0 bytes=0 made=<some> bears=ours`
	if len(got) != len(want)+1 || !slices.Contains(got, ours) || told.Fingerprint == "" {
		t.Errorf("with Tenure's own: %q %+v", got, told)
	}
	// A user who may read one bucket alone, and list no users.
	secret := "a secret of its own"
	must(t, w.root.SetBucketPolicy(ctx, shared, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["acme"]},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::shared"}]}`))
	narrow := drive(t, w.options(), map[string]tenure.Secret{"accessKey": tenure.NewSecret("acme"), "secretKey": tenure.NewSecret(secret)})
	got, told = connectortest.Traced(t, narrow, connector.Tracing{}, true)
	if len(got) == 0 || !strings.HasPrefix(got[0], "place bucket:shared ") || len(told.Says) < 3 {
		t.Errorf("with few rights: %q %q", got, told.Says)
	}
	for _, says := range []string{"users can't be read: ", `the policy of buckets ["shared"] wasn't read: this key may not (AccessDenied)`} {
		if !slices.ContainsFunc(told.Says, func(s string) bool { return strings.HasPrefix(s, says) }) {
			t.Errorf("%q isn't said: %q", says, told.Says)
		}
	}
}

// What the calls allow is told, and what it wasn't enough for is said.
func TestTraceWithFewCalls(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	for i := range 3 {
		s.room(t, fmt.Sprintf("t-%d", i))
	}
	var asked int
	s.Fault = func(*http.Request) (int, string) { asked++; return 0, "" }
	whole, told := connectortest.Traced(t, s.driver, connector.Tracing{}, false)
	all := asked
	if len(whole) != 3 || len(told.Says) != 1 { // no users
		t.Fatalf("%q %q", whole, told.Says)
	}
	for calls := range all {
		asked = 0
		some, told := connectortest.Traced(t, s.driver, connector.Tracing{Calls: connector.NewBudget(calls)}, false)
		if asked > calls || len(some) > len(whole) || !slices.ContainsFunc(told.Says, func(s string) bool { return strings.Contains(s, "calls were used up") }) {
			t.Errorf("%d calls of %d: %d were made, %d told, %q", calls, all, asked, len(some), told.Says)
		}
		if calls > all/2 && len(some) == 0 {
			t.Errorf("%d calls of %d tell nothing", calls, all)
		}
	}
}

// traced is a stand-in on which nothing was planted.
type traced struct{ standIn }

func newTraced(t *testing.T) traced {
	t.Helper()
	s := standIn{StandIn: s3test.NewStandIn(t)}
	s.driver = drive(t, map[string]string{"endpoint": s.URL, "own": own}, map[string]tenure.Secret{"accessKey": tenure.NewSecret("access"), "secretKey": tenure.NewSecret("secret key")})
	return traced{s}
}

// room makes a bucket as the stand-in has it.
func (s traced) room(t *testing.T, name string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/"+name, nil)
	must(t, err)
	answer, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, answer.Body.Close())
}

// What a bucket lacks, what closes it, and when copies go, is told by its settings.
func TestTraceSettings(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	everybody := []byte(`{"Statement":[{"Sid":"All","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}`)
	s.room(t, "bare")
	s.Set("bare", "policy", everybody)
	s.room(t, "kept")
	s.Set("kept", "policy", everybody)
	s.Set("kept", "publicAccessBlock", []byte(`<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`))
	s.Set("kept", "versioning", []byte(`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`))
	s.Set("kept", "lifecycle", []byte(`<LifecycleConfiguration>
		<Rule><Status>Enabled</Status><Filter><Prefix>acme/</Prefix></Filter><Expiration><Days>30</Days></Expiration></Rule>
		<Rule><Status>Enabled</Status><Filter><Tag><Key>k</Key></Tag></Filter><Expiration><Days>1</Days></Expiration></Rule>
		<Rule><Status>Disabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>
		<Rule><Status>Enabled</Status><Filter/><NoncurrentVersionExpiration><NoncurrentDays>10</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>`))
	s.Put("kept", "acme/a.dump", []byte("one")) // at 2027-01-15
	s.Put("kept", "acme/a.dump", []byte("two"))
	got, _ := connectortest.Traced(t, s.driver, connector.Tracing{}, false)
	want := []string{
		`place bucket:bare "bare" type=bucket word=bucket open=the policy's statement "All" lets everybody in rows=0 bytes=0 lacks=a public-access block,a lifecycle rule bears=unmarked`,
		`place bucket:kept "kept" type=bucket word=bucket rows=1 bytes=3 used=2027-01-15 bears=unmarked`,
		`place prefix:kept/acme/ "kept/acme" type=prefix word=prefix in=bucket:kept called=acme rows=1 bytes=3 used=2027-01-15`,
		`copy object:kept/acme/a.dump "kept/acme/a.dump" word=object in=prefix:kept/acme/ called=a.dump rows=1 bytes=3 made=2027-01-15 expires=2027-02-25`,
		`copy versions:kept/acme/ "kept/acme" word=earlier versions in=prefix:kept/acme/ rows=1 bytes=3 made=2027-01-15 expires=2027-01-26`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A draft of a blueprint says of a bucket whether it keeps versions and takes locks, as the bucket can't be
// adopted otherwise. One that kept versions once keeps none by a blueprint.
func TestTraceAttributes(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	for name, status := range map[string]string{"locks": "Enabled", "keeps": "Enabled", "kept": "Suspended", "plain": ""} {
		s.room(t, name)
		if status != "" {
			s.Set(name, "versioning", []byte(`<VersioningConfiguration><Status>`+status+`</Status></VersioningConfiguration>`))
		}
	}
	s.Set("locks", "object-lock", []byte(`<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`))
	got := map[string]map[string]any{}
	if _, err := s.driver.(connector.Tracer).Trace(t.Context(), connector.Tracing{}, func(one connector.Trace) error {
		got[one.Name] = one.Attributes
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]any{"locks": {"versioning": true, "objectLock": true}, "keeps": {"versioning": true}, "kept": {}, "plain": {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Objects that lie under no prefix are told, up to so many in all buckets, and that there are
// more.
func TestTraceOfLooseObjects(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	s.room(t, "exports")
	s.room(t, "more")
	for i := range 10_000 {
		s.Put("exports", fmt.Sprintf("n%05d.csv", i), []byte("x"))
	}
	s.Put("more", "export-cedar.zip", []byte("x"))
	got, told := connectortest.Traced(t, s.driver, connector.Tracing{}, true)
	if len(got) != 10_002 || !slices.Contains(got, `place object:exports/n09999.csv "exports/n09999.csv" word=object in=bucket:exports called=n09999.csv rows=1 bytes=1 made=<some> used=<some>`) {
		t.Errorf("%d are told, the last is %q", len(got), got[len(got)-1])
	}
	if !slices.Contains(told.Says, "more than 10000 objects lie under no prefix: 1 of them aren't told") {
		t.Errorf("%q", told.Says)
	}
}

// A bucket that is too big to be listed is told by its prefixes, and by the copies where
// names say that they are.
func TestTraceOfMuch(t *testing.T) {
	t.Parallel()
	s := newTraced(t)
	s.Page = 4
	s.room(t, "much")
	s.Set("much", "versioning", []byte(`<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`))
	s.Set("much", "lifecycle", []byte(`<LifecycleConfiguration><Rule><Status>Enabled</Status></Rule></LifecycleConfiguration>`))
	s.Set("much", "publicAccessBlock", []byte(`<A><BlockPublicAcls>true</BlockPublicAcls></A>`))
	var prefixes []string
	for i := range 9 {
		s.Put("much", fmt.Sprintf("customers/c%d/x", i), []byte("x"))
		prefixes = append(prefixes, fmt.Sprintf(`place prefix:much/customers/c%d/ "much/customers/c%d" type=prefix word=prefix in=prefix:much/customers/ called=c%d`, i, i, i))
	}
	s.Put("much", "backups/c1/base", []byte("1234"))
	s.Put("much", "zeta.dump", []byte("12"))
	s.Set("much", "versioning", []byte(`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`))
	s.Put("much", "left/x", []byte("x"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.URL+"/much/left/x", nil)
	must(t, err)
	answer, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, answer.Body.Close())
	got, told := connectortest.Traced(t, s.driver, connector.Tracing{}, true)
	want := slices.Concat([]string{
		`place bucket:much "much" type=bucket word=bucket bears=unmarked`,
		`place prefix:much/backups/ "much/backups" type=prefix word=prefix in=bucket:much called=backups`,
		`place prefix:much/customers/ "much/customers" type=prefix word=prefix in=bucket:much called=customers`,
	}, prefixes, []string{
		`place prefix:much/left/ "much/left" type=prefix word=prefix in=bucket:much called=left rows=0 bytes=0`,
		`copy object:much/zeta.dump "much/zeta.dump" word=object in=bucket:much called=zeta.dump rows=1 bytes=2 made=<some>`,
		`copy object:much/backups/c1/base "much/backups/c1/base" word=object in=prefix:much/backups/ called=base rows=1 bytes=4 made=<some>`,
		`copy versions:much "much" word=earlier versions in=bucket:much`,
		`copy versions:much/left/ "much/left" word=earlier versions in=prefix:much/left/`,
	})
	if diff := cmp.Diff(want, got); diff != "" || !slices.Contains(told.Says, `the number and size of objects of buckets ["much"] wasn't read: there are more than are listed`) {
		t.Errorf("%s\n%q", diff, told.Says)
	}
}
