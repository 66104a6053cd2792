package client

import "time"

// ServerClock is how the server's clock stands.
type ServerClock struct {
	At      time.Time   `json:"at"`
	Virtual bool        `json:"virtual,omitempty" doc:"somebody sets it, so it is never in doubt"`
	Doubt   *ClockDoubt `json:"doubt,omitempty" doc:"why the time can't be relied on; absent if it can"`
}

// ClockDoubt is why the time can't be relied on. While it lasts nothing is destroyed
// that hadn't begun to be, and nothing happens that a date alone makes due.
type ClockDoubt struct {
	Kind   string    `json:"kind" enum:"jump,back,gap,lost,unusable"`
	Reason string    `json:"reason"`
	WasAt  time.Time `json:"wasAt,omitzero" doc:"what the time should have been or, at start, the last heartbeat's"`
	NowAt  time.Time `json:"nowAt" doc:"what the clock said when that was noticed"`
}

// ConfirmTimeParams say what time it is.
type ConfirmTimeParams struct {
	Body struct {
		At time.Time `json:"at" doc:"what time it is; the server's clock must say about the same, within an hour"`
	}
}

var (
	// ShowClock tells whether the server's clock can be relied on.
	ShowClock = Endpoint[None, ServerClock]{Name: "clock.show", Verb: "GET", Path: "/v1/clock", Summary: "Tell the server's time, and whether it can be relied on"}
	// ConfirmTime says that the server's clock is right. Conflict if it isn't in doubt.
	ConfirmTime = Endpoint[ConfirmTimeParams, ServerClock]{Name: "clock.confirm", Verb: "POST", Path: "/v1/clock/confirm", Summary: "Say that the server's clock is right, after it came into doubt", Example: `{"at": "2027-01-31T12:00:00Z"}`}
)
