package relational

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// traced makes a graph of lines such as "orders(id* tenant_id>tenants.id total)": an asterisk
// marks the primary key, an arrow what a column refers to.
func traced(lines ...string) *Graph {
	var tables []Table
	var keys []ForeignKey
	for _, line := range lines {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, ")"), "(")
		t := Table{TableName: TableName{Name: name}}
		for _, word := range strings.Fields(rest) {
			word, to, refers := strings.Cut(word, ">")
			column, primary := strings.CutSuffix(word, "*")
			t.Columns = append(t.Columns, Column{Name: column})
			if primary {
				t.Key = append(t.Key, column)
			}
			if refers {
				parent, at, _ := strings.Cut(to, ".")
				keys = append(keys, ForeignKey{Name: column, Child: t.TableName, Parent: TableName{Name: parent}, Columns: []string{column}, Parents: []string{at}})
			}
		}
		tables = append(tables, t)
	}
	return NewGraph(tables, keys)
}

// Which column says whose a row is, and which table lists the tenants, is all that a survey
// goes by: a wrong one gives a tenant's rows to another, or to nobody.
func TestPlanTrace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		columns []string
		tables  []string
		want    string // the list first, then whose each table's rows are
	}{
		{"a list by its name, and rows without references", nil, []string{"tenants(id* name)", "orders(id* tenant_id)"}, "tenants: list; orders: tenant_id"},
		{"a list by references alone", nil, []string{"shops(id* name)", "orders(id* account_id>shops.id)"}, "shops: list; orders: account_id"},
		{"a list that names its key as others do", nil, []string{"organizations(org_id* name)", "orders(id* orgId)"}, "organizations: list; orders: orgId"},
		{"a list with a key of its own beside the primary key", nil, []string{"tenants(id* tenant_key name)", "orders(id* tenant_key)"}, "tenants: list; orders: tenant_key"},
		{"customers of a tenant's are no tenants", nil, []string{"tenants(id*)", "customers(id* tenant_id>tenants.id)", "orders(id* customer_id>customers.id)"}, "tenants: list; customers: tenant_id; orders: linked"},
		{"nor are they without a reference", nil, []string{"customers(id* tenant_id)", "orders(id* tenant_id customer_id>customers.id)"}, "customers: tenant_id; orders: tenant_id"},
		{"a list and an owner that refer to each other", nil, []string{"accounts(id* organization_id>organizations.id email)", "organizations(id* account_id>accounts.id)"}, "organizations: list; accounts: organization_id users"},
		{"a list without a key, or with two", nil, []string{"tenants(id)", "clients(a* b*)", "orders(id* tenant_id)"}, "clients: none; orders: tenant_id; tenants: none"},
		{"what is connected, and what isn't", nil, []string{"tenants(id*)", "users(id* tenant_id>tenants.id e_mail)", "logins(id* user_id>users.id)", "notes(login_id>logins.id topic>topics.id)", "topics(id*)", "rates(topic>topics.id)", "events(id* body)"},
			"tenants: list; events: none; logins: linked; notes: linked; rates: none; topics: linked; users: tenant_id users"},
		{"columns that were named, and no others", []string{"Mandant"}, []string{"tenants(id*)", "orders(id* mandant tenant_id)", "lines(tenant_id)"}, "tenants: list; lines: none; orders: mandant"},
		{"who signs in, and whom a tenant writes to", nil, []string{"tenants(id*)", "contacts(id* tenant_id email phone)", "agents(id* tenant_id email)", "people(id* tenant_id email passwordDigest)", "ApiTokens(id* tenant_id token_sha256 email)", "webhooks(id* tenant_id url active)", "ticket_tokens_seen(tenant_id)"},
			"tenants: list; ApiTokens: tenant_id keys; agents: tenant_id users; contacts: tenant_id; people: tenant_id users; ticket_tokens_seen: tenant_id; webhooks: tenant_id jobs"},
		{"a list that refers to itself", nil, []string{"companies(id* parent_id>companies.id company_id>companies.id)"}, "companies: list"},
	} {
		var out []string
		for _, one := range PlanTrace(traced(c.tables...), c.columns).Tables {
			says := one.Tenant
			switch {
			case one.List:
				says = "list"
			case one.Linked:
				says = "linked"
			case says == "":
				says = "none"
			}
			for word, is := range map[string]bool{" users": one.Users, " keys": one.Calls, " jobs": one.Jobs} {
				if is {
					says += word
				}
			}
			out = append(out, one.Name+": "+says)
		}
		if diff := cmp.Diff(c.want, strings.Join(out, "; ")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
}

// A key that is a short number is told by the list that it belongs to: the one that the
// column refers to, or is named after. Where that can't be told nothing is said.
func TestPlanTraceOfWhichList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tables []string
		want   string
	}{
		{[]string{"clients(id*)", "shops(id*)", "orders(id* client_id>shops.id)", "deals(id* client_id)"}, "deals: clients; orders: shops"},
		{[]string{"customers(id*)", "partners(id*)", "orders(id* customer_id)", "deals(id* account_id>partners.id)"}, "deals: partners; orders: customers"},
		{[]string{"org(id*)", "organizations(id*)", "orders(id* org_id)"}, "orders: -"},
		{[]string{"tenants(id* slug)", "orders(id* tenant)", "notes(id* tenant_key)", "deals(id* tenant>tenants.slug)"}, "deals: -; notes: -; orders: -"},
		{[]string{"orders(id* tenant_id)"}, "orders: -"},
	} {
		var out []string
		for _, one := range PlanTrace(traced(c.tables...), nil).Tables {
			switch {
			case one.Of != nil:
				out = append(out, one.Name+": "+one.Of.Name)
			case one.Tenant != "":
				out = append(out, one.Name+": -")
			}
		}
		if diff := cmp.Diff(c.want, strings.Join(out, "; ")); diff != "" {
			t.Errorf("%v: -want +got:\n%s", c.tables, diff)
		}
	}
}

