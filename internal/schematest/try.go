package schematest

import (
	"context"
	"encoding/json"
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

// Rows are a database's, by id, as they are seen from outside.
type Rows map[int]map[string]any

// Target is an empty database with hands on it that aren't Tenure's.
type Target struct {
	Driver interface {
		connector.Driver
		connector.Eraser
		connector.Mapper
	}
	Exec    func(sql string) error             // without checks of foreign keys, without triggers
	Dump    func(names []string) (Rows, error) // all rows of the tables
	Catalog func() (string, error)             // all that stands in the catalog but for Tenure's own
}

// Outcome is what became of a schema.
type Outcome struct {
	Refused string // the reason that Tenure gave; "" if it erased
	Wrong   string // where it departs from the model; "" if nowhere
	Open    bool   // the rules leave it open whether it is refused
	Held    bool   // a hold came in the middle, and was released
}

// Try erases the leaver from a schema, class by class in small batches, and
// compares what is left with the model.
func Try(ctx context.Context, s *Schema, on Target, rnd *rand.Rand) Outcome {
	v := Judge(s)
	o := Outcome{Open: len(v.Refusals) == 0 && len(v.Either) > 0}
	if err := o.run(ctx, s, v, on, rnd); err != nil {
		o.Wrong = err.Error()
	}
	return o
}

func (o *Outcome) run(ctx context.Context, s *Schema, v Verdict, on Target, rnd *rand.Rand) error {
	if err := on.Exec(s.DDL()); err != nil {
		return fmt.Errorf("the schema itself is wrong: %w", err)
	}
	id := tenure.NewID[tenure.ResourceID](time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	ref := connector.Ref{Resource: id, Type: "rows", Name: "rows-of-acme", Attributes: s.Attributes(), Classes: s.Classes}
	if _, _, err := on.Driver.Ensure(ctx, connector.Desired{Ref: ref}); err != nil {
		return o.refused(v, "ensure: "+err.Error(), tenure.CodeOf(err))
	}
	if err := on.Exec(s.Insert()); err != nil {
		return fmt.Errorf("the rows themselves are wrong: %w", err)
	}
	before, err := on.Dump(s.Names())
	if err != nil {
		return err
	}
	catalog, err := on.Catalog()
	if err != nil {
		return err
	}
	refusal := o.erase(ctx, s, ref, v, on, rnd, before)
	after, err := on.Dump(s.Names())
	if err != nil {
		return err
	}
	now, err := on.Catalog()
	if err != nil {
		return err
	}
	if diff := cmp.Diff(catalog, now); diff != "" {
		return fmt.Errorf("the catalog has changed (-before +after):\n%s", diff)
	}
	if o.Refused != "" {
		if refusal == nil && !v.Late {
			if diff := cmp.Diff(before, after); diff != "" {
				return fmt.Errorf("refused (%s), and yet something changed (-before +after):\n%s", o.Refused, diff)
			}
		}
		return refusal
	}
	if refusal != nil {
		return refusal
	}
	if diff := cmp.Diff(s.After(v, before), after); diff != "" {
		return fmt.Errorf("what is left isn't what the rules say (-want +got):\n%s", diff)
	}
	if len(v.Refusals) > 0 {
		return fmt.Errorf("erased, though it had to be refused: %v", v.Refusals)
	}
	return nil
}

// refused notes a refusal and judges it.
func (o *Outcome) refused(v Verdict, why string, code tenure.Code) error {
	o.Refused = why
	switch {
	case code != tenure.Blocked && code != tenure.Invalid:
		return fmt.Errorf("%s (%s), want Blocked", why, code)
	case len(v.Refusals) == 0 && len(v.Either) == 0:
		return fmt.Errorf("refused, though nothing speaks against it: %s", why)
	}
	return nil
}

func (o *Outcome) erase(ctx context.Context, s *Schema, ref connector.Ref, v Verdict, on Target, rnd *rand.Rand, before Rows) error {
	seen, err := on.Driver.DataMap(ctx, connector.Survey{Ref: ref, Order: s.Classes, Prove: true})
	if err != nil {
		return o.refused(v, "data map: "+err.Error(), tenure.CodeOf(err))
	}
	var blocks []string
	for _, p := range seen.Places {
		if p.Blocks {
			blocks = append(blocks, fmt.Sprintf("%s %s (%s): %s [%s]", p.Kind, p.Name, p.Class, p.Says, p.Fix))
		}
	}
	if len(blocks) > 0 {
		return o.refused(v, strings.Join(blocks, "; "), tenure.Blocked)
	}
	if len(v.Refusals) > 0 && !v.Late {
		return fmt.Errorf("the map doesn't block, though it must: %v", v.Refusals)
	}
	if err := announced(s, v, seen); err != nil {
		return err
	}
	if h := holdOn(s, v, rnd); h != nil {
		if err := o.eraseHeld(ctx, s, ref, v, on, rnd, h); err != nil {
			return err
		}
		o.Held = true
	}
	var all connector.Erased
	for _, class := range s.Classes {
		b := connector.Batch{Run: "run-of-acme", Class: class, Limit: 1 + rnd.IntN(6)}
		for n := 0; ; n++ {
			e, err := on.Driver.Erase(ctx, ref, b)
			if err != nil {
				return o.refused(v, "erase: "+err.Error(), tenure.CodeOf(err))
			}
			if all = e; e.Done {
				break
			}
			if b.Cursor = e.Cursor; n > 300 {
				return fmt.Errorf("the erasure of class %q doesn't end", class)
			}
		}
	}
	if _, err := on.Driver.Delete(ctx, ref); err != nil {
		return o.refused(v, "delete: "+err.Error(), tenure.CodeOf(err))
	}
	return counted(s, v, all, before)
}

// announced compares the references that the approver was told of.
func announced(s *Schema, v Verdict, m connector.Map) error {
	want, got := cuts(s, v, true), int64(0)
	for _, p := range m.Places {
		if p.Kind == connector.PlaceReference {
			got += p.Rows
		}
	}
	if got < want {
		return fmt.Errorf("%d references of others become null, and the map announces %d", want, got)
	}
	return nil
}

func cuts(s *Schema, v Verdict, owned bool) (n int64) {
	rows, _ := s.rows()
	for id, c := range v.Cut {
		if !owned || rows[id].Key != "" {
			n += int64(len(c))
		}
	}
	return n
}

// counted compares what the tally says with what there was.
func counted(s *Schema, v Verdict, e connector.Erased, before Rows) error {
	_, in := s.rows()
	want, got := map[string]int64{}, map[string]int64{}
	for id := range v.Gone {
		want[in[id].Name]++
	}
	for name, n := range e.Total {
		for _, t := range s.Tables {
			if name == t.Name || strings.HasSuffix(name, "."+t.Name) {
				got[t.Name] += n
			}
		}
	}
	delete(got, History)
	maps.DeleteFunc(got, func(_ string, n int64) bool { return n == 0 })
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("the tally isn't what was there (-want +got):\n%s", diff)
	}
	sum := int64(0)
	for _, n := range e.Detached {
		sum += n
	}
	if want := cuts(s, v, false); sum != want {
		return fmt.Errorf("%d references of others became null, and the tally says %d: %v", want, sum, e.Detached)
	}
	return nil
}

// After is what must be left.
func (s *Schema) After(v Verdict, before Rows) Rows {
	_, in := s.rows()
	out := Rows{}
	for id, r := range before {
		if v.Gone[id] {
			continue
		}
		out[id] = maps.Clone(r)
		for _, c := range v.Cut[id] {
			for _, column := range c.Columns {
				if column == tenantColumn {
					column = in[id].Key
				}
				if out[id][column] = nil; c.Default != 0 {
					out[id][column] = float64(c.Default)
				}
			}
		}
	}
	return out
}

// Shrink takes parts away from a schema as long as it still fails.
func Shrink(s *Schema, fails func(*Schema) bool) *Schema {
	for tries := 0; tries < 400; {
		smaller := false
		for i := 0; ; i++ {
			c := s.clone()
			if !c.cut(i) {
				break
			}
			if tries++; tries < 400 && fails(c) {
				s, smaller = c, true
				i--
			}
		}
		if !smaller {
			break
		}
	}
	return s
}

// cut takes the i-th part away; false if there are fewer.
func (s *Schema) cut(i int) bool {
	for _, t := range s.Tables {
		if i--; i < 0 {
			s.drop(t)
			return true
		}
	}
	for n := range s.Links {
		if i--; i < 0 {
			s.unlink(s.Links[n])
			return true
		}
	}
	for _, t := range s.Tables {
		for _, r := range t.Rows {
			if i--; i < 0 {
				s.remove(r.ID)
				return true
			}
		}
		for _, odd := range []func() bool{
			func() bool { had := t.Trigger != ""; t.Trigger = ""; return had },
			func() bool { had := t.Partitions > 0; t.Partitions = 0; return had },
			func() bool { had := t.Decoy; t.Decoy = false; return had },
			func() bool { had := t.Elsewhere; t.Elsewhere = false; return had },
			func() bool { had := t.Wide; t.Wide = false; return had },
		} {
			if was := *t; odd() {
				if i--; i < 0 {
					return true
				}
				*t = was
			}
		}
	}
	for _, l := range s.Links {
		for _, odd := range []func() bool{
			func() bool { had := l.Word != ""; l.Word = ""; return had },
			func() bool { had := l.Deferred; l.Deferred = false; return had },
			func() bool {
				had := l.Action != NoAction
				l.Action, l.OnlyID, l.Default = NoAction, false, 0
				return had
			},
		} {
			if was := *l; odd() {
				if i--; i < 0 {
					return true
				}
				*l = was
			}
		}
	}
	return false
}

func (s *Schema) drop(t *Table) {
	for _, l := range slices.Clone(s.Links) {
		if l.From == t.Name || l.To == t.Name {
			s.unlink(l)
		}
	}
	s.Tables = slices.DeleteFunc(s.Tables, func(o *Table) bool { return o == t })
	if t.Name == History {
		for _, o := range s.Tables {
			if o.Trigger == Copy {
				o.Trigger = ""
			}
		}
	}
}

func (s *Schema) unlink(l *Link) {
	s.Links = slices.DeleteFunc(s.Links, func(o *Link) bool { return o == l })
	for _, r := range s.table(l.From).Rows {
		delete(r.Refs, l.Name)
		delete(r.Half, l.Name)
	}
}

// Story tells a failure so that somebody can play it again.
func (s *Schema) Story() string {
	b, err := json.MarshalIndent(s.Attributes(), "", "  ")
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s%s-- classes, in order: %v\n-- attributes: %s\n-- by the model: %+v", s.DDL(), s.Insert(), s.Classes, b, Judge(s))
}
