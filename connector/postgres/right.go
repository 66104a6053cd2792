package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// reaching compares what the catalog gives with what the ledger declares.
type reaching struct {
	*ledger
	d *Driver

	strong    map[string]string   // roles that row security or rights don't bind, or that may make others, and how
	up, down  map[string][]string // whom a role is a member of, and its members
	logins    map[string]bool     // whether a role is a login of an elevation of ours
	databases []string            // others to look into

	in   string              // the database that is looked at
	own  *connector.Declared // whose the whole of it is
	open map[string]bool     // its schemas that everybody, or a tenant's role, itself or through a group, may use
	out  []way
}

// database judges one database, from a session in it.
func (j *reaching) database(ctx context.Context, s *session, name string, own *connector.Declared) error {
	f, err := j.rights(ctx, s, own)
	if err != nil {
		return err
	}
	j.in, j.own, j.open = name, own, map[string]bool{}
	for _, t := range f.things {
		if t.kind == "schema" && slices.ContainsFunc(t.acl, func(i aclItem) bool {
			return i.may("U") && (i.grantee == "" || j.role(i.grantee) != nil || j.among(i.grantee, nil) != "")
		}) {
			j.open[t.schema] = true
		}
	}
	for _, t := range f.things {
		if err := j.thing(ctx, s, t); err != nil {
			return err
		}
	}
	if own == nil {
		if err := j.crossings(ctx, s); err != nil {
			return err
		}
	}
	for _, f := range f.defaults {
		if err := j.defaults(ctx, s, f); err != nil {
			return err
		}
	}
	for _, m := range f.mappings {
		if r := j.role(m[1]); r != nil && own == nil {
			j.say(way{Way: connector.Way{At: r, Severity: tenure.High, Holder: m[1], Field: "user mapping on " + m[0], Got: "user mapping",
				Says: "role " + m[1] + " has a user mapping on foreign server " + m[0]}, undo: "drop user mapping for " + quote(m[1]) + " server " + quote(m[0])})
		}
	}
	for _, o := range f.owned {
		if r := j.role(o[0]); r != nil && own == nil {
			j.say(way{Way: connector.Way{At: r, Severity: tenure.High, Field: "owner of " + o[1], Got: o[0], Says: "role " + o[0] + " owns " + o[1],
				Fix: "drop " + o[1] + ", or give it to another role, in database " + name}})
		}
	}
	return nil
}

// say adds a way that was found; where it can be undone, that is its fix.
func (j *reaching) say(w way) {
	if w.database == "" {
		w.database = j.in
	}
	if w.undo != "" {
		w.Fix, w.Mends = w.undo, w.At != nil
	}
	w.Outside = w.Outside || w.Holder != "" && j.role(w.Holder) == nil
	if w.database != j.d.config.Database {
		w.Field += " in database " + w.database
		w.Says += ", in database " + w.database
	}
	if !strings.HasSuffix(w.Says, "declares it") {
		w.Says += ", and nothing declares it"
	}
	j.out = append(j.out, w)
}

func (j *reaching) thing(ctx context.Context, s *session, t thing) error {
	if t.misplaced || t.kind == "schema" {
		j.owner(t)
	}
	j.lends(t)
	j.unbound(t)
	if t.everybody && t.place == nil && t.definer && j.open[t.schema] {
		j.public(t, aclItem{letters: "X", grantor: t.owner})
	}
	for _, i := range t.acl {
		if i.grantee != "" && i.grantee == t.owner || i.grantee == j.d.user || strings.Contains(j.strong[i.grantee], "superuser") {
			continue
		}
		if i.grantee != "" && j.role(i.grantee) == nil {
			if ours, err := j.elevated(ctx, i.grantee); err != nil || ours {
				if err != nil {
					return err
				}
				continue
			}
		}
		switch {
		case t.foundation && strings.HasPrefix(i.grantee, boundPrefix) && t.opens(i.letters):
		case t.foundation:
			j.grantee(t, i, j.role(i.grantee), tenure.Critical)
		case t.place != nil:
			j.inStore(t, i)
		case i.grantee == "":
			j.public(t, i)
		case isGroup(i.grantee):
			if more := j.beyond(t, i); more != "" && j.among(i.grantee, nil) != "" {
				i.letters = more
				j.grantee(t, i, nil, tenure.Critical)
			}
		case j.role(i.grantee) != nil:
			if more := j.beyond(t, i); more != "" {
				i.letters = more
				j.grantee(t, i, j.role(i.grantee), t.leaks(more))
			}
		case j.among(i.grantee, nil) != "": // what a group of the platform's may is its own business, unless it leaks
			if i.letters = j.beyond(t, i); i.letters != "" {
				j.public(t, i)
			}
		}
	}
	return nil
}

