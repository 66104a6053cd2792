package blueprint

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
)

// The texts of artifacts are worked out for the tenant. What can't stand in a line is refused, and stops nobody's exit:
// the hand-over stays in the plan with the text as the blueprint has it.
func TestArtifactTexts(t *testing.T) {
	t.Parallel()
	yaml := edit(t, shop(t), "    plan: {type: string, enum: [small, large]}", "    plan: {type: string, enum: [small, large]}\n    team: {type: string, default: sales}")
	c := compiled(t, edit(t, yaml, "quarantine: P7D", `quarantine: P7D
  artifacts:
    - {name: "Report of ${tenant.name}", where: Reports, to: " ${params.team} ", owner: platform}
    - {name: Flows, where: "Builder of ${tenant.organization}", archive: "s3://attic/${tenant.name}"}`))
	in := input()
	d, err := c.Evaluate(in)
	if err != nil {
		t.Fatal(err)
	}
	flows := tenure.ArtifactSpec{Name: "Flows", Where: "Builder of Acme Ltd", Archive: "s3://attic/acme"}
	if want := []tenure.ArtifactSpec{{Name: "Report of acme", Where: "Reports", To: "sales", Owner: "platform"}, flows}; !slices.Equal(want, d.Artifacts) {
		t.Errorf("artifacts %+v", d.Artifacts)
	}
	for what, team := range map[string]string{"two lines": "a\nb", "blank": " ", "invisible": "\u200b\u200d", "turned around": "a\u202eb", "long": strings.Repeat("a", 501)} {
		in.Params["team"], in.Leaving = team, false
		if _, err := c.Evaluate(in); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "$.offboarding.artifacts[0].to: it is one line of up to 500 characters") {
			t.Errorf("%s: %v", what, err)
		}
		in.Leaving = true
		d, err := c.Evaluate(in)
		if err != nil {
			t.Fatalf("%s keeps a tenant from leaving: %v", what, err)
		}
		if want := []tenure.ArtifactSpec{{Name: "Report of acme", Where: "Reports", To: " ${params.team} ", Owner: "platform"}, flows}; !slices.Equal(want, d.Artifacts) {
			t.Errorf("%s: artifacts %+v", what, d.Artifacts)
		}
	}
}
