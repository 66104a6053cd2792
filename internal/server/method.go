package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// Method is one thing that can be asked: P are its parameters, R is its answer;
// both travel as JSON.
type Method[P, R any] struct {
	Name  string
	Write bool // needs a store that is open for writing
	run   func(ctx context.Context, s *lifecycle.Service, by string, p P) (R, error)
}

// None stands for no parameters, or no answer.
type None struct{}

// Caller carries a call to where it is answered. Local and Client do.
type Caller interface {
	call(ctx context.Context, method string, params []byte) (answer []byte, err error)
}

// Call asks for the method through a caller. Its errors are *tenure.Error.
func (m Method[P, R]) Call(ctx context.Context, c Caller, p P) (R, error) {
	var out R
	params, err := json.Marshal(p)
	if err != nil {
		return out, tenure.Errorf(tenure.Internal, "call %s: %w", m.Name, err)
	}
	answer, err := c.call(ctx, m.Name, params)
	if err != nil {
		return out, err
	}
	if err := decode(answer, &out, false); err != nil {
		return out, tenure.Errorf(tenure.Internal, "answer of %s: %w", m.Name, err).WithHint("the server may be of another version than this program")
	}
	return out, nil
}

// endpoint is a method without its types, as the table holds it.
type endpoint interface {
	spec() Spec
	serve(ctx context.Context, s *lifecycle.Service, by string, params []byte) (answer []byte, err error)
}

// Spec is what the table says of a method.
type Spec struct {
	Name  string `json:"name"`
	Write bool   `json:"write"`
}

func (m Method[P, R]) spec() Spec { return Spec{m.Name, m.Write} }

func (m Method[P, R]) serve(ctx context.Context, s *lifecycle.Service, by string, params []byte) ([]byte, error) {
	var p P
	if err := decode(params, &p, true); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "parameters of %s: %w", m.Name, err)
	}
	out, err := m.run(ctx, s, by, p)
	if err != nil {
		return nil, err
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "answer of %s: %w", m.Name, err)
	}
	return answer, nil
}

// decode reads exactly one JSON value and keeps numbers as they are written.
func decode(raw []byte, into any, strict bool) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return tenure.Errorf(tenure.Invalid, "something follows the JSON value")
	}
	return nil
}

// endpoints is the table.
func endpoints() []endpoint {
	return []endpoint{
		AddSystem, ListSystems,
		SubmitBlueprint, PublishBlueprint, ListBlueprints, ShowBlueprint, DiffBlueprints,
		MakePlan, ShowPlan, RequestOperation, StartOperation,
		ListTenants, ShowTenant, ExplainTenant,
		ListOperations, ShowOperation, FollowOperation, ApproveOperation, FinishTask, SteerOperation, RetryOperation, SkipStep,
		ShowOutputs, ClaimOutputs,
		PlaceHold, ReleaseHold, ListHolds,
		Drift, Sweep, ListFindings, WaiveFinding,
		VerifyAudit, ReadLog, MakeCheckpoint, ExportLog,
		ListCertificates, FetchCertificate, VerifierKey,
		ListKeys, AddKeyCopy, DropKeyCopy,
	}
}

// Methods lists the table.
func Methods() []Spec {
	var out []Spec
	for _, e := range endpoints() {
		out = append(out, e.spec())
	}
	return out
}

func find(name string) (endpoint, error) {
	for _, e := range endpoints() {
		if e.spec().Name == name {
			return e, nil
		}
	}
	return nil, tenure.Errorf(tenure.NotFound, "there is no method %q", name)
}

// Local answers calls in this process.
type Local struct {
	Service *lifecycle.Service
	By      string // who asks; asserted, not proven
}

func (l Local) call(ctx context.Context, method string, params []byte) ([]byte, error) {
	e, err := find(method)
	if err != nil {
		return nil, err
	}
	return e.serve(ctx, l.Service, l.By, params)
}
