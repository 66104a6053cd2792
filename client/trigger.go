package client

import (
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

// Triggers are a stored revision of rules for events; Source, the file, is there when one
// is shown.
type Triggers struct {
	Digest      string    `json:"digest"`
	Name        string    `json:"name"`
	Version     string    `json:"version"`
	InForce     bool      `json:"inForce,omitempty" doc:"events are decided by it"`
	CreatedBy   string    `json:"createdBy"`
	CreatedAt   time.Time `json:"createdAt"`
	PublishedBy string    `json:"publishedBy,omitempty"`
	PublishedAt time.Time `json:"publishedAt,omitzero"`
	Source      string    `json:"source,omitempty"`
	Warnings    []string  `json:"warnings,omitempty" doc:"what of it couldn't be done as things stand, such as a machine without the grants that its rules need; of one that is submitted, published or shown"`
}

// TriggerCheck is what is said of a file of rules that is right in itself.
type TriggerCheck struct {
	Warnings []string `json:"warnings,omitempty" doc:"what of it couldn't be done as things stand"`
}

// TriggersParams name a revision.
type TriggersParams struct {
	Triggers string `path:"triggers" doc:"a digest, name@version, or a name for the revision in force" maxLength:"200"`
}

// PublishTriggersParams name a draft, and by its digest which one was read.
type PublishTriggersParams struct {
	TriggersParams
	SignedBody
}

// DryRunParams are rules to be tried on recorded events. Without a source the rules in force are.
type DryRunParams struct {
	Body struct {
		File       string    `json:"file,omitempty" doc:"its name, for messages" maxLength:"255"`
		Source     string    `json:"source,omitempty" doc:"a file of rules, YAML; beside it the rules in force of other names count"`
		ReceivedAt time.Time `json:"receivedAt,omitzero" doc:"only events received at this moment or later; default all that are kept"`
	}
}

// DryRunOutcome is what an event would have led to.
type DryRunOutcome struct {
	Source    string    `json:"source"`
	Type      string    `json:"type,omitempty"`
	Reference string    `json:"reference" doc:"the source's own id of it"`
	At        time.Time `json:"at"`
	Rule      string    `json:"rule,omitempty"`
	State     string    `json:"state"`
	Reason    string    `json:"reason"`
	Asked     string    `json:"asked,omitempty" doc:"what would have been asked for, such as: suspend acme"`
}

// InboundEvent is an event of another system, and what became of it. Data is there when one
// is shown.
type InboundEvent struct {
	ID         tenure.InboundID   `json:"id"`
	Source     string             `json:"source"`
	Reference  string             `json:"reference" doc:"the source's own id of it"`
	Type       string             `json:"type,omitempty"`
	Subject    string             `json:"subject,omitempty"`
	Version    string             `json:"version,omitempty"`
	HappenedAt time.Time          `json:"happenedAt"`
	ReceivedAt time.Time          `json:"receivedAt"`
	State      string             `json:"state" doc:"received, acted, noted, ignored, superseded, held, failed or dismissed"`
	Reason     string             `json:"reason,omitempty"`
	Rule       string             `json:"rule,omitempty" doc:"NAME@VERSION/RULE"`
	Tenant     tenure.TenantID    `json:"tenant,omitempty"`
	Operation  tenure.OperationID `json:"operation,omitempty"`
	Attempts   int                `json:"attempts,omitempty"`
	NextAt     time.Time          `json:"nextAt,omitzero"`
	DecidedAt  time.Time          `json:"decidedAt,omitzero"`
	DecidedBy  string             `json:"decidedBy,omitempty"`
	Data       json.RawMessage    `json:"data,omitempty"`
}

// InboundFilter narrows a listing.
type InboundFilter struct {
	Paging
	Source    string `query:"source" doc:"only those of this source" maxLength:"64"`
	State     string `query:"state" doc:"only those in this state" enum:"received,acted,noted,ignored,superseded,held,failed,dismissed"`
	Type      string `query:"type" doc:"only those of this type" maxLength:"200"`
	Subject   string `query:"subject" doc:"only those about this, by the source's own id" maxLength:"500"`
	Reference string `query:"reference" doc:"only that with this id of the source's own" maxLength:"500"`
	Tenant    string `query:"tenant" doc:"only those about this tenant, by id or name" maxLength:"64"`
	Operation string `query:"operation" doc:"only those that led to this operation" maxLength:"64"`
}

// InboundParams name an event.
type InboundParams struct {
	Event string `path:"event" doc:"an event's id, evt_…" maxLength:"64"`
}

// DismissInboundParams name an event that leads to nothing, and why.
type DismissInboundParams struct {
	InboundParams
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"1000"`
	}
}

const exampleTriggers = `{"file": "billing.yaml", "source": "apiVersion: tenure.dev/v1\nkind: Triggers\nname: billing\nversion: \"1\"\nas: billing-feed\nrules: []\n"}`

var (
	// ListTriggers lists revisions of rules by name and age.
	ListTriggers = Endpoint[Paging, Page[Triggers]]{Name: "trigger.list", Verb: "GET", Path: "/v1/triggers", Summary: "List revisions of rules for events by name and age"}
	// CheckTriggers parses a file of rules and runs its tests; nothing is stored.
	CheckTriggers = Endpoint[SourceParams, TriggerCheck]{Name: "trigger.check", Verb: "POST", Path: "/v1/trigger-tests", Summary: "Check a file of rules and run its tests, and store nothing", Example: exampleTriggers}
	// SubmitTriggers stores a revision as a draft.
	SubmitTriggers = Endpoint[SourceParams, Triggers]{Name: "trigger.submit", Verb: "POST", Path: "/v1/triggers", Summary: "Store a revision of rules as a draft", Example: exampleTriggers}
	// ShowTriggers gives one revision whole.
	ShowTriggers = Endpoint[TriggersParams, Triggers]{Name: "trigger.show", Verb: "GET", Path: "/v1/triggers/{triggers}", Summary: "Give a whole revision of rules"}
	// PublishTriggers puts a draft in force; it takes another person than its author.
	PublishTriggers = Endpoint[PublishTriggersParams, Triggers]{Name: "trigger.publish", Verb: "POST", Path: "/v1/triggers/{triggers}/publish", Summary: "Put rules in force that another person wrote", Example: exampleDigest}
	// DryRunTriggers says what recorded events would have led to.
	DryRunTriggers = Endpoint[DryRunParams, Page[DryRunOutcome]]{Name: "trigger.dryrun", Verb: "POST", Path: "/v1/trigger-dry-runs", Summary: "Say what recorded events would have led to under rules, and do nothing", Example: `{}`}

	// ListInbound lists events of other systems, the latest first.
	ListInbound = Endpoint[InboundFilter, Page[InboundEvent]]{Name: "inbound.list", Verb: "GET", Path: "/v1/inbound-events", Summary: "List events of other systems and what became of them, the latest first"}
	// ShowInbound shows one, with what the source sent.
	ShowInbound = Endpoint[InboundParams, InboundEvent]{Name: "inbound.show", Verb: "GET", Path: "/v1/inbound-events/{event}", Summary: "Show an event with what its source sent"}
	// ReplayInbound has an event decided anew by the rules that are in force.
	ReplayInbound = Endpoint[InboundParams, InboundEvent]{Name: "inbound.replay", Verb: "POST", Path: "/v1/inbound-events/{event}/replay", Summary: "Have an event decided anew that led to nothing"}
	// ReleaseInbound lets a held event do what it was held for.
	ReleaseInbound = Endpoint[InboundParams, InboundEvent]{Name: "inbound.release", Verb: "POST", Path: "/v1/inbound-events/{event}/release", Summary: "Let a held event go on"}
	// DismissInbound ends a held or failed event.
	DismissInbound = Endpoint[DismissInboundParams, InboundEvent]{Name: "inbound.dismiss", Verb: "POST", Path: "/v1/inbound-events/{event}/dismiss", Summary: "End an event that waits for a person, without doing anything", Example: `{"reason": "the customer was called"}`}
)
