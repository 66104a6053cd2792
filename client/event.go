package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

// Stream stands for an answer of server-sent events (WHATWG HTML §9.2).
type Stream struct{}

// Event is one change, as it is sent: its id is the index of the audit entry that
// was committed with the change, so that no event is lost and none comes twice.
type Event struct {
	ID        int64              `json:"id"`
	Kind      string             `json:"kind"`  // step, operation, tenant or other; end after an operation's last
	Entry     string             `json:"entry"` // the entry's kind, such as step.result
	At        string             `json:"at"`
	Tenant    tenure.TenantID    `json:"tenant,omitempty"`
	Operation tenure.OperationID `json:"operation,omitempty"`
	Subject   string             `json:"subject,omitempty"`
	Data      json.RawMessage    `json:"data,omitempty"` // the entry's public facts
}

// OperationEvents name an operation whose events are wanted.
type OperationEvents struct {
	OperationParams
	LastEventID string `header:"Last-Event-ID" doc:"go on after this event; absent: begin with where the operation stands"`
}

// AllEvents ask for the events of everything that is visible.
type AllEvents struct {
	Tenant      string `query:"tenant" doc:"only those of this tenant" maxLength:"64"`
	LastEventID string `header:"Last-Event-ID" doc:"go on after this event; absent: from now on"`
}

var (
	// WatchOperation streams an operation's events. Client.Events reads it.
	WatchOperation = Endpoint[OperationEvents, Stream]{Name: "operation.events", Verb: "GET", Path: "/v1/operations/{operation}/events", Summary: "Stream an operation's events until it has ended"}
	// WatchAll streams the events of everything that is visible.
	WatchAll = Endpoint[AllEvents, Stream]{Name: "event.all", Verb: "GET", Path: "/v1/events", Summary: "Stream the events of everything that is visible"}
)

// Events follows an operation from where it stands, or from the one after the
// given, until it has ended. Broken connections are mended without a loss.
func (c *Client) Events(ctx context.Context, op tenure.OperationID, after int64) iter.Seq2[Event, error] {
	return follow(ctx, c, WatchOperation.Name, after, func(last string) (*bound, error) {
		return bind(WatchOperation.Name, WatchOperation.Path, OperationEvents{OperationParams{string(op)}, last})
	})
}

// AllEvents follows everything that is visible until ctx ends: from now on where
// after is negative. A tenant narrows it.
func (c *Client) AllEvents(ctx context.Context, tenant string, after int64) iter.Seq2[Event, error] {
	return follow(ctx, c, WatchAll.Name, after, func(last string) (*bound, error) {
		return bind(WatchAll.Name, WatchAll.Path, AllEvents{tenant, last})
	})
}

// maxBroken is how often in a row a stream may break without an event.
const maxBroken = 5

func follow(ctx context.Context, c *Client, name string, after int64, ask func(last string) (*bound, error)) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for broken := 0; ; broken++ {
			last := ""
			if after >= 0 {
				last = strconv.FormatInt(after, 10)
			}
			done, err := c.stream(ctx, name, last, ask, func(e Event) bool {
				after, broken = max(after, e.ID), 0
				return yield(e, nil)
			})
			switch {
			case done:
				return
			case err != nil && (!tenure.CanRetry(err) || broken >= maxBroken || !pause(ctx, broken+1)):
				if ctx.Err() != nil {
					err = tenure.Errorf(tenure.Unavailable, "stopped following: %w", ctx.Err()).Retryable()
				}
				yield(Event{}, err)
				return
			}
		}
	}
}

// stream reads one connection's events. Done says that no more is wanted, or to
// come.
func (c *Client) stream(ctx context.Context, name, last string, ask func(string) (*bound, error), each func(Event) bool) (done bool, err error) {
	b, err := ask(last)
	if err != nil {
		return false, err
	}
	req, err := c.request(ctx, name, http.MethodGet, b)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.http.Do(req)
	if err != nil {
		return false, tenure.Errorf(tenure.Unavailable, "call %s: %w", name, hideURL(err)).Retryable()
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return false, failure(name, resp, body)
	}
	return readEvents(resp.Body, name, each)
}

// readEvents parses the stream: fields of a line each, a blank line ends an event.
func readEvents(r io.Reader, name string, each func(Event) bool) (done bool, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	data := ""
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		switch {
		case field == "data":
			data += strings.TrimPrefix(value, " ")
		case lines.Text() == "" && data != "":
			var e Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return false, tenure.Errorf(tenure.Internal, "an event of %s: %w", name, err)
			}
			data = ""
			if !each(e) || e.Kind == "end" {
				return true, nil
			}
		}
	}
	err = lines.Err()
	if err == nil {
		err = errors.New("the stream ended")
	}
	return false, tenure.Errorf(tenure.Unavailable, "call %s: %w", name, err).Retryable()
}
