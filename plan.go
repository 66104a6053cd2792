package tenure

import (
	"slices"
	"strings"
	"time"
)

// OperationKind is what an operation is for.
type OperationKind string

const (
	Onboard   OperationKind = "onboard"
	Change    OperationKind = "change"    // other parameters, same revision
	Upgrade   OperationKind = "upgrade"   // another revision
	Repair    OperationKind = "repair"    // bring drift back to desired
	Suspend   OperationKind = "suspend"   // access off, everything kept
	Resume    OperationKind = "resume"    // access on again
	Offboard  OperationKind = "offboard"  // to the certificate
	Reinstate OperationKind = "reinstate" // back, before the point of no return
	Revoke    OperationKind = "revoke"    // take off accounts by name, for good

	Supplement OperationKind = "supplement" // take away what came back after the tenant had closed
)

// OperationKinds lists them with the tenant states that each may start from.
var OperationKinds = map[OperationKind][]TenantState{
	Onboard:   {TenantRequested},
	Change:    {TenantActive},
	Upgrade:   {TenantActive},
	Repair:    {TenantActive, TenantSuspended, TenantTransition, TenantTerminating, TenantRetained, TenantErasing, TenantAwaitingExpiry}, // after the cut: lost marks alone
	Suspend:   {TenantActive},
	Resume:    {TenantSuspended},
	Offboard:  {TenantActive, TenantSuspended},
	Reinstate: {TenantTransition, TenantTerminating, TenantRetained},
	Revoke:    {TenantActive, TenantSuspended, TenantTransition},

	Supplement: {TenantClosed},
}

// Stage groups the steps of a plan for people; it says nothing of their order.
type Stage string

const (
	StageIntake    Stage = "intake"
	StageApproval  Stage = "approval"
	StageKeys      Stage = "keys"
	StageProvision Stage = "provision"
	StageVerify    Stage = "verify"
	StageHandover  Stage = "hand-over"
	StageGrace     Stage = "grace"
	StageCut       Stage = "cut"
	StageReconcile Stage = "reconcile"
	StageRetention Stage = "retention"
	StageQuaran    Stage = "quarantine"
	StageErasure   Stage = "erasure"
	StageReclaim   Stage = "reclaim"
	StageExpiry    Stage = "expiry"
	StageCertify   Stage = "certify"
	StageRestore   Stage = "restore"
	StageChange    Stage = "change"
	StageWriteBack Stage = "write-back" // to records that others keep too, such as a deal
)

// Action is what a step does. The engine has one function for each.
type Action string

// ApprovalKey is the step at which persons approve a plan as a whole. Other steps of
// [ActApproval] ask for one part of it.
const ApprovalKey = "approve"

// SharedKey is the step at which a person lets a plan change what others share: its
// summary says each change in full.
const SharedKey = "approve/shared"

const (
	// Gates: steps that wait.
	ActApproval  Action = "gate.approval"  // distinct persons, none the requester, sign the plan's digest
	ActDate      Action = "gate.date"      // a period after another step ended
	ActRetention Action = "gate.retention" // a data class's clock says erase
	ActNoReturn  Action = "gate.noreturn"  // fresh counts, confirmed by two persons, good for 72 hours
	ActTask      Action = "gate.task"      // a person does something and says so
	ActVendor    Action = "gate.vendor"    // a company without an interface is told to erase, and answers by a link
	// On resources.
	ActEnsure       Action = "ensure"       // bring to desired, read back
	ActAdopt        Action = "adopt"        // mark what stands there and bears no mark, or has lost it; read back
	ActObserve      Action = "observe"      // read back only
	ActCount        Action = "count"        // what is about to go: every place of a data class, and what stands in its way
	ActSuspend      Action = "suspend"      // access off, can be resumed
	ActResume       Action = "resume"       // access on
	ActRevoke       Action = "revoke"       // access off for good
	ActExport       Action = "export"       // to the hand-over folder
	ActQuarantine   Action = "quarantine"   // set aside
	ActUnquarantine Action = "unquarantine" // bring back
	ActErase        Action = "erase"        // the rows of a data class, in batches, as its disposition says
	ActPseudonymise Action = "pseudonymise" // personal data in the rows of a data class gives way to keyed names, in batches
	ActDelete       Action = "delete"       // the thing itself; absence is read back
	ActExpire       Action = "expire"       // copies that are due, and see that none is left
	ActProbe        Action = "probe"        // try what must or must not work
	ActWrite        Action = "write"        // what a record says of the tenant's stage (To), for as long as the tenant is at it
	// On systems.
	ActClean    Action = "clean"    // what a system physically keeps of deleted data, of one kind (To)
	ActRemnants Action = "remnants" // see what a system physically keeps of deleted data
	// On Tenure's own things.
	ActMove       Action = "move"        // the tenant's state
	ActBind       Action = "bind"        // the tenant's blueprint revision and parameters
	ActKeyCreate  Action = "key.create"  //
	ActKeyDestroy Action = "key.destroy" // cryptographic erase
	ActSweep      Action = "sweep"       // what bears the tenant's mark anywhere
	ActReclaim    Action = "reclaim"     // what cost stopped
	ActCertify    Action = "certify"     //
	ActNotify     Action = "notify"      // a notice into the outbox
	ActOutputs    Action = "outputs"     // URLs, names and one-time secrets for the requester
	ActForget     Action = "forget"      // Tenure's own rows about the tenant
	ActTeardown   Action = "teardown"    // see that an offboarding would find everything
	ActDropExport Action = "export.drop" // the hand-over's files
	ActLook       Action = "look"        // see that what is about to be adopted has nothing beside it that a look at drift would find
)

