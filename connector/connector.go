// Package connector says what a connector is: the code for one kind of outside
// system. Implementers write a Driver and an Info; callers use the concrete
// System, which adds identity, limits and verdicts.
//
// Every Driver method is idempotent for a given resource and safe to repeat
// after a crash at any point; a cancelled context stops it between two calls;
// its errors are *tenure.Error with a code and whether a retry helps; no secret
// appears in an error, a receipt or an observation.
package connector

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Info describes a kind of system.
type Info struct {
	Name    string // as a blueprint and the systems file write it
	Version string // changes when a plan made with the older one may mean something else
	Summary string
	Tested  Tested
	How     string // against what it was tested, in words
	Rights  string // the least that Tenure's account needs there; "" where docs/system-accounts.md says it
	Leaves  string // what the system keeps of what is deleted; "" where the types say it

	// Pinned says that a system is used only as the version says that it was added with:
	// another one takes a person, who adds it again.
	Pinned bool

	// Listed says that what is there is told by lists whose wholeness the connector takes on
	// somebody's word: a description's, a program's. What Tenure made, and didn't remove, and
	// isn't listed at a departure takes a person.
	Listed bool

	// Broken is why the connector can't be used, nil if it can: the file that it is made of
	// can't be read. Nothing else of it but its name is there.
	Broken error

	Options []Option
	Types   []tenure.ResourceType
	Probes  []ProbeKind
	Reads   []ReadKind // empty where the driver is no Reader

	// Remnants are what may physically be left of what is logically deleted. Empty where
	// the driver is no Remnanter.
	Remnants []RemnantInfo

	// Open connects. It doesn't change the system.
	Open func(ctx context.Context, c Config) (Driver, error)

	// Review says what in a resource's attributes is exposed or unscoped (open
	// to the public, to every tenant, or with more rights than a tenant needs).
	// Attributes may still hold ${…} texts. No reasons means that it is fine.
	Review func(typ string, attributes map[string]any) []string

	// Check finds what can't be right in a resource's attributes, whatever the system holds:
	// what the type's schema can't say. May are the dispositions that each of the resource's
	// data classes may have there. It is pure. Nil finds nothing.
	Check func(typ string, attributes map[string]any, may map[string][]tenure.Disposition) []Fault

	// SQL reads the attributes and the probes' parameters that are SQL texts. Nil where
	// the system speaks no SQL.
	SQL SQL
}

// Tested says how a connector was tried.
type Tested string

const (
	Live       Tested = "live"       // against the real system
	Fake       Tested = "fake"       // against a stand-in that behaves as the system's documentation says
	Unverified Tested = "unverified" // written from the documentation, and never tried
)

// Fault is something in attributes that can't be right.
type Fault struct {
	At   []string // the keys that lead to it
	Says string
}

// Type returns the named resource type.
func (i Info) Type(name string) (tenure.ResourceType, bool) {
	for _, t := range i.Types {
		if t.Name == name {
			return t, true
		}
	}
	return tenure.ResourceType{}, false
}

// Option is one setting of a system.
type Option struct {
	Name     string
	Help     string
	Default  string
	Required bool
	Secret   bool // given as env:NAME, file:PATH or vault:MOUNT/PATH#FIELD in the systems file, never in clear
}

// ProbeKind is a check that a connector offers.
type ProbeKind struct {
	Name string // reachable, isolation, environment, entitlement, exposure, encryption, sql, …
	Help string
	// Types that it runs on by itself during onboarding; empty: only where a
	// blueprint asks for it.
	Types []string
	// SQL names the parameters that are SQL texts.
	SQL []string
}

// ReadKind is a kind of thing that can be looked up by its id.
type ReadKind struct {
	Name string // such as deal or subscription
	Help string
}

// Config is what a driver is opened with.
type Config struct {
	System  string // the system's name
	Options map[string]string
	Secrets map[string]tenure.Secret
	Marker  Marker
	Safe    Safe // for types whose credential the system makes
	Now     func() time.Time
}

