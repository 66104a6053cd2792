package chromiumtest

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"

	"github.com/tenurehq/tenure/internal/npmtest"
)

//go:embed testdata/axe/package.json testdata/axe/package-lock.json
var sources embed.FS

// script is axe-core's text.
func script(t testing.TB) string {
	t.Helper()
	files, err := fs.Sub(sources, "testdata/axe")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(npmtest.Install(t, "axe", files), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The widths that pages are looked at with, in CSS pixels.
const (
	WideWidth   = 1440
	NarrowWidth = 390
)

// Wide makes the window as wide as a desktop's, in a light or a dark scheme.
func (v *Visitor) Wide(dark bool) { v.t.Helper(); v.window(WideWidth, 900, dark) }

// Narrow makes the window as wide as a telephone's, in a light or a dark scheme.
func (v *Visitor) Narrow(dark bool) { v.t.Helper(); v.window(NarrowWidth, 844, dark) }

func (v *Visitor) window(width, height int64, dark bool) {
	v.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	command(v, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, ScreenWidth: width, ScreenHeight: height, DeviceScaleFactor: 1, Mobile: width < 600})
	command(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	v.Until("the window has its size", fmt.Sprintf("innerWidth >= %d && matchMedia('(prefers-color-scheme: %s)').matches", width, scheme))
}

// Overflow is by how many pixels the page is wider than its window, and what
// sticks out; 0 is as it should be.
func (v *Visitor) Overflow() (pixels int, what string) {
	v.t.Helper()
	r := Eval[struct {
		By   float64
		What string
	}](v, `(() => {
  const root = document.scrollingElement, by = Math.max(root.scrollWidth - root.clientWidth, innerWidth - screen.width);
  if (by <= 0) return { By: 0, What: '' };
  const out = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1);
  return { By: by, What: out.slice(0, 5).map((e) => e.outerHTML.slice(0, 120)).join('\n') };
})()`)
	return int(r.By), r.What
}

// Picture is the whole page as PNG.
func (v *Visitor) Picture() []byte {
	v.t.Helper()
	beyond := true
	return command(v, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: &beyond}).Data
}

// Violation is a rule of accessibility that a page breaks.
type Violation struct {
	Rule, Impact, Help string
	Where              []string // selectors
}

// String is the violation in a line.
func (x Violation) String() string {
	return fmt.Sprintf("%s (%s): %s; %s", x.Rule, x.Impact, x.Help, strings.Join(x.Where, " | "))
}

// Violations are what axe-core finds of impact serious or critical on the page as
// it is shown, by the rules of WCAG 2.0 to 2.2, levels A and AA. A page on which no
// rule could be judged ends the test.
func (v *Visitor) Violations() []Violation {
	v.t.Helper()
	if !Eval[bool](v, "!!globalThis.axe") {
		Eval[bool](v, v.axe+"\n;true")
	}
	r := Eval[struct {
		Passed int
		Found  []Violation
	}](v, `(async () => {
  const r = await axe.run(document, { runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }, resultTypes: ['violations'] });
  const bad = r.violations.filter((x) => x.impact === 'serious' || x.impact === 'critical');
  return { Passed: r.passes.length, Found: bad.map((x) => ({ Rule: x.id, Impact: x.impact, Help: x.help, Where: x.nodes.slice(0, 5).map((n) => n.target.join(' ') + ' (' + n.failureSummary.split('\n').slice(1, 2).join(' ').trim() + ')') })) };
})()`)
	if r.Passed == 0 {
		v.t.Fatalf("%s: axe-core judged nothing at %s", v.Name, v.Path())
	}
	return r.Found
}
