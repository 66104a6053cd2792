package s3

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Erase deletes versions, delete markers and unfinished uploads of a class by their ids,
// in the order of their keys. What can't go, such as an object that is locked, is passed
// over; when nothing else is left, it is Blocked and named. Behind the last key another
// pass begins: an erasure is done after a whole pass that finds nothing.
func (d *Driver) Erase(ctx context.Context, ref connector.Ref, b connector.Batch) (e connector.Erased, err error) {
	if b.Limit < 1 {
		return e, tenure.Errorf(tenure.Invalid, "a batch needs a limit of at least 1")
	}
	if ref.Type == user {
		return e, tenure.Errorf(tenure.Invalid, "a %s can't be used with erase", ref.Type)
	}
	if d.checkName(ref.Type, ref.Name) != nil {
		return connector.Erased{Done: true}, nil
	}
	a, err := d.parse(ref)
	if err != nil {
		return e, err
	}
	err = with(ctx, "erase "+ref.Type, func() error {
		t, err := d.find(ctx, ref.Type, ref.Name, false)
		if err != nil {
			return err
		}
		// What stands where a prefix of ours was goes all the same.
		late := b.Gone && ref.Type == prefix && t.owner == connector.Unmarked
		if !late {
			if t, err = d.owned(ctx, ref, false); err != nil {
				return err
			}
		}
		if !t.found {
			e.Done = true
			return nil
		}
		e, err = d.erase(ctx, ref, a, b)
		return err
	})
	if err != nil {
		return connector.Erased{}, err
	}
	return e, nil
}

// pass is how far an erasure has come.
type pass struct {
	after string // the last key that is dealt with
	took  bool   // something went since the pass began
	broke bool   // the last batch was broken off after something had gone
}

func (p pass) String() string {
	if p == (pass{}) {
		return ""
	}
	sign := "-"
	switch {
	case p.broke:
		sign = "!"
	case p.took:
		sign = "+"
	}
	return sign + url.PathEscape(p.after)
}

func parsePass(cursor string) (p pass, err error) {
	if cursor == "" {
		return p, nil
	}
	p.took, p.broke = cursor[0] != '-', cursor[0] == '!'
	if p.after, err = url.PathUnescape(cursor[1:]); err != nil || !strings.Contains("+-!", cursor[:1]) {
		return p, tenure.Errorf(tenure.Invalid, "the cursor %q isn't one of ours", cursor)
	}
	return p, nil
}

// most is how many entries one request deletes (DeleteObjects).
const most = 1000

// piece is one batch at work.
type piece struct {
	*Driver
	site    site
	pass    pass
	batch   connector.Batch
	takes   func(key string) bool
	until   time.Time // zero is no bound
	counts  map[string]int64
	taken   int
	left    []failure
	waiting []entry
	before  string // the key before the one that is being dealt with
}

// errEnough ends a batch.
var errEnough = fmt.Errorf("enough")

func (d *Driver) erase(ctx context.Context, ref connector.Ref, a attributes, b connector.Batch) (e connector.Erased, err error) {
	w := piece{Driver: d, batch: b, counts: map[string]int64{}}
	if w.site, err = d.siteOf(ref); err != nil {
		return e, err
	}
	if w.pass, err = parsePass(b.Cursor); err != nil {
		return e, err
	}
	if b.For > 0 {
		w.until = time.Now().Add(b.For)
	}
	if err := connector.CheckPrefixes(b.Keep); err != nil {
		return e, err
	}
	w.takes = w.classTakes(a, ref, b.Class)
	if b.Disposition.Changes() {
		return d.change(ctx, w, ref, a)
	}
	began := w.pass
	w.pass.broke = false
	for _, below := range a.under(b.Class, ref.Classes) {
		below = w.site.below + below
		if err = w.under(ctx, below); err != nil {
			break
		}
	}
	e.Counts = w.counts
	switch {
	case err == errEnough:
		e.Cursor = w.pass.String()
		return e, nil
	case err != nil && w.taken > 0 && !began.broke:
		// What went is counted now; the next batch begins where this one did, and says what
		// stands in the way if it still does.
		e.Cursor = pass{began.after, true, true}.String()
		return e, nil
	case err != nil:
		return e, err
	case w.pass.took:
		return e, nil // and another pass begins
	}
	if err := w.stuck(ctx, ref); err != nil {
		return e, err
	}
	// Nothing went in this pass, and nothing is left of it.
	if e.Done = began.after == ""; e.Done {
		e.Held, err = d.kept(ctx, w.site, a, ref.Classes, b.Class, b.Keep)
	}
	return e, err
}

// under takes what is under a text.
func (w *piece) under(ctx context.Context, below string) error {
	after := w.pass.after
	switch {
	case after > below && !strings.HasPrefix(after, below):
		return nil // the pass is behind it
	case !strings.HasPrefix(after, below):
		after = ""
	}
	w.before = after
	last := after
	for e, err := range w.stock(ctx, w.site.bucket, below, after) {
		if err != nil { // what was seen by then goes all the same
			return cmp.Or(w.flush(ctx), err)
		}
		if e.kind != isUpload && e.key != last {
			w.before, last = last, e.key
		}
		if !w.takes(e.key) {
			continue
		}
		w.waiting = append(w.waiting, e)
		if len(w.waiting) >= min(most, w.batch.Limit-w.taken) {
			if err := w.flush(ctx); err != nil {
				return err
			}
			if w.taken >= w.batch.Limit || !w.until.IsZero() && w.taken > 0 && time.Now().After(w.until) {
				w.pass.after = w.before
				return errEnough
			}
		}
	}
	return w.flush(ctx)
}

// flush deletes what waits.
func (w *piece) flush(ctx context.Context) error {
	if len(w.waiting) == 0 {
		return nil
	}
	gone, left, err := w.remove(ctx, w.site.bucket, w.waiting)
	for _, e := range gone {
		w.counts[string(e.kind)]++
	}
	w.taken += len(gone)
	w.pass.took = w.pass.took || len(gone) > 0
	w.left = append(w.left, left...)
	w.waiting = w.waiting[:0]
	return err
}

// named is how many things an error or a page names.
const named = 5

// stuck is Blocked if something is still there that doesn't go, and names it with what
// keeps it. What went meanwhile isn't stuck.
func (w *piece) stuck(ctx context.Context, ref connector.Ref) error {
	var why []string
	var n int
	for i, f := range w.left {
		if i >= 100 { // the rest is counted as it stands
			n += len(w.left) - i
			break
		}
		says, there, err := w.keeps(ctx, w.site.bucket, f)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if n++; len(why) < named {
			why = append(why, f.entry.String()+" "+says)
		}
	}
	if n == 0 {
		return nil
	}
	more := ""
	if n > len(why) {
		more = fmt.Sprintf("; and %d more", n-len(why))
	}
	return tenure.Errorf(tenure.Blocked, "%s %q: %d versions, markers or uploads don't go: %s%s", ref.Type, ref.Name, n, strings.Join(why, "; "), more).
		WithHint("locked objects go when their date has passed and no legal hold is on them; Tenure bypasses neither")
}