// Option returns an option's value; a secret option's in clear.
func (c Config) Option(name string) string {
	if s, ok := c.Secrets[name]; ok {
		return s.Reveal()
	}
	return c.Options[name]
}

// Ref names one resource in one system, with the attributes that it should have.
type Ref struct {
	Resource    tenure.ResourceID
	Tenant      tenure.TenantID
	Environment string
	Type        string
	Name        string
	Attributes  map[string]any // desired; a driver may need them to find the thing
	Classes     []string
}

// RefOf is what the inventory knows of a resource, as its connector is asked for it.
func RefOf(r tenure.Resource) Ref {
	ref := Ref{Resource: r.ID, Tenant: r.Tenant, Environment: r.Environment, Type: r.Type, Name: r.Name, Classes: r.Classes}
	_ = json.Unmarshal(r.Desired, &ref.Attributes) // what Tenure wrote itself
	return ref
}

// Desired is what Ensure brings about.
type Desired struct {
	Ref
	Credential tenure.Secret // for types whose credential Tenure makes; the same at every repetition
	Reissue    time.Time     // a credential that the system made before this moment is replaced; zero replaces none

	// Foreseen is what a person let the making of the resource change, in Foresee's words with
	// those for other resources; "" if nothing. Nil where nobody was asked. Ensure of what
	// would change anything else is Conflict, where the driver can tell.
	Foreseen *string

	Encryption tenure.Encryption

	// Take says that the thing is a record which others keep too, and stays when the tenant
	// leaves: one that is there and bears no mark is taken, where the driver is a Leaver.
	// Attributes that it would lose by that make it Conflict.
	Take bool
}

// Observed is one resource as it is.
type Observed struct {
	Resource   tenure.ResourceID // from the owner mark; "" if it bears none of ours
	Type       string
	Name       string               // the name that it has now, in its original form if quarantined
	Found      bool                 // false only in an answer to Observe
	State      tenure.ResourceState // present, suspended, revoked, quarantined
	Owner      Ownership
	Attributes json.RawMessage // normalised: equals Normalise(desired) when nothing has drifted
	Untold     []string        // of what bears no mark: attributes that Tenure's mark alone holds, and so aren't in Attributes
	Metrics    map[string]int64
	Copies     []Copy // copies that expire later
	Detail     string
	Called     string // in an answer to Observe: the name under which Discover gives it, where that is another
}

// Copy is a copy of a resource, such as a backup, that is there until it expires.
type Copy struct {
	Where   string    `json:"where"`
	Expires time.Time `json:"expires,omitzero"`
	Bytes   int64     `json:"bytes,omitempty"`
}

// Sighting says how far an observation can be trusted. Absence is verified only
// by a pass whose sighting has the fingerprint that was recorded for the system,
// saw the sentinel, and was complete.
type Sighting struct {
	Fingerprint string // who the system is: an identifier that a copy or another endpoint doesn't have
	Sentinel    bool   // the sentinel that Tenure keeps there was seen, with the same credential, in the same pass
	Complete    bool   // nothing was hidden by missing rights or cut off
	Hidden      string // what may have been, in words, where the connector knows
}

// Receipt is what a call did, for the record: small, without secrets.
type Receipt struct {
	Changed bool              `json:"changed"`
	Facts   map[string]string `json:"facts,omitempty"`
	Counts  map[string]int64  `json:"counts,omitempty"` // rows, objects, bytes
}

// Scope narrows a discovery. Blank fields take everything.
type Scope struct {
	Tenant tenure.TenantID
	Types  []string
}

