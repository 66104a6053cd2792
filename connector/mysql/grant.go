package mysql

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// grants are privileges of one account on a database or on tables of it.
type grants struct{ *Driver }

// grantSpec is a grant's attributes in normal form.
type grantSpec struct {
	To         string   `json:"to"`
	Database   string   `json:"database"`
	Tables     []string `json:"tables,omitempty"`
	Privileges []string `json:"privileges"`
}

func (k grants) parse(r connector.Ref) (a grantSpec, err error) {
	if err := relational.CheckName("grant", r.Name, maxName); err != nil {
		return a, err
	}
	if err := relational.Decode(r, &a); err != nil {
		return a, err
	}
	if err := checkAccount("the account of grant", a.To); err != nil {
		return a, err
	}
	if err := checkDatabase("the database of grant", a.Database); err != nil {
		return a, err
	}
	if k.keptDatabase(a.Database) {
		return a, tenure.Errorf(tenure.Invalid, "grant %q: the database %q is Tenure's own", r.Name, a.Database)
	}
	for _, t := range a.Tables {
		if err := checkIdentifier("a table of grant", t, 64); err != nil {
			return a, err
		}
		if t == "*" {
			return a, tenure.Errorf(tenure.Invalid, "grant %q: the table * names none", r.Name).WithHint("leave tables out for the whole database")
		}
	}
	if len(a.Privileges) == 0 {
		return a, tenure.Errorf(tenure.Invalid, "grant %q: no privileges are given", r.Name)
	}
	a.Tables = sorted(a.Tables)
	for i, p := range a.Privileges {
		a.Privileges[i] = strings.Join(strings.Fields(strings.ToLower(p)), " ")
		at := slices.IndexFunc(privileges, func(one privilege) bool { return one.name == a.Privileges[i] })
		if at < 0 || len(a.Tables) > 0 && privileges[at].table == "" {
			return a, tenure.Errorf(tenure.Invalid, "grant %q: there is no privilege %q on %s", r.Name, p, map[bool]string{true: "a table", false: "a database"}[len(a.Tables) > 0])
		}
	}
	a.Privileges = sorted(a.Privileges)
	return a, nil
}

func (k grants) Normalise(d connector.Desired) (json.RawMessage, error) {
	a, err := k.parse(d.Ref)
	if err != nil {
		return nil, err
	}
	return tenure.Canonical(a)
}

// specOf is what a note says of its grant.
func specOf(n *relational.Note) (a grantSpec) {
	if n != nil {
		_ = json.Unmarshal([]byte(n.Get("spec")), &a)
	}
	return a
}

// objects are what the grant is on; "" is the whole database.
func (a grantSpec) objects() []string {
	if len(a.Tables) == 0 {
		return []string{""}
	}
	return a.Tables
}

// declaring are the notes of grants, with those that what is about to be adopted will bear.
func (d *Driver) declaring(ctx context.Context, s *session) (map[string]*relational.Note, error) {
	notes, err := d.notes(ctx, s, "grant")
	if err != nil {
		return nil, err
	}
	for _, r := range connector.BeingAdopted(ctx, "grant") {
		if notes[r.Name] != nil {
			continue
		}
		a, err := grants{d}.parse(r)
		if err != nil {
			return nil, err
		}
		spec, err := tenure.Canonical(a)
		if err != nil {
			return nil, err
		}
		n := relational.NewNote(d.marker, r).With("spec", string(spec))
		notes[r.Name] = &n
	}
	return notes, nil
}

// given are the privileges that other grants give on an object.
func given(notes map[string]*relational.Note, except string, to, database, table string) map[string]bool {
	out := map[string]bool{}
	for name, n := range notes {
		a := specOf(n)
		if name == except || a.To != to || a.Database != database || n.Get("state") != "" || !slices.Contains(a.objects(), table) {
			continue
		}
		for _, p := range a.Privileges {
			out[p] = true
		}
	}
	return out
}

// own are the privileges on the object that are there by this grant: those that it
// wants, and those that no other gives.
func own(a grantSpec, r rights, notes map[string]*relational.Note, name, table string) []string {
	others := given(notes, name, a.To, a.Database, table)
	return slices.DeleteFunc(slices.Clone(r.on[[3]string{a.To, a.Database, table}]), func(p string) bool {
		return others[p] && !slices.Contains(a.Privileges, p)
	})
}

// observed is a grant as it stands; a is what its note says, or without one what is asked for.
func (k grants) observed(name string, a grantSpec, notes map[string]*relational.Note, r rights) (o connector.Observed, err error) {
	return k.observedAmong(name, a, notes[name], notes, r)
}

