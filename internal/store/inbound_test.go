package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

var came = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func receive(t *testing.T, db *store.DB, id string) (e store.Inbound) {
	t.Helper()
	e = store.Inbound{ID: tenure.NewID[tenure.InboundID](came), Source: "pay", ExternalID: id, HappenedAt: came, ReceivedAt: came, Body: []byte(`{}`), State: store.InboundReceived}
	if err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Receive(e); return err }); err != nil {
		t.Fatal(err)
	}
	return e
}

// Who read an event before another noted what they decided of it decides nothing, and takes it
// up no second time.
func TestInboundIsDecidedOnce(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "tenure.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e := receive(t, db, "e1")
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		if twice, err := tx.Receive(e); err != nil || twice {
			t.Errorf("an event is kept twice: %t, %v", twice, err)
		}
		if taken, err := tx.PendInbound(e, `{"mine":true}`, came.Add(time.Minute)); err != nil || !taken {
			t.Errorf("nobody has it, and it can't be taken up: %v", err)
		}
		if taken, err := tx.PendInbound(e, `{"yours":true}`, came.Add(time.Minute)); err != nil || taken {
			t.Errorf("two take it up (%v)", err)
		}
		stale := e
		stale.State = store.InboundHeld
		if did, err := tx.DecideInbound(stale); err != nil || did {
			t.Errorf("it is held by who didn't know that it is being asked for (%v)", err)
		}
		mine := e
		mine.State, mine.Pending = store.InboundActed, `{"mine":true}`
		if did, err := tx.DecideInbound(mine); err != nil || !did {
			t.Errorf("who took it up can't say what it led to (%v)", err)
		}
		if did, err := tx.DecideInbound(mine); err != nil || did {
			t.Errorf("it is decided twice (%v)", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Two servers don't count a set's departures at once: the second sees what the first notes.
func TestDeparturesAreCountedInTurn(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	var dbs [2]*store.DB
	for i := range dbs {
		db, err := store.Open(t.Context(), store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		dbs[i] = db
	}
	e := receive(t, dbs[0], "e1")
	e.Rule = "billing@1/gone"
	counted, second := make(chan struct{}), make(chan int, 1)
	go func() {
		<-counted
		n := -1
		_ = dbs[1].Write(context.Background(), func(tx *store.Tx) (err error) {
			n, err = tx.DeparturesBySet("billing", came, "")
			return err
		})
		second <- n
	}()
	err := dbs[0].Write(t.Context(), func(tx *store.Tx) error {
		n, err := tx.DeparturesBySet("billing", came, e.ID)
		if err != nil || n != 0 {
			t.Errorf("%d departures before any (%v)", n, err)
		}
		close(counted)
		for waits := false; !waits; { // until the other waits, or has counted past this one
			select {
			case n := <-second:
				second <- n
				waits = true
			default:
				waits = postgrestest.Value[bool](t, dsn, `select exists (select 1 from pg_locks where locktype = 'advisory' and not granted)`)
			}
		}
		if _, err := tx.PendInbound(e, `{"Act":{"Intent":{"kind":"offboard"}}}`, came.Add(time.Minute)); err != nil {
			return err
		}
		own := e
		own.Pending = `{"Act":{"Intent":{"kind":"offboard"}}}`
		_, err = tx.DecideInbound(own)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := <-second; n != 1 {
		t.Errorf("the second server counts %d departures, and one is about to start", n)
	}
}
