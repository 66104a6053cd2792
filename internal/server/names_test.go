package server_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure/client"
)

// spellings are the names that another one stands for, and which (the rule is package
// client's comment).
var spellings = []struct {
	wrong *regexp.Regexp
	right string
}{
	{regexp.MustCompile(`^(until|expires|expiry|ends|endsAt|end|.*Until|validTo)$`), "expiresAt, or …ExpiresAt"},
	{regexp.MustCompile(`^(since|start|starts|begins)$`), "startsAt, or when what was done"},
	{regexp.MustCompile(`^(created|destroyed|due|updated|deleted|time|date|timestamp|when)$`), "…At"},
	{regexp.MustCompile(`^(askedBy|askedAt)$`), "requestedBy, requestedAt"},
	{regexp.MustCompile(`^(author|creator|maker)$`), "createdBy"},
	{regexp.MustCompile(`^(why|because|.*Why|cause)$`), "reason, or …Reason"},
	{regexp.MustCompile(`^for$`), "duration, delegator"},
	{regexp.MustCompile(`.(ID|Id|_id)$`), "the noun alone"},
	{regexp.MustCompile(`_|^[A-Z]|-`), "camelCase"},
	{regexp.MustCompile(`^(where|place)$`), "location"},
	{regexp.MustCompile(`^(hash|sha256|checksum|fingerprintDigest)$`), "digest"},
	{regexp.MustCompile(`^n$`), "count"},
}

// elsewhere are the names that mean something else than a spelling that is wrong, or are
// another document's.
var elsewhere = map[string]string{
	"Clock.because":                    "the sentence of the retention solver, beside its rules",
	"SystemRight.for":                  "what a right is needed for",
	"AccountAccess.where":              "a system and environment, not a copy's location",
	"Move.ends":                        "roles, not a moment",
	"Move.begins":                      "roles, not a moment",
	"Intent.contractEnd":               "the anchor that it sets",
	"OperationRequestBody.contractEnd": "the anchor that it sets",
}

// signed are the schemas of documents that are shown as they were signed.
var signed = []string{"CompiledPlan", "Difference", "Gate", "Escalation", "PlannedResource", "Probe", "Projection", "RetentionRule", "Step", "DataClass", "Encryption", "Quorum", "DispositionRule", "DispositionDecision", "Pseudonym", "VendorSpec", "ArtifactSpec"}

type property struct {
	Type       string              `json:"type"`
	Format     string              `json:"format"`
	Ref        string              `json:"$ref"`
	Properties map[string]property `json:"properties"`
}

func schemasOf(t *testing.T) map[string]property {
	t.Helper()
	var doc struct {
		Components struct {
			Schemas map[string]property `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(newServer(t, newService(t)).OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas
}

// parametersOf are the names in queries, as the properties of a schema for each route.
func parametersOf(t *testing.T) map[string]property {
	t.Helper()
	out := map[string]property{}
	for _, r := range queryRoutes(t, newServer(t, newService(t))) {
		names := map[string]property{}
		for _, p := range r.params {
			names[p.Name] = property{Type: p.Schema.Type}
		}
		out[r.ID] = property{Properties: names}
	}
	return out
}

// TestOneNameForOneThing: whoever has learned a name from one answer can read the others.
func TestOneNameForOneThing(t *testing.T) {
	t.Parallel()
	schemas, n := schemasOf(t), 0
	maps.Copy(schemas, parametersOf(t))
	used := map[string]bool{}
	for schema, s := range schemas {
		if slices.Contains(signed, schema) {
			continue
		}
		for name, p := range s.Properties {
			n++
			at := schema + "." + name
			if elsewhere[at] != "" {
				used[at] = true
				continue
			}
			for _, r := range spellings {
				if r.wrong.MatchString(name) {
					t.Errorf("%s: say %s", at, r.right)
				}
			}
			moment := name == "at" || strings.HasSuffix(name, "At")
			if moment != (p.Format == "date-time") {
				t.Errorf("%s is named as a moment or is one, and not both: %q", at, p.Format)
			}
			if by, who := strings.CutSuffix(name, "By"); who && p.Type == "string" {
				if _, dated := s.Properties[by+"At"]; !dated && !slices.Contains(undated, at) {
					t.Errorf("%s: there is no %sAt beside it", at, by)
				}
			}
			if name == "by" && s.Properties["at"].Format != "date-time" {
				t.Errorf("%s: there is no moment beside it", at)
			}
		}
		if _, has := s.Properties["tenantName"]; has && s.Properties["tenant"].Type == "" {
			t.Errorf("%s has a tenantName and no tenant", schema)
		}
	}
	for at := range elsewhere {
		if !used[at] {
			t.Errorf("%s is no name that needs a reason", at)
		}
	}
	if n < 500 {
		t.Errorf("only %d names were seen", n)
	}
}

// undated are acts whose moment isn't kept, or stands in another name.
var undated = []string{
	"Operation.requestedBy", "OperationDetail.requestedBy", // at createdAt
	"Waiting.requestedBy",   // waits since openedAt
	"Finding.waivedBy",      // until waiverExpiresAt
	"ReviewItem.assignedBy", // before it was answered; the log has when
}

// TestDigestsAreInTheBody: what is signed is named by its digest in the request's body,
// and a signature under another's digest changes nothing.
func TestDigestsAreInTheBody(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "acme")
	seen := plant(t, s, "alder", "gold", "ordinary")
	schemas := schemasOf(t)
	for id, body := range map[string]string{
		client.ApproveOperation.Name: "GateParamsBody", client.ApproveElevation.Name: "ElevationApprovalBody", client.ReviewStanding.Name: "StandingReviewParamsBody",
		client.ApproveMove.Name: "DecideMoveParamsBody", client.RejectMove.Name: "DecideMoveParamsBody", client.ReviewCoverage.Name: "Signed", client.PublishBlueprint.Name: "Signed",
	} {
		if schemas[body].Properties["digest"].Type != "string" {
			t.Errorf("%s: %s has no digest", id, body)
		}
	}
	const other = `{"digest":"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`
	move := "sha256:" + strings.Repeat("0", 64)
	for path, header := range map[string]map[string]string{
		"/v1/operations/" + string(seen.operation) + "/approve":                tester,
		"/v1/moves/" + move + "/approve":                                       tester,
		"/v1/moves/" + move + "/reject":                                        tester,
		"/v1/tenants/" + string(seen.tenant) + "/coverage/" + move + "/review": tester,
		"/v1/blueprints/small@1.0/publish":                                     tester,
	} {
		if code, _, answer := do(t, srv.LocalHandler(), "POST", path, other, header); code != 409 {
			t.Errorf("%s under another's digest: %d %s", path, code, answer)
		}
	}
}
