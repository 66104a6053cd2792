package notify

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

// Options say where notices go. DB is needed.
type Options struct {
	DB       *store.DB
	Log      *slog.Logger
	Targets  []Target            // none: notices go to the log alone, if Say is set
	Say      bool                // write each notice into the log, with its text
	Source   string              // whose events they are (CloudEvents, source)
	Language string              // of mail, where nothing says otherwise; a tag by BCP 47
	Groups   map[string][]string // persons by group
}

// Bounds of sending.
const (
	batch      = 50
	claim      = 2 * time.Minute    // nobody else sends a notice meanwhile
	giveUp     = tenure.NoticeLife  // an older notice isn't sent any more, but by hand
	stretch    = 15 * time.Second   // how long one target is served in a turn
	disable    = 5 * 24 * time.Hour // a receiver that has failed for so long isn't tried any more
	firstWait  = 5 * time.Second
	lastWait   = time.Hour
	refusals   = 10 // so many refused in a row say that the receiver takes nothing, until it has rested
	digestFrom = 4  // so many notices that wait for one address or chat go in one message
)

// Notifier sends notices. Its methods may be called from any goroutine.
type Notifier struct {
	o       Options
	targets []*target
	turn    time.Duration

	mu sync.Mutex
}

// New makes a Notifier. A target that can't be used, isn't https, or names an address that
// nothing may be sent to, is Invalid.
func New(o Options) (*Notifier, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Notifier{o: o, turn: stretch}
	if o.Language != "" && !slices.Contains(words.Languages(), o.Language) {
		return nil, tenure.Errorf(tenure.Invalid, "notify.language: mail isn't written in %q", o.Language).WithHint("de or en")
	}
	for _, set := range o.Targets {
		t, err := newTarget(set)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(n.targets, func(other *target) bool { return other.Name == t.Name }) {
			return nil, tenure.Errorf(tenure.Invalid, "notify: there are two targets %s", t.Name)
		}
		n.targets = append(n.targets, t)
	}
	return n, nil
}

// Targets lists the targets, as the settings have them.
func (n *Notifier) Targets() (out []Target) {
	if n == nil {
		return nil
	}
	for _, t := range n.targets {
		out = append(out, t.Target)
	}
	return out
}

// Tick shares out the notices that are new, and sends what is due: to each target the oldest
// first, each at least once, under its id. A receiver that doesn't work is left alone for five
// seconds, then twice as long each time up to an hour, and after five days until a person has it
// tried again; a notice that it refuses holds up no other. Errors are the store's alone.
func (n *Notifier) Tick(ctx context.Context, now time.Time) error {
	if len(n.targets) == 0 && !n.o.Say {
		return nil
	}
	if !n.mu.TryLock() {
		return nil // another call is at it
	}
	defer n.mu.Unlock()
	if err := n.route(ctx, now); err != nil || len(n.targets) == 0 {
		return err
	}
	known, err := n.o.DB.NotifyTargets(ctx)
	if err != nil {
		return err
	}
	if err := n.expire(ctx, now); err != nil {
		return err
	}
	var g errgroup.Group
	for _, t := range n.targets {
		i := slices.IndexFunc(known, func(k store.NotifyTarget) bool { return k.Name == t.Name })
		standing := store.NotifyTarget{Name: t.Name}
		if i >= 0 {
			standing = known[i]
		}
		if !standing.DisabledAt.IsZero() || now.Before(t.rest) {
			continue
		}
		g.Go(func() error { return n.serve(ctx, t, standing, now) })
	}
	return g.Wait()
}

// expire gives up what was tried for long enough, and notes what nobody has acknowledged.
func (n *Notifier) expire(ctx context.Context, now time.Time) error {
	old, err := n.o.DB.AnyDelivery(ctx, now.Add(-giveUp), now)
	if err != nil || !old {
		return err
	}
	return n.o.DB.Write(ctx, func(tx *store.Tx) error { return tx.ExpireDeliveries(now.Add(-giveUp), now) })
}

// serve sends what is due to one target.
func (n *Notifier) serve(ctx context.Context, t *target, standing store.NotifyTarget, now time.Time) error {
	due, err := n.due(ctx, t, now)
	if err != nil {
		return err
	}
	queues := map[string][]store.Delivery{}
	var order []string
	for _, d := range due {
		if queues[d.Address] == nil {
			order = append(order, d.Address)
		}
		queues[d.Address] = append(queues[d.Address], d)
	}
	until, stop := context.WithTimeout(ctx, n.turn)
	defer stop()
	for _, address := range order {
		list := queues[address]
		size := 1
		if t.gathers() && slices.ContainsFunc(list, func(d store.Delivery) bool { return !d.HeldUntil.IsZero() }) { // what has waited comes as one message, with all that is due now
			if list, err = n.dueTo(ctx, t, address, now); err != nil {
				return err
			}
			size = max(1, len(list))
		}
		if t.gathers() && len(list) >= digestFrom {
			size = len(list)
		}
		for part := range slices.Chunk(list, size) {
			f, err := n.send(ctx, t, &standing, part, list, now)
			if err != nil || f != nil && f.receiver || until.Err() != nil { // the other targets wait for this one's turn to end
				return err
			}
			if f != nil && f.address {
				break
			}
		}
	}
	return nil
}

