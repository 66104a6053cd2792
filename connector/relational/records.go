package relational

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Records makes, reads and removes resources that are one row each. A changing
// call wants a querier that is one transaction.
type Records struct {
	Dialect Dialect
	Marks   Marks
	Marker  connector.Marker
	Schema  string // where a table is that is given without one
}

// Normalise gives a record's attributes as Observe will.
func (s Records) Normalise(d connector.Desired) (json.RawMessage, error) {
	rec, err := s.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return s.attributes(rec.table, rec.key, rec.values)
}

// live is a row as it stands.
type live struct {
	note Note
	text string // of the note, as it stands there
	row  map[string]any
}

// noteOf reads what a row bears. The platform's rows were marked before notes were
// sealed, and the platform alone writes there: such a note counts as it is, until
// the row is ensured again.
func (s Records) noteOf(text string) Note {
	n := ParseNote(text)
	if id, owner := n.Unsealed(s.Marker, n.Type); owner == connector.Ours {
		n.Mark = s.Marker.Named(id)
		return ParseNote(n.Sealed(s.Marker))
	}
	return n
}

// state is what a row's access is: as its note says, if the row shows it.
func (l live) state(disable map[string]any) tenure.ResourceState {
	s := tenure.ResourceState(l.note.Get("state"))
	if s == "" || len(disable) == 0 {
		return tenure.ResourcePresent
	}
	for c, v := range disable {
		if !reflect.DeepEqual(l.row[c], v) {
			return tenure.ResourcePresent
		}
	}
	return s
}

// values are the row's, with what stood in the disabled columns before.
func (l live) values(columns []string, disable map[string]any) map[string]any {
	out := make(map[string]any, len(columns))
	for _, c := range columns {
		out[c] = l.row[c]
	}
	if l.state(disable) != tenure.ResourcePresent {
		for c, v := range object(l.note.Get("was")) {
			if _, is := out[c]; is {
				out[c] = v
			}
		}
	}
	return out
}

func object(text string) map[string]any {
	if text == "" {
		return nil
	}
	m, err := decodeRow(text)
	if err != nil {
		return nil
	}
	return m
}

func encode(v any) string {
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

// note is what the row bears: with it the row can be read without its blueprint.
func (s Records) note(r connector.Ref, rec record) Note {
	n := NewNote(s.Marker, r).With("key", encode(slices.Sorted(maps.Keys(rec.key)))).With("values", encode(slices.Sorted(maps.Keys(rec.values))))
	if len(rec.disable) > 0 {
		n = n.With("disable", encode(rec.disable))
	}
	return n
}

// find locks and reads the row; nil if there is none.
func (s Records) find(ctx context.Context, q Querier, r connector.Ref, rec record) (*live, View, error) {
	v, err := s.Dialect.View(ctx, q, rec.table, "t")
	if err != nil {
		return nil, v, err
	}
	if !v.Exists {
		return nil, v, nil
	}
	found, err := s.read(ctx, q, v, rec.table, rec.mark, s.condition(rec)+s.Dialect.ForUpdate())
	if err != nil {
		return nil, v, err
	}
	switch len(found) {
	case 0:
		return nil, v, nil
	case 1:
		return &found[0], v, nil
	}
	return nil, v, tenure.Errorf(tenure.Conflict, "%s %q: its key names %d rows of %s", r.Type, r.Name, len(found), rec.table)
}

func (s Records) condition(rec record) string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(rec.key)) {
		parts = append(parts, Quote(c)+" = "+s.Dialect.Literal(text(rec.key[c])))
	}
	return strings.Join(parts, " and ")
}

// text is a normal scalar as SQL text.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	}
	return encode(v)
}

