package client

import "time"

// System is a configured system.
type System struct {
	Name        string    `json:"name"`
	Connector   string    `json:"connector"`
	Version     string    `json:"version"`
	Fingerprint string    `json:"fingerprint"`
	AddedBy     string    `json:"addedBy"`
	AddedAt     time.Time `json:"addedAt"`
}

// SystemStatus is a system and whether it is well.
type SystemStatus struct {
	System
	Well   bool   `json:"well"`
	Reason string `json:"reason,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// AddSystemParams name a system of the systems file.
type AddSystemParams struct {
	Body struct {
		Name    string `json:"name"`
		Replace bool   `json:"replace,omitempty" doc:"confirms that the system was replaced on purpose"`
	}
}

// RotateSystemParams name an added system.
type RotateSystemParams struct {
	System string `path:"system" maxLength:"128"`
}

// SystemRotation is what became of a system's credential.
type SystemRotation struct {
	System  string `json:"system"`
	Changed bool   `json:"changed" doc:"another credential has taken over"`
}

var (
	// RotateSystem reads a system's credential again from where it is kept.
	RotateSystem = Endpoint[RotateSystemParams, SystemRotation]{Name: "system.rotate", Verb: "POST", Path: "/v1/systems/{system}/rotate", Summary: "Read a system's credential again from where it is kept, and use it if it is another one that works"}
	// AddSystem plants Tenure's sentinel in a system and records who it is.
	AddSystem = Endpoint[AddSystemParams, System]{Name: "system.add", Verb: "POST", Path: "/v1/systems", Summary: "Add a system of the systems file: plant Tenure's sentinel and record who it is", Example: `{"name": "main"}`}
	// ListSystems lists the added systems with a look at each.
	ListSystems = Endpoint[None, Page[SystemStatus]]{Name: "system.list", Verb: "GET", Path: "/v1/systems", Summary: "List the added systems, with a look at each"}
)
