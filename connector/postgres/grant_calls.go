package postgres

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// standing is what there is of a grant, before something is done to it.
type standing struct {
	name   string
	note   *relational.Note
	spec   grantSpec // as it is to be
	was    grantSpec // as the note has it
	held   held
	before held    // on what the note names
	same   []noted // what the notes say that the role has there
	others map[right]bool
	beside []noted // what they say that the role has where the note's grant is
}

func (k grants) stands(ctx context.Context, s *session, r connector.Ref) (st standing, err error) {
	if st.spec, err = k.parse(r); err != nil {
		return st, err
	}
	specs := []grantSpec{st.spec}
	if err := k.grouped(ctx, s, specs); err != nil {
		return st, err
	}
	st.spec = specs[0]
	var all []noted
	err = s.prepared(ctx, "select note from tenure.mark where type = 'grant' and (name = $1 or "+placeSQL+" in ($2, (select "+placeSQL+" from tenure.mark where type = 'grant' and name = $1))) order by name", func(v [][]byte) error {
		n := readNoted(v)
		if n.note.Name == r.Name {
			st.note = &n.note
		}
		all = append(all, n)
		return nil
	}, r.Name, place(st.spec.object()))
	if err != nil {
		return st, err
	}
	if st.held, err = k.one(ctx, s, st.spec); err != nil {
		return st, err
	}
	on := func(place string) []noted {
		return slices.DeleteFunc(slices.Clone(all), func(n noted) bool { return n.note.Get("on") != place })
	}
	same := on(place(st.spec.object()))
	st.name, st.same, st.others, st.was, st.before, st.beside = r.Name, same, others(same, r.Name), st.spec, st.held, same
	if st.note != nil {
		if err := relational.Claim(k.marker, *st.note, r); err != nil {
			return st, err
		}
		was := grantSpec{}
		if json.Unmarshal([]byte(st.note.Get("spec")), &was) == nil {
			if was.group = st.note.Get(viaKey); !reflect.DeepEqual(was, st.spec) {
				before, err := k.held(ctx, s, []grantSpec{was})
				if err != nil {
					return st, err
				}
				st.was, st.before, st.beside = was, before[0], on(st.note.Get("on"))
			}
		}
	}
	if st.note == nil && k.shown(r.Name, nil, st.spec, st.held, same).Found {
		return st, relational.Claim(k.marker, relational.Note{}, r)
	}
	return st, nil
}

func minus(a map[right]bool, bs ...map[right]bool) map[right]bool {
	out := map[right]bool{}
	for r := range a {
		in := false
		for _, b := range bs {
			in = in || b[r]
		}
		if !in {
			out[r] = true
		}
	}
	return out
}

// old are the rights of its own that the note's grant gave the role and that nothing
// wants now.
func (st standing) old(keep map[right]bool) map[right]bool {
	return minus(st.before.own, minus(st.before.own, st.was.rights()), keep, others(st.beside, st.name))
}

// kin says whether the role stays in the group for another grant's sake.
func (st standing) kin() bool { return kin(st.beside, st.name, st.was.group) }

// taken says that nothing is left of what the note's grant gave.
func (st standing) taken() bool {
	if st.was.group != "" {
		return !st.before.member || st.kin()
	}
	return len(st.old(nil)) == 0
}

// give are the statements after which the role has what the grant says, in the way in
// which it is to have it.
func (st standing) give() []string {
	if st.spec.group != "" {
		return st.spec.join(st.held)
	}
	return st.spec.statements(true, minus(st.spec.rights(), st.held.own))
}

// drop are the statements that take back what the note's grant gave, but for keep.
func (st standing) drop(keep map[right]bool) []string {
	if st.was.group != "" {
		if st.kin() {
			return nil
		}
		return st.was.leave(st.before)
	}
	return st.was.statements(false, st.old(keep))
}

func (k grants) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	err = k.inTurn(ctx, func(s *session) error {
		st, err := k.stands(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		spec, err := tenure.Canonical(st.spec)
		if err != nil {
			return err
		}
		keep := map[right]bool{}
		if st.spec.group == "" && st.was.object() == st.spec.object() {
			keep = st.spec.rights()
		}
		statements := st.give()
		if st.was.group != st.spec.group || st.spec.group == "" {
			statements = append(statements, st.drop(keep)...)
		}
		statements = append(statements, st.spec.statements(false, st.spec.excess(st.held.own, st.others))...)
		note := k.noteBy(d.Ref, spec, st.spec.object(), st.spec.Role)
		if st.spec.group != "" {
			note = note.With(viaKey, st.spec.group).Seal(k.marker)
		}
		if st.note == nil || st.note.String() != note.String() {
			statements = append(statements, k.putNote(note))
		}
		held := st.held
		if len(statements) > 0 {
			rec.Changed = true
			if err := s.run(ctx, st.spec.alone(statements), "", nil); err != nil {
				return err
			}
			if held, err = k.one(ctx, s, st.spec); err != nil {
				return err
			}
		}
		o = k.shown(d.Name, &noted{note: note, spec: st.spec}, st.spec, held, st.same)
		return nil
	})
	return o, rec, err
}

