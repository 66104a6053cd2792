package mysql

import (
	"context"
	"testing"

	"github.com/tenurehq/tenure/connector"
)

// TestErasureYieldsToOthers takes small batches and asks for time between them while the
// server is at work for others, or a tenant that leaves would slow those who stay.
func TestErasureYieldsToOthers(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	d := w.opened(t, nil)
	r := made(t, d, w.pool("one", "acme", w.covered()))
	w.use(t, "insert into notes (tenant) select 'acme' from seq_1_to_2000")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	begun := make(chan bool)
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, _ = w.db.ExecContext(ctx, "select 1")
			if n == 100 {
				close(begun)
			}
		}
	}()
	batch := connector.Batch{Run: "run", Class: "data", Limit: 500}
	var last connector.Erased
	for range 3 {
		<-begun
		e, err := d.Erase(t.Context(), r, batch)
		if err != nil {
			t.Fatal(err)
		}
		batch.Cursor, last = e.Cursor, e
	}
	if n := last.Counts[w.app+".notes"]; n == 0 || n > gentleRows || last.Pause <= 0 {
		t.Errorf("beside others a batch takes %d rows, and waits %s", n, last.Pause)
	}
}
