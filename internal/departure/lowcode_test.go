package departure

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/noderedtest"
	"github.com/tenurehq/tenure/internal/oidctest"
	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/scimtest"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

// TestLowCode takes a tenant in and out of low-code platforms beside its database and its
// documents: collections and users in PocketBase, flows in Node-RED, users and a group at an
// identity provider (SCIM), a client of an OpenID provider, and a unit with a user and a group
// in a directory (LDAP). From outside nothing of it is
// left in any of them, its access ends before its data, and its neighbours, one with a
// name that begins with its own, are as they were.
func TestLowCode(t *testing.T) {
	ctx := t.Context()
	pb, nr, id := pocketbasetest.Start(t), noderedtest.Start(t), scimtest.Start(t)
	dir := slapdtest.Start(t, slapdtest.Settings{})
	op := oidctest.Start(t, oidctest.Options{Registers: true, RedirectURLs: []string{"https://app.example/back"}})
	c := newClub()
	s := scene{name: "low-code", keepers: func(t *testing.T) []keeper {
		return []keeper{newPostgres(t, shop, true), newObjects(t, shop, true), pocket{pb, c}, flows{nr}, people{id}, apps{op}, entries{dir}}
	}}.install(t)
	for _, who := range tenants {
		began := time.Now()
		_, in, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Onboard, Tenant: who.name, Blueprint: blueprintName}, "operator")
		must(t, err)
		if v, err := s.drive(ctx, in.ID, s.at.Add(time.Hour)); err != nil || v.State != tenure.OperationSucceeded {
			t.Fatalf("%s can't be onboarded: %v, %s", who.name, err, why(v))
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s took %s to move in", who.name, took)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 0))
	for _, k := range s.keepers {
		k.fill(t, rnd)
	}
	if !answers(t, nr, "acme") || !answers(t, nr, "acme-2") {
		t.Fatal("the flows don't answer")
	}
	before := s.rows(t)
	_, out, err := s.inst.Request(ctx, lifecycle.Intent{Kind: tenure.Offboard, Tenant: "acme", Reason: "the contract ends"}, "operator")
	must(t, err)
	v, err := s.drive(ctx, out.ID, s.at.Add(20*24*time.Hour)) // after the grace, before any class goes
	if err != nil || v.State == tenure.OperationBlocked {
		t.Fatalf("the departure doesn't get on: %v, %s", err, why(v))
	}
	if answers(t, nr, "acme") || !answers(t, nr, "acme-2") {
		t.Error("access isn't cut before the data goes, or a neighbour's is")
	}
	users, _ := id.All(t)
	for _, u := range users {
		if acme := u["userName"] == "admin@acme.example"; (u["active"] == false) != acme {
			t.Errorf("after the cut %v is active: %v", u["userName"], u["active"])
		}
	}
	for _, c := range op.Clients(t) {
		if grants, _ := c["grant_types"].([]any); c["client_name"] != tenureSentinel && (len(grants) == 0) != (c["client_name"] == "acme app") {
			t.Errorf("after the cut client %v has the grants %v", c["client_name"], grants)
		}
	}
	for _, who := range []string{"acme", "acme-2"} {
		for _, e := range dir.All(t, "uid=anna,ou="+who+","+slapdtest.Base, "pwdAccountLockedTime") {
			if locked := e.GetAttributeValue("pwdAccountLockedTime") != ""; locked != (who == "acme") {
				t.Errorf("after the cut %s is locked: %v", e.DN, locked)
			}
		}
	}
	if left := len(counted(s.rows(t)[2], tenants[0])); left == 0 {
		t.Error("data went before its time")
	}
	if v, err = s.drive(ctx, out.ID, s.at.Add(20*365*24*time.Hour)); err != nil || v.State != tenure.OperationSucceeded {
		t.Fatalf("the departure doesn't come to its end: %v, %s", err, why(v))
	}
	after := s.rows(t)
	for i, k := range s.keepers {
		for _, line := range after[i] {
			if owned(line, tenants[0]) || strings.Contains(line, `"acme"`) || strings.Contains(line, "acme@") || strings.Contains(line, "acme_orders") || strings.Contains(line, "acme staff") || strings.Contains(line, `"acme app"`) || strings.Contains(line, "ou=acme,") {
				t.Errorf("%s: the leaver is still there: %s", keeperName(k), line)
			}
		}
		var stayed []string
		for _, line := range before[i] {
			if !owned(line, tenants[0]) {
				stayed = append(stayed, line)
			}
		}
		if i > 1 { // what the others' own neighbours see change is TestDeparture's
			if diff := cmp.Diff(stayed, after[i]); diff != "" {
				t.Errorf("%s: neighbours lost or won something (-before +after):\n%s", keeperName(k), diff)
			}
		}
	}
	must(t, s.inst.Close())
	s.certified(t, s.byClass(t, before))
}

