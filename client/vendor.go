package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Vendor is what a company without an interface was asked in a departure, and what it said.
type Vendor struct {
	Step           string              `json:"step"`
	Company        string              `json:"company"`
	Email          string              `json:"email" doc:"who is asked"`
	Holds          string              `json:"holds"`
	State          string              `json:"state" doc:"waiting: the tenant isn't past its points of no return; open: it is to be asked; asked; overdue: asked, and silent; kept: it keeps some until a date; answered: it holds nothing any more" enum:"waiting,open,asked,overdue,kept,answered"`
	RequestedAt    time.Time           `json:"requestedAt,omitzero" doc:"when it was asked"`
	RequestedBy    string              `json:"requestedBy,omitempty" doc:"who of staff had it asked again"`
	DueAt          time.Time           `json:"dueAt,omitzero"`
	RemindedAt     time.Time           `json:"remindedAt,omitzero"`
	Answer         tenure.VendorAnswer `json:"answer,omitempty" enum:"gone,never-held,kept"`
	Until          time.Time           `json:"expiresAt,omitzero" doc:"kept: until when"`
	Reason         string              `json:"reason,omitempty" doc:"for which it is kept"`
	Name           string              `json:"name,omitempty" doc:"who answered at the company"`
	Role           string              `json:"role,omitempty"`
	Evidence       string              `json:"evidence,omitempty"`
	EvidenceSHA256 string              `json:"evidenceSha256,omitempty" doc:"of a file, as the company gave it"`
	AnsweredAt     time.Time           `json:"answeredAt,omitzero"`
	RecordedBy     string              `json:"recordedBy,omitempty" doc:"who of staff put the answer down; absent if it came by the link"`
	RecordedAt     time.Time           `json:"recordedAt,omitzero"`
	Earlier        string              `json:"earlier,omitempty" doc:"answers that don't count any more, a line for each: what was said, and why it was withdrawn"`
}

// VendorAskParams name the company that is to be asked again.
type VendorAskParams struct {
	OperationChange
	Body struct {
		Vendor string `json:"vendor" doc:"the company's name, or the step's key" maxLength:"200"`
		Email  string `json:"email,omitempty" doc:"another address" maxLength:"254"`
		Reason string `json:"reason,omitempty" doc:"for which an answer is withdrawn" maxLength:"1000"`
	}
}

// VendorRecordParams are an answer that came otherwise than by the link.
type VendorRecordParams struct {
	OperationChange
	Body struct {
		Vendor         string              `json:"vendor" doc:"the company's name, or the step's key" maxLength:"200"`
		Answer         tenure.VendorAnswer `json:"answer" enum:"gone,never-held,kept"`
		Until          time.Time           `json:"expiresAt,omitzero" doc:"kept: until when, ten years away at most"`
		Reason         string              `json:"reason,omitempty" doc:"kept: why" maxLength:"1000"`
		Name           string              `json:"name" doc:"who answered at the company" maxLength:"200"`
		Role           string              `json:"role" maxLength:"200"`
		Evidence       string              `json:"evidence" doc:"what shows it, such as where the letter is kept" maxLength:"1000"`
		EvidenceSHA256 string              `json:"evidenceSha256,omitempty" doc:"of a file: 64 hexadecimal digits" maxLength:"64"`
	}
}

var (
	// ListVendors lists the companies that a departure asks, and what they said.
	ListVendors = Endpoint[OperationParams, Page[Vendor]]{Name: "vendor.list", Verb: "GET", Path: "/v1/operations/{operation}/vendors", Summary: "List the companies without an interface that a departure asks, and what they said"}
	// AskVendor withdraws a company's link, and its answer, and has it asked again.
	AskVendor = Endpoint[VendorAskParams, GateAnswer]{Name: "vendor.ask", Verb: "POST", Path: "/v1/operations/{operation}/vendors/ask", Summary: "Ask a company again by a new link; its answer, if there is one, is withdrawn", Example: `{"vendor": "Example Print", "email": "desk@print.example"}`}
	// RecordVendor puts down an answer that came otherwise.
	RecordVendor = Endpoint[VendorRecordParams, GateAnswer]{Name: "vendor.record", Verb: "POST", Path: "/v1/operations/{operation}/vendors/record", Summary: "Put down a company's answer that came by letter", Example: `{"vendor": "Example Print", "answer": "gone", "name": "Kim Example", "role": "data protection", "evidence": "letter of 3 March, folder 12"}`}
)