// opens says that the rights are those that a policy's group has on what policies go by.
func (t thing) opens(letters string) bool {
	return t.schema == "tenure_shared" && (t.kind == "schema" && letters == "U" || t.kind == "view" && t.column == "" && letters == "r")
}

// beyond are the rights of an item that no grant declares. What a grant names is the
// grant's own matter, save rights that may be passed on.
func (j *reaching) beyond(t thing, i aclItem) string {
	have := ""
	if t.key != "" {
		have = j.granted[[2]string{i.grantee, t.key}]
	}
	if strings.Contains(i.letters, "*") {
		return i.letters
	}
	if t.column == "" && j.kept[[2]string{i.grantee, t.key}] {
		return ""
	}
	if t.kind == "database" && t.on == "database "+quote(j.d.config.Database) {
		have += "cT" // whoever logs in may
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(have, r) {
			return -1
		}
		return r
	}, i.letters)
}

// inStore judges a right on what stands in a tenant's own store.
func (j *reaching) inStore(t thing, i aclItem) {
	if i.grantee == "" {
		// Of a schema and a database that is an attribute; types and functions are
		// everybody's by themselves; and inside its own database nobody else comes.
		if j.own == nil && t.kind != "schema" && t.kind != "database" && t.kind != "type" && t.kind != "function" {
			j.grantee(t, i, t.place, tenure.Critical)
		}
		return
	}
	more := j.beyond(t, i)
	if more == "" {
		return
	}
	i.letters = more
	if j.theirs(i.grantee, t.place) {
		if !j.theirs(t.owner, t.place) { // what it gives to its own is its own business
			severity := tenure.High
			if len(t.past) > 0 {
				severity = tenure.Critical
			}
			j.grantee(t, i, j.role(i.grantee), severity)
		}
		return
	}
	severity := tenure.High
	if j.role(i.grantee) != nil || j.among(i.grantee, t.place) != "" {
		severity = tenure.Critical
	}
	j.grantee(t, i, t.place, severity)
}

// grantee says that somebody has a right.
func (j *reaching) grantee(t thing, i aclItem, at *connector.Declared, severity tenure.Severity) {
	name, who, to := "PUBLIC", "PUBLIC", "public"
	if i.grantee != "" {
		name, who, to = i.grantee, "role "+i.grantee, quote(i.grantee)
		if other := j.among(i.grantee, t.place); j.role(i.grantee) != nil && t.place != nil && !j.theirs(i.grantee, t.place) {
			who += ", another tenant's,"
		} else if other != "" && j.role(i.grantee) == nil {
			who += ", of which " + other + " is a member,"
		}
	}
	says := fmt.Sprintf("%s may %s on %s, which %s owns", who, words(i.letters), t.says, t.owner)
	if i.grantor != t.owner {
		says += " (granted by " + i.grantor + ")"
	}
	if len(t.past) > 0 {
		says += "; it reads " + strings.Join(t.past, ", ") + " with the rights of " + t.owner + ", past row security"
	}
	column := ""
	if t.column != "" {
		column = " (" + t.column + ")"
	}
	undo := j.undo(t, i, column) + " on " + t.on + " from " + to + " cascade"
	if i.grantor != t.owner {
		undo = "revoke grant option for all" + column + " on " + t.on + " from " + quote(i.grantor) + " cascade"
	}
	by := i.grantor != t.owner && i.grantor != j.d.user && j.role(i.grantor) == nil // who loses the option of giving it
	j.say(way{Way: connector.Way{At: at, Severity: severity, Field: "rights of " + name + " on " + t.says,
		Got: words(i.letters), Says: says, Holder: name, Outside: by}, undo: undo})
}

