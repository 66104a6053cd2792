package ldap_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	library "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/internal/slapdtest"
)

const auditor = "cn=auditor," + slapdtest.Base

// readable lets the auditor read what matters, and nobody write for it.
const readable = `
access to attrs=userPassword
	by anonymous auth
	by * none
access to *
	by dn.exact="` + auditor + `" read
	by * break
`

// foreign is a directory that somebody keeps by hand, with an account that may only read.
func foreign(t *testing.T, with slapdtest.Settings) (world, connector.Driver) {
	t.Helper()
	with.Access += readable
	w := newWorld(t, with)
	w.add(t, auditor, map[string][]string{"objectClass": {"organizationalRole", "simpleSecurityObject"}, "cn": {"auditor"}, "userPassword": {w.Password}})
	return w, w.bare(t, map[string]string{"bindDN": auditor})
}

// A directory that Tenure never saw is told as it stands, and stays so.
func TestTrace(t *testing.T) {
	t.Parallel()
	w, d := foreign(t, slapdtest.Settings{})
	in := func(rest string) string { return rest + "," + slapdtest.Base }
	person := func(uid string, more map[string][]string) map[string][]string {
		all := map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {"Anna A."}, "sn": {"A."}}
		for name, v := range more {
			all[name] = v
		}
		return all
	}
	w.add(t, in("ou=Acme"), map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"Acme", "ACME Ltd"}, "description": {"a customer", "tenure:2:another:res_1"}})
	w.add(t, in("ou=deep,ou=Acme"), map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {"deep"}})
	w.add(t, in(`ou=o\2Cdd \22名\0Ax,ou=Acme`), map[string][]string{"objectClass": {"organizationalUnit"}})
	w.add(t, in("uid=anna,ou=deep,ou=Acme"), person("anna", map[string][]string{"mail": {"anna@acme.example", "a@acme.example"}, "employeeNumber": {"ext-1"}, "o": {"Acme Ltd"}}))
	w.add(t, in("uid=ben,ou=Acme"), person("ben", nil))
	w.add(t, in("uid=loose"), person("loose", nil))
	w.add(t, in("cn=crew,ou=Acme"), map[string][]string{"objectClass": {"groupOfNames"}, "cn": {"crew"}, "member": {in("uid=ANNA,ou=deep,ou=acme"), in("uid=loose")}})
	w.add(t, in("cn=all"), map[string][]string{"objectClass": {"groupOfUniqueNames"}, "cn": {"all"}, "uniqueMember": {in("cn=crew,ou=Acme"), in("uid=ben,ou=Acme")}})
	w.change(t, in("uid=ben,ou=Acme"), func(m *library.ModifyRequest) {
		m.Replace("pwdAccountLockedTime", []string{"000001010000Z"})
	})

	before, csn := w.Look(t), w.csn(t)
	got, told := connectortest.Traced(t, d, connector.Tracing{}, true)
	if after := w.Look(t); before != after || w.csn(t) != csn {
		t.Errorf("the look changed the directory:\n%s", cmp.Diff(before, after))
	}
	const end = ",dc=platform,dc=example"
	want := []string{
		`place dn:ou=acme` + end + ` "Acme" type=organizational_unit word=organizational unit called=Acme,ACME Ltd,a customer made=<some> bears=others`,
		`place dn:ou=people` + end + ` "people" type=organizational_unit word=organizational unit called=people made=<some> bears=unmarked`,
		`place dn:ou=deep,ou=acme` + end + ` "Acme/deep" type=organizational_unit word=organizational unit in=dn:ou=acme` + end + ` called=deep made=<some> bears=unmarked`,
		"place dn:ou=o\\,dd \\\"名 x,ou=acme" + end + " \"Acme/o,dd \\\"名\\nx\" type=organizational_unit word=organizational unit in=dn:ou=acme" + end + " called=o,dd \"名\nx made=<some> bears=unmarked",
		`group dn:cn=crew,ou=acme` + end + ` "Acme/crew" type=group word=group in=dn:ou=acme` + end + ` called=crew reaches=dn:cn=all` + end + ` made=<some> bears=unmarked`,
		`group dn:cn=all` + end + ` "cn=all` + end + `" word=group called=all made=<some> bears=unmarked`,
		`account dn:uid=anna,ou=deep,ou=acme` + end + ` "Acme/deep/anna" type=user word=user in=dn:ou=deep,ou=acme` + end + ` called=anna,Anna A.,Acme Ltd mails=anna@acme.example,a@acme.example external=ext-1,anna reaches=dn:cn=crew,ou=acme` + end + ` made=<some> bears=unmarked`,
		`account dn:uid=ben,ou=acme` + end + ` "Acme/ben" type=user word=user in=dn:ou=acme` + end + ` called=ben,Anna A. external=ben reaches=dn:cn=all` + end + ` made=<some> disabled=yes bears=unmarked`,
		`account dn:uid=loose` + end + ` "loose" type=user word=user called=loose,Anna A. external=loose reaches=dn:cn=crew,ou=acme` + end + ` made=<some> bears=unmarked`,
	}
	slices.Sort(got[6:])
	if i := slices.IndexFunc(got, func(l string) bool { return strings.Contains(l, slapdtest.Tenure) }); i >= 0 {
		got = slices.Delete(got, i, i+1) // the fixture's other account
	}
	says := []string{"the server's configuration can't be read, so what password policy holds isn't told"}
	if diff := cmp.Diff(want, got) + cmp.Diff(says, told.Says); diff != "" || told.Fingerprint == "" {
		t.Errorf("%s\n%+v", diff, told)
	}
}

