package trigger

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// Check parses a file of rules and runs its tests. What is wrong with it, and a test that
// fails, is Invalid.
func Check(src []byte, file string) (*Set, error) {
	set, err := Parse(src, file)
	if err != nil {
		return nil, err
	}
	if failures := set.Try(); len(failures) > 0 {
		return set, tenure.Errorf(tenure.Invalid, "%d of %d tests in %s fail:\n  %s", len(failures), len(set.Tests), file, strings.Join(failures, "\n  "))
	}
	return set, nil
}

// Check is Check, and holds the sources that rules name against those that there are.
func (i *Intake) Check(src []byte, file string) (*Set, error) {
	set, err := Check(src, file)
	if err != nil {
		return nil, err
	}
	for _, r := range set.Rules {
		if r.Source != "" && (r.Source == Clock || !i.Known(r.Source)) {
			return nil, tenure.Errorf(tenure.Invalid, "%s: the rule %s is for events of %s, and there is no such source", file, r.Name, r.Source).WithHint("sources stand under events: in tenure.yaml, which is read when the server starts")
		}
	}
	return set, nil
}

// Submit checks a file of rules and stores its revision as a draft. The same content twice
// is the same revision.
func (i *Intake) Submit(ctx context.Context, src []byte, file, by string) (store.TriggerRevision, error) {
	if by == "" {
		return store.TriggerRevision{}, tenure.Errorf(tenure.Unauthorized, "nobody is named as the one who asks").WithHint("say who you are: --as NAME")
	}
	set, err := i.Check(src, file)
	if err != nil {
		return store.TriggerRevision{}, err
	}
	t := store.TriggerRevision{Digest: set.Digest, Name: set.Name, Version: set.Version, File: file, Body: string(src), Author: by, CreatedAt: i.now()}
	e, err := i.o.Service.Entry(ctx, "trigger.submit", by, "", "", t.Digest, map[string]string{"name": t.Name, "version": t.Version})
	if err != nil {
		return t, err
	}
	err = i.o.DB.Write(ctx, func(tx *store.Tx) error {
		if have, err := tx.Triggers("", "", t.Digest); err == nil {
			t = have
			return nil
		}
		if err := tx.SaveTriggers(t); err != nil {
			return err
		}
		return tx.Log(e)
	})
	return t, err
}

