package docs_test

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure/internal/event"
)

// Whoever connects another system reads what its scheme needs, and what becomes of what it sends.
func TestSources(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/events.md")
	quoted := func(names []string) string {
		if len(names) == 0 {
			return ""
		}
		return "`" + strings.Join(names, "`, `") + "`"
	}
	for _, s := range event.Schemes() {
		row := strings.ReplaceAll("| `"+s.Name+"` | "+strings.Join([]string{s.Sender, quoted(s.Needs), quoted(s.Takes), s.ID, s.Subject, s.Version, s.At}, " | ")+" |\n", "|  |", "| |")
		if !strings.Contains(page, row) {
			t.Errorf("docs/events.md lacks the row\n%s", row)
		}
	}
}
