package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var (
	_ connector.Reacher  = (*Driver)(nil)
	_ connector.Confiner = (*Driver)(nil)
)

// way is a right that nothing declares, and how it is taken back.
type way struct {
	connector.Way
	database string // where undo runs
	undo     string
}

// Reach is described at connector.Reacher: the server's own catalogs and those of the
// system's database in one snapshot, then each database that is a tenant's or in which
// a tenant's role has something.
func (d *Driver) Reach(ctx context.Context, all []connector.Declared, yield func(connector.Way) error) (connector.Sighting, error) {
	return d.ways(ctx, all, func(w way) error { return stop(yield(w.Way)) })
}

func (d *Driver) ways(ctx context.Context, all []connector.Declared, yield func(way) error) (connector.Sighting, error) {
	j := &reaching{ledger: d.newLedger(all), d: d}
	g, err := d.look(ctx, func(s *session) (bool, error) {
		if err := j.server(ctx, s); err != nil {
			return false, err
		}
		return true, j.database(ctx, s, d.config.Database, nil)
	})
	if err == nil && g.Sentinel {
		var whole bool
		whole, err = j.elsewhere(ctx)
		g.Complete = g.Complete && whole
	}
	if err != nil {
		return g, coded(err)
	}
	slices.SortStableFunc(j.out, func(a, b way) int { return strings.Compare(a.Field, b.Field) })
	for _, w := range j.out {
		if err := yield(w); err != nil {
			return g, coded(err)
		}
	}
	return g, nil
}

// elsewhere looks into the other databases in which there is something to see, one
// after the other. One that can't be looked into is said, and isn't whole.
func (j *reaching) elsewhere(ctx context.Context) (whole bool, err error) {
	whole = true
	for _, db := range j.databases {
		own := j.ledger.database(db)
		err := j.d.inside(ctx, db, func(s *session) error {
			return s.within(ctx, "begin isolation level repeatable read read only", func(s *session) error { return j.database(ctx, s, db, own) })
		})
		switch {
		case err == nil || tenure.CodeOf(err) == tenure.NotFound: // it has gone meanwhile
		case own != nil && ctx.Err() == nil && shutOut(err, db): // its own doing, which mustn't keep others' from being seen
			j.say(way{Way: connector.Way{At: own, Severity: tenure.High, Field: "way in", Got: "shut", Says: "Tenure isn't let in, so what is there can't be seen (" + err.Error() + ")",
				Fix: "alter database " + quote(db) + " connection limit -1; grant connect on database " + quote(db) + " to " + quote(j.d.user)}, database: db})
		case ctx.Err() != nil:
			return false, err
		default:
			whole = false
		}
	}
	return whole, nil
}

// shutOut says that it is the one database that doesn't let this login in: the server then
// names it.
func shutOut(err error, db string) bool {
	return strings.Contains(err.Error(), `"`+db+`"`)
}

// Confine is described at connector.Confiner. Each right is taken back by itself, so
// that one that can't be keeps no other; what is left is looked for again. While there are
// rights that aren't listed, none is taken back with what others have through it.
func (d *Driver) Confine(ctx context.Context, r connector.Ref, all []connector.Declared, rights []tenure.Right) (rec connector.Receipt, err error) {
	listed := func(w way) *tenure.Right {
		for i := range rights {
			if rights[i].Covers(w.Field, w.Got) {
				return &rights[i]
			}
		}
		return nil
	}
	at := func(w way) bool {
		if w.At == nil || w.At.Resource != r.Resource {
			return false
		}
		right := listed(w)
		return right == nil || !right.Waived
	}
	var list, left []way
	collect := func(to *[]way) func(way) error {
		return func(w way) error {
			if at(w) {
				*to = append(*to, w)
			}
			return nil
		}
	}
	if _, err := d.ways(ctx, all, collect(&list)); err != nil {
		return rec, err
	}
	failed := map[string]error{}
	beside := slices.ContainsFunc(list, func(w way) bool { return listed(w) == nil })
	for _, w := range list {
		if w.undo == "" || listed(w) == nil {
			continue
		}
		taking := w.undo
		if beside {
			taking = strings.TrimSuffix(taking, " cascade")
		}
		undo := func(s *session) error { return s.simple(ctx, taking, nil) }
		if w.database == d.config.Database {
			err = d.with(ctx, undo)
		} else {
			err = d.inside(ctx, w.database, undo)
		}
		if err != nil {
			if tenure.CanRetry(err) {
				return rec, err
			}
			failed[w.Field] = err
		}
	}
	if len(list) == 0 {
		return rec, nil
	}
	if _, err := d.ways(ctx, all, collect(&left)); err != nil {
		rec.Changed = true
		return rec, err
	}
	if undone := slices.DeleteFunc(list, func(w way) bool { // the server takes back another's grant with a warning, which does nothing
		return w.undo == "" || listed(w) == nil || slices.ContainsFunc(left, func(l way) bool { return l.Field == w.Field && l.Got == w.Got })
	}); len(undone) > 0 {
		rec.Changed, rec.Counts = true, map[string]int64{"rights taken back": int64(len(undone))}
	}
	return rec, remaining(r, left, failed, listed)
}

// remaining is Blocked, and says of each right that is left why and what to do.
func remaining(r connector.Ref, left []way, failed map[string]error, listed func(way) *tenure.Right) error {
	if len(left) == 0 {
		return nil
	}
	var says, beside []string
	var hints []string
	for _, w := range left {
		line := w.Says
		if err := failed[w.Field]; err != nil {
			line += " (" + err.Error() + ")"
		}
		if listed(w) == nil {
			beside = append(beside, line)
			continue
		}
		says = append(says, line)
		if w.Fix != "" {
			hints = append(hints, w.Fix)
		}
	}
	var parts []string
	if len(says) > 0 {
		parts = append(parts, "what can't be taken back: "+strings.Join(says, "; "))
	}
	if len(beside) > 0 {
		parts = append(parts, "what the plan doesn't list, and so stays: "+strings.Join(beside, "; "))
		hints = append(hints, "look again, cancel this repair and plan another, which lists it; or take it back by hand and retry")
	}
	err := tenure.Errorf(tenure.Blocked, "%s %s: %s", r.Type, r.Name, strings.Join(parts, "; "))
	for _, h := range hints {
		err = err.WithHint("%s", h)
	}
	return err
}
