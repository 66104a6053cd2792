package server

import (
	"errors"
	"io"
	"net/http"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/trigger"
)

// InboundPath is where other systems tell of events.
const InboundPath = "/v1/events/{source}"

// receive takes what another system tells. It is verified over the bytes that came, by the
// source's own scheme, and kept durably before it is answered.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	if err := s.limits.tries(r); err != nil { // wrong signatures from this address
		s.refuse(w, r, err)
		return
	}
	name := r.PathValue("source")
	src, err := s.o.Events.Source(name)
	if err != nil {
		s.limits.failed(r)
		s.refuse(w, r, err)
		return
	}
	in := event.Request{Method: r.Method, Path: r.URL.Path, RawQuery: r.URL.RawQuery, Header: r.Header}
	if r.Method == http.MethodOptions {
		h, ok := src.Handshake(in)
		if !ok {
			w.Header().Set("Allow", "POST")
			s.refuse(w, r, &statusError{http.StatusMethodNotAllowed, tenure.Errorf(tenure.Invalid, "delivery isn't granted to this origin")})
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
			err = &statusError{http.StatusRequestEntityTooLarge, tenure.Errorf(tenure.Invalid, "the request is larger than %d bytes", event.MaxBody)}
		} else {
			err = tenure.Errorf(tenure.Invalid, "the request broke off")
		}
		s.refuse(w, r, err)
		return
	}
	if err := s.o.Events.Receive(r.Context(), name, in); err != nil {
		if tenure.CodeOf(err) == tenure.Unauthorized {
			s.limits.failed(r)
			s.o.Log.Warn("an event was refused", "source", name, "from", AddressOf(r), "error", err)
		}
		if errors.Is(err, trigger.ErrTooMany) {
			err = &statusError{http.StatusTooManyRequests, err}
		}
		s.refuse(w, r, err)
		return
	}
	status, kind, body := src.Answer()
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