func (s Records) read(ctx context.Context, q Querier, v View, t TableName, mark, where string) ([]live, error) {
	column := `"t".` + Quote(mark)
	if !slices.Contains(v.Columns, mark) {
		column = "null"
	}
	rows, err := q.Query(ctx, "select coalesce("+column+", ''), "+v.JSON+" from "+s.Dialect.Name(t)+` "t" where `+where)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []live
	for rows.Next() {
		var note, body string
		if err := rows.Scan(&note, &body); err != nil {
			return nil, err
		}
		row, err := decodeRow(body)
		if err != nil {
			return nil, err
		}
		out = append(out, live{s.noteOf(note), note, row})
	}
	return out, rows.Err()
}

// Beside counts the rows of some tables that are other resources of r's tenant: those
// that bear its mark, and for which the table's condition holds.
func (s Records) Beside(ctx context.Context, q Querier, r connector.Ref, where map[TableName]string) (n int64, err error) {
	registered, err := s.Marks.Registered(ctx, q, s.Dialect)
	if err != nil {
		return 0, err
	}
	for t, mark := range registered {
		if where[t] == "" {
			continue
		}
		v, err := s.Dialect.View(ctx, q, t, "t")
		if err != nil {
			return 0, err
		}
		if !slices.Contains(v.Columns, mark) {
			continue
		}
		found, err := s.read(ctx, q, v, t, mark, where[t]+" and not "+Unmarked(mark))
		if err != nil {
			return 0, err
		}
		for _, l := range found {
			if r.Type = l.note.Type; Twin(s.Marker, l.note, r) {
				n++
			}
		}
	}
	return n, nil
}

// Ensure inserts the row or brings it to desired.
func (s Records) Ensure(ctx context.Context, q Querier, d connector.Desired) (connector.Receipt, error) {
	rec, err := s.parse(d.Ref)
	if err != nil {
		return connector.Receipt{}, err
	}
	l, view, err := s.find(ctx, q, d.Ref, rec)
	if err != nil {
		return connector.Receipt{}, err
	}
	if err := s.fits(d.Ref, rec, view); err != nil {
		return connector.Receipt{}, err
	}
	set := maps.Clone(rec.values)
	set[rec.mark] = s.note(d.Ref, rec).Sealed(s.Marker)
	if rec.secret != "" && !d.Credential.IsZero() {
		set[rec.secret] = digest(d.Credential)
	}
	if l == nil {
		if err := s.register(ctx, q, rec); err != nil {
			return connector.Receipt{}, err
		}
		maps.Copy(set, rec.key)
		return connector.Receipt{Changed: true, Counts: map[string]int64{"rows": 1}}, s.insert(ctx, q, rec, set)
	}
	if err := Claim(s.Marker, l.note, d.Ref); err != nil {
		return connector.Receipt{}, err
	}
	for c, v := range set {
		if reflect.DeepEqual(l.row[c], v) || c == rec.mark && l.text == v {
			delete(set, c)
		}
	}
	if len(set) == 0 {
		return connector.Receipt{}, nil
	}
	return connector.Receipt{Changed: true, Counts: map[string]int64{"rows": 1}}, s.update(ctx, q, rec, set)
}

// fits says whether the table has what the record needs.
func (s Records) fits(r connector.Ref, rec record, v View) error {
	if !v.Exists {
		return tenure.Errorf(tenure.Invalid, "%s %q: there is no table %s", r.Type, r.Name, rec.table)
	}
	columns := append(slices.Collect(maps.Keys(rec.key)), slices.Collect(maps.Keys(rec.values))...)
	if rec.secret != "" {
		columns = append(columns, rec.secret)
	}
	for _, c := range columns {
		if !slices.Contains(v.Columns, c) {
			return tenure.Errorf(tenure.Invalid, "%s %q: table %s has no column %q", r.Type, r.Name, rec.table, c)
		}
	}
	if !slices.Contains(v.Columns, rec.mark) {
		return tenure.Errorf(tenure.Invalid, "%s %q: table %s has no column %q for the owner mark", r.Type, r.Name, rec.table, rec.mark).
			WithHint("alter table %s add column %s text", s.Dialect.Name(rec.table), Quote(rec.mark))
	}
	return nil
}