// IsGate says whether the action waits rather than does.
func (a Action) IsGate() bool {
	switch a {
	case ActApproval, ActDate, ActRetention, ActNoReturn, ActTask, ActVendor:
		return true
	}
	return false
}

// IsCount says whether the action takes the counts that a point of no return rests
// on. Plans of format 1 observe instead.
func (a Action) IsCount() bool { return a == ActCount || a == ActObserve }

// Step is one node of a plan.
type Step struct {
	Key         string         `json:"key"` // unique in the plan, such as "prod/db/ensure"
	Stage       Stage          `json:"stage"`
	Action      Action         `json:"action"`
	Summary     string         `json:"summary"`
	Resource    ResourceID     `json:"resource,omitempty"`
	System      string         `json:"system,omitempty"`
	Environment string         `json:"environment,omitempty"`
	Needs       []string       `json:"needs,omitempty"` // keys of steps that must have ended well
	Destructive bool           `json:"destructive,omitempty"`
	Optional    bool           `json:"optional,omitempty"` // its failure is recorded and blocks nothing
	Class       string         `json:"class,omitempty"`    // the data class, of erase, count, key.*, gate.retention and gate.noreturn
	Gate        *Gate          `json:"gate,omitempty"`
	Probe       *Probe         `json:"probe,omitempty"`
	To          string         `json:"to,omitempty"`      // move: the state; certify: interim or closing; key.*: the purpose; erase: the disposition, if it isn't to purge; gates: end, if it is the class's; of remnants: their kinds, with commas
	Note        string         `json:"note,omitempty"`    // notify: the notice's text; of what is about remnants: what it follows
	Reissue     bool           `json:"reissue,omitempty"` // ensure: with a new credential
	Set         map[string]any `json:"set,omitempty"`     // write: the attributes; delete of a record that stays: its last word. ${dates.NAME} stands for a day that the plan doesn't know
	Takes       []Right        `json:"takes,omitempty"`   // ensure, of a repair: the undeclared rights at the resource; no other is taken away
}

// Right is a right, or a setting, that stands at a resource and that nothing declares.
type Right struct {
	Field   string `json:"field"`             // of what it is a right, and on what: unique at the resource
	Got     string `json:"got"`               // the right itself: privileges with commas, or a setting's value
	Holder  string `json:"holder,omitempty"`  // the role that has it, PUBLIC for everybody; blank of a setting that nobody has
	Outside bool   `json:"outside,omitempty"` // the holder, or who gave it the right, is no tenant's of this installation
	Setting bool   `json:"setting,omitempty"` // it gives nobody access by itself
	Waived  bool   `json:"waived,omitempty"`  // it stays: somebody waived the finding
}

// Covers says whether what stands at a field is the right, or a part of it.
func (r *Right) Covers(field, got string) bool {
	if r.Field != field || r.Got == got || r.Setting {
		return r.Field == field && r.Got == got
	}
	have := strings.Split(r.Got, ", ")
	return !slices.ContainsFunc(strings.Split(got, ", "), func(one string) bool { return !slices.Contains(have, one) })
}

// Gate says what a waiting step waits for.
type Gate struct {
	Approvals int    `json:"approvals,omitempty"` // how many persons
	After     string `json:"after,omitempty"`     // key of the step that a date counts from; "" is the operation's start
	Period    Period `json:"period,omitzero"`     // how long after it; or how long a confirmation is good for
	// What approval rules added when the plan was made; a later change of the rules
	// changes nothing here, for the digest covers it.
	From     []Quorum    `json:"from,omitempty"`   // so many of the persons have these roles
	Expires  Period      `json:"expires,omitzero"` // unanswered for so long, the operation is cancelled
	Remind   Period      `json:"remind,omitzero"`  // unanswered for so long, a reminder is sent
	Escalate *Escalation `json:"escalate,omitempty"`
	Rules    []string    `json:"rules,omitempty"` // names of the rules that asked
	// Another is of a task: it isn't who requested the operation that confirms it.
	Another bool `json:"another,omitempty"`
	// Owner and Due are of a task: whom it is reminded of, and by when it should be done,
	// from the operation's start.
	Owner string `json:"owner,omitempty"`
	Due   Period `json:"due,omitzero"`
	// Artifact is of a task: what is handed over. It is done with an outcome.
	Artifact *ArtifactSpec `json:"artifact,omitempty"`
	// Vendor is whose answer it waits for.
	Vendor *VendorSpec `json:"vendor,omitempty"`
}

