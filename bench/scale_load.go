package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
)

const (
	perSecondAsked = 200
	askLimit       = 30 * time.Second // of one request
)

// ask is one request of a load.
type ask struct {
	kind   string // what its times are put down under
	path   string
	token  tenure.Secret
	cookie tenure.Secret
}

// served measures the released server, asked over HTTP, on this store.
func (f *full) served(ctx context.Context, e *env, bin string) ([]line, error) {
	srv, err := serveFull(ctx, bin, f.dir)
	if err != nil {
		return nil, err
	}
	lines, err := f.loads(ctx, e, srv)
	if err == nil && !e.quick {
		var more []line
		more, err = f.listeners(ctx, e, srv)
		lines = append(lines, more...)
	}
	held := srv.held.end()
	if serr := srv.stop(); err == nil {
		err = serr
	}
	if err != nil {
		return nil, err
	}
	return append(lines, line{"server-memory-" + f.kind, fmt.Sprintf("%.1fMiB", mib(held)), "-", "-", "<256MiB", held < memoryLimit}), nil
}

func (f *full) loads(ctx context.Context, e *env, srv *child) ([]line, error) {
	lasts := loadFor
	if e.quick {
		lasts /= 4
	}
	pages, err := load(ctx, srv.url, lasts, func(n int) ask { return f.page(n) })
	if err != nil {
		return nil, err
	}
	say("scale on "+f.kind+", pages of 50", pages)
	fleet, err := load(ctx, srv.url, lasts, func(n int) ask { return f.fleet(n, srv.dashboard) })
	if err != nil {
		return nil, err
	}
	say("scale on "+f.kind+", fleet", fleet)
	alone, err := apart(ctx, srv.url, f)
	if err != nil {
		return nil, err
	}
	p99, base := quantile(all(pages), 0.99), quantile(alone["page"], 0.5)
	fleet99, fleetBase := quantile(all(fleet), 0.99), quantile(alone["fleet"], 0.5)
	return []line{
		{"api-page-p99-" + f.kind, fine(p99), fine(base), times(p99.Seconds() / base.Seconds()), "<50ms", p99 < pageLimit},
		{"fleet-p99-" + f.kind, fine(fleet99), fine(fleetBase), times(fleet99.Seconds() / fleetBase.Seconds()), "<100ms", fleet99 < fleetLimit},
	}, nil
}

// page is the n-th request for a page: of everything, of a tier or of a label, with
// and without a filter, from the start and from the middle.
func (f *full) page(n int) ask {
	filters := []string{"", "state=suspended", "tier=free", "label=region%3Dus", "finding=critical", "blueprint=standard%401.0", "state=validating&tier=enterprise", "blueprint=standard&state=retained"}
	narrow := []string{"", "state=active", "state=retained", "blueprint=standard%401.1", "finding=high"}
	turn := n / 4
	switch n % 4 {
	case 0, 1:
		which := filters[(2*turn+n%4)%len(filters)]
		return ask{kind: "all " + which, path: f.query(turn/len(filters), which), token: f.whole}
	case 2:
		which := narrow[turn%len(narrow)]
		return ask{kind: "tier " + which, path: f.query(turn/len(narrow), which), token: f.tier}
	}
	which := narrow[turn%len(narrow)]
	return ask{kind: "label " + which, path: f.query(turn/len(narrow), which), token: f.label}
}

// fleet is the n-th request for the fleet's figures; where there is a dashboard,
// every other one is a signed-in person's for the page.
func (f *full) fleet(n int, dashboard bool) ask {
	switch {
	case dashboard && n%2 == 0:
		return ask{kind: "dashboard", path: "/", cookie: f.session}
	case n%10 == 1:
		return ask{kind: "tier", path: "/v1/fleet", token: f.tier}
	case n%10 == 3:
		return ask{kind: "label", path: "/v1/fleet", token: f.label}
	}
	return ask{kind: "all", path: "/v1/fleet", token: f.whole}
}

