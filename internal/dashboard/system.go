package dashboard

import (
	"io"
	"time"
)

// SystemsView is the list of configured systems.
type SystemsView struct {
	Rows    []SystemRow
	Actions []Action
}

// SystemRow is one system.
type SystemRow struct {
	Name        string
	Connector   string // with its version
	State       string // "healthy", "slow", "down"
	Checked     time.Time
	Latency     time.Duration
	Fingerprint string
	Resources   int
	Tenants     int
	InFlight    int
	Limit       int     // calls at once, 0: no bound
	Rate        float64 // calls a second that are allowed, 0: no bound
	Lag         string  // how late its answers may be
	LastError   string  // without secrets
	LastErrorAt time.Time
	Holds       string // whether a hold can suspend its own expiry
	Actions     []Action
}

// Systems renders the list.
func (p *Pages) Systems(w io.Writer, frame Frame, v SystemsView) error {
	return p.render(w, "systems", framed, frame, v)
}