// observedAmong is observed of a grant that bears the note n, beside the notes of others. One
// that bears none and is among the notes is about to be adopted.
func (k grants) observedAmong(name string, a grantSpec, n *relational.Note, notes map[string]*relational.Note, r rights) (o connector.Observed, err error) {
	o = connector.Observed{Type: "grant", Name: name, State: tenure.ResourcePresent}
	objects := map[string][]string{}
	even, some := true, false
	for _, table := range a.objects() {
		has := own(a, r, notes, name, table)
		if n == nil && notes[name] == nil { // what another grant gives says nothing of this one
			others := given(notes, name, a.To, a.Database, table)
			has = slices.DeleteFunc(has, func(p string) bool { return others[p] })
		}
		objects[table] = has
		some = some || len(has) > 0
		even = even && slices.Equal(has, a.Privileges)
	}
	if n == nil && !some {
		return o, nil
	}
	o.Found = true
	k.owned(&o, n)
	live := shape{"to": a.To, "database": a.Database}
	live.list("tables", a.Tables)
	live.list("patterns", r.patterns(a.To, a.Database))
	switch state := tenure.ResourceState(noteState(n)); {
	case state != "" && !k.reaches(a, objects, notes, name):
		o.State = state
		live["privileges"] = a.Privileges
	case even:
		live["privileges"] = a.Privileges
	case len(a.Tables) == 0:
		live["privileges"] = nonNil(objects[""])
	default:
		live["objects"] = objects
	}
	o.Attributes, err = live.done()
	return o, err
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func noteState(n *relational.Note) string {
	if n == nil {
		return ""
	}
	return n.Get("state")
}

// reaches says that something of the grant is left which no other grant gives.
func (k grants) reaches(a grantSpec, objects map[string][]string, notes map[string]*relational.Note, name string) bool {
	for table, has := range objects {
		others := given(notes, name, a.To, a.Database, table)
		if slices.ContainsFunc(has, func(p string) bool { return !others[p] }) {
			return true
		}
	}
	return false
}

func (k grants) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	notes, err := k.notes(ctx, s, "grant")
	if err != nil {
		return false, err
	}
	specs := make([]grantSpec, len(refs))
	var accounts []string
	for i, r := range refs {
		if n := notes[r.Name]; n != nil {
			specs[i] = specOf(n)
		} else if specs[i], err = k.parse(r); err != nil {
			return false, err
		}
		accounts = append(accounts, specs[i].To)
	}
	have, err := k.rightsOf(ctx, s, sorted(accounts))
	if isNumber(err, 1142, 1143) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	all, err := k.declaring(ctx, s)
	if err != nil {
		return false, err
	}
	for i, r := range refs {
		o, err := k.observedAmong(r.Name, specs[i], notes[r.Name], all, have)
		if err != nil {
			return false, err
		}
		if err := yield(o); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (k grants) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	notes, err := k.notes(ctx, s, "grant")
	if err != nil {
		return false, err
	}
	var refs []connector.Ref
	for name, n := range notes {
		if !k.elsewhere(n, sc) {
			refs = append(refs, connector.Ref{Type: "grant", Name: name})
		}
	}
	var all []connector.Observed
	whole, err := k.Observe(ctx, s, refs, func(o connector.Observed) error { all = append(all, o); return nil })
	if err != nil {
		return false, err
	}
	return whole, byName(all, yield)
}

// state reads all that tells of one grant.
func (k grants) state(ctx context.Context, s *session, r connector.Ref) (a grantSpec, n *relational.Note, notes map[string]*relational.Note, have rights, err error) {
	if a, err = k.parse(r); err != nil {
		return
	}
	if n, err = k.noteOf(ctx, s, r); err != nil {
		return
	}
	if notes, err = k.notes(ctx, s, "grant"); err != nil {
		return
	}
	have, err = k.rightsOf(ctx, s, sorted([]string{a.To, specOf(n).To}))
	return
}

func (k grants) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		a, n, notes, have, err := k.state(ctx, s, d.Ref)
		if err != nil {
			return err
		}
		if o, err = k.observed(d.Name, a, notes, have); err != nil {
			return err
		}
		if n == nil && o.Found {
			return relational.Claim(k.marker, relational.Note{}, d.Ref)
		}
		h, err := k.grantee(ctx, s, a.To)
		if err != nil {
			return err
		}
		if h == nil {
			return tenure.Errorf(tenure.Blocked, "grant %q: there is no user or role %q", d.Name, a.To).WithHint("let the grant refer to the resource of that account, so that it is made first")
		}
		spec, err := tenure.Canonical(a)
		if err != nil {
			return err
		}
		note := relational.NewNote(k.marker, d.Ref).With("spec", string(spec))
		if n == nil || n.String() != note.String() {
			rec.Changed = true
			if was := specOf(n); n != nil && was.To != "" { // what it was on before goes first
				if _, err := k.revoke(ctx, s, was, d.Name, notes, have, func(table string) []string {
					if was.To == a.To && was.Database == a.Database && slices.Contains(a.objects(), table) {
						return a.Privileges
					}
					return nil
				}); err != nil {
					return err
				}
			}
			if err := k.marks.Put(ctx, s, k.marker, note); err != nil {
				return err
			}
			sealed := note.Seal(k.marker)
			notes[d.Name] = &sealed
			if have, err = k.rightsOf(ctx, s, []string{a.To}); err != nil {
				return err
			}
		}
		took, err := k.revoke(ctx, s, a, d.Name, notes, have, func(string) []string { return a.Privileges })
		if err != nil {
			return err
		}
		rec.Changed = rec.Changed || took
		for _, table := range a.objects() {
			missing := slices.DeleteFunc(slices.Clone(a.Privileges), func(p string) bool {
				return slices.Contains(have.on[[3]string{a.To, a.Database, table}], p)
			})
			if len(missing) == 0 {
				continue
			}
			rec.Changed = true
			if err := s.run(ctx, "grant "+strings.Join(missing, ", ")+" on "+a.object(table)+" to "+h.at()); err != nil {
				return err
			}
		}
		if have, err = k.rightsOf(ctx, s, []string{a.To}); err != nil {
			return err
		}
		o, err = k.observed(d.Name, a, notes, have)
		return err
	})
	return o, rec, err
}