// Driver is one opened system. Calls come together, but no two that change the same thing:
// System keeps these apart.
type Driver interface {
	// Plant sets up what Tenure keeps in the system (the sentinel, the sentinel
	// neighbour, its own schema or folder) and returns the fingerprint. It is
	// called when a person adds the system, and may be repeated.
	Plant(ctx context.Context) (fingerprint string, err error)

	// Normalise gives the attributes that Observe will report once desired is in
	// place, as canonical JSON. It is pure; what can't be observed is left out.
	// Attributes that can't be right are Invalid.
	Normalise(d Desired) (json.RawMessage, error)

	// Ensure creates the resource or brings it to desired, marks it as ours and
	// reads it back. A thing of that name that bears another owner's mark, or
	// none, is Conflict and isn't touched.
	Ensure(ctx context.Context, d Desired) (Observed, Receipt, error)

	// Observe yields one Observed for each ref, in any order, reading in bulk.
	// It changes nothing.
	Observe(ctx context.Context, refs []Ref, yield func(Observed) error) (Sighting, error)

	// Delete removes the resource, in quarantine or not. Absent is success; a
	// thing that isn't ours is Conflict; neighbours stay as they are.
	Delete(ctx context.Context, r Ref) (Receipt, error)

	// Discover yields everything that bears an owner mark, or stands where only
	// ours should, ordered by (type, name) in byte order, in one streamed pass.
	Discover(ctx context.Context, s Scope, yield func(Observed) error) (Sighting, error)

	// Close lets go of the system.
	Close() error
}

// Settler brings what an older build left in a system to where this one looks for it,
// such as marks that stood where a tenant could write. It is called on an identified
// system before the first look and the first change, and changes nothing of a tenant's.
type Settler interface {
	Settle(ctx context.Context) error
}

// Adopter gives a resource back the mark that it lost: what stands at the place of r,
// or is set aside for it, is ours again, in the given state. It writes the mark and
// nothing else; Ensure does the rest. A thing that bears a mark of another resource's or
// another installation's is Conflict, one that bears r's own is left as it is, and
// absent is NotFound. Callers see to it that two persons have let it pass.
type Adopter interface {
	Adopt(ctx context.Context, r Ref, as tenure.ResourceState) (Receipt, error)
}

// Leaver lets go of a record that others keep too, such as a deal in a CRM, when its tenant
// has left: it writes r's attributes, which may be none, for the last time and takes the mark
// off. The record stays, and is nobody's. One that isn't there, or isn't ours, is left as it
// is, which is success. Data that belongs to the record was erased before: what is left of it
// is Blocked.
type Leaver interface {
	Leave(ctx context.Context, r Ref) (Receipt, error)
}

// Secluder says who else has rights where Tenure keeps its marks, in words; none is
// as it should be.
type Secluder interface {
	Exposed(ctx context.Context) ([]string, error)
}

// Foreseer says, before a plan is made, what making resources would change for others
// than their tenant: what other programs that use a shared thing see of it, or may do.
// Where the driver can't see whom a change touches, it says all that would change.
// It changes nothing. A change that has no effect on anybody isn't one.
type Foreseer interface {
	Foresee(ctx context.Context, all []Desired) ([]SharedChange, error)
}

// SharedChange is one change of a thing that a tenant shares with others.
type SharedChange struct {
	Resource tenure.ResourceID // whose making changes it
	Says     string            // what changes, for whom, and how to leave them out
}

// Gauger says which of the system's own limits tenants have used up to half or more, so
// that somebody acts before the system refuses the next tenant.
type Gauger interface {
	Gauge(ctx context.Context) ([]Level, error)
}

// Level is how much of a limit is used.
type Level struct {
	Name  string // what the limit is of
	Used  int64
	Limit int64
	Unit  string // plural, as in "bytes"
	Fix   string // what makes room
}

// Suspender takes access off and puts it on again; data stays.
type Suspender interface {
	Suspend(ctx context.Context, r Ref) (Receipt, error)
	Resume(ctx context.Context, r Ref) (Receipt, error)
}

// Revoker cuts access for good: credentials end, sessions end.
type Revoker interface {
	Revoke(ctx context.Context, r Ref) (Receipt, error)
}

// Quarantiner sets a resource aside (renamed, access revoked, detached) so that
// its deletion can still be undone, and brings it back.
type Quarantiner interface {
	Quarantine(ctx context.Context, r Ref) (Receipt, error)
	Unquarantine(ctx context.Context, r Ref) (Receipt, error)
}

// Exporter writes all of a resource's data to w in a documented, portable form.
type Exporter interface {
	Export(ctx context.Context, r Ref, w io.Writer) (Receipt, error)
}

