package server

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/trigger"
)

// InboundPath is where other systems tell of events.
const InboundPath = "/v1/events/{source}"

// receive takes what another system tells. It is verified over the bytes that came, by the
// source's own scheme, and kept durably before it is answered. Who has failed before is verified
// all the same, within limits: a proxy has one address for all whom it stands before.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("source")
	src, err := s.o.Events.Source(name)
	if err != nil {
		if many := s.limits.tries(r); many != nil {
			err = many
		} else {
			s.limits.failed(r)
		}
		s.refuse(w, r, err)
		return
	}
	if err := s.limits.verifies(r, name); err != nil {
		s.refuseEvent(w, r, name, err)
		return
	}
	in := event.Request{Method: r.Method, Path: r.URL.Path, RawQuery: r.URL.RawQuery, Header: r.Header}
	if r.Method == http.MethodOptions {
		h, ok := src.Handshake(in)
		if !ok {
			w.Header().Set("Allow", "POST")
			s.refuseEvent(w, r, name, &statusError{http.StatusMethodNotAllowed, tenure.Errorf(tenure.Invalid, "delivery isn't granted to this origin")})
			return
		}
		for k, v := range h {
			w.Header()[k] = v
		}
		w.WriteHeader(http.StatusOK)
		return
	}
	if in.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, event.MaxBody)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			err = event.ErrTooLarge
		} else {
			err = tenure.Errorf(tenure.Invalid, "the request broke off")
		}
	} else {
		err = s.o.Events.Receive(r.Context(), name, in)
	}
	if err != nil {
		s.refuseEvent(w, r, name, err)
		return
	}
	status, kind, body := src.Answer()
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// refuseEvent refuses what came to a source, and says so in the log, in the metrics and to who watches
// over the door: which source, from where and why, and nothing of what was sent.
func (s *Server) refuseEvent(w http.ResponseWriter, r *http.Request, name string, err error) {
	reason := "unavailable"
	var status *statusError
	switch code := tenure.CodeOf(err); {
	case errors.Is(err, event.ErrTooLarge):
		err, reason = &statusError{http.StatusRequestEntityTooLarge, err}, "too_large"
	case errors.Is(err, trigger.ErrTooMany):
		err, reason = &statusError{http.StatusTooManyRequests, err}, "too_many"
	case errors.As(err, &status) && status.status == http.StatusTooManyRequests:
		reason = "too_many_wrong"
	case code == tenure.Unauthorized:
		reason = "unproven"
		if s.limits.wrongEvent(r, name) {
			err = tooMany("that is more than %d wrong requests of the source %s", wrongBurst, name)
		}
	case code == tenure.Invalid:
		reason = "invalid"
	}
	s.o.Events.Refused(name, reason)
	s.o.Log.Warn("an event was refused", "source", name, "from", AddressOf(r), "reason", reason, "error", err)
	s.refuseAt(w, r, strings.Replace(r.Pattern, "{source}", name, 1), err)
}
