package mysql

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// tracedAccount is a user for one host, or a role.
type tracedAccount struct {
	name, host  string
	role, kept  bool // kept: it is yielded, as neither the server's, nor Tenure's, nor this session's
	locked, tls bool
	limit       int64
	expires     time.Time
	whole       []string // rights on the whole server
	roles       []string
	reaches     []string
	has         map[string]map[string][]string // privileges, by database and table; "" is the whole database
}

// holds notes privileges that a grant can say.
func (a *tracedAccount) holds(database, table string, has []string) {
	if a.has == nil {
		a.has = map[string]map[string][]string{}
	}
	if a.has[database] == nil {
		a.has[database] = map[string][]string{}
	}
	a.has[database][table] = sorted(has)
}

// grants are what it holds, one for each database and set of privileges.
func (a *tracedAccount) grants() (out []connector.Beside) {
	for _, db := range slices.Sorted(maps.Keys(a.has)) {
		alike := map[string]int{} // which of out, by privileges
		for _, table := range slices.Sorted(maps.Keys(a.has[db])) {
			has := a.has[db][table]
			if table == "" {
				out = append(out, connector.Beside{Type: "grant", Attributes: map[string]any{"to": a.name, "database": db, "privileges": has}})
				continue
			}
			words := strings.Join(has, ",")
			at, is := alike[words]
			if !is {
				at = len(out)
				alike[words] = at
				out = append(out, connector.Beside{Type: "grant", Attributes: map[string]any{"to": a.name, "database": db, "tables": []string{}, "privileges": has}})
			}
			out[at].Attributes["tables"] = append(out[at].Attributes["tables"].([]string), table)
		}
	}
	if len(out) > connector.BesideMost {
		return nil
	}
	return out
}

func (a *tracedAccount) id() string {
	if a.role {
		return relational.TraceID("role", a.name)
	}
	return relational.TraceID("user", a.name) + "@" + a.host
}

// people reads users and roles, without what proves who they are.
func (t *tracing) people(ctx context.Context) error {
	var user, host, priv, role string
	_, err := t.read(ctx, "users and roles", "select user, host, coalesce(json_remove(priv, '$.authentication_string', '$.auth_or'), '{}') from mysql.global_priv", func() error {
		var p struct {
			Access   uint64 `json:"access"`
			Locked   bool   `json:"account_locked"`
			Role     bool   `json:"is_role"`
			Limit    int64  `json:"max_user_connections"`
			TLS      int    `json:"ssl_type"`
			Changed  int64  `json:"password_last_changed"`
			Lifetime int64  `json:"password_lifetime"`
		}
		if json.Unmarshal([]byte(priv), &p) != nil || user == "" {
			return nil
		}
		a := &tracedAccount{name: user, host: host, role: p.Role, locked: p.Locked, tls: p.TLS > 0, limit: p.Limit, whole: wholeRights(p.Access)}
		a.kept = user != t.d.config.User && !slices.Contains(reservedAccounts, strings.ToLower(user)) && !strings.HasPrefix(user, ownerPrefix) && !strings.HasPrefix(user, elevationPrefix) && !strings.HasPrefix(user, "mysql.")
		if p.Lifetime > 0 && p.Changed > 0 {
			a.expires = time.Unix(p.Changed, 0).UTC().AddDate(0, 0, int(p.Lifetime))
		}
		t.accounts[[2]string{user, host}] = a
		return nil
	}, &user, &host, &priv)
	if err != nil {
		return err
	}
	_, err = t.read(ctx, "who has which role", "select user, host, role from mysql.roles_mapping", func() error {
		if a := t.accounts[[2]string{user, host}]; a != nil && !slices.Contains(a.roles, role) {
			a.roles, a.reaches = append(a.roles, role), append(a.reaches, relational.TraceID("role", role))
		}
		return nil
	}, &user, &host, &role)
	return err
}

// publicRole is whom rights on all are given to.
const publicRole = "PUBLIC"