// load asks at fixed moments, whatever the answers do, and counts each time from
// the moment at which the request was due: a server that stalls makes all those
// that wait meanwhile late, as it would people.
func load(ctx context.Context, base string, lasts time.Duration, next func(int) ask) (map[string][]time.Duration, error) {
	client := httpClient()
	defer client.CloseIdleConnections()
	for i := range 40 { // what is read once for many looks has been looked at before
		if err := send(ctx, client, base, next(i)); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	took := map[string][]time.Duration{}
	var failed []error
	n := int(lasts.Seconds() * perSecondAsked)
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / perSecondAsked)
		time.Sleep(time.Until(due)) // the schedule is what is measured against
		wg.Go(func() {
			a := next(i)
			err := send(ctx, client, base, a)
			d := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if err != nil { // it counts as the longest that anybody would wait
				d = max(d, askLimit)
				failed = append(failed, fmt.Errorf("%s: %w", a.path, err))
			}
			took[a.kind] = append(took[a.kind], d)
		})
	}
	wg.Wait()
	if len(failed) > 0 {
		fmt.Printf("scale: %d of %d requests failed, the first: %.300s\n", len(failed), n, failed[0])
	}
	return took, nil
}

// apart asks one thing after the other on an idle server: the baseline.
func apart(ctx context.Context, base string, f *full) (map[string][]time.Duration, error) {
	client := httpClient()
	defer client.CloseIdleConnections()
	out := map[string][]time.Duration{}
	for i := range 100 {
		for kind, a := range map[string]ask{"page": f.page(i), "fleet": f.fleet(0, false)} {
			d, err := timed(func() error { return send(ctx, client, base, a) })
			if err != nil {
				return nil, err
			}
			out[kind] = append(out[kind], d)
		}
	}
	return out, nil
}

func httpClient() *http.Client {
	return &http.Client{Timeout: askLimit, Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func send(ctx context.Context, client *http.Client, base string, a ask) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+a.path, nil)
	if err != nil {
		return err
	}
	if !a.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+a.token.Reveal())
	} else {
		req.AddCookie(&http.Cookie{Name: "tenure", Value: a.cookie.Reveal()})
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answered %s: %.200s", resp.Status, body)
	}
	return err
}

func all(took map[string][]time.Duration) (out []time.Duration) {
	for _, d := range took {
		out = append(out, d...)
	}
	return out
}

func say(what string, took map[string][]time.Duration) {
	fmt.Printf("%s, %d requests/s: p50 %s p99 %s\n", what, perSecondAsked, fine(quantile(all(took), 0.5)), fine(quantile(all(took), 0.99)))
	for _, k := range slices.Sorted(maps.Keys(took)) {
		fmt.Printf("  %-40s %5d requests p50 %s p99 %s\n", k, len(took[k]), fine(quantile(took[k], 0.5)), fine(quantile(took[k], 0.99)))
	}
}

// child is a server that was started here.
type child struct {
	cmd       *exec.Cmd
	url       string
	dashboard bool
	log       strings.Builder
	held      *sampled
}

func serveFull(ctx context.Context, bin, dir string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, bin, "serve", "--dir", dir, "--listen", "127.0.0.1:0")}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.Stderr = &c.log
	says, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.held = sample(c.cmd.Process.Pid)
	text, err := bufio.NewReader(says).ReadString('\n')
	for _, word := range strings.Fields(text) {
		if strings.HasPrefix(word, "http://") {
			c.url = strings.TrimRight(word, ",")
		}
	}
	if err != nil || c.url == "" {
		return nil, errors.Join(fmt.Errorf("tenure serve said %q: %w", text, err), c.stop())
	}
	resp, err := http.Get(c.url + "/sign-in")
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	_ = resp.Body.Close()
	c.dashboard = resp.StatusCode == http.StatusOK
	return c, nil
}

func (c *child) stop() error {
	c.held.end()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("tenure serve: %w: %s", err, c.log.String())
	}
	return nil
}

// sampled follows the resident memory of another process.
type sampled struct {
	once sync.Once
	stop chan struct{}
	most chan int64
	max  int64
}

func sample(pid int) *sampled {
	s := &sampled{stop: make(chan struct{}), most: make(chan int64, 1)}
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		var most int64
		for {
			most = max(most, statusOf(pid, "VmRSS"))
			select {
			case <-tick.C:
			case <-s.stop:
				s.most <- most
				return
			}
		}
	}()
	return s
}

// end gives the most that was held, in bytes.
func (s *sampled) end() int64 {
	s.once.Do(func() { close(s.stop); s.max = <-s.most })
	return s.max
}
