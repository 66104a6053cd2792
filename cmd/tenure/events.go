package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) events() *cobra.Command {
	var tenant string
	var after int64
	var count int
	var idle time.Duration
	cmd := command("events", "Follow what happens, until interrupted",
		"Each event is an entry of the audit log, of the tenants that one may see, by its index; none is lost over a broken\n"+
			"connection. With --output json it is one array, an event a line. With --count it ends with exit code 8 if fewer came.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			if count < 0 || idle < 0 || after < -1 {
				return tenure.Errorf(tenure.Invalid, "a number of events, an index and a length of time aren't below zero")
			}
			s, err := a.reading(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			quiet := func() {}
			if idle > 0 {
				t := time.AfterFunc(idle, cancel)
				defer t.Stop()
				quiet = func() { t.Reset(idle) }
			}
			return a.tell(s.AllEvents(ctx, tenant, after), count, quiet, func() bool { return ctx.Err() != nil })
		})
	f := cmd.Flags()
	f.StringVar(&tenant, "tenant", "", "only those of this tenant, by id or name")
	f.Int64Var(&after, "after", -1, "begin after the event with this index; -1 begins now")
	f.IntVarP(&count, "count", "n", 0, "end after so many")
	f.DurationVar(&idle, "until-idle", 0, "end when none has come for so long, such as 2s")
	return cmd
}

// tell prints events as they come, up to a count where that isn't 0, and calls
// heard for each. An error once over says so is the end that was wanted.
func (a *app) tell(events func(func(client.Event, error) bool), count int, heard func(), over func() bool) error {
	o := &page{w: a.out, now: a.now()}
	print, done := o.event, func() {}
	if a.output == "json" {
		print, done = o.element()
	}
	n, failed := 0, error(nil)
	for e, err := range events {
		if err != nil {
			if !over() {
				failed = err
			}
			break
		}
		heard()
		print(e)
		if n++; n == count || o.err != nil {
			break
		}
	}
	done()
	switch {
	case failed != nil:
		return failed
	case o.err != nil:
		return o.err
	case n < count:
		return tenure.Errorf(tenure.Unavailable, "%d of %d events came", n, count).Retryable()
	}
	return nil
}

// event prints one as a line.
func (p *page) event(e client.Event) {
	of := []string{string(e.Tenant), string(e.Operation)}
	if e.Subject != string(e.Tenant) && e.Subject != string(e.Operation) {
		of = append(of, e.Subject)
	}
	of = append(of, string(e.Data))
	p.line("%d  %s  %s  %s", e.ID, e.At, e.Entry, strings.Join(strings.Fields(strings.Join(of, " ")), " "))
}

// element prints events as the elements of one array, which done closes.
func (p *page) element() (print func(client.Event), done func()) {
	next := "["
	print = func(e client.Event) {
		b, err := json.Marshal(e)
		if err != nil && p.err == nil {
			p.err = tenure.Errorf(tenure.Internal, "print: %w", err)
		}
		p.print(next + string(b))
		next = ",\n"
	}
	return print, func() {
		if next == "[" {
			p.print("[")
		}
		p.print("]\n")
	}
}
