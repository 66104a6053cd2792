package dashboard

import (
	"io"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/words"
)

// SignInView is the page for who isn't signed in.
type SignInView struct {
	Provider  string   // the OIDC provider's name; "" where none is configured
	Start     string   // the path that begins the sign-in, by POST
	Bootstrap string   // the path that takes the one-time code; "" once it is used
	People    []Action // of a demo: people of different roles, one button each
	Return    string   // where to go then; a path of this site, sent as "return"
	Error     string
}

// SignIn renders it.
func (p *Pages) SignIn(w io.Writer, frame Frame, v SignInView) error {
	return p.render(w, "signin", plain, frame, v)
}

// DeviceView takes the code that the command line shows (RFC 8628 §3.3).
type DeviceView struct {
	Post    string
	Code    string // as typed, or as given with the link
	Confirm bool   // the code is known: ask whether it is theirs
	Asks    string // what asks: "tenure login from 192.0.2.7"
	Expires time.Time
	Gets    []string // what the command line will be able to do
	Error   string
}

// Device renders it.
func (p *Pages) Device(w io.Writer, frame Frame, v DeviceView) error {
	return p.render(w, "device", plain, frame, v)
}

// LoginDoneView ends a sign-in of the command line.
type LoginDoneView struct {
	Title string
	Says  string
	Bad   bool
	Next  Ref
}

// LoginDone renders it.
func (p *Pages) LoginDone(w io.Writer, frame Frame, v LoginDoneView) error {
	return p.render(w, "logindone", plain, frame, v)
}

// ProblemView is an error for people.
type ProblemView struct {
	Code    tenure.Code
	Message string
	Hints   []string
	ID      string // that the log carries, of an internal error
	Retry   bool
	Back    Ref
	Outside bool // who looks has no other page here
}

// Problem renders an error, with the navigation if somebody is signed in. It
// writes no status: that is the code's.
func (p *Pages) Problem(w io.Writer, frame Frame, v ProblemView) error {
	layout := framed
	if frame.Who == nil {
		layout = plain
	}
	return p.render(w, "problem", layout, frame, v)
}

// Headline says what kind of failure it is, in words.
func (v ProblemView) Headline() words.Key {
	if key := words.Key("problem." + string(v.Code)); words.Has(key) {
		return key
	}
	return "problem.internal"
}
