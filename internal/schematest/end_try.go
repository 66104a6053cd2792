package schematest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Texts is a table as somebody else reads it, cell by cell: nil is null, bytes are their
// hexadecimal digits.
type Texts struct {
	Columns []string
	Rows    [][]*string
}

// cells are the rows by id, each by column.
func (t Texts) cells() map[string]map[string]*string {
	out := map[string]map[string]*string{}
	for _, r := range t.Rows {
		row := map[string]*string{}
		for i, c := range t.Columns {
			row[c] = r[i]
		}
		out[*row["id"]] = row
	}
	return out
}

// names makes pseudonyms.
func names(key, value string, reversible bool) ([]byte, error) {
	m := hmac.New(sha256.New, []byte(key+fmt.Sprint(reversible)))
	m.Write([]byte(value))
	return m.Sum(nil), nil
}

// ending is one run over a schema.
type ending struct {
	*Ended
	on     Target
	rnd    *rand.Rand
	ref    connector.Ref
	gone   map[int]bool // the leaver's rows, by the model
	before map[string]Texts
	kills  bool
	hold   *heldFor // comes in the middle of the first class that changes
	held   bool     // it came
}

// TryEnd ends the leaver's classes as their dispositions say, in small batches, with lost
// cursors and calls that are cut off, and compares what is left with the model.
func TryEnd(ctx context.Context, s *Ended, on Target, rnd *rand.Rand) (o Outcome) {
	v := Judge(s.Schema)
	r := &ending{Ended: s, on: on, rnd: rnd, gone: v.Gone, kills: rnd.IntN(3) > 0, hold: holdOn(s.Schema, v, rnd)}
	o.Open = len(v.Refusals)+len(v.Either) > 0
	if err := r.run(ctx, &o); err != nil {
		o.Wrong = err.Error()
	}
	return o
}

func (r *ending) dump() (map[string]Texts, error) {
	out := map[string]Texts{}
	for _, t := range r.Tables {
		texts, err := r.on.Texts(r.at(t))
		if err != nil {
			return nil, err
		}
		out[t.Name] = texts
	}
	for _, s := range r.Sums {
		texts, err := r.on.Texts(r.sums(s))
		if err != nil {
			return nil, err
		}
		out[s.Name] = texts
	}
	for _, t := range out {
		slices.SortFunc(t.Rows, func(a, b []*string) int { return strings.Compare(line(a), line(b)) })
	}
	return out, nil
}

func line(r []*string) string {
	var b strings.Builder
	for _, c := range r {
		if c != nil {
			fmt.Fprintf(&b, "%q|", *c)
		} else {
			b.WriteString("null|")
		}
	}
	return b.String()
}

