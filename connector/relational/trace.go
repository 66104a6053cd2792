package relational

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure/connector"
)

// TracePlan says of each table of a database that nobody has told Tenure about what its
// rows are to tenants: by its columns' names, its name, its primary key and its foreign keys.
type TracePlan struct {
	Tables []TracedTable // lists of tenants before the others, each in the order of the graph
	graph  *Graph
}

// TracedTable is one table as a TracePlan has it. The columns named in it are those of
// which values are read; no other is.
type TracedTable struct {
	Table
	Tenant string // the column that says whose a row is; "" if there is none
	Of     *Table // the list whose key that column bears, as a foreign key or its name says; nil if neither tells
	List   bool   // a row of it is a tenant
	Users  bool   // a row of it is somebody's account with a tenant: who can sign in, and not whom a tenant writes to
	Calls  bool   // a row of it is a key or a token by which programs call
	Jobs   bool   // a row of it runs, sends or receives by itself, such as a webhook
	Linked bool   // no tenant column, but foreign keys lead from or to a table that has one

	Called, Mails, External []string
	Status                  []string // what says that it can't be used now, or until when
	Made                    string
	Used                    string // when somebody last signed in or was there
	Touched                 string // when the row was last written, as far as one column says so
}

// PlanTrace makes the plan. The columns are those that say whose a row is; none takes those
// that look like one.
func PlanTrace(g *Graph, columns []string) TracePlan {
	p := tracePlanner{g, columns, map[TableName]string{}}
	for _, t := range g.sorted {
		p.tenants[t.TableName] = p.tenantColumn(t)
	}
	var lists, others []TracedTable
	linked := p.linked()
	for _, t := range g.sorted {
		one := TracedTable{Table: t, Tenant: p.tenants[t.TableName], List: p.list(t)}
		if one.List {
			if one.Tenant != "" && one.Tenant != t.Key[0] {
				one.External = append(one.External, one.Tenant)
			}
			one.Tenant = ""
		}
		name := strings.ToLower(snake.ReplaceAllString(t.Name, "${1}_${2}"))
		bears := !one.List && one.Tenant != ""
		one.Calls, one.Jobs = bears && callTables.MatchString(name), bears && jobTables.MatchString(name)
		p.columnsOf(&one)
		one.Users = bears && !one.Calls && !one.Jobs && len(one.Mails) > 0 && (userTables.MatchString(name) || signsIn(t))
		one.Linked = one.Tenant == "" && !one.List && linked[t.TableName]
		if one.List {
			lists = append(lists, one)
		} else {
			others = append(others, one)
		}
	}
	for i := range others {
		others[i].Of = p.of(others[i], lists)
	}
	return TracePlan{append(lists, others...), g}
}

// of is the list whose key a table's tenant column bears: the one that it refers to, or the
// one that it is named after.
func (p tracePlanner) of(t TracedTable, lists []TracedTable) *Table {
	if t.Tenant == "" {
		return nil
	}
	for _, k := range p.g.above[t.TableName] {
		if slices.Equal(k.Columns, []string{t.Tenant}) {
			for i := range lists {
				if lists[i].TableName == k.Parent && slices.Equal(k.Parents, lists[i].Key) {
					return &lists[i].Table
				}
			}
			return nil // it says whose by something else
		}
	}
	if len(p.columns) > 0 {
		return nil
	}
	rank := tenantRank(t.Tenant)
	var found *Table
	for i := range lists {
		if !keyLike(t.Tenant) || tenantRank(lists[i].Name) != rank {
			continue
		}
		if found != nil {
			return nil
		}
		found = &lists[i].Table
	}
	return found
}

// keyLike says that a column by its name bears a key, and not a name or a slug.
func keyLike(column string) bool {
	name := strings.ToLower(snake.ReplaceAllString(column, "${1}_${2}"))
	return strings.HasSuffix(name, "id")
}

type tracePlanner struct {
	g       *Graph
	columns []string
	tenants map[TableName]string
}