// register lists the table, so that Discover reads it.
func (s Records) register(ctx context.Context, q Querier, rec record) error {
	name := encode([]string{rec.table.Schema, rec.table.Name, rec.mark})
	_, found, err := s.Marks.Get(ctx, q, RegistryType, name)
	if err != nil || found {
		return err
	}
	return s.Marks.Put(ctx, q, s.Marker, Note{Type: RegistryType, Name: name})
}

func (s Records) insert(ctx context.Context, q Querier, rec record, set map[string]any) error {
	columns := slices.Sorted(maps.Keys(set))
	holders, args := make([]string, len(columns)), make([]any, len(columns))
	for i, c := range columns {
		holders[i], args[i] = "$"+strconv.Itoa(i+1), s.Dialect.Argument(set[c])
	}
	_, err := q.Exec(ctx, "insert into "+s.Dialect.Name(rec.table)+" ("+QuoteList(columns)+") values ("+strings.Join(holders, ", ")+")", args...)
	return err
}

func (s Records) update(ctx context.Context, q Querier, rec record, set map[string]any) error {
	columns := slices.Sorted(maps.Keys(set))
	sets, args := make([]string, len(columns)), make([]any, len(columns))
	for i, c := range columns {
		sets[i], args[i] = Quote(c)+" = $"+strconv.Itoa(i+1), s.Dialect.Argument(set[c])
	}
	_, err := q.Exec(ctx, "update "+s.Dialect.Name(rec.table)+" set "+strings.Join(sets, ", ")+" where "+s.condition(rec), args...)
	return err
}

// own finds a row that is r's: nil if there is none, Conflict if it isn't ours.
func (s Records) own(ctx context.Context, q Querier, r connector.Ref) (record, *live, error) {
	rec, err := s.parse(r)
	if err != nil {
		return rec, nil, err
	}
	l, _, err := s.find(ctx, q, r, rec)
	if err != nil || l == nil {
		return rec, nil, err
	}
	return rec, l, Claim(s.Marker, l.note, r)
}

// Delete deletes the row. Rows that refer to it are Blocked, whatever the
// constraint would do about them: none goes or changes along with it.
func (s Records) Delete(ctx context.Context, q Querier, r connector.Ref) (connector.Receipt, error) {
	rec, l, err := s.own(ctx, q, r)
	if err != nil || l == nil {
		return connector.Receipt{}, err
	}
	if err := s.alone(ctx, q, r, rec); err != nil {
		return connector.Receipt{}, err
	}
	n, err := q.Exec(ctx, "delete from "+s.Dialect.Name(rec.table)+" where "+s.condition(rec))
	return connector.Receipt{Changed: n > 0, Counts: map[string]int64{"rows": n}}, err
}

// alone is Blocked if other rows refer to the row, which is locked.
func (s Records) alone(ctx context.Context, q Querier, r connector.Ref, rec record) error {
	keys, err := s.Dialect.Referring(ctx, q, rec.table)
	if err != nil {
		return err
	}
	var found []string
	for _, k := range keys {
		sql := "select count(*) from " + s.Dialect.Name(k.Child) + " as " + Quote(alias) + " where " +
			in(alias, k.Columns, next(alias), s.Dialect.Name(rec.table), k.Parents, s.condition(rec))
		if k.self() {
			sql += " and not (" + s.condition(rec) + ")"
		}
		n, err := tally(ctx, q, sql)
		if err != nil {
			return err
		}
		if n > 0 {
			found = append(found, Plural(n, "row")+" of "+k.Child.String()+" by "+strings.Join(k.Columns, ", "))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return tenure.Errorf(tenure.Blocked, "%s %q is referred to by %s", r.Type, r.Name, strings.Join(found, ", ")).
		WithHint("let these rows refer to another row of %s, or delete them, then retry", rec.table)
}

// tally reads a count.
func tally(ctx context.Context, q Querier, sql string) (n int64, err error) {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&n)
	}
	if err != nil {
		return 0, err
	}
	return n, rows.Err()
}