// object is what a statement names: a database as a pattern that takes it alone.
func (a grantSpec) object(table string) string {
	if table == "" {
		return quote(pattern(a.Database)) + ".*"
	}
	return quote(a.Database, table)
}

// grantee is the account of a name, nil if there is none.
func (d *Driver) grantee(ctx context.Context, s *session, name string) (*held, error) {
	have, err := accounts{d, "user"}.read(ctx, s, []string{name})
	return have[name], err
}

// revoke takes from the account what it has on the grant's objects and isn't to keep, and
// what it has by a pattern. Rights on a whole database go on in sessions that use it, so
// those are ended.
func (k grants) revoke(ctx context.Context, s *session, a grantSpec, name string, notes map[string]*relational.Note, have rights, keep func(table string) []string) (did bool, err error) {
	if !k.excess(a, name, notes, have, keep) {
		return false, nil
	}
	h, err := k.grantee(ctx, s, a.To)
	if err != nil || h == nil {
		return false, err
	}
	for _, table := range a.objects() {
		others := given(notes, name, a.To, a.Database, table)
		for _, p := range own(a, have, notes, name, table) {
			column, isColumn := strings.CutSuffix(p, " of columns")
			if others[p] || slices.Contains(keep(table), p) {
				continue
			}
			did = true
			if isColumn {
				if err := k.revokeColumns(ctx, s, h, a, table, column); err != nil {
					return did, err
				}
				continue
			}
			if err := s.run(ctx, "revoke "+p+" on "+a.object(table)+" from "+h.at()); err != nil && !isNumber(err, 1141, 1147) {
				return did, err
			}
		}
	}
	for _, p := range have.patterns(a.To, a.Database) {
		did = true
		for _, what := range []string{"all privileges", "grant option"} {
			if err := s.run(ctx, "revoke "+what+" on "+quote(p)+".* from "+h.at()); err != nil && !isNumber(err, 1141) {
				return did, err
			}
		}
	}
	if !did {
		return false, nil
	}
	return true, k.endOf(ctx, s, h)
}

// excess says whether there is anything for revoke to take.
func (k grants) excess(a grantSpec, name string, notes map[string]*relational.Note, have rights, keep func(table string) []string) bool {
	for _, table := range a.objects() {
		others := given(notes, name, a.To, a.Database, table)
		for _, p := range own(a, have, notes, name, table) {
			if !others[p] && !slices.Contains(keep(table), p) {
				return true
			}
		}
	}
	return len(have.patterns(a.To, a.Database)) > 0
}

// revokeColumns takes a privilege on single columns away.
func (k grants) revokeColumns(ctx context.Context, s *session, h *held, a grantSpec, table, privilege string) error {
	var column string
	var columns []string
	err := each(ctx, s, "select column_name from mysql.columns_priv where user = "+literal(h.name)+" and host = "+literal(h.host)+" and db = "+literal(a.Database)+
		" and table_name = "+literal(table)+" and find_in_set("+literal(privilege)+", lower(column_priv))", func() error { columns = append(columns, column); return nil }, &column)
	if err != nil || len(columns) == 0 {
		return err
	}
	return s.run(ctx, "revoke "+privilege+" ("+relational.QuoteList(columns)+") on "+a.object(table)+" from "+h.at())
}