// observe goes by the refs' attributes where they are given, and by the notes.
func (k grants) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	specs := make([]grantSpec, len(refs))
	for i, r := range refs {
		var err error
		if specs[i], err = k.parse(r); err != nil {
			return false, err
		}
	}
	byRef := map[string]noted{}
	names := make([]string, len(refs))
	for i, r := range refs {
		names[i] = r.Name
	}
	err := s.simple(ctx, "select note from tenure.mark where type = 'grant' and name in ("+literals(append(names, ""))+")", func(_ int, v [][]byte) error {
		n := noted{note: relational.ParseNote(string(v[0]))}
		_ = json.Unmarshal([]byte(n.note.Get("spec")), &n.spec)
		byRef[n.note.Name] = n
		return nil
	})
	if err != nil {
		return false, err
	}
	for i, r := range refs {
		if n, ok := byRef[r.Name]; ok && n.spec.Role != "" {
			specs[i] = n.spec
		}
	}
	if err := k.grouped(ctx, s, specs); err != nil {
		return false, err
	}
	all, err := k.notes(ctx, s, specs)
	if err != nil {
		return false, err
	}
	held, err := k.held(ctx, s, specs)
	if err != nil {
		return false, err
	}
	coming, err := k.coming(ctx, all)
	if err != nil {
		return false, err
	}
	same := index(all)
	for i, r := range refs {
		var n *noted
		if one, ok := byRef[r.Name]; ok {
			n = &one
		}
		if err := yield(k.shown(r.Name, n, specs[i], held[i], same[specs[i].object()], coming[specs[i].object()]...)); err != nil {
			return false, &stopped{err}
		}
	}
	return true, nil
}

// coming are the grants that are about to be adopted and bear no note yet, by what they are on.
func (k grants) coming(ctx context.Context, all []noted) (map[string][]noted, error) {
	var out []noted
	for _, r := range connector.BeingAdopted(ctx, "grant") {
		if slices.ContainsFunc(all, func(n noted) bool { return n.note.Name == r.Name }) {
			continue
		}
		g, err := k.parse(r)
		if err != nil {
			return nil, err
		}
		out = append(out, noted{relational.NewNote(k.marker, r), g})
	}
	return index(out), nil
}

func (k grants) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	all, err := k.notes(ctx, s, nil)
	if err != nil {
		return false, err
	}
	specs := make([]grantSpec, len(all))
	for i, n := range all {
		specs[i] = n.spec
	}
	if err := k.grouped(ctx, s, specs); err != nil {
		return false, err
	}
	held, err := k.held(ctx, s, specs)
	if err != nil {
		return false, err
	}
	same := index(all)
	for i, n := range all {
		if k.elsewhere(n.note, sc) {
			continue
		}
		if err := yield(k.shown(n.note.Name, &n, specs[i], held[i], same[n.spec.object()])); err != nil {
			return false, &stopped{err}
		}
	}
	return true, nil
}

// alone keeps grants on one schema or database from meeting: PostgreSQL gives
// those that change one object's rights at once an error, not a queue.
func (g grantSpec) alone(statements []string) []string {
	return append([]string{turnSQL}, statements...)
}

// take revokes what the grant gave, save what others give too.
func (k grants) take(ctx context.Context, s *session, st standing, last string) error {
	return s.run(ctx, st.was.alone(append(st.drop(nil), last)), "", nil)
}

func (k grants) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.inTurn(ctx, func(s *session) error {
		st, err := k.stands(ctx, s, r)
		if err != nil || st.note == nil {
			return err
		}
		rec.Changed = true
		return k.take(ctx, s, st, dropNote(r))
	})
	return rec, err
}

func (k grants) disable(ctx context.Context, r connector.Ref, to tenure.ResourceState) (rec connector.Receipt, err error) {
	err = k.inTurn(ctx, func(s *session) error {
		st, err := k.stands(ctx, s, r)
		switch {
		case err != nil:
			return err
		case st.note == nil && to == tenure.ResourceRevoked:
			return nil
		case st.note == nil:
			return tenure.Errorf(tenure.NotFound, "grant %q isn't there", r.Name)
		}
		now := tenure.ResourceState(st.note.Get("state"))
		if (now == to || now == tenure.ResourceRevoked) && st.taken() {
			return nil
		}
		rec.Changed = true
		return k.take(ctx, s, st, k.putNote(st.note.With("state", string(to))))
	})
	return rec, err
}

func (k grants) resume(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.inTurn(ctx, func(s *session) error {
		st, err := k.stands(ctx, s, r)
		switch {
		case err != nil:
			return err
		case st.note == nil:
			return tenure.Errorf(tenure.NotFound, "grant %q isn't there", r.Name)
		case st.note.Get("state") == string(tenure.ResourceRevoked):
			return tenure.Errorf(tenure.Conflict, "grant %q is revoked; it is ensured again", r.Name)
		case st.note.Get("state") == "":
			return nil
		}
		rec.Changed = true
		back := st
		back.spec, back.held = st.was, st.before
		return s.run(ctx, st.was.alone(append(back.give(), k.putNote(st.note.With("state", "")))), "", nil)
	})
	return rec, err
}