// Columns are read by name, so that no secret is.
func TestTraceColumns(t *testing.T) {
	t.Parallel()
	p := PlanTrace(traced("tenants(id* name title slug subdomain schema_name displayName password password_hash api_key secret token apiSecretKey email billingEmail domain website stripe_customer_id salesforce_id crm_id external_id "+
		"ssn phone address notes status is_active deleted_at suspended_at trial_ends_at expires_at created_at last_login_at plan_id>plans.id)", "plans(id*)",
		"users(id* tenant_id email first_name password last_sign_in_at status updated_at created_at external_id)"), nil)
	got := fmt.Sprintf("%+v", []any{p.Tables[0].Called, p.Tables[0].Mails, p.Tables[0].External, p.Tables[0].Status, p.Tables[0].Made, p.Tables[0].Used})
	want := "[[name title slug subdomain schema_name displayName] [email billingEmail domain website] [stripe_customer_id salesforce_id crm_id external_id] [status is_active deleted_at suspended_at trial_ends_at expires_at] created_at last_login_at]"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	u := p.Tables[2]
	if got := fmt.Sprintf("%+v", []any{u.Called, u.Mails, u.External, u.Status, u.Made, u.Used, u.Touched}); got != "[[] [email] [] [status] created_at last_sign_in_at updated_at]" {
		t.Errorf("of people's accounts: %s", got)
	}
}

// What a row says of itself decides whether it counts as gone.
func TestTraceRecord(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	of := TracedTable{Status: []string{"status", "is_active", "suspended", "deleted_at", "trialEndsAt"}}
	for _, c := range []struct {
		row             map[string]string
		disabled        bool
		status, expires string
	}{
		{map[string]string{"status": "active", "is_active": "t", "suspended": "0"}, false, "active", ""},
		{map[string]string{"status": "Churned"}, true, "Churned", ""},
		{map[string]string{"is_active": "false"}, true, "not active", ""},
		{map[string]string{"suspended": "1"}, true, "suspended", ""},
		{map[string]string{"deleted_at": "2026-05-01 10:00:00+00"}, true, "deleted", ""},
		{map[string]string{"deleted_at": "2026-07-01 10:00:00"}, false, "", "2026-07-01"},
		{map[string]string{"status": "trial", "trialEndsAt": "2026-05-01"}, false, "trial", "2026-05-01"},
		{map[string]string{"deleted_at": "infinity"}, true, "deleted", ""},
		{map[string]string{"deleted_at": ""}, false, "", ""},
		{map[string]string{"deleted_at": "0000-00-00 00:00:00"}, false, "", ""},
		{map[string]string{"deleted_at": "0"}, false, "", ""},
	} {
		one := of.record(c.row, now)
		expires := ""
		if !one.Expires.IsZero() {
			expires = one.Expires.Format(time.DateOnly)
		}
		if one.Disabled != c.disabled || one.Labels["status"] != c.status || expires != c.expires {
			t.Errorf("%v: disabled %t, status %q, expires %q", c.row, one.Disabled, one.Labels["status"], expires)
		}
	}
}

func TestTraceTime(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, text := range []string{"2026-01-02 03:04:05", "2026-01-02 03:04:05.000000", "2026-01-02 03:04:05+00", "2026-01-02 05:34:05+02:30", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000", "1767323045", "1767323045000", "1767323045000000"} {
		if got, ok := TraceTime(text); !ok || !got.Equal(want) {
			t.Errorf("%s: %s, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "infinity", "7", "soon", "0000-00-00 00:00:00"} {
		if got, ok := TraceTime(text); ok {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}