// endOf ends the sessions of a user, or of those who have a role.
func (d *Driver) endOf(ctx context.Context, s *session, h *held) error {
	if !h.role {
		return d.end(ctx, s, h.name)
	}
	var users []string
	var user string
	err := each(ctx, s, "with recursive w as (select user, host from mysql.roles_mapping where role = "+literal(h.name)+
		" union select m.user, m.host from mysql.roles_mapping m join w on m.role = w.user and w.host = '') select user from w where host <> ''", func() error {
		if user != d.config.User {
			users = append(users, user)
		}
		return nil
	}, &user)
	for _, user := range users {
		if err := d.end(ctx, s, user); err != nil {
			return err
		}
	}
	return err
}

// cut takes the privileges off, for a while or for good.
func (k grants) cut(ctx context.Context, r connector.Ref, to tenure.ResourceState) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		a, n, notes, have, err := k.state(ctx, s, r)
		if err != nil {
			return err
		}
		o, err := k.observed(r.Name, a, notes, have)
		switch {
		case err != nil:
			return err
		case n == nil && o.Found:
			return relational.Claim(k.marker, relational.Note{}, r)
		case n == nil && to == tenure.ResourceRevoked:
			return nil
		case n == nil:
			return absent(r)
		case o.State == to || o.State == tenure.ResourceRevoked:
			return nil
		}
		rec.Changed = true
		if n.Get("state") == string(tenure.ResourceRevoked) {
			to = tenure.ResourceRevoked
		}
		was := specOf(n)
		if err := k.marks.Put(ctx, s, k.marker, n.With("state", string(to))); err != nil {
			return err
		}
		if have, err = k.rightsOf(ctx, s, []string{was.To}); err != nil {
			return err
		}
		_, err = k.revoke(ctx, s, was, r.Name, notes, have, func(string) []string { return nil })
		return err
	})
	return rec, err
}

func (k grants) resume(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		n, err := k.noteOf(ctx, s, r)
		switch {
		case err != nil:
			return err
		case n == nil:
			return absent(r)
		case n.Get("state") == string(tenure.ResourceRevoked):
			return tenure.Errorf(tenure.Conflict, "grant %q is revoked; it is made again by its blueprint", r.Name)
		case n.Get("state") == "":
			return nil
		}
		rec.Changed = true
		a := specOf(n)
		h, err := k.grantee(ctx, s, a.To)
		if err != nil {
			return err
		}
		if h == nil {
			return tenure.Errorf(tenure.Blocked, "grant %q: there is no user or role %q", r.Name, a.To)
		}
		for _, table := range a.objects() {
			if err := s.run(ctx, "grant "+strings.Join(a.Privileges, ", ")+" on "+a.object(table)+" to "+h.at()); err != nil {
				return err
			}
		}
		return k.marks.Put(ctx, s, k.marker, n.With("state", ""))
	})
	return rec, err
}

func (k grants) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		a, n, notes, have, err := k.state(ctx, s, r)
		if err != nil {
			return err
		}
		if n == nil {
			o, err := k.observed(r.Name, a, notes, have)
			if err == nil && o.Found {
				err = relational.Claim(k.marker, relational.Note{}, r)
			}
			return err
		}
		rec.Changed = true
		if was := specOf(n); was.To != "" {
			a = was
		}
		if _, err := k.revoke(ctx, s, a, r.Name, notes, have, func(string) []string { return nil }); err != nil {
			return err
		}
		return k.marks.Delete(ctx, s, r.Type, r.Name)
	})
	return rec, err
}

func (k grants) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (rec connector.Receipt, err error) {
	a, err := k.parse(r)
	if err != nil {
		return rec, err
	}
	err = k.with(ctx, func(s *session) error {
		notes, err := k.notes(ctx, s, "grant")
		if err != nil {
			return err
		}
		have, err := k.rightsOf(ctx, s, []string{a.To})
		if err != nil {
			return err
		}
		o, err := k.observed(r.Name, a, notes, have)
		if err != nil {
			return err
		}
		if !o.Found {
			return absent(r)
		}
		if lost, err := k.lost(notes[r.Name], r); err != nil || !lost {
			return err
		}
		spec, err := tenure.Canonical(a)
		if err != nil {
			return err
		}
		note := relational.NewNote(k.marker, r).With("spec", string(spec))
		if as == tenure.ResourceSuspended || as == tenure.ResourceRevoked {
			note = note.With("state", string(as))
		}
		rec.Changed = true
		return k.marks.Put(ctx, s, k.marker, note)
	})
	return rec, err
}
