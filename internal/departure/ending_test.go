package departure

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// TestEveryEnding takes a tenant out of five stores in each of which its data ends in
// every way that there is, while Tenure and the servers are killed. Once the interim
// certificate is there, and once the closing one is, each store is searched from outside
// for what the tenant had. If it fails, a person can be told from what is said to tell of
// nobody, a sum is wrong, or a neighbour has lost something.
func TestEveryEnding(t *testing.T) {
	ctx := t.Context()
	seed := uint64(number(t, "TENURE_DEPARTURE_SEED", int(time.Now().UnixNano()&0xffffff)))
	kills := min(number(t, "TENURE_DEPARTURE_KILLS", 6), 40)
	t.Logf("%d kills, TENURE_DEPARTURE_SEED=%d", kills, seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := newClub()
	s := scene{name: "club", rules: clubRules, keepers: func(t *testing.T) []keeper {
		return []keeper{newClubPG(t, c), newClubMaria(t, c), newClubDesk(t, c), newClubObjects(t, c), newClubFolder(t, c)}
	}}.install(t)
	for _, who := range tenants {
		_, op, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: who.name, Blueprint: blueprintName}, "operator")
		must(t, err)
		if v, err := s.drive(ctx, op.ID, s.at.Add(time.Hour)); err != nil || v.State != tenure.OperationSucceeded {
			t.Fatalf("%s can't be onboarded: %v, %s", who.name, err, why(v))
		}
	}
	for _, k := range s.keepers {
		k.fill(t, rnd)
		if whole := string(k.raw(t)); len(c.left(whole)) < 20 || len(c.told(whole)) < 20 {
			t.Fatalf("%s: the leaver can't be seen from outside at first", keeperName(k))
		}
	}
	before := s.rows(t)
	_, op, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "the contract ends"}, "operator")
	must(t, err)
	must(t, s.inst.Close())
	s.days = "300"
	killed := 0
	for killed < kills && s.killedOnce(t, op.ID, rnd) {
		killed++
	}
	t.Logf("killed %d times", killed)
	if out, err := s.child(op.ID); err != nil {
		t.Fatalf("the departure doesn't get on: %v\n%s", err, out)
	}
	c.judge(t, s, before, true)
	s.disposed(t, "interim", map[string]evidence.Method{"orders": evidence.Aggregated, "visits": evidence.Anonymised, "letters": evidence.LogicallyDeleted, "secrets": "", "customers": evidence.Pseudonymised, "invoices": evidence.Kept})
	s.days = ""
	if out, err := s.child(op.ID); err != nil {
		t.Fatalf("the departure doesn't come to its end: %v\n%s", err, out)
	}
	c.judge(t, s, before, false)
	s.disposed(t, "closing", map[string]evidence.Method{"orders": evidence.Aggregated, "visits": evidence.Anonymised, "letters": evidence.LogicallyDeleted, "secrets": "", "customers": evidence.LogicallyDeleted, "invoices": evidence.LogicallyDeleted})
}

// own is every byte of Tenure's own folder.
func (s *story) own(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	must(t, filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		out.WriteString(path + "\n" + unpacked(t, path))
		return nil
	}))
	return out.String()
}

// disposed reads what a certificate says of each class; a blank method is any.
func (s *story) disposed(t *testing.T, kind string, want map[string]evidence.Method) {
	t.Helper()
	in, err := installation.Open(t.Context(), installation.Options{Dir: s.dir, Now: s.now})
	must(t, err)
	defer in.Close()
	all, err := in.Tenants(t.Context(), store.TenantFilter{Closed: kind == "closing"})
	must(t, err)
	i := slices.IndexFunc(all, func(v store.TenantRow) bool {
		return v.State == tenure.TenantAwaitingExpiry || v.State == tenure.TenantClosed
	})
	if i < 0 {
		t.Fatalf("no tenant has a %s certificate", kind)
	}
	file, err := in.Certificate(t.Context(), string(all[i].ID), kind)
	must(t, err)
	verifier, err := in.VerifierKey()
	must(t, err)
	rep, err := evidence.Verify(file, verifier)
	must(t, err)
	for _, class := range rep.Departure.Classes {
		if m := want[class.Class]; m != "" && class.Method != m || class.Method != evidence.Kept && !class.Verdict.Settled() {
			t.Errorf("the %s certificate says of %s: %+v", kind, class.Class, class)
		}
		delete(want, class.Class)
	}
	if len(want) > 0 {
		t.Errorf("the %s certificate doesn't speak of %v", kind, want)
	}
}

