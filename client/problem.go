package client

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

// ProblemType is the media type of a [Problem] (RFC 9457 §3).
const ProblemType = "application/problem+json"

// Problem is an error as it travels (RFC 9457), with Tenure's own members code,
// hints and retry.
type Problem struct {
	Type     string      `json:"type"` // "about:blank": the title says what the status says
	Title    string      `json:"title"`
	Status   int         `json:"status"`
	Detail   string      `json:"detail,omitempty"`   // what is wrong, for a person
	Instance string      `json:"instance,omitempty"` // the request's id, under which the server's log has it
	Code     tenure.Code `json:"code"`
	Hints    []string    `json:"hints,omitempty"` // what to do next
	Retry    bool        `json:"retry,omitempty"` // the same call may succeed later
}

// ProblemOf is an error's face for a caller: a cause without a code is Internal.
func ProblemOf(err error) Problem {
	code := tenure.CodeOf(err)
	return Problem{
		Type: "about:blank", Title: http.StatusText(code.Status()), Status: code.Status(), Detail: err.Error(),
		Code: code, Hints: tenure.HintsOf(err), Retry: tenure.CanRetry(err),
	}
}

// Err rebuilds the error.
func (p Problem) Err() error {
	return &tenure.Error{Code: p.Code, Message: p.Detail, Hints: p.Hints, Retry: p.Retry}
}

// failure is the error of an answer that isn't a success.
func failure(name string, resp *http.Response, body []byte) error {
	var p Problem
	if strings.HasPrefix(resp.Header.Get("Content-Type"), ProblemType) && json.Unmarshal(body, &p) == nil && p.Code != "" {
		if p.Detail == "" {
			p.Detail = p.Title
		}
		return p.Err()
	}
	return tenure.Errorf(tenure.Unavailable, "call %s: the server answered %s, and not as Tenure does", name, strconv.Itoa(resp.StatusCode)).
		WithHint("look at the server's address, and at what stands between")
}