// Publish puts a draft in force: events are decided by it from then on. It takes another
// person than the author. ref is NAME@VERSION or the draft's digest.
func (i *Intake) Publish(ctx context.Context, ref, by string) (store.TriggerRevision, error) {
	var t store.TriggerRevision
	if by == "" {
		return t, tenure.Errorf(tenure.Unauthorized, "nobody is named as the one who asks").WithHint("say who you are: --as NAME")
	}
	name, version, digest := splitRef(ref)
	if version == "" && digest == "" {
		return t, tenure.Errorf(tenure.Invalid, "%q names no revision", ref).WithHint("write name@version or its digest")
	}
	t, err := i.o.DB.Triggers(ctx, name, version, digest)
	if err != nil {
		return t, err
	}
	if err := i.o.DB.VouchedTriggers(ctx); err != nil {
		return t, err
	}
	if _, err := i.Check([]byte(t.Body), t.File); err != nil { // sources may have gone since
		return t, err
	}
	looked := t.Digest
	if set, err := Parse([]byte(t.Body), t.File); err == nil && !t.Published() && len(set.Rules) > 0 {
		if _, why, err := i.asks(ctx, set); err != nil || why != "" {
			if err == nil {
				err = tenure.Errorf(tenure.Blocked, "%s", why)
			}
			return t, err
		}
	}
	err = i.o.DB.Write(ctx, func(tx *store.Tx) error {
		if t, err = tx.Triggers(name, version, digest); err != nil {
			return err
		}
		if digest == "" && !t.Published() {
			drafts, err := tx.TriggerDrafts(name, version)
			if err != nil {
				return err
			}
			if len(drafts) > 1 {
				return tenure.Errorf(tenure.Conflict, "%d drafts are called %s %s", len(drafts), name, version).WithHint("publish the one that you read, by its digest")
			}
		}
		same, err := lifecycle.OnePerson(tx, t.Author, by)
		switch {
		case err != nil:
			return err
		case t.Published():
			return nil
		case t.Digest != looked:
			return tenure.Errorf(tenure.Conflict, "%s names another draft than a moment ago", ref).Retryable()
		case same:
			return tenure.Errorf(tenure.Forbidden, "%s wrote %s %s, and %s can't publish it alone", t.Author, t.Name, t.Version, by).WithHint("another person reviews and publishes it: --as NAME")
		}
		t.PublishedBy, t.PublishedAt = by, i.now()
		if err := tx.PublishTriggers(t, by, t.PublishedAt); err != nil {
			return err
		}
		e, err := i.o.Service.Entry(ctx, "trigger.publish", by, "", "", t.Digest, map[string]string{"name": t.Name, "version": t.Version})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	i.signal()
	return t, err
}

func splitRef(ref string) (name, version, digest string) {
	if strings.HasPrefix(ref, "sha256:") {
		return "", "", ref
	}
	name, version, _ = strings.Cut(ref, "@")
	return name, version, ""
}

// Revision finds a revision by digest, name@version, or name alone: the one in force.
func (i *Intake) Revision(ctx context.Context, ref string) (store.TriggerRevision, error) {
	name, version, digest := splitRef(ref)
	return i.o.DB.Triggers(ctx, name, version, digest)
}

// Revisions lists every revision.
func (i *Intake) Revisions(ctx context.Context) ([]store.TriggerRevision, error) {
	return i.o.DB.AllTriggers(ctx)
}

// inForce gives the rules by which events are decided: the latest published revision of each
// name. doubt says why nobody can go by them: they aren't as the log says, or can't be read.
func (i *Intake) inForce(ctx context.Context) (out []*Set, doubt string, err error) {
	if err := i.o.DB.VouchedTriggers(ctx); tenure.CodeOf(err) == tenure.Blocked {
		return nil, "the rules aren't as the log says: " + err.Error(), nil
	} else if err != nil {
		return nil, "", err
	}
	list, err := i.o.DB.TriggersInForce(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, t := range list {
		i.mu.Lock()
		set := i.sets[t.Digest]
		i.mu.Unlock()
		if set == nil {
			if set, err = Parse([]byte(t.Body), t.File); err != nil {
				return nil, "the rules " + t.Name + " can't be read any more: " + err.Error(), nil
			}
			i.mu.Lock()
			i.sets[t.Digest] = set
			i.mu.Unlock()
		}
		out = append(out, set)
	}
	return out, "", nil
}

// DryRun says what recorded events since a moment would have led to: under the rules of a
// file, beside those in force of other names, or under those in force alone. Each customer
// begins without a tenant, and each request succeeds at once.
func (i *Intake) DryRun(ctx context.Context, src []byte, file string, since time.Time, limit int) ([]Outcome, error) {
	sets, doubt, err := i.inForce(ctx)
	if err == nil && doubt != "" {
		err = tenure.Errorf(tenure.Blocked, "%s", doubt)
	}
	if err != nil {
		return nil, err
	}
	if len(src) > 0 {
		draft, err := Parse(src, file)
		if err != nil {
			return nil, err
		}
		sets = slices.DeleteFunc(sets, func(s *Set) bool { return s.Name == draft.Name })
		sets = append(sets, draft)
	}
	rows, err := i.o.DB.RecordedInbound(ctx, since, limit, 64<<20)
	if err != nil {
		return nil, err
	}
	var events []Event
	var received []time.Time
	for _, r := range rows {
		if r.Source != Clock {
			events, received = append(events, eventOf(r)), append(received, r.ReceivedAt)
		}
	}
	return Simulate(ctx, sets, events, received, i.now())
}
