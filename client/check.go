package client

// CheckSystemParams ask for a check of Tenure's rights in a system of the systems file.
type CheckSystemParams struct {
	System string `path:"system" maxLength:"128"`
	Body   struct {
		Blueprint string `json:"blueprint,omitempty" doc:"what its resources ask for is checked too: a digest, name@version, or a name"`
		File      string `json:"file,omitempty" doc:"the name of the source, for messages" maxLength:"255"`
		Source    string `json:"source,omitempty" doc:"a blueprint's text, YAML, instead of a stored one"`
	}
}

// SystemCheck is what a check of Tenure's rights in a system saw.
type SystemCheck struct {
	System    string        `json:"system"`
	Connector string        `json:"connector"`
	Checked   bool          `json:"checked" doc:"false: the connector has nothing to check"`
	Role      string        `json:"role,omitempty" doc:"in whose name Tenure works there"`
	Version   string        `json:"version,omitempty" doc:"the system's own"`
	Rights    []SystemRight `json:"rights"`
	Notes     []string      `json:"notes,omitempty"`
	Identity  string        `json:"identity" enum:"recorded,not_added,stranger" doc:"recorded: it is the system that was added; not_added: none was yet; stranger: it is another one, or doesn't show who it is"`
	Stranger  string        `json:"stranger,omitempty" doc:"why it isn't the recorded system"`
	Enough    string        `json:"enough" enum:"yes,no,untold" doc:"whether the role has every right that Tenure always needs"`
	Beyond    string        `json:"beyond" enum:"yes,no,untold" doc:"whether the role has more rights than Tenure needs. untold: the system doesn't tell, and a person compares: that isn't no"`
	Untold    string        `json:"untold,omitempty" doc:"why the system doesn't tell"`
}

// SystemRight is one right of Tenure's role.
type SystemRight struct {
	Name  string `json:"name"`
	State string `json:"state" enum:"held,missing,optional,beyond" doc:"optional: not held, and only some features need it; beyond: held, and Tenure works without it"`
	For   string `json:"for"`
	Fix   string `json:"fix,omitempty" doc:"statements that grant it, or that take it away"`
}

// CheckSystem says which rights Tenure's role has in a system, lacks, and has beyond need.
var CheckSystem = Endpoint[CheckSystemParams, SystemCheck]{Name: "system.check", Verb: "POST", Path: "/v1/systems/{system}/check", Summary: "Check which rights Tenure's role has in a system, lacks, and has beyond need", Example: `{"blueprint": "small@1.0"}`}
