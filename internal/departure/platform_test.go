package departure

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed testdata/platform.sql
var platformSQL string

//go:embed testdata/shop.sql
var shopSQL string

//go:embed testdata/clinic.sql
var clinicSQL string

// platform is a whole platform of the test's own, with how a blueprint covers it.
type platform struct {
	name, sql, column string
	first             string            // the class that goes first
	classes           map[string]string // the tables of each class, in the order in which they go
	shared            string
	links             map[string]string
	derived           string
	parents, full     []string
	// crossing makes rows of a neighbour refer to the leaver's, and the leaver's to
	// a neighbour's parents. cut says which references become null by it.
	crossing string
	cut      map[string]string // by table: column
}

var shop = platform{
	name: "shop", sql: shopSQL, column: "tenant_key", first: "activity",
	classes: map[string]string{
		"activity":   "categories products product_images reviews templates pages bundles bundle_items orders order_lines shipments shipment_scans carts events sessions webhooks",
		"people":     "addresses customers customer_tags consents staff stores documents chains cart_log platform.history extra.notes extra.exports",
		"accounting": "invoices invoice_lines payments ledger",
	},
	shared: "platform.countries platform.currencies", derived: "sales",
	parents: []string{"addresses"},
	crossing: `update S.pages set template_id = (select min(id) from S.templates where tenant_key = 'acme') where id = (select min(id) from S.pages where tenant_key = 'acme-2');
update S.reviews set moderated_by = (select min(id) from S.staff where tenant_key = 'acme') where id = (select min(r.id) from S.reviews r join S.products p on p.id = product_id where p.tenant_key = 'birch');
update S.orders set ship_to = (select min(address_id) from S.customers where tenant_key = 'birch') where id = (select min(id) from S.orders where tenant_key = 'acme');
delete from S.addresses a where not exists (select from S.customers where address_id = a.id) and not exists (select from S.orders where ship_to = a.id);`,
	cut: map[string]string{"pages": "template_id", "reviews": "moderated_by"},
}

var clinic = platform{
	name: "clinic", sql: clinicSQL, column: "practice", first: "treatment",
	classes: map[string]string{
		"treatment": "visits visit_notes vitals diagnoses prescriptions doses samples results images threads messages attachments calendar letters referrals beds",
		"people":    "contacts patients relatives doctors rooms wards policies labs platform.history extra.notes extra.exports",
		"billing":   "bills bill_lines reminders",
	},
	shared: "insurers", derived: "drugs",
	links:   map[string]string{"attachments.message_id": "follow"},
	parents: []string{"contacts"}, full: []string{"attachments.message_id"},
	crossing: `update S.referrals set by_doctor = (select min(id) from S.doctors where practice = 'acme') where id = (select min(id) from S.referrals where practice = 'acme-2');
update S.results set seen_by = (select min(id) from S.doctors where practice = 'acme') where id = (select min(r.id) from S.results r join S.samples s on s.id = sample_id join S.visits v on v.id = visit_id where v.practice = 'birch');
update S.patients set contact = (select min(contact::text)::uuid from S.patients where practice = 'birch') where id = (select min(id) from S.patients where practice = 'acme');
delete from S.contacts c where not exists (select from S.patients where contact = c.id);`,
	cut: map[string]string{"referrals": "by_doctor", "results": "seen_by"},
}

// covers is how a blueprint covers the platform's tables, and with which classes.
func (p platform) covers(pooled bool) (attributes map[string]any, data []any) {
	tables, columns, links, shared := map[string]any{}, map[string]any{}, map[string]any{}, []string{}
	for _, c := range classes {
		if p.classes[c] == "" {
			continue
		}
		data = append(data, c)
		for table := range strings.FieldsSeq(p.classes[c]) {
			if pooled || !strings.Contains(table, ".") {
				tables[table] = c
			}
		}
	}
	for k, v := range p.links {
		links[k] = v
	}
	columns["platform.history"] = "body->>" + p.column
	for s := range strings.FieldsSeq(p.shared) {
		if pooled || strings.Contains(s, ".") {
			shared = append(shared, s)
		} else {
			tables[s] = "people"
		}
	}
	a := map[string]any{"schema": p.name, "column": p.column, "key": "${tenant.name}", "tables": tables, "columns": columns, "aliases": []string{"account"}, "shared": shared}
	if !pooled {
		tables["history"] = "people"
		a = map[string]any{"tables": tables, "shared": shared}
	}
	if len(links) > 0 {
		a["links"] = links
	}
	return a, data
}

// classOf is the class of a table that is named with its schema or is of a root.
func (p platform) classOf(name, root string) string {
	for class, tables := range p.classes {
		for table := range strings.FieldsSeq(tables + map[bool]string{true: " history insurers countries currencies"}[class == "people"]) {
			if _, short, _ := strings.Cut(table, "."); table == root || short == root || table == name {
				return class
			}
		}
	}
	return ""
}

// own is the platform's tables as a schema of one tenant's has them, the history
// among them.
func (p platform) own() string {
	return "create table if not exists history (id bigint generated always as identity primary key, body jsonb not null);\n" + strings.ReplaceAll(p.sql, "platform.history", "history")
}

// set makes the platform in an empty database.
func (p platform) set(pooled bool) string {
	if !pooled {
		return platformSQL
	}
	return platformSQL + fmt.Sprintf("create schema %s; set search_path to %[1]s;\n%s", p.name, p.sql)
}

func (p platform) schemas(tenant person, pooled bool) []string {
	if pooled {
		return []string{p.name, "extra"}
	}
	return []string{tenant.name, "extra"}
}
