package client

// Policy is a Cedar policy that was loaded: it denies further what grants allow.
type Policy struct {
	ID    string `json:"id"`
	File  string `json:"file"`
	Line  int    `json:"line"`
	About string `json:"about,omitempty"` // what it is for, in its own words
}

// ListPolicies lists the policies in the order of their files.
var ListPolicies = Endpoint[None, []Policy]{Name: "policy.list", Verb: "GET", Path: "/v1/policies", Summary: "List the policies that deny further what grants allow"}
