package server

import (
	"context"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
)

// Plan is a stored plan: the canonical bytes, and the digest that names them.
type Plan struct {
	Digest string `json:"digest"`
	Body   []byte `json:"body"`
}

// Read checks the bytes against the digest and gives the plan.
func (p Plan) Read() (*tenure.Plan, error) { return tenure.DecodePlan(p.Body, p.Digest) }

// DigestParams name a plan by its digest; "sha256:" may be left out.
type DigestParams struct {
	Digest string `json:"digest"`
}

func wholeDigest(d string) string {
	if strings.HasPrefix(d, "sha256:") {
		return d
	}
	return "sha256:" + d
}

// MakePlan compiles an intent and stores the plan; nothing runs.
var MakePlan = Method[lifecycle.Intent, Plan]{"plan.make", true, func(ctx context.Context, s *lifecycle.Service, by string, in lifecycle.Intent) (Plan, error) {
	p, err := s.Plan(ctx, in, by)
	if err != nil {
		return Plan{}, err
	}
	return Plan{p.Digest, p.Body}, nil
}}

// ShowPlan gives a stored plan.
var ShowPlan = Method[DigestParams, Plan]{"plan.show", false, func(ctx context.Context, s *lifecycle.Service, _ string, p DigestParams) (Plan, error) {
	if strings.TrimSpace(p.Digest) == "" {
		return Plan{}, tenure.Errorf(tenure.Invalid, "a plan is named by its digest, and none was given")
	}
	plan, err := s.Engine.DB.Plan(ctx, wholeDigest(p.Digest))
	if err != nil {
		return Plan{}, err
	}
	body, digest, err := plan.Encode()
	return Plan{digest, body}, err
}}

// Requested is what a request started.
type Requested struct {
	Operation Operation `json:"operation"`
	Repeated  bool      `json:"repeated,omitempty"` // the trigger had been seen before
}

// RequestOperation makes a plan and starts it.
var RequestOperation = Method[lifecycle.Intent, Requested]{"operation.request", true, func(ctx context.Context, s *lifecycle.Service, by string, in lifecycle.Intent) (Requested, error) {
	p, op, err := s.Request(ctx, in, by)
	if err != nil {
		return Requested{}, err
	}
	out, err := operationOf(ctx, s, op)
	return Requested{out, p == nil}, err
}}

// StartParams name a stored plan and what an onboarding says beside it.
type StartParams struct {
	Digest string           `json:"digest"`
	Intent lifecycle.Intent `json:"intent"`
}

// StartOperation runs a stored plan, exactly as it is.
var StartOperation = Method[StartParams, Requested]{"operation.start", true, func(ctx context.Context, s *lifecycle.Service, by string, p StartParams) (Requested, error) {
	op, err := s.Start(ctx, wholeDigest(p.Digest), p.Intent, by)
	if err != nil {
		return Requested{}, err
	}
	out, err := operationOf(ctx, s, op)
	return Requested{Operation: out}, err
}}
