// Package chromiumtest gives tests a real browser: the system's Chromium, headless,
// with a profile of its own for each visitor, and axe-core to judge pages by.
package chromiumtest

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tenurehq/tenure/internal/npmtest"
)

// programs are the names that Chromium goes by.
var programs = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Browser is a running browser without a window.
type Browser struct {
	ctx context.Context
	axe string
}

// Start runs a browser until the test ends. Without Chromium or axe-core the test
// is skipped by name; where CI is set it fails.
func Start(t testing.TB) *Browser {
	t.Helper()
	var path string
	for _, name := range programs {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		npmtest.Absent(t, "chromium", "it isn't installed")
	}
	axe := script(t)
	own, err := os.MkdirTemp("", "chr") // the browser leaves folders in it; a longer name has no room for its socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(own) })
	o := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Env("TMPDIR="+own), chromedp.NoSandbox, chromedp.DisableGPU,
		// Nothing of the browser's own goes out: the tests' network ends at loopback.
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-features", "Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("lang", "en"),
	)
	alloc, stop := chromedp.NewExecAllocator(context.Background(), o...)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(func() { end(); stop() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx: ctx, axe: axe}
}

// Visitor is one person at the browser: a window with cookies of its own. Its
// methods end the test if what they ask for doesn't come to be in time.
type Visitor struct {
	t    testing.TB
	ctx  context.Context
	axe  string
	Name string

	scriptless bool

	mu         sync.Mutex
	complaints []string
}

// Visit opens a window with no cookies, which is closed when the test ends. What
// the pages throw, and what their security policy stops, fails the test then.
func (b *Browser) Visit(t testing.TB, name string) *Visitor {
	t.Helper()
	v := &Visitor{t: t, axe: b.axe, Name: name}
	ctx, end := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(v.listen))
	v.ctx = ctx
	t.Cleanup(func() {
		end()
		for _, c := range v.Complaints() {
			t.Errorf("%s's browser: %s", name, c)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a window for %s: %v", name, err)
	}
	v.Wide(false)
	return v
}

// listen keeps what a page should never say.
func (v *Visitor) listen(event any) {
	say := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		say = "exception: " + e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			say += " " + x.Description
		}
		say += " at " + e.ExceptionDetails.URL
	case *log.EventEntryAdded:
		if s := e.Entry.Source.String(); s == "security" || s == "javascript" || s == "violation" || s == "deprecation" {
			say = s + ": " + e.Entry.Text + " " + e.Entry.URL
		}
	}
	if say == "" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.complaints = append(v.complaints, say)
}

// Complaints are the exceptions of the pages' scripts and what the pages' security
// policy stopped, until now.
func (v *Visitor) Complaints() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.complaints...)
}

// command sends one of the protocol's commands.
func command[P, R any](v *Visitor, c cdp.Command[P, R], p P) R {
	v.t.Helper()
	r, err := chromedp.Call(v.ctx, c, p)
	if err != nil {
		v.t.Fatalf("%s's browser: %s: %v", v.Name, c.Method, err)
	}
	return r
}
