package docs_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// onboard is the example of docs/api.md; it is compiled, and TestClientExample
// sees that the page has it as it stands here.
func onboard(ctx context.Context) error {
	c, err := client.New("https://tenure.example", client.WithToken(tenure.NewSecret(os.Getenv("TENURE_TOKEN"))))
	if err != nil {
		return err
	}
	defer c.Close()
	ask := client.OperationRequest{}
	ask.Body.Kind, ask.Body.Tenant, ask.Body.Blueprint, ask.Body.Tier = tenure.Onboard, "acme", "shop", "team"
	ask.Body.Parameters = map[string]any{"login": "admin@acme.example"}
	ask.Body.Trigger = "crm-4711" // the same again is the same operation
	op, err := client.RequestOperation.Call(ctx, c, ask)
	if tenure.CodeOf(err) == tenure.Blocked {
		return fmt.Errorf("not now: %w (%s)", err, strings.Join(tenure.HintsOf(err), "; "))
	}
	if err != nil {
		return err
	}
	for e, err := range c.Events(ctx, op.ID, -1) { // until it has ended; broken connections are mended
		if err != nil {
			return err
		}
		fmt.Println(e.At, e.Entry, e.Subject)
	}
	for t, err := range client.All(ctx, c, client.ListTenants, client.TenantFilter{Tier: "team"}) {
		if err != nil {
			return err
		}
		fmt.Println(t.Name, t.State)
	}
	return nil
}

// What a reader copies compiles.
func TestClientExample(t *testing.T) {
	t.Parallel()
	_ = onboard
	_, code, _ := strings.Cut(read(t, "docs/example_test.go"), "\nfunc onboard(")
	code, _, _ = strings.Cut(code, "\n}\n")
	if code = "```go\nfunc onboard(" + code + "\n}\n```\n"; !strings.Contains(read(t, "docs/api.md"), code) {
		t.Errorf("docs/api.md doesn't hold the example as it is compiled:\n%s", code)
	}
}