var tokens = regexp.MustCompile(`(?i)` + tenants[0].token + `\d{6}`)

// judge looks at what is left, while some is kept or at the end.
func (c *club) judge(t *testing.T, s *story, before [][]string, kept bool) {
	t.Helper()
	after := s.rows(t)
	var stays map[string]bool
	if kept {
		stays = map[string]bool{}
	}
	c.searched(t, "Tenure itself", s.own(t), nil)
	for i, k := range s.keepers {
		name := keeperName(k)
		c.searched(t, name, string(k.raw(t)), stays)
		neighbours := func(all []string) (out []string) {
			for _, line := range all {
				if tenantOf(line) != "" && tenantOf(line) != "acme" {
					out = append(out, line)
				}
			}
			return out
		}
		if diff := cmp.Diff(neighbours(before[i]), neighbours(after[i])); diff != "" {
			t.Errorf("%s: the neighbours' (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(c.kept, stays); kept && diff != "" {
		t.Errorf("what is kept (-want +got):\n%s", diff)
	}
	named := map[string]string{} // pseudonyms by the addresses that they stand for
	for i := range 3 {
		c.summed(t, keeperName(s.keepers[i]), before[i], after[i])
		c.anonymous(t, keeperName(s.keepers[i]), before[i], after[i])
		c.pseudonymous(t, keeperName(s.keepers[i]), before[i], after[i], kept, named)
	}
	objects, files := s.keepers[3].(clubObjects), s.keepers[4].(clubFolder)
	var logs []string
	for o := range objects.client.ListObjectsIter(t.Context(), "reports", minio.ListObjectsOptions{Recursive: true}) {
		must(t, o.Err)
		logs = append(logs, objects.read(t, "reports", o.Key))
	}
	judgeLogs(t, "S3", logs)
	logs = nil
	must(t, filepath.WalkDir(filepath.Join(files.root, clubResults), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			logs = append(logs, unpacked(t, path))
		}
		return err
	}))
	judgeLogs(t, "the folder", logs)
	if kept {
		c.clientele(t, "S3", objects.read(t, sharedBucket, "of/acme/events/people.csv"), named)
		found := ""
		files.each(t, func(path string, e fs.DirEntry) {
			if strings.HasSuffix(path, "bucket/acme/events/people.csv.gz") {
				found = unpacked(t, filepath.Join(files.root, path))
			}
		})
		c.clientele(t, "the folder", found, named)
	}
}

// left are the leaver's tokens in what a store gives away, and where they are.
func (c *club) left(whole string) map[string]int {
	out := map[string]int{}
	for _, at := range tokens.FindAllStringIndex(whole, -1) {
		out[strings.ToLower(whole[at[0]:at[1]])] = at[0]
	}
	if at := strings.Index(strings.ToLower(whole), hex.EncodeToString([]byte(tenants[0].token))); at >= 0 {
		out["bytes"] = at
	}
	return out
}

// told is what else tells of the leaver's people.
func (c *club) told(whole string) map[string]int {
	out := map[string]int{}
	for fact := range c.facts {
		if at := strings.Index(whole, fact); at >= 0 {
			out[fact] = at
		}
	}
	return out
}

// searched looks for the leaver in all that a store gives away: all that is there is kept.
func (c *club) searched(t *testing.T, store, whole string, kept map[string]bool) {
	t.Helper()
	left := c.left(whole)
	maps.Copy(left, c.told(whole))
	for token, at := range left {
		if !c.kept[token] || kept == nil {
			t.Errorf("%s: the leaver's %s is still there: …%q…", store, token, whole[max(0, at-120):min(len(whole), at+60)])
			continue
		}
		kept[token] = true
	}
}

