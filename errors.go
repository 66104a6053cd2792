package tenure

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of failure an error is. It decides the HTTP status and
// the exit code; it does not say whether a retry helps.
type Code string

const (
	Invalid      Code = "invalid"      // the request can't be right, whatever the state
	Unauthorized Code = "unauthorized" // nobody known is asking
	Forbidden    Code = "forbidden"    // somebody known who may not
	NotFound     Code = "not_found"    // there is no such thing, or not for this caller
	Conflict     Code = "conflict"     // the state has moved on, or something else is under way
	Blocked      Code = "blocked"      // a rule, a hold, a budget or a finding stands in the way
	Unavailable  Code = "unavailable"  // an outside system doesn't answer
	Internal     Code = "internal"     // a fault of ours
)

// codes is the one table from a code to the HTTP status and the exit code.
var codes = map[Code]struct{ status, exit int }{
	Invalid:      {400, 2},
	Unauthorized: {401, 3},
	Forbidden:    {403, 4},
	NotFound:     {404, 5},
	Conflict:     {409, 6},
	Blocked:      {422, 7},
	Unavailable:  {503, 8},
	Internal:     {500, 1},
}

// Status is the HTTP status of a code (RFC 9110 §15); 500 for an unknown one.
func (c Code) Status() int {
	if v, ok := codes[c]; ok {
		return v.status
	}
	return 500
}

// ExitCode is the process exit code of a code; 1 for an unknown one.
func (c Code) ExitCode() int {
	if v, ok := codes[c]; ok {
		return v.exit
	}
	return 1
}

// Error is the one error type that crosses a package's border with a meaning.
// Its message and hints are for people and never carry a secret.
type Error struct {
	Code    Code
	Message string
	Hints   []string // what to do next, one line each
	Retry   bool     // the same call may succeed later
	Err     error    // the cause, for logs
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	if e.Message == "" {
		return e.Err.Error()
	}
	return e.Message + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a code. A %w verb wraps the cause, and a wrapped
// Error hands its hints and its retry on.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Code: code, Message: err.Error()}
	var inner *Error
	if errors.As(errors.Unwrap(err), &inner) {
		e.Hints, e.Retry = inner.Hints, inner.Retry
	}
	if cause := errors.Unwrap(err); cause != nil {
		head, last := strings.CutSuffix(err.Error(), cause.Error())
		if head, before := strings.CutSuffix(head, ": "); last && before && head != "" {
			e.Message, e.Err = head, cause
		} else { // the cause stands somewhere else in the sentence
			e.Message, e.Err = "", err
		}
	}
	return e
}

// WithHint returns the error with one more line on what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hints = append(append([]string(nil), e.Hints...), fmt.Sprintf(format, args...))
	return &c
}

// Retryable returns the error marked so that a later try may succeed.
func (e *Error) Retryable() *Error {
	c := *e
	c.Retry = true
	return &c
}

// CodeOf is the code of the outermost coded error in err's chain: "" for nil,
// Internal for an error that carries none.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// HintsOf returns the hints of the outermost coded error in err's chain.
func HintsOf(err error) []string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hints
	}
	return nil
}

// CanRetry says whether the same call may succeed later.
func CanRetry(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Retry
}
