package daemon_test

import (
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/chromiumtest"
)

// TestSignIn: who signs in sees their tenants and no other, and is out after they
// sign out.
func TestSignIn(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.onboarded("alder", map[string]string{"region": "eu"})
	birch := h.onboarded("birch", map[string]string{"region": "us"})

	v := h.person("viewer")
	v.Go(h.url + "/tenants")
	if !strings.HasPrefix(v.Path(), "/sign-in?return=") {
		t.Fatalf("without a session /tenants leads to %s", v.Path())
	}
	h.signIn(v, "viewer")
	if v.Path() != "/tenants" {
		t.Errorf("after the sign-in the viewer is at %s, not where they wanted to go", v.Path())
	}
	v.Sees("alder")
	v.Lacks("birch")
	v.Go(h.url + "/tenants/" + string(birch))
	v.Sees("there is no tenant")
	v.Lacks("birch ltd")
	v.Go(h.url + "/new/onboard")
	v.Sees("forbidden")

	v.Go(h.url + "/")
	v.Press("css:.me > summary")
	v.Follow("Sign out")
	v.Sees("Sign in")
	v.Go(h.url + "/tenants")
	if !strings.HasPrefix(v.Path(), "/sign-in") {
		t.Errorf("after signing out /tenants leads to %s", v.Path())
	}
	t.Run("device", func(t *testing.T) { device(t, h) })
	t.Run("keyboard", func(t *testing.T) { keyboard(t, h) })
}

// device: a command line gets a token once a person has confirmed its code.
func device(t *testing.T, h *house) {
	anonymous, err := client.New(h.url)
	check(t, err)
	defer anonymous.Close()
	ask := client.DeviceParams{}
	ask.Body.Name = "laptop"
	g, err := client.StartDevice.Call(t.Context(), anonymous, ask)
	check(t, err)
	poll := client.DevicePoll{}
	poll.Body.DeviceCode = g.DeviceCode
	if _, err := client.PollDevice.Call(t.Context(), anonymous, poll); tenure.CodeOf(err) != tenure.Blocked {
		t.Fatalf("before anybody confirmed, a poll gives %v", err)
	}
	confirm := strings.TrimPrefix(g.VerificationURI, h.url) // it may be relative to the server that was asked
	v := h.at("operator", confirm)
	v.Fill("code", strings.ToLower(g.UserCode))
	v.Follow("Go on")
	v.Sees("Does your terminal show this code?", "act as operator")
	v.Follow("Yes, it is mine")
	v.Sees("The command line is signed in")
	token, err := client.PollDevice.Call(t.Context(), anonymous, poll)
	check(t, err)
	me, err := client.ShowMe.Call(t.Context(), h.api(token.Token), client.None{})
	check(t, err)
	if me.Name != "operator" {
		t.Errorf("the token is %q's", me.Name)
	}
	v.Go(h.url + confirm)
	v.Fill("code", g.UserCode)
	v.Follow("Go on")
	v.Follow("Yes, it is mine")
	v.Sees("Sign in the command line")
	if v.Has("css:.door .status.ok") {
		t.Error("a code is confirmed twice")
	}
}

// requested asks for a tenant through the forms, starts the plan, and leaves the
// person on the operation's page.
func requested(h *house, v *chromiumtest.Visitor, name string) tenure.OperationID {
	h.t.Helper()
	v.Go(h.url + "/tenants")
	v.Follow("Onboard a tenant")
	v.Fill("blueprint", "lowcode@1.0")
	v.Follow("Choose")
	v.Fill("tenant", name)
	v.Fill("organization", "Maple & Sons <Ltd>")
	v.Fill("tier", "team")
	v.Fill("labels", "region=eu")
	v.Fill("param.adminLogin", "admin@"+name+".example")
	v.Fill("reason", "a deal was closed")
	v.Follow("Show the plan")
	v.Sees("Digest", name)
	if _, err := h.inst.Tenant(h.t.Context(), name); tenure.CodeOf(err) != tenure.NotFound {
		h.t.Fatalf("a plan that nobody started has made a tenant (%v)", err)
	}
	v.Press("Start it")
	v.Follow("Start it")
	v.Sees("It has begun.")
	return tenure.OperationID(strings.TrimPrefix(v.Path(), "/operations/"))
}

// TestWithoutScript: who lets no page run script can do the same.
func TestWithoutScript(t *testing.T) {
	t.Parallel()
	h := open(t)
	operator, approver := h.at("operator", "/"), h.at("approver", "/")
	operator.NoScript(true)
	approver.NoScript(true)
	op := requested(h, operator, "maple")
	if chromiumtest.Eval[bool](operator, "document.documentElement.classList.contains('scripted')") {
		t.Fatal("the page's script has run")
	}
	approver.Go(h.url + "/operations/" + string(op))
	approver.Press("Approve")
	approver.Follow("Approve")
	approver.Sees("You have signed the plan.")
	h.carry(op, h.now())
	operator.Go(h.url + "/operations/" + string(op))
	operator.Sees("succeeded")
}

// keyboard: the operation's page is used without a mouse.
func keyboard(t *testing.T, h *house) {
	op := requested(h, h.at("operator", "/"), "rowan")
	v := h.at("approver", "/operations/"+string(op))
	v.Key("\t")
	focused := func() string {
		return chromiumtest.Eval[string](v, "(document.activeElement.innerText || document.activeElement.getAttribute('aria-label') || document.activeElement.name || '').trim()")
	}
	if got := focused(); got != "Skip to content" {
		t.Fatalf("the first stop is %q, not the link that skips the navigation", got)
	}
	if !chromiumtest.Eval[bool](v, "document.activeElement.getBoundingClientRect().top >= 0") {
		t.Error("the skip link has focus and can't be seen")
	}
	v.Key("\r")
	v.Until("the skip link has led to the page's content", "document.activeElement.id === 'main'")
	stops := 0
	for !strings.HasPrefix(focused(), "Approve") {
		v.Key("\t")
		if stops++; stops > 300 {
			t.Fatal("Tab doesn't reach Approve")
		}
		if seen := chromiumtest.Eval[bool](v, `(() => { const e = document.activeElement, s = getComputedStyle(e), face = e.querySelector('.face');
  return e === document.body || s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 || !!face && parseFloat(getComputedStyle(face).strokeWidth) >= 2; })()`); !seen {
			t.Fatalf("%q has focus and doesn't show it", focused())
		}
	}
	v.Key("\r")
	v.Until("Approve is unfolded", "document.activeElement.parentElement.open")
	for range 20 {
		if chromiumtest.Eval[bool](v, "document.activeElement.matches('button[type=submit]')") {
			break
		}
		v.Key("\t")
	}
	if got := focused(); got != "Approve" {
		t.Fatalf("Tab leads into the form to %q, not to its button", got)
	}
	v.Key("\r")
	v.Until("Enter has sent the form", "document.body.innerText.includes('You have signed the plan.')")
	if got := h.carry(op, h.now()); got.State != tenure.OperationSucceeded {
		t.Errorf("after the approval by keyboard the operation is %s: %s", got.State, got.Reason)
	}
}