// Batch asks for one bounded piece of an erasure.
type Batch struct {
	Run    string        // names the whole erasure: the system's own tally of it stands under this name
	Class  string        // the data class; "" takes every one
	Limit  int           // rows or objects at the most
	For    time.Duration // roughly how long the piece may take; 0 is no bound
	Cursor string        // where the last batch ended, "" at first

	// Disposition is what the erasure does with the rows, "" to delete them: Anonymise,
	// Pseudonymise and Aggregate are asked of types alone that declare them. Counts are
	// then of rows that were changed.
	Disposition tenure.Disposition
	// Name makes the pseudonym of a value under a key of the blueprint's, by its name: as
	// bytes, the same for the same value. A reversible one can be turned back with the key.
	Name func(key, value string, reversible bool) ([]byte, error)

	// Gone says that the resource was deleted and its owner mark with it. What stands
	// at its places in stores that others share is taken all the same, unless another
	// owner's mark stands there.
	Gone bool

	// Keep is what legal holds keep of the resource. It stays, and so do the rows that it
	// needs: those that it refers to, however far. A hold that can't be understood, since
	// its table or column isn't there any more, is Blocked: nothing goes.
	Keep []Kept
}

// Erased is one batch's result.
type Erased struct {
	Counts map[string]int64 // of this batch, by table or kind

	// Total is what the run has taken since its first batch, by table or kind, as
	// the system's own tally has it, which is written in the transaction of the
	// delete itself: no kill loses a row of it. Nil where the system can't keep one;
	// what a killed process took is an interval then.
	Total map[string]int64

	// Detached counts the references of other tenants' rows that this batch, or
	// (with Total) this run, turned to null or to their default, by "table.column".
	Detached map[string]int64

	Cursor string
	Done   bool

	// Held is what stays of the class for holds, when all the rest is Done.
	Held []Held

	// Pause is how long the next batch is to wait, so that others get on: the system is at
	// work for them. Who waits less does no harm but to them.
	Pause time.Duration
}

// Eraser erases a resource's data by class, in bounded batches, resumable. A batch
// that takes nothing while rows remain is a Blocked error that names the table and
// what stands in the way: a trigger, a rule, a policy, a lock.
type Eraser interface {
	Erase(ctx context.Context, r Ref, b Batch) (Erased, error)
}

// Tallier reads back what a run of an erasure has taken so far, also when the
// process that ran it is gone. The tallies of a resource go with its Delete.
type Tallier interface {
	Tally(ctx context.Context, r Ref, run string) (Erased, error)
}

// Mapper says from the system's own catalog what places can hold a tenant's data,
// whether or not the blueprint names them, and what stands in the way of their
// erasure. It changes no live data and evaluates nothing that a tenant wrote.
type Mapper interface {
	DataMap(ctx context.Context, s Survey) (Map, error)
}

// Survey asks for a data map.
type Survey struct {
	// Ref is the resource. Without Ref.Resource it is one that is yet to be, as a
	// blueprint that is about to be published describes it: the catalog alone is
	// read, and no rows are counted.
	Ref Ref

	// Order is the data classes in the order in which they go, those that are gone
	// already first. A class that isn't in it goes after all that are.
	Order []string

	Search time.Duration // how long values may be sought in columns that the catalog doesn't give away; 0: not at all
	Brief  bool          // how many rows a tenant's own store has isn't asked: a look that comes often
	Prove  bool          // the erasure is proven in this order, with a dry run on an empty copy of the catalog

	// Beside are the tenant's other resources in the same system, also those that are
	// yet to be or are gone: the tables that they cover aren't missed in this one.
	Beside []Ref

	// Gone says that the resource was erased and its owner mark with it: what
	// stands at its places all the same is counted, whoever put it there.
	Gone bool

	// Keep is what legal holds keep of the resource; System fills in Place.Held by it.
	Keep []Kept

	// Changes is what becomes of the classes whose rows aren't simply deleted. With Groups
	// every row is read for it, to see that none would be told by too small a group.
	Changes map[string]tenure.Disposition
	Groups  bool
}

