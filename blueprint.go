package tenure

// Blueprint is one revision of the description of a tenant on a platform,
// parsed and checked. Texts in Name, Attributes, Params and Outputs may hold
// CEL in ${…}.
type Blueprint struct {
	Name         string                `json:"name"`
	Version      string                `json:"version"`
	Title        string                `json:"title,omitempty"`
	Parameters   map[string]any        `json:"parameters"` // JSON Schema, type object
	Environments []Environment         `json:"environments"`
	Systems      map[string]SystemNeed `json:"systems"`
	Encryption   Encryption            `json:"encryption,omitzero"`
	Features     map[string]Feature    `json:"features,omitempty"`
	DataClasses  []DataClass           `json:"dataClasses,omitempty"`
	Jurisdiction string                `json:"jurisdiction,omitempty"` // for rules of dispositions; may hold CEL in ${…}
	Contract     string                `json:"contract,omitempty"`     // the same
	Pseudonyms   map[string]Pseudonym  `json:"pseudonyms,omitempty"`   // keys by which data is pseudonymised
	Resources    []ResourceSpec        `json:"resources"`
	Probes       []ProbeSpec           `json:"probes,omitempty"`
	Outputs      map[string]string     `json:"outputs,omitempty"`
	Notices      []NoticeSpec          `json:"notices,omitempty"`
	Failure      FailurePolicy         `json:"failure"`
	Approvals    map[OperationKind]int `json:"approvals"` // how many persons, for each kind
	Onboarding   OnboardingSpec        `json:"onboarding,omitzero"`
	Lease        *LeaseSpec            `json:"lease,omitempty"` // nil: tenants stay until somebody ends them
	Offboarding  OffboardingSpec       `json:"offboarding"`
}

// Environment is a part of a tenant that is kept apart from its others.
type Environment struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "production" or "test"
}

// Pseudonym is a key under which personal data becomes keyed names. The same value
// becomes the same name wherever it stands, as long as the key is the same.
type Pseudonym struct {
	Title     string          `json:"title,omitempty"`
	Retention []RetentionRule `json:"retention"` // when the key is destroyed
}

// SystemNeed says which connector a blueprint's system must speak, and what is done about
// what it keeps of deleted data.
type SystemNeed struct {
	Connector string        `json:"connector"`
	Remnants  []RemnantSpec `json:"remnants,omitempty"` // what is done about what is physically left there
}

// Encryption is the profile that every resource must show where its system can
// say. Blank asks for nothing.
type Encryption struct {
	InTransit string `json:"inTransit,omitempty"` // "required"
	AtRest    string `json:"atRest,omitempty"`    // "required"
	KeyOwner  string `json:"keyOwner,omitempty"`  // "tenant", "platform"
}

// Feature is something that a tenant may be entitled to.
type Feature struct {
	Title   string   `json:"title,omitempty"`
	Tiers   []string `json:"tiers,omitempty"`   // the tiers that have it; none means every tier
	Default bool     `json:"default,omitempty"` // on without being asked for
}

// ResourceSpec is one thing to make for each environment.
type ResourceSpec struct {
	Key          string         `json:"key"`
	System       string         `json:"system"`
	Type         string         `json:"type"`
	Environments []string       `json:"environments,omitempty"` // none means all
	Name         string         `json:"name"`
	Attributes   map[string]any `json:"attributes,omitempty"`
	Needs        []string       `json:"needs,omitempty"`    // explicit; the inferred ones are added by Check
	Data         []string       `json:"data,omitempty"`     // data classes that it holds
	When         string         `json:"when,omitempty"`     // CEL; false leaves it out
	Handover     bool           `json:"handover,omitempty"` // exported for the one who leaves
	Rotate       Period         `json:"rotate,omitzero"`    // its credential is due for rotation so long after it was made; zero is never

	// Stages are what a record says at each stage of the tenant's life: attributes in the place
	// of those above, nil for one that it then hasn't got. At a stage without an entry the
	// record stays as it is. One with an entry for closed stays at the end, with that.
	Stages map[TenantState]map[string]any `json:"stages,omitempty"`
}

// Keeps says whether the thing stays when its tenant has left, with its last word.
func (r *ResourceSpec) Keeps() bool { return r.Stages[TenantClosed] != nil }

// ProbeSpec is a check of the blueprint's own.
type ProbeSpec struct {
	Name         string            `json:"name"`
	System       string            `json:"system"`
	Kind         string            `json:"kind"`
	Resource     string            `json:"resource,omitempty"`
	Environments []string          `json:"environments,omitempty"`
	When         string            `json:"when,omitempty"`
	Params       map[string]string `json:"params,omitempty"`
}

// NoticeSpec is a notice to send.
type NoticeSpec struct {
	On   string `json:"on"` // a state, or "resumed"
	To   string `json:"to"`
	Text Text   `json:"text"`
}

// OffboardingSpec is how a tenant leaves.
type OffboardingSpec struct {
	Grace      Period     `json:"grace"`           // full service after the notice; PT0S cuts at once
	Retrieval  Period     `json:"retrieval"`       // the export stays for the customer, at least
	Quarantine Period     `json:"quarantine"`      // a store is set aside this long before it is dropped
	Tasks      []TaskSpec `json:"tasks,omitempty"` // hand-over that a person does and confirms
	// Artifacts are what others go on using, and is reassigned or archived.
	Artifacts []ArtifactSpec `json:"artifacts,omitempty"`
	// Vendors are companies that hold data of tenants and have no interface.
	Vendors []VendorSpec `json:"vendors,omitempty"`
}