// A draft of a blueprint says of a user what it is called, and its policy, as the user can't be adopted
// otherwise; what has several values a blueprint can't say.
func TestTraceAttributes(t *testing.T) {
	t.Parallel()
	w, d := foreign(t, slapdtest.Settings{})
	w.add(t, "uid=anna,"+slapdtest.Base, map[string][]string{"objectClass": {"inetOrgPerson"}, "cn": {"Anna A."}, "sn": {"A."}, "displayName": {"Ann"}, "mail": {"anna@acme.example"}, "pwdPolicySubentry": {"cn=default," + slapdtest.Base}})
	w.add(t, "uid=ben,"+slapdtest.Base, map[string][]string{"objectClass": {"inetOrgPerson"}, "cn": {"Ben"}, "sn": {"B.", "C."}, "mail": {"b@acme.example", "c@acme.example"}})
	got := map[string]map[string]any{}
	if _, err := d.(connector.Tracer).Trace(t.Context(), connector.Tracing{}, func(one connector.Trace) error {
		if one.Type == "user" {
			got[one.Name] = one.Attributes
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]any{
		"anna": {"cn": "Anna A.", "sn": "A.", "displayName": "Ann", "mail": "anna@acme.example", "policy": "cn=default," + slapdtest.Base},
		"ben":  {"cn": "Ben"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// csn is when the server last changed anything.
func (w world) csn(t *testing.T) string {
	t.Helper()
	return strings.Join(w.one(t, slapdtest.Base).GetAttributeValues("contextCSN"), " ")
}

// Where the server's configuration can be read, units without a password policy are told.
func TestTracePolicies(t *testing.T) {
	t.Parallel()
	for _, standing := range []bool{true, false} {
		w, d := foreign(t, slapdtest.Settings{Global: "database config\naccess to * by dn.exact=\"" + auditor + "\" read\n", NoPolicy: !standing})
		for _, name := range []string{"acme", "globex"} {
			w.add(t, "ou="+name+","+slapdtest.Base, map[string][]string{"objectClass": {"organizationalUnit"}})
		}
		w.add(t, "uid=a,ou=acme,"+slapdtest.Base, map[string][]string{"objectClass": {"inetOrgPerson"}, "cn": {"a"}, "sn": {"a"}, "pwdPolicySubentry": {"cn=default," + slapdtest.Base}})
		lines, told := connectortest.Traced(t, d, connector.Tracing{}, true)
		var got []string
		for _, l := range lines {
			if strings.Contains(l, "lacks=a password policy") {
				got = append(got, strings.Fields(l)[2])
			}
		}
		want := []string{`"globex"`, `"people"`}
		if standing {
			want = nil
		}
		if !slices.Equal(got, want) || len(told.Says) > 0 {
			t.Errorf("with a policy for all %t: units without one are %q, %q", standing, got, told.Says)
		}
	}
}

// What the calls, a limit or a right keep from being seen is said, and the rest is told.
func TestTraceOfPart(t *testing.T) {
	t.Parallel()
	w, _ := foreign(t, slapdtest.Settings{Database: `limits dn.exact="` + auditor + `" size.soft=500 size.hard=500 size.prtotal=6`, Access: `
access to dn.subtree="ou=t1,` + slapdtest.Base + `"
	by dn.exact="` + auditor + `" none
	by * break
`})
	for i := range 5 {
		w.add(t, fmt.Sprintf("ou=t%d,%s", i, slapdtest.Base), map[string][]string{"objectClass": {"organizationalUnit"}})
		for j := range 2 {
			w.add(t, fmt.Sprintf("uid=u%d,ou=t%d,%s", j, i, slapdtest.Base), map[string][]string{"objectClass": {"inetOrgPerson"}, "cn": {"a"}, "sn": {"a"}})
		}
	}
	d := w.bare(t, map[string]string{"bindDN": auditor, "pageSize": "2"})
	got, told := connectortest.Traced(t, d, connector.Tracing{}, true)
	if said := strings.Join(told.Says, "; "); len(got) < 5+4 || !strings.Contains(said, "not all users were told: the server says Size Limit Exceeded, 4") || strings.Contains(said, "units") {
		t.Errorf("%d told, %q", len(got), told.Says)
	}
	d = w.bare(t, map[string]string{"pageSize": "2"}) // without the limit
	whole := connector.NewBudget(1000)
	all, _ := connectortest.Traced(t, d, connector.Tracing{Calls: whole}, true)
	for calls := range whole.Spent() {
		budget := connector.NewBudget(calls)
		some, told := connectortest.Traced(t, d, connector.Tracing{Calls: budget}, true)
		if !strings.Contains(strings.Join(told.Says, "; "), "calls were used up") || len(some) >= len(all) || calls > whole.Spent()-3 && len(some) < len(all)/2 {
			t.Errorf("%d of %d calls: %d of %d told, %q", calls, whole.Spent(), len(some), len(all), told.Says)
		}
	}
}