// Disable sets what the attribute disable says, and keeps what stood there. With
// ResourceRevoked the credential's digest is replaced too, by one that no
// credential has. Absent is NotFound to a suspension and success to a revocation.
func (s Records) Disable(ctx context.Context, q Querier, r connector.Ref, to tenure.ResourceState) (connector.Receipt, error) {
	rec, l, err := s.own(ctx, q, r)
	switch {
	case err != nil:
		return connector.Receipt{}, err
	case len(rec.disable) == 0:
		return connector.Receipt{}, tenure.Errorf(tenure.Invalid, "%s %q has no attribute disable, so its access can't be taken off", r.Type, r.Name)
	case l == nil && to == tenure.ResourceRevoked:
		return connector.Receipt{}, nil
	case l == nil:
		return connector.Receipt{}, tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name)
	}
	if now := l.state(rec.disable); now == to || now == tenure.ResourceRevoked {
		return connector.Receipt{}, nil
	}
	was := l.values(slices.Collect(maps.Keys(rec.disable)), rec.disable)
	set := maps.Clone(rec.disable)
	set[rec.mark] = s.note(r, rec).With("state", string(to)).With("was", encode(was)).Sealed(s.Marker)
	if to == tenure.ResourceRevoked && rec.secret != "" {
		var b [32]byte
		_, _ = rand.Read(b[:])
		set[rec.secret] = hex.EncodeToString(b[:])
	}
	return connector.Receipt{Changed: true}, s.update(ctx, q, rec, set)
}

// Resume sets the disabled columns back. What was revoked stays so: Conflict.
func (s Records) Resume(ctx context.Context, q Querier, r connector.Ref) (connector.Receipt, error) {
	rec, l, err := s.own(ctx, q, r)
	switch {
	case err != nil:
		return connector.Receipt{}, err
	case len(rec.disable) == 0:
		return connector.Receipt{}, tenure.Errorf(tenure.Invalid, "%s %q has no attribute disable, so it was never suspended", r.Type, r.Name)
	case l == nil:
		return connector.Receipt{}, tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name)
	case l.state(rec.disable) == tenure.ResourceRevoked:
		return connector.Receipt{}, tenure.Errorf(tenure.Conflict, "%s %q is revoked; it is made again with a new credential", r.Type, r.Name)
	case l.state(rec.disable) == tenure.ResourcePresent:
		return connector.Receipt{}, nil
	}
	set := map[string]any{rec.mark: s.note(r, rec).Sealed(s.Marker)}
	for c := range rec.disable {
		set[c] = rec.values[c]
	}
	return connector.Receipt{Changed: true}, s.update(ctx, q, rec, set)
}

// Adopt marks the row of r again, in the given state.
func (s Records) Adopt(ctx context.Context, q Querier, r connector.Ref, as tenure.ResourceState) (connector.Receipt, error) {
	rec, err := s.parse(r)
	if err != nil {
		return connector.Receipt{}, err
	}
	l, _, err := s.find(ctx, q, r, rec)
	if err != nil {
		return connector.Receipt{}, err
	}
	if l == nil {
		return connector.Receipt{}, tenure.Errorf(tenure.NotFound, "%s %q isn't there", r.Type, r.Name)
	}
	if lost, err := Lost(s.Marker, l.note, r); err != nil || !lost {
		return connector.Receipt{}, err
	}
	n := s.note(r, rec)
	if as == tenure.ResourceSuspended || as == tenure.ResourceRevoked {
		n = n.With("state", string(as)).With("was", encode(rec.values))
	}
	if err := s.register(ctx, q, rec); err != nil {
		return connector.Receipt{}, err
	}
	return connector.Receipt{Changed: true}, s.update(ctx, q, rec, map[string]any{rec.mark: n.Sealed(s.Marker)})
}