// tenantOf says whose a line is, by a token or the tenant's key; "" is nobody's.
func tenantOf(line string) string {
	for _, who := range slices.Backward(tenants) { // the first one's name is a prefix of another's
		if owned(line, who) || strings.Contains(line, "/"+who.name+"/") || strings.HasPrefix(line, who.name+".") {
			return who.name
		}
	}
	return ""
}

func amount(v any) *big.Rat {
	n, ok := new(big.Rat).SetString(fmt.Sprint(v))
	if !ok {
		return big.NewRat(-1, 7)
	}
	return n
}

// summed works the sums out from the orders that there were.
func (c *club) summed(t *testing.T, store string, before, after []string) {
	t.Helper()
	want, got := map[string]*big.Rat{}, map[string]*big.Rat{}
	add := func(to map[string]*big.Rat, key string, n *big.Rat) {
		if to[key] == nil {
			to[key] = new(big.Rat)
		}
		to[key].Add(to[key], n)
	}
	sales := func(to map[string]*big.Rat, lines []string) {
		for _, r := range records(t, lines, "sales") {
			key := fmt.Sprint(r["month"], " ", r["region"])
			add(to, key+" n", amount(r["orders"]))
			add(to, key, amount(r["revenue"]))
		}
	}
	sales(want, before)
	sales(got, after)
	for _, r := range records(t, before, "orders") {
		if r["tenant_key"] == "acme" {
			key := fmt.Sprint(r["placed"].(string)[:7], "-01 ", r["region"])
			add(want, key+" n", amount(1))
			add(want, key, amount(r["total"]))
		}
	}
	texts := func(all map[string]*big.Rat) map[string]string {
		out := map[string]string{}
		for key, n := range all {
			out[key] = n.RatString()
		}
		return out
	}
	if diff := cmp.Diff(texts(want), texts(got)); diff != "" {
		t.Errorf("%s: the sums (-want +got):\n%s", store, diff)
	}
}

// anonymous looks at the visits: as many as there were, of nobody, none told by its group.
func (c *club) anonymous(t *testing.T, store string, before, after []string) {
	t.Helper()
	ids := map[string]bool{}
	given, diagnosed := map[string]int{}, map[string]int{}
	for _, r := range records(t, before, "visits") {
		if r["tenant_key"] == "acme" {
			ids[fmt.Sprint(r["id"])] = true
			diagnosed[fmt.Sprint(r["diagnosis"])]++
		}
	}
	n := 0
	for _, r := range records(t, after, "visits") {
		if !ids[fmt.Sprint(r["id"])] {
			continue
		}
		n++
		given[fmt.Sprint(r["born"], " ", r["postcode"])]++
		diagnosed[fmt.Sprint(r["diagnosis"])]--
		form, err := json.Marshal(r["form"])
		must(t, err)
		for _, column := range []string{"tenant_key", "customer_id", "name"} {
			if r[column] != nil {
				t.Errorf("%s: a visit has %s %v", store, column, r[column])
			}
		}
		if born, income, ip := fmt.Sprint(r["born"]), fmt.Sprint(r["income"]), fmt.Sprint(r["ip"]); !strings.HasSuffix(born, "-01-01") || income != "84000000" || !strings.HasPrefix(ip, "10.77.") || !strings.HasSuffix(ip, ".0") || !strings.Contains(string(form), `"code":"q`) {
			t.Errorf("%s: a visit is %v", store, r)
		}
	}
	if n != 9 {
		t.Errorf("%s: %d visits of 9 are there", store, n)
	}
	for group, n := range given {
		if n < 3 {
			t.Errorf("%s: %d visits are of group %s", store, n, group)
		}
	}
	for value, n := range diagnosed {
		if n != 0 {
			t.Errorf("%s: diagnosis %s was there %d times more", store, value, n)
		}
	}
	for _, r := range records(t, after, "visit_notes") {
		if ids[fmt.Sprint(r["visit_id"])] {
			if n++; r["body"] != nil {
				t.Errorf("%s: a note says %v", store, r["body"])
			}
		}
	}
	if n != 18 {
		t.Errorf("%s: %d notes of 9 are there", store, n-9)
	}
}

