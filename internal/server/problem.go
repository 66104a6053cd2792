package server

import (
	"errors"

	"github.com/tenurehq/tenure"
)

// Problem is an error as it travels, and as a command prints it in JSON.
type Problem struct {
	Code    tenure.Code `json:"code"`
	Message string      `json:"message"`
	Hints   []string    `json:"hints,omitempty"`
	Retry   bool        `json:"retry,omitempty"` // the same call may succeed later
}

// ProblemOf is an error's face for a caller: a cause without a code is Internal.
func ProblemOf(err error) Problem {
	return Problem{tenure.CodeOf(err), err.Error(), tenure.HintsOf(err), tenure.CanRetry(err)}
}

// Err rebuilds the error.
func (p Problem) Err() error {
	return &tenure.Error{Code: p.Code, Message: p.Message, Hints: p.Hints, Retry: p.Retry}
}

func isCoded(err error) bool {
	var e *tenure.Error
	return errors.As(err, &e)
}