// tenantColumn is the column that says whose a row is: of several the one that the words
// of connector.TenantColumn put first, such as tenant_id before customer_id.
func (p tracePlanner) tenantColumn(t Table) string {
	best, rank := "", 0
	for _, c := range t.Columns {
		if r := p.rank(c.Name); r > 0 && (best == "" || r < rank) && !p.beneath(t, c.Name, r) {
			best, rank = c.Name, r
		}
	}
	return best
}

// rank is the column's place among those that say whose a row is, from 1; 0 if it isn't one.
func (p tracePlanner) rank(name string) int {
	if len(p.columns) > 0 {
		return 1 + slices.IndexFunc(p.columns, func(c string) bool { return strings.EqualFold(c, name) })
	}
	if !connector.TenantColumn(name) {
		return 0
	}
	return 1 + tenantRank(name)
}

// tenantRanks are the beginnings of connector.TenantColumn's words, from what is a tenant on
// most platforms to what is part of one.
var tenantRanks = []string{"tenant", "org", "workspace", "compan", "customer", "client", "account", "team"}

func tenantRank(name string) int {
	return slices.IndexFunc(tenantRanks, func(w string) bool { return strings.HasPrefix(strings.ToLower(name), w) })
}

// beneath says that the column refers to something which has a better tenant column itself:
// orders.customer_id where customers.tenant_id is.
func (p tracePlanner) beneath(t Table, column string, rank int) bool {
	for _, k := range p.g.above[t.TableName] {
		if k.self() || !slices.Equal(k.Columns, []string{column}) {
			continue
		}
		for _, c := range p.g.tables[k.Parent].Columns {
			if r := p.rank(c.Name); r > 0 && r < rank {
				return true
			}
		}
	}
	return false
}

var listNames = regexp.MustCompile(`^(tenant|organi[sz]ation|org|workspace|customer|client|account)s?$|^(company|companies)$`)

// list says that a row of the table is a tenant.
func (p tracePlanner) list(t Table) bool {
	if len(t.Key) != 1 {
		return false
	}
	own := p.tenants[t.TableName]
	for _, k := range p.g.above[t.TableName] {
		if own != "" && !k.self() && slices.Contains(k.Columns, own) {
			return false // whose it is, is said elsewhere
		}
	}
	if own == t.Key[0] {
		return true
	}
	named := listNames.MatchString(strings.ToLower(t.Name))
	if own != "" && (!named || tenantRank(own) < tenantRank(t.Name)) {
		return false
	}
	return named || slices.ContainsFunc(p.g.below[t.TableName], func(k ForeignKey) bool {
		return !k.self() && slices.Equal(k.Parents, t.Key) && k.Columns[0] == p.tenants[k.Child]
	})
}

// linked are the tables that foreign keys connect with those of tenants' rows: what refers
// to these, however far, and what they refer to.
func (p tracePlanner) linked() map[TableName]bool {
	var down []TableName
	seen := map[TableName]bool{}
	add := func(n TableName) {
		if !seen[n] {
			seen[n] = true
			down = append(down, n)
		}
	}
	for _, t := range p.g.sorted {
		if p.tenants[t.TableName] != "" || p.list(t) {
			add(t.TableName)
		}
	}
	for i := 0; i < len(down); i++ {
		for _, k := range p.g.below[down[i]] {
			add(k.Child)
		}
	}
	for i := 0; i < len(down); i++ {
		for _, k := range p.g.above[down[i]] {
			add(k.Parent)
		}
	}
	return seen
}