// answers says whether a tenant's flow does.
func answers(t *testing.T, s *noderedtest.Server, tenant string) bool {
	t.Helper()
	res, err := http.Get(s.URL + "/of/" + tenant)
	must(t, err)
	must(t, res.Body.Close())
	return res.StatusCode == http.StatusOK
}

// pocket are tenants' collections and users in PocketBase.
type pocket struct {
	srv *pocketbasetest.Server
	c   *club
}

func (k pocket) systems() map[string]any {
	return map[string]any{"pocket": map[string]any{"connector": "pocketbase", "options": map[string]any{"base": k.srv.URL, "identity": k.srv.Identity, "password": k.srv.Password}}}
}

// prefix is a tenant's name as a collection's name can have it.
const prefix = `${tenant.name.replace("-", "_")}`

func (k pocket) resources(*testing.T) []any {
	fields := []any{map[string]any{"name": "title", "type": "text"}, map[string]any{"name": "data_class", "type": "text"}}
	return []any{
		map[string]any{"key": "orders", "system": "pocket", "type": "collection", "name": prefix + "_orders", "data": []any{"activity", "billing"}, "attributes": map[string]any{"fields": fields, "listRule": `@request.auth.tenant = "${tenant.name}"`}},
		map[string]any{"key": "user", "system": "pocket", "type": "user", "name": "${tenant.name}@tenants.example", "attributes": map[string]any{"tenant": "${tenant.name}"}},
	}
}

func (k pocket) fill(t *testing.T, _ *rand.Rand) {
	for _, who := range tenants {
		name := strings.ReplaceAll(who.name, "-", "_") + "_orders"
		for i := range 7 {
			k.srv.Must(t, http.MethodPost, "/api/collections/"+name+"/records", map[string]any{"title": k.c.text(who), "data_class": []string{"activity", "billing"}[i%2]}, nil)
		}
	}
}

func (k pocket) rows(t *testing.T) (out []string) {
	for _, c := range k.srv.Collections(t) {
		name := c["name"].(string)
		if name == "tenure_marks" { // its times move
			for _, r := range k.srv.Records(t, name) {
				out = append(out, fmt.Sprintf("%s %s%s %v", name, of(fmt.Sprint(r["key"])), r["key"], r["mark"]))
			}
			continue
		}
		raw, _ := json.Marshal(map[string]any{"fields": c["fields"], "rule": c["listRule"]})
		out = append(out, fmt.Sprintf("collection %s%s %s", of(name), name, raw))
		for _, r := range k.srv.Records(t, name) {
			raw, _ := json.Marshal(r)
			class, _ := r["data_class"].(string)
			out = append(out, fmt.Sprintf("%s:%s %s%s", name, class, of(fmt.Sprint(r["email"])), raw))
		}
	}
	return out
}

