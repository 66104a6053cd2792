package departure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/oidctest"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

// usersOf is how many users of a tenant there are in each of five systems and of two
// environments. `make bench` asks for 100, a thousand in all.
func usersOf(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("TENURE_USERS"))
	if err != nil || n < 1 {
		n = 3
	}
	return n
}

// cutLimit is how long it may take until nobody of a tenant gets in anywhere.
const cutLimit = time.Minute

// crowd is a keeper whose tenants have many things of a kind.
type crowd struct {
	keeper
	n   int
	one func(i int) map[string]any
}

func (k crowd) resources(*testing.T) (out []any) {
	for i := range k.n {
		r := k.one(i)
		r["key"] = fmt.Sprintf("%s%d", r["system"], i)
		out = append(out, r)
	}
	return out
}

// TestCrowdIsCut takes access from all users of a tenant in five systems at once: within a
// minute none of them gets in, seen from outside, and a neighbour's all do.
func TestCrowdIsCut(t *testing.T) {
	n := usersOf(t)
	pb, id, dir := pocketbasetest.Start(t), scimtest.Start(t), slapdtest.Start(t, slapdtest.Settings{Entries: "dn: ou=all," + slapdtest.Base + "\nobjectClass: organizationalUnit\nou: all\n"})
	op := oidctest.Start(t, oidctest.Options{Registers: true, RedirectURLs: []string{"https://app.example/back"}})
	db := newPostgres(t, shop, true)
	rules := map[string]any{"environments": []any{map[string]any{"name": "prod", "kind": "production"}, map[string]any{"name": "test", "kind": "test"}}}
	s := scene{name: "crowd", rules: rules, keepers: func(t *testing.T) []keeper {
		return []keeper{
			crowd{db, n, func(i int) map[string]any {
				return map[string]any{"system": "main", "type": "role", "name": fmt.Sprintf(`${tenant.name.replace("-", "_")}_${env.name}_%d`, i), "attributes": map[string]any{"login": true}}
			}},
			crowd{people{id}, n, func(i int) map[string]any {
				return map[string]any{"system": "people", "type": "user", "name": fmt.Sprintf("u%d.${env.name}@${tenant.name}.example", i), "attributes": map[string]any{}}
			}},
			crowd{pocket{pb, newClub()}, n, func(i int) map[string]any {
				return map[string]any{"system": "pocket", "type": "user", "name": fmt.Sprintf("u%d.${env.name}@${tenant.name}.example", i), "attributes": map[string]any{"tenant": "${tenant.name}"}}
			}},
			crowd{entries{dir}, n, func(i int) map[string]any {
				return map[string]any{"system": "directory", "type": "user", "name": fmt.Sprintf("all/${tenant.name}-u%d-${env.name}", i), "attributes": map[string]any{}}
			}},
			crowd{apps{op}, n, func(i int) map[string]any {
				return map[string]any{"system": "apps", "type": "client", "name": fmt.Sprintf("${tenant.name} app %d ${env.name}", i), "attributes": map[string]any{"redirectUris": []any{"https://${tenant.name}.example/back"}}}
			}},
		}
	}}.install(t)
	for _, who := range tenants[:2] {
		began := time.Now()
		_, in, err := s.inst.Request(t.Context(), lifecycle.Intent{Kind: tenure.Onboard, Tenant: who.name, Blueprint: blueprintName}, "operator")
		must(t, err)
		if v, err := s.drive(t.Context(), in.ID, s.at.Add(time.Hour)); err != nil || v.State != tenure.OperationSucceeded {
			t.Fatalf("%s can't be onboarded: %v, %s", who.name, err, why(v))
		}
		t.Logf("%d users of %s moved in within %s", 10*n, who.name, time.Since(began).Round(time.Millisecond))
	}
	open := func(tenant string) (out map[string]int) {
		out = map[string]int{}
		if roles := db.logins(t, strings.ReplaceAll(tenant, "-", "_")); roles > 0 {
			out["postgres"] = roles
		}
		users, _ := id.All(t)
		for _, u := range users {
			if strings.HasSuffix(fmt.Sprint(u["userName"]), "@"+tenant+".example") && u["active"] == true {
				out["scim"]++
			}
		}
		for _, u := range pb.Records(t, "users") {
			if u["tenant"] == tenant && u["suspended"] == false {
				out["pocketbase"]++
			}
		}
		for _, e := range dir.All(t, "ou=all,"+slapdtest.Base, "uid", "pwdAccountLockedTime") {
			if strings.HasPrefix(e.GetAttributeValue("uid"), tenant+"-u") && e.GetAttributeValue("pwdAccountLockedTime") == "" {
				out["ldap"]++
			}
		}
		for _, c := range op.Clients(t) {
			if grants, _ := c["grant_types"].([]any); strings.HasPrefix(fmt.Sprint(c["client_name"]), tenant+" app ") && len(grants) > 0 {
				out["oidc"]++
			}
		}
		return out
	}
	for system, got := range open("acme") {
		if got != 2*n {
			t.Fatalf("before the cut %d of %d get in to %s", got, 2*n, system)
		}
	}
	if len(open("acme")) != 5 {
		t.Fatalf("before the cut they get in to %v", open("acme"))
	}
	before := open(tenants[1].name)
	_, out, err := s.inst.Request(t.Context(), lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "fraud", AtOnce: true}, "operator")
	must(t, err)
	began := time.Now()
	v, err := s.drive(t.Context(), out.ID, s.at.Add(time.Hour))
	took := time.Since(began)
	if err != nil || v.State == tenure.OperationBlocked || v.State == tenure.OperationFailed {
		t.Fatalf("the departure doesn't get on: %v, %s", err, why(v))
	}
	if left := open("acme"); len(left) > 0 {
		t.Errorf("after the cut they still get in to %v", left)
	}
	if after := open(tenants[1].name); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the neighbour's get in to %v, and %v before", after, before)
	}
	word := "met"
	if took > cutLimit {
		word = "short"
		t.Errorf("the cut of %d users took %s", 10*n, took)
	}
	fmt.Printf("bench cut-%d %s - - <=%s %s\n", 10*n, took.Round(time.Millisecond), cutLimit, word)
}

// logins counts the roles named after a tenant, with a number, that may log in.
func (k *postgres) logins(t *testing.T, tenant string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), k.dsn)
	must(t, err)
	defer conn.Close(t.Context())
	must(t, conn.QueryRow(t.Context(), `select count(*) from pg_roles where rolname ~ ('^' || $1 || '_(prod|test)_[0-9]+$') and rolcanlogin`, tenant).Scan(&n))
	return n
}