var (
	calledColumns   = regexp.MustCompile(`^(name|title|slug|display_?name|sub_?domain|handle|(company|organi[sz]ation|org|tenant|workspace|customer|client|account|legal|short)_?(name|slug|code|title)|schema(_name)?|db|db_?name|database(_name)?|bucket(_name)?|realm|namespace|vhost|prefix|folder)$`)
	mailColumns     = regexp.MustCompile(`^((contact|billing|owner|admin|primary|work|login|user)_?)?(e_?)?mail(_?address)?$`)
	domainColumns   = regexp.MustCompile(`^((custom|primary|email|mail|sso|verified)_?)?domain(_name)?$|^(website|host_?name)$`)
	externalColumns = regexp.MustCompile(`^(external|ext|foreign|legacy|crm|erp|billing|stripe|salesforce|sfdc|sf|hubspot|chargebee|recurly|paddle|zendesk|intercom|freshdesk|pipedrive|zoho|xero|netsuite|auth0|okta|keycloak|github|gitlab|slack|azure|aws|gcp)(_[a-z]+)*_?(id|ref|key_id|reference|number)$|.+_(customer|account|subscription|org|organization|realm)_?id$`)
	statusColumns   = regexp.MustCompile(`^(account_?|tenant_?|lifecycle_?|customer_?)?(status|state)$|^(is_?)?(active|enabled|disabled|suspended|archived|deleted|locked|blocked|cancell?ed|closed|revoked)$|^(deleted|suspended|disabled|deactivated|closed|cancell?ed|archived|churned|locked|blocked|revoked|expires|trial_ends)_?(at|on)$`)
	madeColumns     = regexp.MustCompile(`^(created|inserted|registered|signed_up|joined)_?(at|on|date)?$|^(date_created|created_time|creation_date)$`)
	usedColumns     = regexp.MustCompile(`^(last|latest)_?(login|sign_?in|log_?in|seen|active|activity|access|accessed|used)(_?(at|on|date|time))?$|^current_sign_in_at$`)
	touchedColumns  = regexp.MustCompile(`^(updated|modified|changed)_?(at|on|time)$|^last_?(updated|modified|changed)(_?(at|on|time))?$`)
	snake           = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

// Tables whose rows can sign in, call or run, by their names.
var (
	userTables = regexp.MustCompile(`(^|_)(users?|accounts?|logins?|agents?|admins?|members?|memberships?|operators?|identities|identity|seats?|staff)$`)
	callTables = regexp.MustCompile(`(^|_)(api|access|auth|personal|refresh|service|bearer|client)_?(keys?|tokens?|credentials?|secrets?)$|^(keys|tokens|credentials|service_accounts?|oauth_(clients?|applications?))$`)
	jobTables  = regexp.MustCompile(`(^|_)(web_?hooks?|webhook_(endpoints?|subscriptions?)|integrations?|connections|schedules|scheduled_jobs|cron_jobs|feeds)$`)
	signInName = regexp.MustCompile(`passw|pwd|(^|_)(mfa|otp|totp|2fa|sso|saml)(_|$)|sign_?in|log_?in`)
)

// signsIn says that a table has a column that only who signs in needs. Its values aren't read.
func signsIn(t Table) bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool {
		return signInName.MatchString(strings.ToLower(snake.ReplaceAllString(c.Name, "${1}_${2}")))
	})
}

// columnsOf finds the columns by their names.
func (p tracePlanner) columnsOf(t *TracedTable) {
	links := map[string]bool{}
	for _, k := range p.g.above[t.TableName] {
		for _, c := range k.Columns {
			links[c] = true
		}
	}
	var touched, made []string
	for _, c := range t.Columns {
		name := strings.ToLower(snake.ReplaceAllString(c.Name, "${1}_${2}"))
		if c.Name == t.Tenant || len(t.Key) == 1 && c.Name == t.Key[0] || slices.Contains(t.External, c.Name) {
			continue
		}
		switch {
		case touchedColumns.MatchString(name):
			touched = append(touched, c.Name)
		case madeColumns.MatchString(name):
			made = append(made, c.Name)
		case usedColumns.MatchString(name):
			if t.Used == "" {
				t.Used = c.Name
			}
		case mailColumns.MatchString(name), t.List && domainColumns.MatchString(name):
			t.Mails = append(t.Mails, c.Name)
		case statusColumns.MatchString(name):
			t.Status = append(t.Status, c.Name)
		case (t.Calls || t.Jobs) && name == "name":
			t.Called = append(t.Called, c.Name)
		case !t.List || links[c.Name]:
		case calledColumns.MatchString(name):
			t.Called = append(t.Called, c.Name)
		case externalColumns.MatchString(name):
			t.External = append(t.External, c.Name)
		}
	}
	if len(made) == 1 {
		t.Made = made[0]
	}
	switch {
	case len(touched) == 1:
		t.Touched = touched[0]
	case len(touched) == 0 && len(made) == 1:
		t.Touched = made[0]
	}
}
