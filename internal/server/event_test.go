package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

func settle(t *testing.T, s *lifecycle.Service) {
	t.Helper()
	if _, err := s.Engine.Settle(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestEventsReachTheEnd: who follows an operation hears each of its entries once,
// in order, and its end, also over connections that break.
func TestEventsReachTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := newService(t)
	srv := newServer(t, s)
	olga, rita := as(t, srv, "olga"), as(t, srv, "rita")
	op := onboarding(t, olga, rita, "acme")
	heard := make(chan []client.Event, 1)
	begun := make(chan struct{})
	go func() {
		var all []client.Event
		for e, err := range olga.Events(ctx, op.ID, -1) {
			if err != nil {
				t.Error(err)
				break
			}
			if all = append(all, e); len(all) == 1 {
				close(begun)
			}
		}
		heard <- all
	}()
	<-begun
	settle(t, s)
	var p client.GateParams
	p.Operation, p.Body.Digest = string(op.ID), op.Plan
	if _, err := client.ApproveOperation.Call(ctx, rita, p); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	all := <-heard
	if len(all) < 10 || all[0].Entry != "operation.stands" || all[len(all)-1].Kind != "end" {
		t.Fatalf("heard %d events: %+v", len(all), all)
	}
	want := entriesOf(t, olga, op.ID, all[0].ID)
	var got []int64
	for _, e := range all[1 : len(all)-1] {
		got = append(got, e.ID)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("entries of the log (-) and events heard (+):\n%s", d)
	}
	// Who comes back later, with the id of the last event, gets the rest and no more.
	var rest []int64
	for e, err := range olga.Events(ctx, op.ID, got[3]) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != "end" {
			rest = append(rest, e.ID)
		}
	}
	if d := cmp.Diff(got[4:], rest); d != "" {
		t.Errorf("after Last-Event-ID:\n%s", d)
	}
}

// entriesOf are the indexes of an operation's entries after one.
func entriesOf(t *testing.T, c *client.Client, op tenure.OperationID, after int64) []int64 {
	t.Helper()
	var out []int64
	for e, err := range client.All(context.Background(), c, client.ReadLog, client.LogFilter{Operation: string(op), Index: after + 1}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Index)
	}
	return out
}

// TestManyListeners: 200 listeners hear the same, and none loses anything.
func TestManyListeners(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s := newService(t)
	srv := newServer(t, s)
	const listeners, entries = 200, 300
	write := func(n int) {
		err := s.Engine.DB.Write(ctx, func(tx *store.Tx) error {
			e, err := s.Entry(ctx, "test.entry", "", "", "", fmt.Sprint(n), nil)
			if err != nil {
				return err
			}
			return tx.Log(e)
		})
		if err != nil {
			t.Error(err)
		}
	}
	write(0)
	var ready, done sync.WaitGroup
	heard := make([][]int64, listeners)
	for i := range listeners {
		ready.Add(1)
		done.Go(func() {
			n := 0
			for e, err := range as(t, srv, "olga").AllEvents(ctx, "", 0) {
				if err != nil {
					t.Errorf("listener %d: %v", i, err)
					return
				}
				if n++; n == 1 {
					ready.Done()
				}
				if heard[i] = append(heard[i], e.ID); e.ID == entries {
					return
				}
			}
		})
	}
	write(1) // the first that those hear who go on after entry 0
	ready.Wait()
	for n := 2; n <= entries; n++ {
		write(n)
	}
	done.Wait()
	for i, ids := range heard {
		for j, id := range ids {
			if id != int64(j+1) {
				t.Fatalf("listener %d: event %d is entry %d", i, j, id)
			}
		}
		if len(ids) != entries {
			t.Fatalf("listener %d heard %d of %d", i, len(ids), entries)
		}
	}
}

// TestStopEndsStreams: a listener doesn't keep a server from stopping, and is told
// by a comment.
func TestStopEndsStreams(t *testing.T) {
	t.Parallel()
	srv := newServer(t, newService(t))
	socket := socketDir(t) + "/s"
	_, stop := running(t, srv, server.Listen{Socket: socket})
	c := dial(t, socket, "olga")
	addMain(t, c)
	h := srv.LocalHandler()
	begun, body := make(chan struct{}), make(chan string, 1)
	go func() {
		w := &streamed{header: http.Header{}, begun: begun}
		r := httptest.NewRequest("GET", "/v1/events", nil)
		r.Header.Set(client.PrincipalHeader, "olga")
		h.ServeHTTP(w, r)
		body <- w.text.String()
	}()
	<-begun
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := <-body; !strings.Contains(got, ": the server stops") {
		t.Errorf("the stream said %q", got)
	}
}

// streamed is an answer that says when it has begun.
type streamed struct {
	header http.Header
	text   strings.Builder
	begun  chan struct{}
	once   sync.Once
}

func (s *streamed) Header() http.Header { return s.header }
func (s *streamed) WriteHeader(int)     {}
func (s *streamed) Flush()              {}
func (s *streamed) Write(p []byte) (int, error) {
	defer s.once.Do(func() { close(s.begun) })
	return s.text.Write(p)
}
