package postgres

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// ledger is what the inventory declares, by the names that the catalog has for it.
type ledger struct {
	all       []connector.Declared
	roles     map[string]int32 // to a place in all
	schemas   map[string]int32
	databases map[string]int32

	granted map[[2]string]string // what a role may do on an object, by its rights' letters
	kept    map[[2]string]bool   // of which a grant itself says what is too much
	members map[[2]string]bool   // roles and the groups through which a grant gives them rights
	columns map[string]bool      // tenant columns of shared tables

	installation, base string // whose groups they are, and in which database
}

// How the ledger names what rights are on.
func onSchema(name string) string         { return "schema " + name }
func onDatabase(name string) string       { return "database " + name }
func onTable(schema, table string) string { return "table " + schema + "\x00" + table }

func onFunction(schema, call string) string { return "function " + schema + "\x00" + call }

var rightLetters = map[string]string{
	"select": "r", "update": "w", "insert": "a", "delete": "d", "truncate": "D", "references": "x", "trigger": "t", "maintain": "m",
	"usage": "U", "create": "C", "connect": "c", "temporary": "T", "temp": "T", "execute": "X",
}

// newLedger reads the inventory. What is about to be made counts as well.
func (d *Driver) newLedger(all []connector.Declared) *ledger {
	l := &ledger{installation: string(d.marker.Installation), base: d.config.Database, members: map[[2]string]bool{}, all: all, roles: map[string]int32{}, schemas: map[string]int32{}, databases: map[string]int32{}, granted: map[[2]string]string{}, kept: map[[2]string]bool{}, columns: map[string]bool{}}
	var shared []grantSpec
	for i := range all {
		d, at := &all[i], int32(i)
		switch d.Type {
		case "role":
			l.roles[d.Name] = at
		case "schema":
			l.schemas[d.Name] = at
			l.schemas[scratchPrefix+uuid(d.Resource)] = at // its ddl may be at work beside it
			if d.State == tenure.ResourceQuarantined {
				l.schemas[quarantined(d.Resource)] = at
			}
		case "database":
			l.databases[d.Name] = at
			if d.State == tenure.ResourceQuarantined {
				l.databases[quarantined(d.Resource)] = at
			}
		case "grant":
			if d.State == tenure.ResourceSuspended || d.State == tenure.ResourceRevoked {
				continue // its rights should be off
			}
			var g grantSpec
			if json.Unmarshal(d.Normal, &g) == nil {
				l.grant(g) // as it stands until it goes through a group
				if len(g.names()) > 0 {
					shared = append(shared, g)
				}
			}
		case "policy":
			var p policySpec
			if json.Unmarshal(d.Normal, &p) == nil {
				l.columns[p.Column] = true
				if d.State != tenure.ResourceRevoked {
					l.members[[2]string{p.Role, boundOf(l.installation, l.base, p)}] = true
				}
			}
		case "rows":
			if bytes.Contains(d.Normal, []byte(`"column"`)) {
				var p struct{ Column string }
				_ = json.Unmarshal(d.Normal, &p)
				l.columns[p.Column] = true
			}
		}
	}
	for _, g := range shared {
		if l.schema(g.Schema) != nil {
			continue // a tenant's own
		}
		role := g.Role
		g.Role = groupOf(l.installation, l.base, g)
		l.members[[2]string{role, g.Role}] = true
		l.grant(g)
	}
	return l
}

// grant declares what a grant gives.
func (l *ledger) grant(g grantSpec) {
	for r := range g.rights() {
		on := onTable(g.Schema, r.object)
		switch {
		case r.object == "" && g.Database != "":
			on = onDatabase(g.Database)
		case r.object == "":
			on = onSchema(g.Schema)
		case g.on() == "function":
			on = onFunction(g.Schema, r.object)
		}
		key := [2]string{g.Role, on}
		if r.object != "" || len(g.names()) == 0 {
			l.kept[key] = true
		}
		if letter := rightLetters[strings.ToLower(r.privilege)]; !strings.Contains(l.granted[key], letter) {
			l.granted[key] += letter
		}
	}
}

func (l *ledger) find(in map[string]int32, name string) *connector.Declared {
	if i, ok := in[name]; ok {
		return &l.all[i]
	}
	return nil
}

func (l *ledger) role(name string) *connector.Declared     { return l.find(l.roles, name) }
func (l *ledger) schema(name string) *connector.Declared   { return l.find(l.schemas, name) }
func (l *ledger) database(name string) *connector.Declared { return l.find(l.databases, name) }

// theirs says whether a role is one of the tenant's that a thing is of.
func (l *ledger) theirs(role string, of *connector.Declared) bool {
	r := l.role(role)
	return r != nil && of != nil && r.Tenant == of.Tenant
}