// rights reads what accounts may read or change: databases, by name or by pattern, and tables.
func (t *tracing) rights(ctx context.Context) error {
	reach := func(user, host, id, all string) {
		if a := t.accounts[[2]string{user, host}]; a != nil {
			a.reaches = append(a.reaches, id)
		}
		if user == publicRole {
			t.open[id] = all
		}
	}
	const something = "every user of the server may read or change something in it"
	names := slices.Sorted(maps.Keys(t.databases))
	var user, host, db, table, has, columns string
	parts := make([]string, len(privileges))
	for i, p := range privileges {
		parts[i] = "if(" + p.column + " = 'Y', " + literal(p.name) + ", null)"
	}
	_, err := t.read(ctx, "rights on databases", "select user, host, db, concat_ws(',', "+strings.Join(parts, ", ")+") from mysql.db where 'Y' in (select_priv, insert_priv, update_priv, delete_priv, create_priv, drop_priv, alter_priv)", func() error {
		if name, plain := unpattern(db); plain {
			if t.databases[name] != nil {
				reach(user, host, databaseID(name), something)
				if a := t.accounts[[2]string{user, host}]; a != nil {
					a.holds(name, "", strings.Split(has, ","))
				}
			}
			return nil
		}
		for _, name := range names {
			if like(db, name) {
				reach(user, host, databaseID(name), something)
			}
		}
		return nil
	}, &user, &host, &db, &has)
	if err != nil {
		return err
	}
	_, err = t.read(ctx, "rights on tables", "select user, host, db, table_name, table_priv, column_priv from mysql.tables_priv where table_priv regexp 'Select|Insert|Update|Delete|Drop|Alter' or column_priv regexp 'Select|Insert|Update'", func() error {
		if a := t.accounts[[2]string{user, host}]; a != nil && t.databases[db] != nil && has != "" && columns == "" {
			a.holds(db, table, ofTable(has))
		}
		switch at := t.databases[db]; {
		case at == nil:
		case at.alike:
			reach(user, host, databaseID(db), something)
		default:
			reach(user, host, tableID(relational.TableName{Schema: db, Name: table}), "every user of the server may read or change it")
		}
		return nil
	}, &user, &host, &db, &table, &has, &columns)
	return err
}

// ofTable are the privileges that mysql.tables_priv says.
func ofTable(words string) (out []string) {
	for word := range strings.SplitSeq(words, ",") {
		if at := slices.IndexFunc(privileges, func(p privilege) bool { return word != "" && strings.EqualFold(p.table, word) }); at >= 0 {
			out = append(out, privileges[at].name)
		}
	}
	return out
}

// places yields everything but rows, what others stand in first.
func (t *tracing) places(context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(t.databases)) {
		db := t.databases[name]
		one := connector.Trace{
			Kind: connector.TracePlace, Type: "database", Word: "database", Name: name, ID: databaseID(name), Rows: db.rows, Bytes: db.bytes,
			Labels: map[string]string{}, Attributes: map[string]any{"characterSet": db.set, "collation": db.collation}, Bears: t.bears["database:"+name],
		}
		if one.Open = t.open[one.ID]; db.alike {
			one.Labels["alike"] = "true"
		}
		if err := t.yield(one); err != nil {
			return err
		}
	}
	sorted := slices.SortedFunc(maps.Values(t.accounts), func(a, b *tracedAccount) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.host, b.host))
	})
	for _, a := range sorted {
		if a.kept {
			if err := t.yield(t.accountTrace(a)); err != nil {
				return err
			}
		}
	}
	return t.reader().Tables(t.plan)
}

func (t *tracing) accountTrace(a *tracedAccount) connector.Trace {
	one := connector.Trace{Kind: connector.TraceGroup, Type: "role", Word: "role", Name: a.name, ID: a.id(), Rows: -1, Bytes: -1, Labels: map[string]string{}, Attributes: map[string]any{}}
	if !a.role {
		one.Kind, one.Type, one.Word, one.Disabled, one.Expires = connector.TraceAccount, "user", "user", a.locked, a.expires
		if one.Attributes["host"] = a.host; a.limit > 0 {
			one.Attributes["connectionLimit"] = a.limit
		} else {
			one.Lacks = append(one.Lacks, "a connection limit")
		}
		if a.tls {
			one.Attributes["tls"] = true
		}
	}
	if len(a.roles) > 0 {
		one.Attributes["roles"] = sorted(a.roles)
	}
	one.Beside = a.grants()
	one.Bears, one.Reaches = t.bears[one.Type+":"+a.name], sorted(append(slices.Clone(a.reaches), t.within(a.reaches)...))
	if slices.ContainsFunc(a.whole, func(r string) bool {
		return slices.Contains([]string{"select", "insert", "update", "delete", "super", "all privileges", "create user", "file"}, r)
	}) {
		one.Labels["superuser"] = "true" // its rights are on every database, or let it take them
		one.Labels["rights"] = strings.Join(a.whole, ", ")
		one.All = "it has rights on the whole server"
		one.Beside = nil
		one.Reaches = slices.DeleteFunc(one.Reaches, func(id string) bool { return !strings.HasPrefix(id, "role:") })
	}
	return one
}

// within are the shared tables of the databases that somebody has rights on.
func (t *tracing) within(reached []string) (out []string) {
	for _, of := range t.plan.Tables {
		if slices.Contains(reached, databaseID(of.Schema)) {
			out = append(out, tableID(of.TableName))
		}
	}
	return out
}
