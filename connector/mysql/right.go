package mysql

import (
	"context"
	"slices"
	"strings"
)

// privilege is one that can be granted: its name, and those of its column in mysql.db
// and of its value in mysql.tables_priv.
type privilege struct{ name, column, table string }

var privileges = []privilege{
	{"alter", "alter_priv", "Alter"}, {"alter routine", "alter_routine_priv", ""}, {"create", "create_priv", "Create"},
	{"create routine", "create_routine_priv", ""}, {"create temporary tables", "create_tmp_table_priv", ""}, {"create view", "create_view_priv", "Create View"},
	{"delete", "delete_priv", "Delete"}, {"delete history", "delete_history_priv", "Delete versioning rows"}, {"drop", "drop_priv", "Drop"},
	{"event", "event_priv", ""}, {"execute", "execute_priv", ""}, {"index", "index_priv", "Index"}, {"insert", "insert_priv", "Insert"},
	{"lock tables", "lock_tables_priv", ""}, {"references", "references_priv", "References"}, {"select", "select_priv", "Select"},
	{"show view", "show_view_priv", "Show view"}, {"trigger", "trigger_priv", "Trigger"}, {"update", "update_priv", "Update"},
}

// passes stands for the right to pass one's rights on, which no grant of Tenure's gives.
const passes = "grant option"

// rights are the privileges of accounts, by account, database and table.
type rights struct {
	on    map[[3]string][]string
	whole []wideRight
}

type wideRight struct {
	account, pattern string
	has              []string
}

// rightsOf reads the privileges of the accounts.
func (d *Driver) rightsOf(ctx context.Context, s *session, accounts []string) (rights, error) {
	return d.rightsOn(ctx, s, accounts, nil)
}

// rightsOn reads the privileges of the accounts on some databases, nil for all, and those
// that patterns give.
func (d *Driver) rightsOn(ctx context.Context, s *session, accounts, databases []string) (r rights, err error) {
	byDatabase, byTable := "", ""
	if databases != nil {
		all := make([]string, 0, 2*len(databases))
		for _, name := range databases {
			all = append(all, name, pattern(name))
		}
		byTable = " and db in (" + literals(databases) + ")"
		byDatabase = " and (db in (" + literals(all) + `) or replace(replace(replace(db, '\\', ''), '\_', ''), '\%', '') regexp '[_%]')`
	}
	r = rights{on: map[[3]string][]string{}}
	if len(accounts) == 0 {
		return r, nil
	}
	in := literals(accounts)
	parts := make([]string, 0, len(privileges)+1)
	for _, p := range privileges {
		parts = append(parts, "if("+p.column+" = 'Y', "+literal(p.name)+", null)")
	}
	parts = append(parts, "if(grant_priv = 'Y', "+literal(passes)+", null)")
	var user, db, table, has, columns string
	err = each(ctx, s, "select user, db, concat_ws(',', "+strings.Join(parts, ", ")+") from mysql.db where user in ("+in+")"+byDatabase, func() error {
		if name, plain := unpattern(db); plain {
			r.add(user, name, "", strings.Split(has, ","))
		} else {
			r.whole = append(r.whole, wideRight{user, db, strings.Split(has, ",")})
		}
		return nil
	}, &user, &db, &has)
	if err != nil {
		return r, err
	}
	err = each(ctx, s, "select user, db, table_name, table_priv, column_priv from mysql.tables_priv where user in ("+in+")"+byTable, func() error {
		var all []string
		for word := range strings.SplitSeq(has, ",") {
			if at := slices.IndexFunc(privileges, func(p privilege) bool { return strings.EqualFold(p.table, word) && word != "" }); at >= 0 {
				all = append(all, privileges[at].name)
			} else if word == "Grant" {
				all = append(all, passes)
			}
		}
		for word := range strings.SplitSeq(columns, ",") {
			if word != "" {
				all = append(all, strings.ToLower(word)+" of columns")
			}
		}
		r.add(user, db, table, all)
		return nil
	}, &user, &db, &table, &has, &columns)
	return r, err
}

func (r rights) add(user, db, table string, has []string) {
	at := [3]string{user, db, table}
	r.on[at] = sorted(append(r.on[at], slices.DeleteFunc(has, func(p string) bool { return p == "" })...))
}

// patterns are those by which an account has rights on a database without its name.
func (r rights) patterns(account, database string) (out []string) {
	for _, w := range r.whole {
		if w.account == account && like(w.pattern, database) {
			out = append(out, w.pattern)
		}
	}
	return sorted(out)
}

// unpattern is the one name that a grant's pattern stands for, and whether it stands
// for one alone.
func unpattern(p string) (name string, plain bool) {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			b.WriteByte(p[i])
		case p[i] == '_' || p[i] == '%':
			return "", false
		default:
			b.WriteByte(p[i])
		}
	}
	return b.String(), true
}

// like says whether a grant's pattern takes a name.
func like(p, name string) bool {
	if p == "" {
		return name == ""
	}
	switch {
	case p[0] == '%':
		for i := 0; i <= len(name); i++ {
			if like(p[1:], name[i:]) {
				return true
			}
		}
		return false
	case name == "":
		return false
	case p[0] == '_':
		_, rest := firstRune(name)
		return like(p[1:], rest)
	case p[0] == '\\' && len(p) > 1:
		return p[1] == name[0] && like(p[2:], name[1:])
	}
	return p[0] == name[0] && like(p[1:], name[1:])
}

func firstRune(s string) (string, string) {
	for i := range s {
		if i > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
