package connector

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Tracer says what stands in a system that Tenure has never seen, whoever's it is, with
// rights to read alone. It plants nothing, needs no sentinel, writes nothing, and evaluates
// nothing that a tenant wrote; what it can't read it names in Traced.Says. It reads in bulk,
// and asks Tracing.Calls before each request, query or listing: without any left it ends,
// and says in Traced.Says what it didn't look at.
type Tracer interface {
	// Trace yields each thing once, what others stand in before them. With an error
	// nothing can be said of the system; what is merely missing is told in Traced.
	Trace(ctx context.Context, ask Tracing, yield func(Trace) error) (Traced, error)
}

// Tracing bounds a look, and says where tenants are to be looked for.
type Tracing struct {
	// Columns are the columns that say whose a row is, such as org_id, in systems that keep
	// rows. None: the driver takes those that look like one (TenantColumn).
	Columns []string

	Calls *Budget // nil is no bound
}

// Traced says what a look saw.
type Traced struct {
	Fingerprint string   // as Sighting's; "" where it can't be read without planting
	Says        []string // what wasn't seen, and why, one sentence each; empty: the look was whole

	// Catalogue tells of the tables that tenants share, where the system has tables.
	Catalogue Catalogue
}

// TraceKind says what a thing is to a tenant.
type TraceKind string

const (
	TracePlace   TraceKind = "place"   // what may be a tenant's whole store: a schema, a database, a bucket, a prefix, a folder, an organizational unit, a team
	TraceRows    TraceKind = "rows"    // one tenant's rows in a shared table: Name is the key's value, In the table
	TraceTable   TraceKind = "table"   // a table, file or list with rows of several tenants, or of nobody
	TraceAccount TraceKind = "account" // what can sign in or call: a user, a role, a key, a client
	TraceGroup   TraceKind = "group"   // what gives rights to accounts
	TraceJob     TraceKind = "job"     // what runs, sends or receives by itself: a webhook, a flow, a scheduled job
	TraceRecord  TraceKind = "record"  // what stands for a customer: a row of the list of tenants, a company, a deal, a subscription
	TraceCopy    TraceKind = "copy"    // a copy of other data: a backup, a dump, a snapshot, noncurrent versions
)

// Trace is one thing that stands in a system. It holds no secret, and of rows nothing but
// what tells whose they are.
type Trace struct {
	Kind TraceKind
	Type string // the resource type of the connector's that fits, "" if none does
	Word string // what the system calls such a thing, in the singular: "schema", "bucket"
	Name string // as a resource's name
	ID   string // what In and Reaches call it; unique in the system
	In   string // the ID of what it stands in, "" at the top

	// What tells whose it is, beside its name. Called are other names: a display name, a
	// title, the value of a tag. Owners are IDs of accounts to whom it belongs; of
	// rows, and of accounts in tables, the entry in a list of tenants whose key they bear,
	// also where there is no such entry.
	Called      []string
	Mails       []string // addresses, or bare domains
	ExternalIDs []string // what other systems, or customers, call it
	Labels      map[string]string
	Owners      []string

	Reaches []string // IDs of what it gives rights on: of an account also the groups that it is in
	All     string   // of an account or a group: by what it reaches everything in its system, in words; Reaches then needn't name it
	Open    string   // in words, how everybody may reach it; "" if not known to be open

	Rows, Bytes int64     // -1 where the system doesn't tell, or it would cost a read of all
	Made        time.Time // zero where the system doesn't tell, as the next two
	Used        time.Time // last sign-in, write or call, not counting this look
	Expires     time.Time
	Disabled    bool      // it can't be used now: suspended, locked, archived
	Lacks       []string  // what such a thing usually has and this one hasn't, in words: "a quota", "a connection limit", "a public-access block"
	Bears       Ownership // whose mark it bears, where the driver can tell without planting

	Attributes map[string]any // those of the resource type, for a blueprint; nil where not told
	Beside     []Beside       // what a blueprint must say beside it, as what nothing declares is an exposure
}

// Beside is what belongs to a thing and has no name of its own, such as the rights of an account,
// as a resource of this type and with these attributes would say it.
type Beside struct {
	Type       string         `json:"type"`
	Attributes map[string]any `json:"attributes"`
}

// BesideMost is how many are told of one thing: what has more is no single tenant's.
const BesideMost = 20

// Budget bounds how many calls are made. It may be used by many at once. The nil Budget
// has no bound.
type Budget struct{ limit, spent atomic.Int64 }

// NewBudget allows so many calls.
func NewBudget(calls int) *Budget {
	b := &Budget{}
	b.limit.Store(int64(calls))
	return b
}

// Spend takes one call; false says that none is left, and that it mustn't be made.
func (b *Budget) Spend() bool {
	if b == nil {
		return true
	}
	if b.spent.Add(1) > b.limit.Load() {
		b.spent.Add(-1)
		return false
	}
	return true
}

// Spent is how many calls were made.
func (b *Budget) Spent() int {
	if b == nil {
		return 0
	}
	return int(b.spent.Load())
}

// TenantColumn says that a column by its name says whose a row is, in the words of most
// platforms: tenant_id, org, account_key, workspaceId.
func TenantColumn(name string) bool {
	words := strings.FieldsFunc(strings.ToLower(camel.ReplaceAllString(name, "${1}_${2}")), func(r rune) bool { return r == '_' || r == '-' || r == ' ' || r == '.' })
	if n := len(words); n > 1 && slices.Contains(tenantEnds, words[n-1]) {
		words = words[:n-1]
	}
	return len(words) == 1 && slices.Contains(tenantWords, words[0])
}

var (
	camel       = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	tenantEnds  = []string{"id", "key", "uuid", "guid", "slug", "code", "name", "no", "number"}
	tenantWords = []string{"tenant", "org", "organization", "organisation", "workspace", "company", "customer", "client", "account", "team"}
)