// Map is what a survey found.
type Map struct {
	Places   []Place
	Partial  string   // what couldn't be looked at within the budget or the rights, in words; "" if all was
	Sighting Sighting // of the pass that counted the places
}

// PlaceKind says what a place is.
type PlaceKind string

const (
	PlaceTable     PlaceKind = "table"     // rows: of a table with its partitions and heirs, a prefix of files, …
	PlaceFiles     PlaceKind = "files"     // files, or an object store's versions, delete markers and uploads
	PlaceDerived   PlaceKind = "derived"   // a materialized view, a full-text index: made from tables
	PlaceObjects   PlaceKind = "objects"   // large objects that rows name
	PlaceCode      PlaceKind = "code"      // a trigger or a rule that writes elsewhere, or keeps rows from going
	PlaceForeign   PlaceKind = "foreign"   // rows of another server
	PlaceReference PlaceKind = "reference" // another tenant's rows that refer to this one's: Name is "table.column"
	PlaceDependent PlaceKind = "dependent" // something outside that a drop would take along
	PlaceOrder     PlaceKind = "order"     // the erasure can't go in this order
	PlaceLock      PlaceKind = "lock"      // somebody's session or transaction keeps tables from being read or emptied
	PlaceKey       PlaceKind = "key"       // a key that is null, or that means the same and compares unequal
	PlaceChange    PlaceKind = "change"    // what rows are to become can't be
	PlaceShared    PlaceKind = "shared"    // rows that have to do with the tenant and stay, as they belong to others too or to nobody
)

// Place is one place of data, or one thing that stands in the way of its erasure.
type Place struct {
	Name  string    `json:"name"`
	Kind  PlaceKind `json:"kind,omitempty"`  // "" is PlaceTable
	Class string    `json:"class,omitempty"` // "" is none
	Via   string    `json:"via,omitempty"`   // how it is reached from the tenant
	Rows  int64     `json:"rows"`            // rows, objects, or references
	Held  int64     `json:"held,omitempty"`  // of Rows: what legal holds keep, with what that needs
	Bytes int64     `json:"bytes,omitempty"` // as far as the system says so without reading them

	// Says is what a person must know of the place, blank if nothing. Where Blocks
	// is set it stands against the next destructive gate and against new
	// onboardings, and Fix is the line of the blueprint that would settle it, or
	// what to do in the system.
	Says   string `json:"says,omitempty"`
	Blocks bool   `json:"blocks,omitempty"`
	Fix    string `json:"fix,omitempty"`

	// At is where in the resource's attributes that is said which the place stands
	// against, as a JSON pointer (RFC 6901); blank where a name says it well enough.
	At string `json:"at,omitempty"`
}

// Pointer is the JSON pointer (RFC 6901) to what keys and indexes lead to.
func Pointer(steps ...string) string {
	var out strings.Builder
	for _, step := range steps {
		out.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	return out.String()
}

// IsData says whether the place holds rows or objects of the tenant's own.
func (p Place) IsData() bool {
	return p.Kind == "" || p.Kind == PlaceTable || p.Kind == PlaceFiles || p.Kind == PlaceDerived || p.Kind == PlaceObjects || p.Kind == PlaceForeign
}

// Expirer removes the copies that are due at now and says which remain.
type Expirer interface {
	Expire(ctx context.Context, r Ref, now time.Time) (remaining []Copy, err error)
}

// Check is one probe to run.
type Check struct {
	Kind       string
	Ref        Ref
	Credential tenure.Secret // the resource's own, for probes that act as the tenant
	Other      *Ref          // the second resource, of environment
	Params     map[string]string
	Encryption tenure.Encryption // the profile, of encryption
}

// Outcome is a probe's result. Passed means that what must work worked and what
// must be refused was refused; Detail says what was seen.
type Outcome struct {
	Passed bool
	Detail string
}

// Prober tries what must work or must be refused. An error means that the probe
// couldn't be carried out, which is not a pass.
type Prober interface {
	Probe(ctx context.Context, c Check) (Outcome, error)
}