// send tries one message, with a part of what is due for an address, and says why it didn't arrive.
func (n *Notifier) send(ctx context.Context, t *target, standing *store.NotifyTarget, list, due []store.Delivery, now time.Time) (*failure, error) {
	var mine []store.Delivery
	err := n.o.DB.Write(ctx, func(tx *store.Tx) (err error) {
		mine, err = tx.ClaimDeliveries(list, now, now.Add(claim))
		return err
	})
	if err != nil || len(mine) == 0 {
		return nil, err
	}
	answer, f := n.deliver(ctx, t, mine, now)
	if f != nil {
		if f.address && !f.never { // what is due for it later mustn't overtake
			mine = due
		}
		return f, n.failed(ctx, t, standing, mine, f, now)
	}
	t.failures, t.refusals = 0, 0
	// What has arrived is noted even if the server is stopping.
	return nil, n.o.DB.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for _, d := range mine {
			if err := tx.EndDelivery(d.ID, store.DeliverySent, "", acknowledged(answer, d), now); err != nil {
				return err
			}
		}
		if standing.FailingSince.IsZero() {
			return nil
		}
		*standing = store.NotifyTarget{Name: t.Name}
		return tx.SaveNotifyTarget(*standing)
	})
}

func (n *Notifier) deliver(ctx context.Context, t *target, list []store.Delivery, now time.Time) (answer []byte, f *failure) {
	all := make([]told, len(list))
	for i, d := range list {
		all[i].Delivery = d
		if id := d.Notice.Tenant; id != "" {
			if row, err := n.o.DB.Tenant(ctx, string(id)); err == nil {
				all[i].name = row.Name
			}
		}
	}
	if t.mail != nil {
		address, tag, _ := addressee(list[0].Address)
		l, err := letter(all, tag, list[0].Notice.Recipient)
		if err != nil {
			return nil, &failure{why: "it can't be written down"}
		}
		return nil, t.mail.send(ctx, t.Timeout, address, list[0].ID, l, now)
	}
	m, err := t.make(t, n, all, now)
	if err != nil {
		return nil, &failure{why: "it can't be written down"}
	}
	return t.post.post(ctx, m)
}

// failure is why a notice didn't arrive. Its words hold neither the receiver's
// answer nor the address's path, where secrets may be.
type failure struct {
	why      string
	address  bool          // it is the address: other notices for it would fare no better, those for others would
	receiver bool          // it is the receiver that doesn't work: another notice would fare no better
	gone     bool          // and it wants nothing any more
	never    bool          // this notice won't arrive there
	after    time.Duration // when the receiver wants to be asked again
}

func (f *failure) Error() string { return f.why }

func (n *Notifier) failed(ctx context.Context, t *target, standing *store.NotifyTarget, list []store.Delivery, f *failure, now time.Time) error {
	next := now.Add(wait(list[0].Attempts))
	was := *standing
	if !f.receiver && !f.address {
		next = now.Add(max(wait(list[0].Attempts), 16*wait(t.failures))) // others have their turn first, also where it takes little
		if t.refusals++; t.refusals >= refusals {
			f.receiver = true // it refuses whatever comes
		}
	}
	if f.receiver {
		t.rest = now.Add(max(wait(t.failures), f.after))
		t.failures++
		if t.refusals < refusals {
			next = time.Time{} // it stays the first of its queue
		}
		t.refusals = 0
		if standing.Why = f.why; standing.FailingSince.IsZero() {
			standing.FailingSince = now
		}
		if f.gone || now.Sub(standing.FailingSince) >= disable {
			standing.DisabledAt = now
		}
	}
	n.o.Log.Warn("a notice wasn't sent", "id", list[0].Notice.ID, "target", t.Name, "to", t.where(), "why", f.why, "attempts", list[0].Attempts+1, "next", later(next, t.rest).UTC().Format(time.RFC3339), "code", tenure.Unavailable)
	return n.o.DB.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for _, d := range list {
			err := error(nil)
			if f.never {
				err = tx.EndDelivery(d.ID, store.DeliveryRefused, f.why, "", now)
			} else {
				err = tx.PutOffDelivery(d.ID, f.why, next)
			}
			if err != nil {
				return err
			}
		}
		if *standing == was {
			return nil
		}
		if err := tx.SaveNotifyTarget(*standing); err != nil || standing.DisabledAt.IsZero() {
			return err
		}
		return tx.AddNotice(store.Notice{
			ID: disabledID(t.Name) + strconv.FormatInt(now.Unix(), 10), Kind: tenure.NoticeTargetDisabled, Recipient: "platform", CreatedAt: now,
			Body: "Notices aren't sent to the target " + t.Name + " any more: " + f.why + ", since " + standing.FailingSince.UTC().Format("2006-01-02 15:04 MST") + ". What comes for it waits a week. Once it works: tenure notice enable " + t.Name,
		})
	})
}

// wait is how long after so many failures before.
func wait(failures int) time.Duration {
	return min(firstWait<<min(failures, 12), lastWait)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
