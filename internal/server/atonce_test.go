package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/keystore"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/store"
)

// The same request fifty times at once, known by its trigger, its Idempotency-Key or
// both, is one operation, and everybody is told of that one.
func TestFiftyAtOnceAreOneOperation(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "tenure.db") },
		"postgres": func(t *testing.T) string { return postgrestest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			dir := t.TempDir()
			keys, err := keystore.Init(ctx, filepath.Join(dir, "keys"), keystore.Options{Origin: "tenure-test", Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			db, err := store.Open(ctx, store.Options{DSN: dsn(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			s := serviceOn(t, db, keys, dir, time.Now)
			srv := newServerWith(t, s, governorOf(s))
			onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "first")
			h := srv.LocalHandler()
			for i, known := range []struct{ trigger, key string }{{"crm-1", ""}, {"", "key-2"}, {"crm-3", "key-3"}} {
				tenant := "acme-" + strconv.Itoa(i)
				body := `{"kind":"onboard","tenant":"` + tenant + `","blueprint":"small","parameters":{"login":"a"},"trigger":"` + known.trigger + `"}`
				header := map[string]string{client.PrincipalHeader: "olga"}
				if known.key != "" {
					header["Idempotency-Key"] = known.key
				}
				ids := make([]string, 50)
				news := make([]bool, 50)
				var all sync.WaitGroup
				start := make(chan struct{})
				for n := range ids {
					all.Go(func() {
						<-start
						code, _, answer := do(t, h, "POST", "/v1/operations", body, header)
						var op client.Operation
						if err := json.Unmarshal([]byte(answer), &op); err != nil || code != http.StatusAccepted {
							t.Errorf("%+v: %d %s", known, code, answer)
						}
						ids[n], news[n] = string(op.ID), !op.Repeated
					})
				}
				close(start)
				all.Wait()
				for _, id := range ids {
					if id == "" || id != ids[0] {
						t.Errorf("%+v: %s and %s", known, id, ids[0])
					}
				}
				ops, err := s.Operations(ctx, tenant, false, 100)
				if err != nil || len(ops) != 1 {
					t.Errorf("%+v: %d operations (%v)", known, len(ops), err)
				}
				first := 0
				for _, n := range news {
					if n {
						first++
					}
				}
				if known.key == "" && first != 1 {
					t.Errorf("%+v: %d were told that theirs was the first", known, first)
				}
			}
		})
	}
}
