package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
)

// session is where a command's calls go: to a server, or to the folder itself.
type session struct {
	*client.Client
	app   *app
	local *installation.Installation // nil where a server answers
	tells bool                       // prints how an operation goes where no terminal shows it
	close func()
}

// reading asks a server, or opens the folder's store for reading.
func (a *app) reading(ctx context.Context) (*session, error) { return a.connect(ctx, true) }

// writing asks a server, or opens the folder when there is none.
func (a *app) writing(ctx context.Context) (*session, error) { return a.connect(ctx, false) }

// connect finds who answers: the server that is named or that the context names,
// the one that runs on the folder, or the folder itself.
func (a *app) connect(ctx context.Context, readOnly bool) (*session, error) {
	target, err := a.target()
	if err != nil {
		return nil, err
	}
	if target.Server != "" {
		c, err := client.New(target.Server, client.WithToken(target.Token), client.WithUserAgent("tenure"))
		if err != nil {
			return nil, err
		}
		return &session{Client: c, app: a, close: c.Close}, nil
	}
	c, err := client.Dial(ctx, installation.Socket(a.dir), a.as)
	switch {
	case err == nil:
		return &session{Client: c, app: a, close: c.Close}, nil
	case tenure.CodeOf(err) == tenure.NotFound, tenure.CodeOf(err) == tenure.Invalid: // nobody, or nobody can be there
		return a.open(ctx, readOnly)
	}
	return nil, err
}

func (a *app) open(ctx context.Context, readOnly bool) (*session, error) {
	inst, err := installation.Open(ctx, installation.Options{Dir: a.dir, ReadOnly: readOnly, Now: a.clock})
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*session, error) { _ = inst.Close(); return nil, err }
	srv, err := server.New(server.Options{Service: inst.Service, Governor: inst.Governor, Events: inst.Events, Notices: inst.Notices})
	if err != nil {
		return fail(err)
	}
	c, err := client.New("http://tenure", client.WithHandler(srv.LocalHandler(), a.as))
	if err != nil {
		return fail(err)
	}
	return &session{Client: c, app: a, local: inst, close: func() { srv.Close(); _ = inst.Close() }}, nil
}

// ask makes one call. After a write on the folder itself it also runs what is
// due, since no server does.
func ask[P, R any](ctx context.Context, a *app, e client.Endpoint[P, R], p P) (out R, err error) {
	s, err := a.connect(ctx, e.Verb == http.MethodGet)
	if err == nil {
		out, err = e.Call(ctx, s.Client, p)
		err = s.asked(ctx, e.Verb, err)
	}
	return out, err
}

// asked ends a session of one call, which may have failed.
func (s *session) asked(ctx context.Context, verb string, err error) error {
	defer s.close()
	if err == nil && verb != http.MethodGet {
		err = s.carryOn(ctx, "")
	}
	return err
}

// pagedBy is a struct of parameters whose pages ask can turn.
type pagedBy[P any] interface {
	*P
	client.Paged
}

// listed makes the calls that a list of up to n items takes; 0 is all of it.
func listed[P, T any, Q pagedBy[P]](ctx context.Context, a *app, e client.Endpoint[P, client.Page[T]], p P, n int) ([]T, error) {
	s, err := a.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return client.UpTo[P, T, Q](ctx, s.Client, e, p, n)
}

// patience bounds how long a command stays with an operation that a server runs.
const patience = 30 * time.Second

// carryOn stays with an operation until it rests: it has ended, it waits, or it
// backs off. On the folder itself it runs everything that is due.
func (s *session) carryOn(ctx context.Context, op tenure.OperationID) error {
	if s.local == nil {
		if op == "" {
			return nil
		}
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err := s.follow(short, op, s.rests)
		if short.Err() != nil && ctx.Err() == nil {
			return nil // the server goes on with it
		}
		return err
	}
	show := s.app.progress(ctx, s, op)
	defer show()
	_, err := s.local.Engine.Settle(ctx)
	return err
}

// rests says whether an operation needs something other than a moment for its
// steps: it has ended, or nothing of it runs and nothing is due.
func (s *session) rests(op client.Operation) bool {
	return op.State.Ended() || op.Running == 0 && (op.DueAt.After(s.app.now()) || op.DueAt.IsZero() && !atWork(op))
}

func atWork(op client.Operation) bool {
	return op.State == tenure.OperationRunning || op.State == tenure.OperationCompensating
}

// glance is how often a command that follows an operation looks at it.
const glance = 100 * time.Millisecond

// follow looks at an operation again and again until done says so.
func (s *session) follow(ctx context.Context, id tenure.OperationID, done func(client.Operation) bool) (client.Operation, error) {
	bar := s.app.bar(id, s.tells)
	defer bar.stop()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	stopped := func() error {
		return tenure.Errorf(tenure.Unavailable, "stopped following operation %s, which goes its way", id).Retryable().WithHint("see how far it is: tenure operation show %s", id)
	}
	for {
		op, err := client.FollowOperation.Call(ctx, s.Client, client.OperationParams{Operation: string(id)})
		switch {
		case err != nil && ctx.Err() != nil:
			return op, stopped()
		case err != nil:
			return op, err
		}
		if bar.show(op); done(op) {
			return op, nil
		}
		select {
		case <-ctx.Done():
			return op, stopped()
		case <-tick.C:
		}
	}
}

// drive runs what comes due until stop is called, where no server does.
func (s *session) drive(ctx context.Context) (stop func()) {
	if s.local == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { _ = s.local.Engine.Run(ctx, 0, slog.New(slog.NewTextHandler(io.Discard, nil))) })
	return func() { cancel(); done.Wait() }
}
