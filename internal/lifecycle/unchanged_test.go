package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/memory"
)

// What comes into a store between the count and its confirmation stops the first
// batch: nobody confirmed what it would leave behind.
func TestStoreLookedAtBeforeTheFirstBatch(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	op := s.classes("rows", 10)
	s.pass(15 * day)
	confirm := func(by string) error {
		_, err := s.Approve(t.Context(), op, "noreturn/aa", s.view(op).Plan, by, "")
		return err
	}
	if confirm("reviewer") != nil { // the count had lapsed and is taken again
		s.settle()
		s.must(confirm("reviewer"))
	}
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) {
		th.Places = []connector.Place{{Name: "platform.history", Kind: connector.PlaceCode, Blocks: true, Says: "trigger keep_history writes there"}}
	})
	s.must(confirm("counsel"))
	s.settle()
	if got := s.held("rows", "aa"); got != 10 || !strings.Contains(s.show(op), "platform.history") {
		t.Fatalf("%d of 10 rows of aa are left, though a place is there that nobody saw\n%s", got, s.show(op))
	}
	s.world.Tamper("rows", "acme-data", func(th *memory.Thing) { th.Places = nil })
	_, err := s.Retry(t.Context(), op, "", "operator")
	s.must(err)
	s.pass(time.Hour)
	if got := s.held("rows", "aa"); got != 0 || s.view(op).State == tenure.OperationFailed {
		t.Errorf("%d rows of aa are left once nothing stands in the way\n%s", got, s.show(op))
	}
}
