package chromiumtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// limit is how long something on a page may take to come to be. It is long since
// the race detector and a busy machine slow everything.
const limit = 2 * time.Minute

// lookAgain is how often a condition is looked at.
const lookAgain = 25 * time.Millisecond

// Eval gives an expression's value in the page, which may be a promise's.
func Eval[T any](v *Visitor, expression string) T {
	v.t.Helper()
	r, err := evaluate[T](v, expression)
	if err != nil {
		v.t.Fatalf("%s: %s: %v", v.Name, clip(expression), err)
	}
	return r
}

func evaluate[T any](v *Visitor, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(v.ctx, limit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func clip(s string) string {
	if len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}

// Until waits until an expression is true in the page, whatever page that is by
// then.
func (v *Visitor) Until(what, expression string) {
	v.t.Helper()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	ctx, cancel := context.WithTimeout(v.ctx, limit)
	defer cancel()
	for {
		// A page that is being left has no answer, which is as good as no.
		if ok, err := evaluate[bool](v, "!!("+expression+")"); err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			v.t.Fatalf("%s waited in vain until %s; at %s the page says:\n%s", v.Name, what, v.Path(), v.Text())
		case <-again.C:
		}
	}
}

// Go opens an address, and waits for its page.
func (v *Visitor) Go(url string) {
	v.t.Helper()
	v.leaving(func() {
		r := command(v, page.Navigate, page.NavigateParams{URL: url})
		if r.ErrorText != "" && r.ErrorText != "net::ERR_HTTP_RESPONSE_CODE_FAILURE" {
			v.t.Fatalf("%s can't open %s: %s", v.Name, url, r.ErrorText)
		}
	})
}

// Before runs a script in each page that is opened from now on, before the page's own.
func (v *Visitor) Before(script string) {
	v.t.Helper()
	command(v, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

// leaving does what leads to another document, and waits for it.
func (v *Visitor) leaving(do func()) {
	v.t.Helper()
	was := Eval[float64](v, "performance.timeOrigin")
	do()
	v.Until("another page is there", fmt.Sprintf("performance.timeOrigin !== %v && document.readyState === 'complete'", was))
}

// Path is where the visitor is, without the host.
func (v *Visitor) Path() string {
	v.t.Helper()
	return Eval[string](v, "location.pathname + location.search")
}

// Text is what the page's main part says, with the words of its fields left out.
func (v *Visitor) Text() string {
	v.t.Helper()
	return Eval[string](v, "(document.querySelector('main') || document.body).innerText")
}

// Sees ends the test unless the page's main part says each of the words.
func (v *Visitor) Sees(words ...string) {
	v.t.Helper()
	text := flat(v.Text())
	for _, w := range words {
		if !strings.Contains(text, flat(w)) {
			v.t.Fatalf("%s doesn't see %q at %s:\n%s", v.Name, w, v.Path(), v.Text())
		}
	}
}

// Lacks ends the test if the page says any of the words, anywhere.
func (v *Visitor) Lacks(words ...string) {
	v.t.Helper()
	text := flat(Eval[string](v, "document.documentElement.outerHTML"))
	for _, w := range words {
		if strings.Contains(text, flat(w)) {
			v.t.Fatalf("%s sees %q at %s, and shouldn't", v.Name, w, v.Path())
		}
	}
}

func flat(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// find is a script that finds what a person would press: a button, a link or a
// summary, by its words or by the selector, in the open dialogue first.
const find = `(() => {
  const want = %s, shown = (e) => e.checkVisibility({ checkVisibilityCSS: true });
  const words = (e) => (e.innerText || e.getAttribute('aria-label') || '').replace(/\s+/g, ' ').replace(/…$/, '').trim().toLowerCase();
  let found = [];
  if (want.startsWith('css:')) found = [...document.querySelectorAll(want.slice(4))].filter(shown);
  else found = [...document.querySelectorAll('button, a[href], summary')].filter((e) => shown(e) && words(e) === want.toLowerCase());
  // A form that is unfolded has a button of the same words as what unfolds it.
  const inner = found.filter((e) => e.matches('button[type=submit]') && e.closest('details[open]'));
  return (inner.length ? inner : found)[0];
})()`

func finder(what string) string {
	b, _ := json.Marshal(what)
	return fmt.Sprintf(find, b)
}

// Has says whether there is something of these words to press, or, after "css:", an
// element that a selector names.
func (v *Visitor) Has(what string) bool { v.t.Helper(); return Eval[bool](v, "!!"+finder(what)) }

// Press clicks with the mouse on what has these words, or, after "css:", on what a
// selector names. What something else covers can't be pressed.
func (v *Visitor) Press(what string) {
	v.t.Helper()
	// A live page may put its parts anew between the look and the click.
	for range 5 {
		if v.press(what) {
			return
		}
	}
	v.t.Fatalf("%s's clicks on %q at %s don't reach it", v.Name, what, v.Path())
}

// press says whether the click reached what it was for, as far as that can be told
// without script.
func (v *Visitor) press(what string) bool {
	v.t.Helper()
	v.Until(fmt.Sprintf("there is %q to press", what), finder(what))
	at := Eval[struct {
		X, Y    float64
		Covered string
	}](v, `(async () => { const e = `+finder(what)+`;
  globalThis.pressed = false;
  e.addEventListener('click', () => { globalThis.pressed = true; }, { once: true, capture: true });
  e.scrollIntoView({ block: 'center', inline: 'center' });
  const r = [...e.getClientRects()].find((r) => r.width && r.height) || e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);
  return { X: x, Y: y, Covered: !top || top === e || e.contains(top) || top.contains(e) ? '' : top.outerHTML.slice(0, 200) }; })()`)
	if at.Covered != "" {
		v.t.Fatalf("%s can't press %q at %s: it is covered by %s", v.Name, what, v.Path(), at.Covered)
	}
	for _, typ := range []input.DispatchMouseEventType{"mouseMoved", "mousePressed", "mouseReleased"} {
		p := input.DispatchMouseEventParams{Type: typ, X: at.X, Y: at.Y}
		if typ != "mouseMoved" {
			p.Button, p.ClickCount = input.MouseButtonLeft, 1
		}
		command(v, input.DispatchMouseEvent, p)
	}
	missed, err := evaluate[bool](v, "globalThis.pressed === false")
	return v.scriptless || err != nil || !missed // a page that has gone was left by the click
}

// Follow presses what leads to another page, and waits for that.
func (v *Visitor) Follow(what string) { v.t.Helper(); v.leaving(func() { v.Press(what) }) }

// Key presses keys; "\t" is Tab and "\r" is Enter.
func (v *Visitor) Key(keys string) {
	v.t.Helper()
	if err := chromedp.Do(v.ctx, chromedp.KeyEvent(keys)); err != nil {
		v.t.Fatalf("%s: %v", v.Name, err)
	}
}

// Fill types into the visible field of a name in place of what stands there; a
// choice is chosen by its value, and a date is set.
func (v *Visitor) Fill(field, value string) {
	v.t.Helper()
	sel := fmt.Sprintf("[...document.querySelectorAll('[name=%q]')].find((e) => e.type !== 'hidden' && e.checkVisibility())", field)
	v.Until("there is a field "+field, sel)
	kind := Eval[string](v, sel+".type")
	if kind == "select-one" || kind == "date" {
		b, _ := json.Marshal(value)
		Eval[bool](v, fmt.Sprintf("(() => { const e = %s; e.value = %s; for (const n of ['input', 'change']) e.dispatchEvent(new Event(n, { bubbles: true })); return e.value === %s; })()", sel, b, b))
		return
	}
	Eval[bool](v, fmt.Sprintf("(() => { const e = %s; e.focus(); e.select(); return true; })()", sel))
	command(v, input.InsertText, input.InsertTextParams{Text: value})
	if value == "" {
		v.Key("\b")
	}
}

// NoScript lets the pages that come run no script, or lets them again.
func (v *Visitor) NoScript(off bool) {
	v.t.Helper()
	v.scriptless = off
	command(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
}