// Probe is one check of what must work or must be refused.
type Probe struct {
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`                 // as the connector names it: reachable, isolation, environment, entitlement, exposure, sql, http, encryption
	Target     ResourceID        `json:"target,omitempty"`     // the second resource, of environment
	Credential ResourceID        `json:"credential,omitempty"` // whose credential it shows, if not the resource's own
	Params     map[string]string `json:"params,omitempty"`
	Refused    bool              `json:"refused,omitempty"`  // after the cut: what worked must be refused now
	Replaced   bool              `json:"replaced,omitempty"` // it shows the credential that the operation has replaced
}

// PlannedResource is what a plan puts into the inventory, or changes there.
type PlannedResource struct {
	ID          ResourceID     `json:"id"`
	Key         string         `json:"key"`
	Environment string         `json:"environment,omitempty"`
	System      string         `json:"system"`
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Layer       Layer          `json:"layer"`
	Desired     map[string]any `json:"desired,omitempty"`
	Classes     []string       `json:"classes,omitempty"`
	Needs       []ResourceID   `json:"needs,omitempty"`
	New         bool           `json:"new,omitempty"`
	Retire      bool           `json:"retire,omitempty"` // leaves with this plan
	Keep        bool           `json:"keep,omitempty"`   // a record that others keep too: one that bears no mark is taken, and it stays when the tenant leaves
}

// Path is what people call the resource by, as Resource.Path.
func (r *PlannedResource) Path() string { return ResourcePath(r.Environment, r.Key) }

// Projection is a date that a plan shows; predicates decide, not it.
type Projection struct {
	What string    `json:"what"`
	Step string    `json:"step,omitempty"`
	At   time.Time `json:"at,omitzero"`
	Undo time.Time `json:"undo,omitzero"` // until when it can be undone: the point of no return
	Why  string    `json:"why,omitempty"`
}

// Difference is one line of a plan's diff.
type Difference struct {
	Resource string `json:"resource"` // environment/key
	Field    string `json:"field"`
	From     string `json:"from"`
	To       string `json:"to"`
}

// FailurePolicy says what a permanent failure does.
type FailurePolicy string

const (
	Compensate FailurePolicy = "compensate" // take back what this operation made, in reverse
	Park       FailurePolicy = "park"       // blocked, for a person
)

// Plan is an operation as data: compiled once, never changed, named by the
// SHA-256 of its canonical JSON. Approvals sign that digest.
type Plan struct {
	Format       int                       `json:"format"`
	Kind         OperationKind             `json:"kind"`
	Tenant       TenantID                  `json:"tenant"`
	Name         string                    `json:"name"`
	Tier         string                    `json:"tier,omitempty"`
	Organization string                    `json:"organization,omitempty"` // onboard: the customer's legal entity
	Contact      string                    `json:"contact,omitempty"`      // onboard: who asked on the customer's side
	Reason       string                    `json:"reason,omitempty"`
	Adopt        bool                      `json:"adopt,omitempty"` // onboard: what stands there is marked as the tenant's, and nothing is made or changed
	At           time.Time                 `json:"at"`
	Blueprint    BlueprintRef              `json:"blueprint"`
	From         *BlueprintRef             `json:"from,omitempty"`
	Parameters   map[string]any            `json:"parameters,omitempty"`
	Features     map[string]bool           `json:"features,omitempty"`
	Labels       map[string]string         `json:"labels,omitempty"`     // onboard: the tenant's labels
	Connectors   map[string]string         `json:"connectors,omitempty"` // version of each connector
	Systems      map[string]string         `json:"systems,omitempty"`    // fingerprint of each system
	Regions      map[string]string         `json:"regions,omitempty"`    // where each system stands, if its settings say
	Anchors      map[Anchor]time.Time      `json:"anchors,omitempty"`    // dates given with the request
	Encryption   Encryption                `json:"encryption,omitzero"`
	Classes      []DataClass               `json:"classes,omitempty"`
	Dispositions []DispositionDecision     `json:"dispositions,omitempty"` // what happens to each class in each environment, and why
	Pseudonyms   map[string]Pseudonym      `json:"pseudonyms,omitempty"`   // the keys for pseudonyms, with their retention
	Resources    []PlannedResource         `json:"resources,omitempty"`
	Steps        []Step                    `json:"steps"`
	Outputs      map[string]map[string]any `json:"outputs,omitempty"`   // by environment; {"$credential": key} is a one-time secret
	Recipient    string                    `json:"recipient,omitempty"` // age recipient of the exports
	Diff         []Difference              `json:"diff,omitempty"`
	Losses       []Loss                    `json:"losses,omitempty"` // change, upgrade: what the tenant loses, and what becomes of the data there
	Dates        []Projection              `json:"dates,omitempty"`
	OnFailure    FailurePolicy             `json:"onFailure"`
	Destructive  int                       `json:"destructive"` // how many steps destroy
}

// PlanFormat is the format that this build writes; it reads all before it. In
// format 1 nothing but the last data class's gate kept a store from going, and a
// point of no return didn't name its class: Completed adds what is missing.
const PlanFormat = 2