// undo begins the statement that takes an item's rights back, and leaves those that a
// grant declares.
func (j *reaching) undo(t thing, i aclItem, column string) string {
	have := j.granted[[2]string{i.grantee, t.key}]
	if t.kind == "database" {
		have += "cT"
	}
	if t.key == "" || have == "" {
		return "revoke all" + column
	}
	if strings.ContainsAny(i.letters, "*") {
		return "revoke grant option for all" + column
	}
	var rights []string
	for _, l := range i.letters {
		rights = append(rights, rightNames[l]+column)
	}
	return "revoke " + strings.Join(rights, ", ")
}

// public judges what everybody, or a group that tenants are in, may do with something of
// the platform's: of whose making that is, no tenant is told.
func (j *reaching) public(t thing, i aclItem) {
	severity := tenure.Medium
	switch {
	case t.kind == "schema", t.kind == "database":
		if !i.may("C") {
			return
		}
		severity, i.letters = tenure.Critical, "C"
	case t.kind == "type", t.kind == "language", t.kind == "function" && !t.definer, t.kind == "tablespace":
		return
	case len(t.past) > 0, t.tenants && !t.secured && !t.definer:
		severity = tenure.Critical
	case i.grantee != "":
		return
	case t.kind == "function", t.kind == "large object":
		severity = tenure.Critical
	case t.kind == "foreign server", t.kind == "foreign data wrapper", t.kind == "parameter":
		severity = tenure.High
	}
	if t.schema == "information_schema" || t.schema != "" && !j.open[t.schema] && t.kind != "schema" {
		return // nobody comes so far
	}
	j.grantee(t, i, nil, severity)
}

// owner judges whose a thing is.
func (j *reaching) owner(t thing) {
	r := j.role(t.owner)
	switch {
	case t.owner == j.d.user, t.owner == heirRole, strings.Contains(j.strong[t.owner], "superuser"), strings.HasPrefix(t.owner, "pg_"):
	case t.place == nil && r != nil:
		j.say(way{Way: connector.Way{At: r, Severity: severityOfOwner(t), Field: "owner of " + t.says, Got: t.owner, Says: "role " + t.owner + " owns " + t.says + ", which is in no store of its tenant's",
			Fix: "drop " + t.says + ", or give it to another role: alter … owner to …"}})
	case t.place != nil && t.kind != "schema" && !j.theirs(t.owner, t.place):
		severity := tenure.High
		if r != nil || len(t.past) > 0 {
			severity = tenure.Critical
		}
		j.say(way{Way: connector.Way{At: t.place, Severity: severity, Field: "owner of " + t.says, Got: t.owner, Says: "role " + t.owner + ", which isn't the tenant's, owns " + t.says,
			Fix: "drop " + t.says + ", or give it to the tenant: alter … owner to …"}})
	}
}

// lends judges a function in a tenant's store that runs with the rights of somebody
// else, whom the tenant so acts as.
func (j *reaching) lends(t thing) {
	if t.kind != "function" || !t.definer || t.place == nil || j.own != nil || j.theirs(t.owner, t.place) || t.owner == heirRole || t.owner == j.d.user && !t.misplaced {
		return
	}
	if !t.everybody && !slices.ContainsFunc(t.acl, func(i aclItem) bool {
		return i.grantee == "" || i.grantee != t.owner && (j.role(i.grantee) != nil || j.among(i.grantee, nil) != "")
	}) {
		return
	}
	j.say(way{Way: connector.Way{At: t.place, Severity: tenure.Critical, Field: "rights of " + t.owner + " through " + t.says, Got: t.owner,
		Says: t.says + " runs with the rights of " + t.owner + ", which isn't the tenant's, for whoever calls it",
		Fix:  "drop " + t.says + ", or give it to the tenant: alter … owner to …"}})
}

// unbound judges a table of many tenants' rows whose owner, whom row security needn't bind,
// has a tenant's role as a member.
func (j *reaching) unbound(t thing) {
	if t.place != nil || t.kind != "table" || !t.tenants && !t.secured || j.role(t.owner) != nil {
		return
	}
	if member := j.among(t.owner, nil); member != "" {
		j.say(way{Way: connector.Way{Severity: tenure.Critical, Field: "owner of " + t.says, Got: t.owner,
			Says: "role " + member + " is a member of " + t.owner + ", which owns " + t.says + ", so that row security doesn't bind it", Fix: "revoke " + quote(t.owner) + " from whoever leads to " + quote(member) + ", or give the table to another role"}})
	}
}

