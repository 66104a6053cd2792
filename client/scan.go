package client

// ScanParams ask for a scan of a system's columns.
type ScanParams struct {
	System string   `path:"system" maxLength:"128"`
	Tables []string `query:"tables" doc:"these tables alone, as the catalog names them"`
	Rows   int      `query:"rows" doc:"how many rows of each table are read, at most" minimum:"1" maximum:"2000" default:"200"`
	For    int      `query:"seconds" doc:"how long the scan may take, roughly" minimum:"1" maximum:"25" default:"20"`
}

// SystemScan is what a scan proposes. It holds no value of the system's.
type SystemScan struct {
	System  string          `json:"system"`
	Columns []ScannedColumn `json:"columns"`
	Partial string          `json:"partial,omitempty" doc:"what wasn't read"`
	Says    []string        `json:"says,omitempty" doc:"what isn't listed at all"`
}

// ScannedColumn is a column, or a path in a column of JSON documents, with the data class
// that is proposed for it.
type ScannedColumn struct {
	Table      string   `json:"table"`
	Column     string   `json:"column"`
	Path       string   `json:"path,omitempty" doc:"in a JSON document, such as contact.email"`
	Type       string   `json:"type"`
	Class      string   `json:"class" doc:"none: nothing was recognised"`
	Personal   bool     `json:"personal"`
	Confidence float64  `json:"confidence" minimum:"0" maximum:"1"`
	Reason     string   `json:"reason"`
	Values     int      `json:"values" doc:"how many values were looked at"`
	Unread     string   `json:"unread,omitempty" doc:"why none were"`
	Samples    []string `json:"samples,omitempty" doc:"shapes of values: x for a letter, 9 for a digit"`
}

// ScaffoldParams ask for a first blueprint.
type ScaffoldParams struct {
	System string `path:"system" maxLength:"128"`
	Column string `query:"column" doc:"the tenant column; of no use for files" maxLength:"128"`
	Name   string `query:"name" doc:"the blueprint's name; blank is the system's" maxLength:"63"`
}

// Scaffold is a draft of a blueprint.
type Scaffold struct {
	System string   `json:"system"`
	Source string   `json:"source" doc:"the blueprint, YAML with the reasons in comments"`
	Tables int      `json:"tables" doc:"that hold tenants' rows"`
	Shared int      `json:"shared" doc:"tables that belong to no tenant, and that tenants' rows refer to"`
	Links  int      `json:"links" doc:"references on which the draft decided"`
	Untied int      `json:"untied" doc:"tables that nothing ties to a tenant"`
	Open   int      `json:"open" doc:"what a person must decide, beside the retention"`
	Blocks []string `json:"blocks" doc:"what would keep the draft from being published there as it is"`
}

var (
	// ScanSystem proposes a data class for each column of a system. It is a GET, so that no
	// answer is kept for an Idempotency-Key.
	ScanSystem = Endpoint[ScanParams, SystemScan]{Name: "system.scan", Verb: "GET", Path: "/v1/systems/{system}/scan", Summary: "Propose a data class for each column of a system, from names, types and some values"}
	// ScaffoldBlueprint drafts a first blueprint from what stands in a system.
	ScaffoldBlueprint = Endpoint[ScaffoldParams, Scaffold]{Name: "system.scaffold", Verb: "GET", Path: "/v1/systems/{system}/scaffold", Summary: "Draft a first blueprint from what stands in a system"}
)