// of is the token of the tenant whose name a text tells of, as what has no text of its own
// needs it to be somebody's.
func of(text string) string {
	for _, who := range []person{tenants[1], tenants[2], tenants[0]} {
		for _, name := range []string{who.name, strings.ReplaceAll(who.name, "-", "_")} {
			for _, sign := range []string{name + "_orders", name + "@tenants", " flow " + name, "admin@" + name + ".example", name + " staff", name + " app", "ou=" + name + ","} {
				if strings.HasPrefix(text, strings.TrimSpace(sign)) || sign[:3] == "ou=" && strings.Contains(text, sign) || strings.HasSuffix(text, sign) || strings.Contains(text, " "+strings.TrimSpace(sign)) {
					return who.token + " "
				}
			}
		}
	}
	return ""
}

func (k pocket) shape(*testing.T) string { return "" }
func (k pocket) raw(t *testing.T) []byte { return []byte(strings.Join(k.rows(t), "\n")) }
func (k pocket) class(_ *testing.T, table string) string {
	name, class, _ := strings.Cut(table, ":")
	if !strings.HasSuffix(name, "_orders") {
		return ""
	}
	return class
}
func (k pocket) announced(line string, _ []string) string { return line }

// flows are tenants' flows in Node-RED.
type flows struct{ srv *noderedtest.Server }

func (k flows) systems() map[string]any {
	return map[string]any{"flows": map[string]any{"connector": "nodered", "options": map[string]any{"base": k.srv.URL, "user": k.srv.User, "password": k.srv.Password}}}
}

func (k flows) resources(*testing.T) []any {
	nodes := []any{
		map[string]any{"id": "in", "type": "http in", "name": "", "url": "/of/${tenant.name}", "method": "get", "upload": false, "swaggerDoc": "", "x": 100, "y": 80, "wires": []any{[]any{"out"}}},
		map[string]any{"id": "out", "type": "http response", "name": "", "statusCode": "200", "headers": map[string]any{}, "x": 420, "y": 80, "wires": []any{}},
	}
	return []any{map[string]any{"key": "flow", "system": "flows", "type": "flow", "name": "flow ${tenant.name}", "attributes": map[string]any{"template": "orders@1.0", "nodes": nodes}}}
}

func (k flows) fill(*testing.T, *rand.Rand) {}

func (k flows) rows(t *testing.T) (out []string) {
	tabs := map[any]string{}
	all := k.srv.Flows(t)
	for _, f := range all {
		if f["type"] == "tab" {
			tabs[f["id"]] = of(" " + fmt.Sprint(f["label"]))
		}
	}
	for _, f := range all {
		whose := tabs[f["id"]]
		if z, ok := f["z"]; ok {
			whose = tabs[z]
		}
		raw, _ := json.Marshal(f)
		out = append(out, fmt.Sprintf("%v %s%s", f["type"], whose, raw))
	}
	return out
}

func (k flows) shape(*testing.T) string                  { return "" }
func (k flows) raw(t *testing.T) []byte                  { return []byte(strings.Join(k.rows(t), "\n")) }
func (k flows) class(*testing.T, string) string          { return "" }
func (k flows) announced(line string, _ []string) string { return line }

// people are tenants' users and groups at an identity provider.
type people struct{ srv *scimtest.Server }

func (k people) systems() map[string]any {
	return map[string]any{"people": map[string]any{"connector": "scim", "options": map[string]any{"base": k.srv.URL + "/scim/v2", "token": k.srv.Token}}}
}

func (k people) resources(*testing.T) []any {
	return []any{
		map[string]any{"key": "admin", "system": "people", "type": "user", "name": "admin@${tenant.name}.example", "attributes": map[string]any{"displayName": "Administrator"}},
		map[string]any{"key": "staff", "system": "people", "type": "group", "name": "${tenant.name} staff", "needs": []any{"admin"}, "attributes": map[string]any{"members": []any{"admin@${tenant.name}.example"}}},
	}
}

func (k people) fill(*testing.T, *rand.Rand) {}