func severityOfOwner(t thing) tenure.Severity {
	if t.kind == "schema" || t.kind == "type" {
		return tenure.High
	}
	return tenure.Critical
}

// among names a tenant's role, not of the place's tenant, that is a member of a role,
// itself or through others; "" if there is none.
func (j *reaching) among(role string, place *connector.Declared) string {
	seen := map[string]bool{role: true}
	for queue := j.down[role]; len(queue) > 0; queue = queue[1:] {
		m := queue[0]
		if seen[m] {
			continue
		}
		seen[m] = true
		if r := j.role(m); r != nil && (place == nil || r.Tenant != place.Tenant) {
			return m
		}
		queue = append(queue, j.down[m]...)
	}
	return ""
}

// elevated says whether a role is a login of ours: of an elevation, or a deputy.
func (j *reaching) elevated(ctx context.Context, role string) (bool, error) {
	c := loginClass
	switch {
	case strings.HasPrefix(role, deputyPrefix):
		c = deputyClass
	case !strings.HasPrefix(role, loginPrefix):
		return false, nil
	}
	if ours, known := j.logins[role]; known {
		return ours, nil
	}
	ours := true // it has gone meanwhile
	err := j.d.with(ctx, func(s *session) error {
		return s.simple(ctx, "select "+c.columns()+c.from()+"where o.rolname = "+literal(role), func(_ int, v [][]byte) error {
			_, whose := j.d.marked(c, v).note.Read(j.d.marker, c.typ)
			ours = whose == connector.Ours
			return nil
		})
	})
	if err != nil {
		return false, err
	}
	if j.logins == nil {
		j.logins = map[string]bool{}
	}
	j.logins[role] = ours
	return ours, nil
}

// defaultsOf are the kinds of pg_default_acl.
var defaultsOf = map[byte]string{'r': "tables", 'S': "sequences", 'f': "functions", 'T': "types", 'n': "schemas", 'L': "large objects"}

// defaults judges rights on what is yet to be made.
func (j *reaching) defaults(ctx context.Context, s *session, f defaults) error {
	place, of := j.own, j.role(f.of)
	if place == nil {
		place = j.schema(f.schema)
	}
	if place == nil {
		place = of
	}
	what := defaultsOf[f.kind]
	for _, i := range f.acl {
		r := j.role(i.grantee)
		by := i.grantee == "" && (f.kind == 'f' || f.kind == 'T') // as it is by itself
		if i.grantee == f.of || i.grantee == j.d.user || by || strings.Contains(j.strong[i.grantee], "superuser") || j.theirs(i.grantee, place) || i.grantee == "" && j.own != nil {
			continue
		}
		if ours, err := j.elevated(ctx, i.grantee); err != nil {
			return err
		} else if ours {
			continue
		}
		at, severity, in, to := place, tenure.High, "", "public"
		switch {
		case place != nil && (r != nil || i.grantee == "" || j.among(i.grantee, place) != ""):
			severity = tenure.Critical
		case place == nil && r != nil:
			at = r
			if f.kind == 'r' || f.kind == 'L' {
				severity = tenure.Critical
			}
		case place == nil && i.grantee != "":
			continue
		}
		if f.schema != "" {
			in = " in schema " + quote(f.schema)
		}
		who := "PUBLIC"
		if i.grantee != "" {
			who, to = i.grantee, quote(i.grantee)
		}
		j.say(way{Way: connector.Way{At: at, Severity: severity, Holder: who, Field: "default rights of " + who + " on " + what + " of " + f.of + strings.ReplaceAll(in, `"`, ""), Got: words(i.letters),
			Says: who + " gets " + words(i.letters) + " on " + what + " that " + f.of + " makes" + in + " from now on"},
			undo: "alter default privileges for role " + quote(f.of) + in + " revoke all on " + what + " from " + to})
	}
	return nil
}
