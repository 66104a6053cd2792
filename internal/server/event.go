package server

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func eventRoutes(s *Server) {
	stream(s, client.WatchOperation, Access{tenure.TenantRead, OfOperation}, watchOperation)
	stream(s, client.WatchAll, Access{tenure.TenantRead, List}, watchAll)
}

// lastEvent reads a Last-Event-ID; blank is -1.
func lastEvent(given string) (int64, error) {
	if given == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != given {
		return 0, tenure.Errorf(tenure.Invalid, "the Last-Event-ID is none of ours")
	}
	return n, nil
}

// happenedBy refuses a Last-Event-ID that no event can have had yet.
func happenedBy(last, size int64) error {
	if last >= size {
		return tenure.Errorf(tenure.Invalid, "the Last-Event-ID is beyond the log, which has %d entries", size).WithHint("leave it out to begin with what happens now")
	}
	return nil
}

// watchOperation begins with where the operation stands, unless it goes on after
// an event, and ends with the event "end".
func watchOperation(ctx context.Context, c *Call, p *client.OperationEvents, send *sender) error {
	id, err := tenure.ParseID[tenure.OperationID](p.Operation)
	if err != nil {
		return err
	}
	last, err := lastEvent(p.LastEventID)
	if err != nil {
		return err
	}
	size, leave, err := c.server.tail.join(ctx, c.Caller)
	if err != nil {
		return err
	}
	defer leave()
	if err := happenedBy(last, size); err != nil {
		return err
	}
	// After the log's size: if it hasn't ended here, the entry of its end comes after
	// that and is heard. If it has, the entry is below the size as it is then.
	row, err := c.Service.Engine.DB.Operation(ctx, id)
	if err != nil {
		return err
	}
	until, err := c.Service.Engine.DB.LogSize(ctx)
	if err != nil {
		return err
	}
	end := func(at int64) error {
		return send.send(wire(client.Event{ID: at, Kind: "end", At: c.Service.Now().Format(time.RFC3339Nano), Tenant: row.Tenant, Operation: id}))
	}
	from := last + 1
	if last < 0 {
		from = size
		stands, err := progressOf(ctx, c.Service, row)
		if err != nil {
			return err
		}
		data, _ := json.Marshal(stands)
		first := client.Event{ID: size - 1, Kind: "operation", Entry: "operation.stands", At: c.Service.Now().Format(time.RFC3339Nano), Tenant: row.Tenant, Operation: id, Subject: string(id), Data: data}
		if err := send.send(wire(first)); err != nil {
			return err
		}
	}
	if row.State.Ended() && (last < 0 || from >= until) {
		return end(until - 1)
	}
	at := from - 1
	err = c.server.play(ctx, c, send, from, func(h happened) (wanted, last bool) {
		wanted = h.Operation == id
		last = wanted && h.Entry == "operation.state" && endedIn(h.Data) || row.State.Ended() && h.ID >= until-1
		at = h.ID
		return wanted, last
	})
	if err != nil || !c.endedNow(ctx, id) {
		return err
	}
	return end(at)
}

// endedNow says whether an operation has ended by now.
func (c *Call) endedNow(ctx context.Context, id tenure.OperationID) bool {
	row, err := c.Service.Engine.DB.Operation(ctx, id)
	return err == nil && row.State.Ended()
}

// endedIn says whether an entry's facts are of an operation's end.
func endedIn(data json.RawMessage) bool {
	var f struct {
		To tenure.OperationState `json:"to"`
	}
	return json.Unmarshal(data, &f) == nil && f.To.Ended()
}

// watchAll streams what the caller may see: entries of tenants within reach, and
// those of no tenant to who sees everything.
func watchAll(ctx context.Context, c *Call, p *client.AllEvents, send *sender) error {
	last, err := lastEvent(p.LastEventID)
	if err != nil {
		return err
	}
	only := tenure.TenantID("")
	if p.Tenant != "" {
		if err := c.RequireTenant(ctx, tenure.TenantRead, p.Tenant); err != nil {
			return err
		}
		row, err := c.Service.Engine.DB.Tenant(ctx, p.Tenant)
		if err != nil {
			return err
		}
		only = row.ID
	}
	size, leave, err := c.server.tail.join(ctx, c.Caller)
	if err != nil {
		return err
	}
	defer leave()
	if err := happenedBy(last, size); err != nil {
		return err
	}
	from := size
	if last >= 0 {
		from = last + 1
	}
	return c.server.play(ctx, c, send, from, func(h happened) (wanted, last bool) {
		switch {
		case only != "" && h.Tenant != only:
			return false, false
		case c.Visible.Reach.All && c.Visible.Limit.All: // asked each time: it may change meanwhile
			return true, false
		case h.Tenant == "":
			return false, false
		}
		t := c.server.tail.target(ctx, h.Tenant)
		return c.Visible.Reach.Covers(t) && c.Visible.Limit.Covers(t), false
	})
}
