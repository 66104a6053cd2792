package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// request is what Tenure asks, as docs/exec-connector.md says.
type request struct {
	Protocol  int
	Call      string
	System    string
	Now       time.Time
	Options   map[string]string
	Secrets   map[string]string
	Resource  resource
	Resources []resource
	Bears     string
	Mark      string
	State     string
	Foreseen  *string
}

type resource struct {
	Type       string
	Name       string
	Attributes configuration
}

// configuration is which module is applied, and with what.
type configuration struct {
	Module    string         `json:"module"`
	Digest    string         `json:"digest"`
	Variables map[string]any `json:"variables"`
}

// text is the configuration as it is recorded in the state, the same for what is the same.
func (c configuration) text() string {
	if c.Variables == nil {
		c.Variables = map[string]any{}
	}
	raw, _ := json.Marshal(c)
	return string(raw)
}

// readJSON reads one value and keeps numbers as they are written.
func readJSON(text string, into any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return dec.Decode(into)
}

// refusal is an error that Tenure is told.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   bool   `json:"retry,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

func (r *refusal) Error() string { return r.Message }

func refuse(code, format string, args ...any) *refusal {
	return &refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (r *refusal) hint(format string, args ...any) *refusal {
	r.Hint = fmt.Sprintf(format, args...)
	return r
}

func (r *refusal) retry() *refusal {
	r.Retry = true
	return r
}

// refusalOf is any error as one that Tenure can be told.
func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return refuse("internal", "%s", err)
}

// speaker writes an answer's lines.
type speaker struct{ enc *json.Encoder }

func newSpeaker(w io.Writer) *speaker {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &speaker{enc}
}

func (s *speaker) say(word string, v any) error { return s.enc.Encode(map[string]any{word: v}) }

type observed struct {
	Type       string           `json:"type"`
	Name       string           `json:"name"`
	Found      bool             `json:"found"`
	Mark       string           `json:"mark,omitempty"`
	Attributes map[string]any   `json:"attributes,omitempty"`
	Metrics    map[string]int64 `json:"metrics,omitempty"`
	Detail     string           `json:"detail,omitempty"`
}

type sighting struct {
	Fingerprint string `json:"fingerprint"`
	Sentinel    bool   `json:"sentinel"`
	Complete    bool   `json:"complete"`
}

type change struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Says string `json:"says"`
}

type receipt struct {
	Changed bool              `json:"changed"`
	Facts   map[string]string `json:"facts,omitempty"`
	Counts  map[string]int64  `json:"counts,omitempty"`
}
