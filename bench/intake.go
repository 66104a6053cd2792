package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
)

const (
	intakeEvents  = 20_000
	intakeSenders = 64
	intakeRate    = 2_000
	intakeLimit   = 50 * time.Millisecond
)

// intakeBench measures how many signed events a server keeps in a second, each durable on
// SQLite with full sync before it is answered, while they are decided beside it. The baseline
// is single rows with full sync.
func intakeBench(ctx context.Context, e *env) ([]line, error) {
	const name = "TENURE_BENCH_EVENTS"
	secret := "a-secret-of-the-benchmark"
	if err := os.Setenv(name, secret); err != nil {
		return nil, err
	}
	bare, err := bareSQLite(ctx, e)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(e.dir, "intake")
	inst, err := installation.Init(ctx, installation.Options{Dir: dir}, installation.Settings{Events: map[string]installation.EventSource{
		"feed": {Scheme: "hmac", Header: "X-Signature", Secrets: []string{"env:" + name}, Fields: installation.EventFields{ID: "id", Type: "type", Subject: "about"}},
	}})
	if err != nil {
		return nil, err
	}
	defer inst.Close()
	srv, err := server.New(server.Options{Service: inst.Service, Governor: inst.Governor, Events: inst.Events})
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	inst.Events.Open(srv.Door())
	deciding, stop := context.WithCancel(ctx)
	defer stop()
	ended := newEnd(func() error { return inst.Events.Run(deciding) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web := &http.Server{Handler: srv.Handler()}
	go func() { _ = web.Serve(l) }()
	defer web.Close()

	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: intakeSenders}}
	url := "http://" + l.Addr().String() + "/v1/events/feed"
	var next atomic.Int64
	run := func(events int, pace *rate.Limiter) (all time.Duration, took []time.Duration, err error) {
		took = make([]time.Duration, events)
		last := next.Load() + int64(events)
		all, err = timed(func() error {
			g, ctx := errgroup.WithContext(ctx)
			for range intakeSenders {
				g.Go(func() error {
					for {
						n := int(next.Add(1)) - 1
						if int64(n) >= last {
							return nil
						}
						if err := pace.Wait(ctx); err != nil {
							return err
						}
						body := fmt.Appendf(nil, `{"id":"event-%d","type":"invoice.paid","about":"customer-%d","amount":%d,"note":"%0200d"}`, n, n%500, n, n)
						m := hmac.New(sha256.New, []byte(secret))
						m.Write(body)
						one, err := timed(func() error { return tell(ctx, client, url, hex.EncodeToString(m.Sum(nil)), body) })
						if err != nil {
							return err
						}
						took[int64(n)-last+int64(events)] = one
					}
				})
			}
			return g.Wait()
		})
		next.Store(last)
		slices.Sort(took)
		return all, took, err
	}
	all, took, err := run(intakeEvents, rate.NewLimiter(rate.Inf, 1))
	if err != nil {
		return nil, err
	}
	_, paced, err := run(5*intakeRate, rate.NewLimiter(intakeRate, 1))
	if err != nil {
		return nil, err
	}
	stop()
	<-ended
	counts, err := inst.DB.InboundCounts(ctx)
	if err != nil {
		return nil, err
	}
	kept := 0
	for _, n := range counts {
		kept += n
	}
	if sent := intakeEvents + len(paced); kept != sent {
		return nil, fmt.Errorf("%d events are kept of %d that were answered", kept, sent)
	}
	p99 := paced[len(paced)*99/100]
	perSecond := intakeEvents / all.Seconds()
	fmt.Printf("intake: %d events in %s, p50 %s, p99 %s; at %d/s p50 %s, p99 %s; %d decided meanwhile; bare commits %.0f/s\n", intakeEvents, round(all), round(took[intakeEvents/2]), round(took[intakeEvents*99/100]), intakeRate, paced[len(paced)/2], p99, kept-counts["received"], bare)
	return []line{
		{"intake-rate", fmt.Sprintf("%.0f/s", perSecond), fmt.Sprintf("%.0f/s", bare), times(perSecond / bare), fmt.Sprintf(">=%d/s", intakeRate), perSecond >= intakeRate},
		{"intake-p99-at-2000", p99.String(), "-", "-", "<" + intakeLimit.String(), p99 < intakeLimit},
	}, nil
}

func tell(ctx context.Context, c *http.Client, url, signature string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("X-Signature", signature)
	r.Header.Set("Content-Type", "application/json")
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("an event was answered with %s", res.Status)
	}
	return nil
}
