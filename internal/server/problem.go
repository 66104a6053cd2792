package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/store"
)

// problem is an error's face for the caller, and what headers go with it. One
// without a code is a fault of ours: the caller gets the request's id, and the log
// has the cause under it, with the route and not the path: somebody may have put a
// secret into that.
func (s *Server) problem(r *http.Request, err error) (client.Problem, http.Header) {
	id := requestID(r)
	p := client.ProblemOf(err)
	header := make(http.Header)
	var coded *tenure.Error
	var other *statusError
	away := store.OutageOf(err)
	switch {
	case away != nil && !isLocal(r): // its cause is in the log
		p = client.ProblemOf(tenure.Errorf(tenure.Unavailable, "%s", away.Says()).Retryable().WithHint("the server tries it again by itself; then ask again"))
	case !errors.As(err, &coded) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
		p = client.ProblemOf(tenure.Errorf(tenure.Unavailable, "the call took too long, or its caller has gone").Retryable())
	case !errors.As(err, &coded):
		s.o.Log.Error("internal error", "id", id, "route", r.Pattern, "error", err)
		p = client.ProblemOf(tenure.Errorf(tenure.Internal, "internal error %s", id).WithHint("the server's log has the cause under this id"))
	case p.Code == tenure.Internal:
		s.o.Log.Error("internal error", "id", id, "route", r.Pattern, "error", err)
		if !isLocal(r) {
			p = client.ProblemOf(tenure.Errorf(tenure.Internal, "internal error %s", id).WithHint("the server's log has the cause under this id"))
		}
	case p.Code == tenure.Unavailable && strings.HasPrefix(err.Error(), "store, ") && !isLocal(r):
		s.o.Log.Error("the store doesn't answer", "id", id, "route", r.Pattern, "error", err)
		p = client.ProblemOf(tenure.Errorf(tenure.Unavailable, "the store doesn't answer now").Retryable().WithHint("the server's log has the cause under %s", id))
	}
	if errors.As(err, &other) {
		p.Status, p.Title = other.status, http.StatusText(other.status)
	}
	switch p.Status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="tenure"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter(away))
	}
	p.Instance = "urn:tenure:request:" + id
	return p, header
}

// retryAfter is in how many seconds another try may help: when the store was tried again,
// if it is away.
func retryAfter(away *store.Outage) string {
	if away == nil {
		return "1"
	}
	return strconv.Itoa(1 + int(away.Next/time.Second))
}

// isLocal says whether who asks opened the installation's own folder or socket.
func isLocal(r *http.Request) bool { return r.Context().Value(localKey{}) != nil }

// refuse answers with an error where no route is.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.refuseAt(w, r, r.Pattern, err)
}

// refuseAt is refuse at a route that is named more closely than by its pattern.
func (s *Server) refuseAt(w http.ResponseWriter, r *http.Request, route string, err error) {
	hurry(w, r)
	p, header := s.problem(r, err)
	if p.Status == http.StatusUnauthorized || p.Status == http.StatusTooManyRequests {
		s.refusedAt(r, route, "", p.Status)
	}
	for k, v := range header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", client.ProblemType)
	w.WriteHeader(p.Status)
	_ = encode(w, p)
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

type requestKey struct{}

// requestID is the id that the outermost handler gave the request.
func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestKey{}).(string)
	return id
}

func newRequestID() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}