func (k people) rows(t *testing.T) (out []string) {
	users, groups := k.srv.All(t)
	for _, o := range append(users, groups...) {
		name := fmt.Sprint(o["userName"], o["displayName"])
		raw, _ := json.Marshal(o)
		out = append(out, "person "+of(strings.ReplaceAll(strings.TrimPrefix(name, "<nil>"), "Administrator", ""))+string(raw))
	}
	return out
}

func (k people) shape(*testing.T) string                  { return "" }
func (k people) raw(t *testing.T) []byte                  { return []byte(strings.Join(k.rows(t), "\n")) }
func (k people) class(*testing.T, string) string          { return "" }
func (k people) announced(line string, _ []string) string { return line }

// apps are tenants' clients of an OpenID provider.
type apps struct{ srv *oidctest.Provider }

// tenureSentinel is what Tenure's own client is called.
const tenureSentinel = "Tenure's sentinel: a client without any right"

func (k apps) systems() map[string]any {
	return map[string]any{"apps": map[string]any{"connector": "oidcclient", "options": map[string]any{
		"issuer": k.srv.Issuer, "initialToken": k.srv.Initial.Reveal(), "endSessions": "/admin/clients/{client_id}/logout", "endSessionsToken": k.srv.Admin.Reveal(), "tokenLife": "PT1H",
	}}}
}

func (k apps) resources(*testing.T) []any {
	return []any{map[string]any{"key": "app", "system": "apps", "type": "client", "name": "${tenant.name} app", "attributes": map[string]any{"redirectUris": []any{"https://${tenant.name}.example/back"}}}}
}

func (k apps) fill(*testing.T, *rand.Rand) {}

func (k apps) rows(t *testing.T) (out []string) {
	for _, c := range k.srv.Clients(t) {
		raw, _ := json.Marshal(c)
		out = append(out, "client "+of(fmt.Sprint(c["client_name"]))+string(raw))
	}
	return out
}

func (k apps) shape(*testing.T) string                  { return "" }
func (k apps) raw(t *testing.T) []byte                  { return []byte(strings.Join(k.rows(t), "\n")) }
func (k apps) class(*testing.T, string) string          { return "" }
func (k apps) announced(line string, _ []string) string { return line }

// entries are tenants' units of a directory, with a user and a group in each.
type entries struct{ srv *slapdtest.Server }

func (k entries) systems() map[string]any {
	return map[string]any{"directory": map[string]any{"connector": "ldap", "options": map[string]any{"url": k.srv.URL, "bindDN": slapdtest.Tenure, "password": k.srv.Password, "base": slapdtest.Base}}}
}

func (k entries) resources(*testing.T) []any {
	return []any{
		map[string]any{"key": "unit", "system": "directory", "type": "organizational_unit", "name": "${tenant.name}", "data": []any{"activity"}, "attributes": map[string]any{}},
		map[string]any{"key": "anna", "system": "directory", "type": "user", "name": "${tenant.name}/anna", "needs": []any{"unit"}, "attributes": map[string]any{"mail": "anna@${tenant.name}.example"}},
		map[string]any{"key": "team", "system": "directory", "type": "group", "name": "${tenant.name}/team", "needs": []any{"anna"}, "attributes": map[string]any{"members": []any{"${tenant.name}/anna"}}},
	}
}

func (k entries) fill(*testing.T, *rand.Rand) {}

func (k entries) rows(t *testing.T) (out []string) {
	for line := range strings.SplitSeq(k.srv.Look(t), "\n") {
		if strings.Contains(line, " subschemaSubentry=") || strings.Contains(line, " numSubordinates=") {
			continue
		}
		dn, _, _ := strings.Cut(line, " ")
		out = append(out, "entry "+of(dn)+line)
	}
	return out
}

func (k entries) shape(*testing.T) string                  { return "" }
func (k entries) raw(t *testing.T) []byte                  { return []byte(strings.Join(k.rows(t), "\n")) }
func (k entries) class(*testing.T, string) string          { return "" }
func (k entries) announced(line string, _ []string) string { return line }