func (r *ending) run(ctx context.Context, o *Outcome) (err error) {
	if err := r.on.Exec(r.DDL()); err != nil {
		return fmt.Errorf("the schema itself is wrong: %w", err)
	}
	id := tenure.NewID[tenure.ResourceID](time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	r.ref = connector.Ref{Resource: id, Type: "rows", Name: "rows-of-acme", Attributes: r.Attributes(), Classes: r.Classes}
	if _, _, err := r.on.Driver.Ensure(ctx, connector.Desired{Ref: r.ref}); err != nil {
		o.Refused = "ensure: " + err.Error()
		if c := tenure.CodeOf(err); c != tenure.Invalid && c != tenure.Blocked {
			return fmt.Errorf("ensure: %w", err)
		}
		return nil
	}
	if err := r.on.Exec(r.Insert()); err != nil {
		return fmt.Errorf("the rows themselves are wrong: %w", err)
	}
	if r.before, err = r.dump(); err != nil {
		return err
	}
	changes := map[string]tenure.Disposition{}
	for class, d := range r.Ends {
		if d.Changes() {
			changes[class] = d
		}
	}
	seen, err := r.on.Driver.DataMap(ctx, connector.Survey{Ref: r.ref, Order: r.Classes, Prove: true, Changes: changes, Groups: true})
	if err != nil {
		o.Refused = "data map: " + err.Error()
		if c := tenure.CodeOf(err); c != tenure.Invalid && c != tenure.Blocked {
			return fmt.Errorf("data map: %w", err)
		}
		return r.same("the map", r.before)
	}
	var blocks []string
	for _, p := range seen.Places {
		if p.Blocks {
			blocks = append(blocks, fmt.Sprintf("%s %s (%s): %s [%s]", p.Kind, p.Name, p.Class, p.Says, p.Fix))
			if p.Kind == connector.PlaceChange && (p.Says == "" || p.Fix == "") {
				return fmt.Errorf("a refusal: it says %q, and to do %q", p.Says, p.Fix)
			}
		}
	}
	if len(blocks) > 0 {
		o.Refused = strings.Join(blocks, "; ")
		return r.same("the map that refused it", r.before)
	}
	for _, class := range r.Classes {
		if r.Ends[class] == tenure.Keep {
			continue
		}
		d := r.Ends[class]
		if d == tenure.Purge {
			d = ""
		}
		if err := r.take(ctx, class, d); err != nil {
			if tenure.CodeOf(err) != tenure.Blocked {
				return fmt.Errorf("%s: error %w", r.Ends[class], err)
			}
			if o.Refused = err.Error(); o.Open || r.held { // what was held may be too few for a group of its own
				return nil
			}
			return fmt.Errorf("%s: refused by a batch, not by the map: %w", r.Ends[class], err)
		}
	}
	after, err := r.dump()
	if err != nil {
		return err
	}
	if err := r.judge(after); err != nil {
		return err
	}
	for _, class := range r.Classes {
		if r.Ends[class].Stays() {
			if err := r.take(ctx, class, ""); err != nil {
				if tenure.CodeOf(err) == tenure.Blocked && o.Open {
					return nil
				}
				return fmt.Errorf("end of %s: %w", r.Ends[class], err)
			}
		}
	}
	if _, err := r.on.Driver.Delete(ctx, r.ref); err != nil && !o.Open {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// same says that nothing has changed.
func (r *ending) same(by string, before map[string]Texts) error {
	now, err := r.dump()
	if err != nil {
		return err
	}
	if diff := cmp.Diff(before, now); diff != "" {
		return fmt.Errorf("something changed: by %s (-before +after):\n%s", by, diff)
	}
	return nil
}

// take takes a class to its end. Some calls are cut off, and some answers are lost.
func (r *ending) take(ctx context.Context, class string, d tenure.Disposition) error {
	b := connector.Batch{Run: "run-" + class + string(d), Class: class, Limit: 1 + r.rnd.IntN(6), Disposition: d, Name: names}
	var cursors []string
	var there map[string]Texts
	h := r.hold
	if d != tenure.Anonymise && d != tenure.Pseudonymise {
		h = nil
	}
	for n := 0; ; n++ {
		if h != nil && n == h.after {
			var err error
			if there, err = r.dump(); err != nil {
				return err
			}
			b.Keep, r.hold, r.held = []connector.Kept{h.kept}, nil, true
		}
		if n > 600 {
			return fmt.Errorf("class %s doesn't end", class)
		}
		call, cancel := ctx, context.CancelFunc(func() {})
		if r.kills && r.rnd.IntN(5) == 0 {
			call, cancel = context.WithTimeout(ctx, time.Duration(r.rnd.IntN(12000))*time.Microsecond)
		}
		e, err := r.on.Driver.Erase(call, r.ref, b)
		cut := call.Err() != nil
		cancel()
		switch {
		case err != nil && (cut || errors.Is(err, context.DeadlineExceeded)) && tenure.CodeOf(err) != tenure.Blocked:
			continue
		case err != nil:
			return err
		case e.Done && b.Keep != nil:
			if err := r.untouched(class, h, there); err != nil {
				return err
			}
			b.Keep, h, b.Cursor, cursors = nil, nil, "", nil
			continue
		case e.Done:
			return nil
		}
		cursors = append(cursors, b.Cursor)
		b.Cursor = e.Cursor
		if r.kills && r.rnd.IntN(6) == 0 {
			b.Cursor = cursors[r.rnd.IntN(len(cursors))]
		}
	}
}

// untouched says that no row changed that a hold names, since it came.
func (r *ending) untouched(class string, h *heldFor, there map[string]Texts) error {
	for _, t := range r.Tables {
		if t.Class != class {
			continue
		}
		now, err := r.on.Texts(r.at(t))
		if err != nil {
			return err
		}
		is := now.cells()
		for id, row := range there[t.Name].cells() {
			var n int
			fmt.Sscan(id, &n)
			if diff := cmp.Diff(row, is[id]); h.rows[n] && diff != "" {
				return fmt.Errorf("hold: row %s of %s changed, hold %+v after %d:\n%s", id, t.Name, h.kept, h.after, diff)
			}
		}
	}
	return nil
}

// judge compares what is left with what the dispositions say.
func (r *ending) judge(after map[string]Texts) error {
	_, in := r.rows()
	named := map[string]string{} // pseudonyms
	for _, t := range r.Tables {
		if t.Name == History {
			continue
		}
		was, is := r.before[t.Name].cells(), after[t.Name].cells()
		permuted := map[string][2][]string{}
		for id, row := range was {
			var n int
			fmt.Sscan(id, &n)
			end := r.Ends[t.Class]
			if in[n] == nil {
				return fmt.Errorf("row %s isn't the model's", id)
			}
			now, there := is[id]
			switch {
			case !r.gone[n]:
				if !there {
					return fmt.Errorf("neighbour: row %s of %s is gone", id, t.Name)
				}
				if diff := r.unlike(t, row, now); diff != "" {
					return fmt.Errorf("neighbour: row %s of %s has another %s", id, t.Name, diff)
				}
			case end == tenure.Purge || end == tenure.Aggregate:
				if there {
					return fmt.Errorf("purge: row %s of %s is there", id, t.Name)
				}
			case !there:
				return fmt.Errorf("lost: row %s of %s (%s) isn't there any more", id, t.Name, end)
			case end == tenure.Keep:
				if diff := r.unlike(t, row, now); diff != "" {
					return fmt.Errorf("keep: row %s of %s has another %s", id, t.Name, diff)
				}
			default:
				if err := r.changed(t, n, row, now, named, permuted); err != nil {
					return fmt.Errorf("%s: row %s of %s: %w", end, id, t.Name, err)
				}
			}
		}
		for c, both := range permuted {
			slices.Sort(both[0])
			slices.Sort(both[1])
			if missing := without(both[1], both[0]); len(missing) > 0 {
				return fmt.Errorf("permute: %s of %s has %v, which wasn't there", c, t.Name, missing)
			}
		}
		if err := r.grouped(t, is); err != nil {
			return err
		}
	}
	for _, s := range r.Sums {
		if err := r.summed(s, after[s.Name]); err != nil {
			return err
		}
	}
	return r.sought(after)
}

// unlike is the first column in which rows differ, but for references that were cut.
func (r *ending) unlike(t *Table, was, is map[string]*string) string {
	for _, c := range slices.Sorted(maps.Keys(was)) {
		if cmp.Equal(was[c], is[c]) || r.refers(t, c) && (is[c] == nil || r.fallsBack(*is[c])) {
			continue
		}
		return c + " (" + shown(was[c]) + ", now " + shown(is[c]) + ")"
	}
	return ""
}

func (r *ending) refers(t *Table, column string) bool {
	return slices.ContainsFunc(r.Links, func(l *Link) bool { return l.From == t.Name && slices.Contains(r.columns(l), column) })
}

// fallsBack says that a reference names the default of a link.
func (r *ending) fallsBack(id string) bool {
	return slices.ContainsFunc(r.Links, func(l *Link) bool { return l.Default != 0 && fmt.Sprint(l.Default) == id })
}

func shown(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}

// without takes texts out of a list, each once.
func without(all, out []string) []string {
	all = slices.Clone(all)
	for _, s := range out {
		if i := slices.Index(all, s); i >= 0 {
			all = slices.Delete(all, i, i+1)
		}
	}
	return all
}

// sought looks for tokens of changed rows everywhere.
func (r *ending) sought(after map[string]Texts) error {
	rows, in := r.rows()
	for id := range r.gone {
		t := in[id]
		if rows[id] == nil || t == nil || t.Name == History || r.Ends[t.Class] == tenure.Keep {
			continue
		}
		if given := r.Given[t.Name]; given != nil && fmt.Sprint(given["columns"].(map[string]any)["note"]) == "keep" {
			continue
		}
		token := Token(id)
		hex := fmt.Sprintf("%x", token)
		for name, texts := range after {
			home := r.named(name)
			if home != nil && home.Name == History {
				continue // deletes are copied there, and its rows go with their class
			}
			for _, row := range texts.Rows {
				for i, c := range row {
					if c != nil && (strings.Contains(*c, token) || strings.Contains(strings.ToLower(*c), hex)) {
						return fmt.Errorf("a token is left: that of row %d of %s, in %s of %s: %s", id, t.Name, texts.Columns[i], name, line(row))
					}
				}
			}
		}
	}
	return nil
}

func (r *ending) named(name string) *Table { return r.Schema.table(name) }
