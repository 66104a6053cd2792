package server

import (
	"net/http"
	"time"

	"github.com/tenurehq/tenure/internal/governance"
)

// refused has a refusal counted for who watches over the door. Who is known is named;
// of who isn't there is the address alone.
func (s *Server) refused(r *http.Request, who string, status int) {
	s.refusedAt(r, r.Pattern, who, status)
}

// refusedAt is refused at a route that is named more closely than by its pattern.
func (s *Server) refusedAt(r *http.Request, route, who string, status int) {
	s.o.Governor.Refuse(governance.Refusal{Principal: who, Address: AddressOf(r), Route: route, Status: status})
}

// tells says whether the answer of a call is a refusal that leaves an access event:
// what isn't there counts where a caller may not know of it.
func (x *exchange) tells() bool {
	switch x.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return x.failed
	case http.StatusNotFound:
		return x.failed && !x.reached && x.who != ""
	}
	return false
}

// hurry ends the wait for a body that nobody is going to read: net/http reads what is
// left of it before it lets go of the connection, as long as the server's own deadline
// lets it.
func hurry(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	}
}
