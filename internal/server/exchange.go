package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

const (
	maxBody   = 1 << 20          // bytes of a request
	readLimit = 30 * time.Second // of one read's work
	callLimit = 10 * time.Minute // of one write's
)

// exchange is a request and its answer. The answer is kept until it is whole, so
// that a fault leaves no half of one and a replay can give it again; streams go
// out as they come.
type exchange struct {
	s       *Server
	r       *http.Request
	w       http.ResponseWriter
	call    *Call
	who     string // the caller's name, once it is known
	query   url.Values
	body    []byte
	header  http.Header
	status  int
	answer  bytes.Buffer
	reached bool // the handler ran: what fails from here on is no longer a fault of the request's form
	failed  bool // the answer is a problem
	live    bool // a stream has begun; nothing is kept
	once    bool // the answer may hold a secret
}

// answers makes what a handler returned the answer; what has no content says nothing.
func (x *exchange) answers(status int, v any, err error) {
	switch {
	case err != nil:
		x.fail(err)
	case status == http.StatusNoContent:
		x.status = status
	default:
		x.say(status, client.Full(v))
	}
}

// say makes a value the answer.
func (x *exchange) say(status int, v any) {
	kind, err := x.s.api.Negotiate(x.r.Header.Get("Accept"))
	if err == nil {
		x.header.Set("Content-Type", kind)
		x.status = status
		err = encode(&x.answer, v)
	}
	if err != nil {
		x.fail(tenure.Errorf(tenure.Internal, "the answer: %w", err))
	}
}

// fail makes a problem the answer.
func (x *exchange) fail(err error) {
	p, header := x.s.problem(x.r, err)
	x.setProblem(p)
	for k, v := range header {
		x.header[k] = v
	}
}

func (x *exchange) setProblem(p client.Problem) {
	x.failed, x.status = true, p.Status
	x.answer.Reset()
	x.header.Del("ETag")
	x.header.Del("Location")
	x.header.Set("Content-Type", client.ProblemType)
	_ = encode(&x.answer, p)
}

// end sends the answer; a panic is a fault of ours.
func (x *exchange) end() {
	if p := recover(); p != nil {
		if x.live {
			panic(http.ErrAbortHandler)
		}
		x.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
	if x.live {
		return
	}
	if x.tells() {
		x.s.refused(x.r, x.who, x.status)
	}
	for k, v := range x.header {
		x.w.Header()[k] = v
	}
	if x.status == 0 {
		x.status = http.StatusOK
	}
	_ = letGo(x.w, func() error { return deliver(x.w, x.r, x.status, x.answer.Bytes(), x.once) })
}

// around is what happens before and after each route's handler.
func (s *Server) around(rt Route, takes *input, next func(context.Context, *Call)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{s: s, r: r, w: w, header: make(http.Header), once: rt.Once}
		defer x.end()
		limit := callLimit
		if rt.Verb == http.MethodGet {
			limit = readLimit
		}
		ctx, cancel := r.Context(), func() {}
		if !s.streams[rt.Name] {
			ctx, cancel = context.WithTimeout(ctx, limit)
		}
		defer cancel()
		if err := x.enter(ctx, rt, takes); err != nil {
			hurry(w, r)
			x.fail(err)
			return
		}
		finish, replayed, err := s.replays.begin(ctx, x, rt)
		if err != nil || replayed {
			if err != nil {
				x.fail(err)
			}
			return
		}
		defer finish()
		next(ctx, x.call)
	}
}

// enter finds out who asks, whether they may, and reads what they send.
func (x *exchange) enter(ctx context.Context, rt Route, takes *input) error {
	caller, err := x.s.identify(x.r, rt.Access.Reach == Public)
	if err != nil {
		return err
	}
	x.who = caller.Name
	if caller.Name == "" {
		err = x.s.limits.stranger(x.r, rt.Name)
	} else {
		err = x.s.limits.take(caller)
	}
	if err != nil {
		return err
	}
	if x.query, err = query(x.r.URL.RawQuery); err == nil {
		err = takes.spelt(x.r, x.query)
	}
	if err != nil {
		return err
	}
	if !isText(x.r.URL.Path) {
		return tenure.Errorf(tenure.Invalid, "the path isn't text in UTF-8")
	}
	x.call = &Call{Caller: caller, Service: x.s.o.Service, Governor: x.s.o.Governor, server: x.s, x: x, access: rt.Access, checked: x.s.o.Governor.Now()}
	if err := x.s.admit(ctx, x.call, rt.Access, x.r.PathValue(string(rt.Access.Reach))); err != nil {
		return err
	}
	return x.read()
}

func (x *exchange) read() error {
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return tenure.Errorf(tenure.Invalid, "the request is longer than %d bytes", big.Limit)
	case err != nil:
		return tenure.Errorf(tenure.Invalid, "read the request: %w", err)
	case len(body) > 0 && !isJSON(x.r.Header.Values("Content-Type")):
		says := "has no Content-Type"
		if x.r.Header.Get("Content-Type") != "" {
			says = "is said to be something else"
		}
		return &statusError{http.StatusUnsupportedMediaType, tenure.Errorf(tenure.Invalid, "the request's body must be JSON, and it %s", says).WithHint("send Content-Type: application/json")}
	}
	x.body = body
	if len(body) == 0 {
		return nil
	}
	return tenure.CheckJSON(body)
}

// isJSON says whether a request has one Content-Type, and that of JSON in UTF-8.
func isJSON(kinds []string) bool {
	if len(kinds) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(kinds[0])
	charset, said := params["charset"]
	return err == nil && media == "application/json" && (!said || strings.EqualFold(charset, "utf-8"))
}

// query refuses what could be read in two ways: a name that is given twice, and
// escapes that name no text.
func query(raw string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "the query isn't right: %w", err)
	}
	for name, v := range values {
		switch {
		case len(v) > 1:
			return nil, tenure.Errorf(tenure.Invalid, "query.%.40s is given %d times", name, len(v)).WithHint("give it once")
		case !isText(name + v[0]):
			return nil, tenure.Errorf(tenure.Invalid, "query.%.40q isn't text in UTF-8", name)
		}
	}
	return values, nil
}

// isText says whether s is UTF-8 without a NUL, which no text of a store holds.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