// pseudonymous looks at the customers: each has its own name, the same one everywhere, and
// whatever refers to it still does.
func (c *club) pseudonymous(t *testing.T, store string, before, after []string, kept bool, named map[string]string) {
	t.Helper()
	was := map[string]string{}
	for _, r := range records(t, before, "customers") {
		if r["tenant_key"] == "acme" {
			was[fmt.Sprint(r["id"])] = fmt.Sprint(r["email"])
		}
	}
	n, notes, bills := 0, 0, 0
	for _, r := range records(t, after, "customers") {
		if email, ours := was[fmt.Sprint(r["id"])]; ours {
			n++
			called(t, store, named, email, fmt.Sprint(r["email"]))
			profile, err := json.Marshal(r["profile"])
			must(t, err)
			if string(profile) != `{"plan":"gold"}` || r["phone"] != nil || r["photo"] != nil || !strings.HasSuffix(fmt.Sprint(r["born"]), "-01-01") || r["tenant_key"] != "acme" {
				t.Errorf("%s: a customer is %v", store, r)
			}
		}
	}
	for _, r := range records(t, after, "contacts") {
		if email, ours := was[fmt.Sprint(r["customer_id"])]; ours {
			notes++
			called(t, store, named, email, fmt.Sprint(r["email"]))
		}
	}
	for _, r := range records(t, after, "invoices") {
		if _, ours := was[fmt.Sprint(r["customer_id"])]; ours {
			bills++
		}
	}
	want := 0
	if kept {
		want = len(was)
	}
	if len(was) != 5 || n != want || notes != want || bills != want {
		t.Errorf("%s: %d customers, %d contacts and %d invoices of %d are there", store, n, notes, bills, want)
	}
}

// called checks that a person has one pseudonym, and nobody else the same.
func called(t *testing.T, store string, named map[string]string, email, name string) {
	t.Helper()
	if named[email] == "" {
		for _, other := range named {
			if other == name {
				t.Errorf("%s: two persons are called %s", store, name)
			}
		}
		named[email] = name
	}
	if named[email] != name || len(name) != 26 {
		t.Errorf("%s: a person is called %s, and %s elsewhere", store, name, named[email])
	}
}

// clientele looks at the leaver's people in a file of records.
func (c *club) clientele(t *testing.T, store, text string, named map[string]string) {
	t.Helper()
	if !strings.HasPrefix(text, "\ufeff") || strings.Count(text, "\n") != strings.Count(text, "\r\n") {
		t.Errorf("%s: the file's lines or its mark changed: %q", store, text)
	}
	all, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
	must(t, err)
	if len(all) != 6 {
		t.Fatalf("%s: the file of people is %q", store, text)
	}
	for i, r := range all[1:] {
		called(t, store, named, c.people["acme"][i], r[1])
		if want := []string{fmt.Sprint(i), r[1], "", fmt.Sprintf("%d-01-01", 1950+i), ""}; !slices.Equal(r, want) {
			t.Errorf("%s: a person is %q, want %q", store, r, want)
		}
	}
}

// judgeLogs looks at what is left of the leaver's logs.
func judgeLogs(t *testing.T, store string, all []string) {
	t.Helper()
	groups, n := map[string]int{}, 0
	for _, text := range all {
		for line := range strings.Lines(text) {
			var r struct {
				At    string
				User  struct{ Name, Born any }
				Zip   string
				Items []struct{ Price json.Number }
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.At != "2025-03-01T00:00:00Z" || r.User.Name != nil || len(r.Items) != 2 || r.Items[1].Price != "9007199254740993" {
				t.Errorf("%s: a line is %s, %v", store, line, err)
			}
			groups[fmt.Sprint(r.User.Born, r.Zip)]++
			n++
		}
	}
	for group, n := range groups {
		if n < 3 {
			t.Errorf("%s: %d lines are of group %s", store, n, group)
		}
	}
	if n == 0 || n%9 != 0 || len(groups) != 3 {
		t.Errorf("%s: %d lines in %d groups", store, n, len(groups))
	}
}
