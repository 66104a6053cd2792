package client

import "github.com/tenurehq/tenure"

// Impact is what a revision would change of one tenant that runs another one.
type Impact struct {
	Tenant     tenure.TenantID     `json:"tenant"`
	TenantName string              `json:"tenantName"`
	From       tenure.BlueprintRef `json:"from"`
	Makes      int                 `json:"makes"`     // resources that come
	Changes    int                 `json:"changes"`   // resources that change
	Leaves     int                 `json:"leaves"`    // resources that leave, with their data
	Fields     int                 `json:"fields"`    // lines of the difference
	Destroys   int                 `json:"destroys"`  // steps that destroy
	Approvals  int                 `json:"approvals"` // persons who must sign the upgrade
	Blocked    string              `json:"blocked,omitempty"`
}

// ImpactParams ask what a revision would change.
type ImpactParams struct {
	BlueprintParams
	Paging
}

// UpgradesParams begin the upgrades of tenants to a revision.
type UpgradesParams struct {
	BlueprintParams
	Body struct {
		Tenants []string `json:"tenants" doc:"ids or names, each named" minItems:"1" maxItems:"100"`
		Reason  string   `json:"reason,omitempty" maxLength:"1000"`
	}
}

// Upgrade is one upgrade that was begun, or why it wasn't.
type Upgrade struct {
	Tenant     tenure.TenantID    `json:"tenant"`
	TenantName string             `json:"tenantName"`
	Operation  tenure.OperationID `json:"operation,omitempty"`
	Problem    string             `json:"problem,omitempty"`
}

// Upgrades are the upgrades that were begun. Stopped says why the rest weren't.
type Upgrades struct {
	Items   []Upgrade `json:"items"`
	Stopped string    `json:"stopped,omitempty"`
}

var (
	// ShowImpact lists the tenants that run another revision, and what this one would
	// change of each.
	ShowImpact = Endpoint[ImpactParams, Page[Impact]]{Name: "blueprint.impact", Verb: "GET", Path: "/v1/blueprints/{blueprint}/impact", Summary: "List the tenants that run another revision, and what this one would change"}
	// StartUpgrades begins the upgrade of each tenant as an operation of its own.
	StartUpgrades = Endpoint[UpgradesParams, Upgrades]{Name: "blueprint.upgrade", Verb: "POST", Path: "/v1/blueprints/{blueprint}/upgrades", Summary: "Begin the upgrades of tenants to a revision, each with its own approval, within the budget", Example: `{"tenants": ["acme"], "reason": "stricter policy"}`}
)
