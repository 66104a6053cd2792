package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Options say where notices go. DB and Log are needed.
type Options struct {
	DB      *store.DB
	Log     *slog.Logger
	Webhook *Webhook // nil: notices go to the log alone, if Say is set
	Say     bool     // write each notice into the log, with its text
}

// Bounds of sending.
const (
	batch     = 50
	claim     = 2 * time.Minute    // nobody else sends a notice meanwhile
	giveUp    = 7 * 24 * time.Hour // an older notice isn't sent any more
	firstWait = 5 * time.Second
	lastWait  = time.Hour
)

// Notifier sends notices. Its methods may be called from any goroutine.
type Notifier struct {
	o    Options
	post *poster

	mu       sync.Mutex
	failures int       // of the receiver, in a row
	rest     time.Time // until then it is left alone
}

// New makes a Notifier. A webhook that isn't https, or names an address that
// nothing may be sent to, is Invalid.
func New(o Options) (*Notifier, error) {
	n := &Notifier{o: o}
	if o.Webhook == nil {
		return n, nil
	}
	var err error
	n.post, err = newPoster(*o.Webhook)
	return n, err
}

// Tick sends what is due: each notice at least once, under its id as idempotency
// key, the oldest first. A receiver that doesn't work is left alone for five
// seconds, then twice as long each time up to an hour; a notice that it refuses
// holds up no other. Errors are the store's alone.
func (n *Notifier) Tick(ctx context.Context, now time.Time) error {
	if n.post == nil && !n.o.Say {
		return nil
	}
	if !n.mu.TryLock() {
		return nil // another call is at it
	}
	defer n.mu.Unlock()
	if now.Before(n.rest) {
		return nil
	}
	due, err := n.o.DB.DueNotices(ctx, now.Add(-giveUp), now, batch)
	if err != nil {
		return err
	}
	for _, o := range due {
		if ctx.Err() != nil {
			return nil
		}
		works, err := n.send(ctx, o, now)
		if err != nil || !works {
			return err
		}
	}
	return nil
}

// send tries one notice and says whether the receiver works.
func (n *Notifier) send(ctx context.Context, o store.Outgoing, now time.Time) (works bool, err error) {
	mine := false
	err = n.o.DB.Write(ctx, func(tx *store.Tx) (err error) {
		mine, err = tx.ClaimNotice(o, now.Add(claim))
		return err
	})
	if err != nil || !mine {
		return true, err
	}
	if n.post != nil {
		if f := n.post.post(ctx, o.Notice, now); f != nil {
			return n.failed(ctx, o, f, now)
		}
	}
	n.failures = 0
	if n.o.Say {
		n.o.Log.Info("notice", "id", o.ID, "tenant", o.Tenant, "operation", o.Operation, "recipient", o.Recipient, "text", o.Body)
	}
	// What has arrived is noted even if the server is stopping.
	return true, n.o.DB.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		_, err := tx.NoticeSent(o.ID, now)
		return err
	})
}

func (n *Notifier) failed(ctx context.Context, o store.Outgoing, f *failure, now time.Time) (works bool, err error) {
	next := now.Add(wait(o.Attempts))
	if f.receive {
		n.rest = now.Add(max(wait(n.failures), f.after))
		n.failures++
		next = n.rest
	}
	n.o.Log.Warn("a notice wasn't sent", "id", o.ID, "to", n.post.host, "why", f.why, "attempts", o.Attempts+1, "next", next.UTC().Format(time.RFC3339), "code", tenure.Unavailable)
	err = n.o.DB.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.NoticeFailed(o.ID, f.why, next) })
	return !f.receive, err
}

// wait is how long after so many failures before.
func wait(failures int) time.Duration {
	return min(firstWait<<min(failures, 12), lastWait)
}
