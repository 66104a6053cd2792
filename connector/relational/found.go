package relational

import "github.com/tenurehq/tenure/connector"

// Found is the place of a column in which the tenant's key was found in n rows, others of
// which surely are other tenants'.
func (h *Holding) Found(t Table, column string, n, others int64) connector.Place {
	r, held := h.Table(t.TableName)
	name, short := t.String(), h.name(t.TableName)
	mine := "columns: {" + short + ": " + column + "}"
	p := connector.Place{Name: name, Kind: connector.PlaceTable, Via: "the key's value in column " + column, Rows: n, Blocks: true}
	if !held {
		p.Says = "rows of " + name + " have the tenant's key in " + column + ", and nothing says that it is a tenant column"
		p.Fix = "tables: {" + short + ": CLASS} and " + mine + ", or shared: [" + short + "]"
		return p
	}
	p.Name, p.Kind, p.Class = name+"."+column, connector.PlaceKey, h.Classes[t.TableName]
	if n == others {
		p.Blocks, p.Says = false, Plural(n, "row")+" of "+name+" that "+Verb(n, "belongs", "belong")+" to other tenants "+Verb(n, "has", "have")+" the key in column "+column+"; "+Verb(n, "it stays", "they stay")
		return p
	}
	p.Rows = n - others
	p.Says = Plural(p.Rows, "row") + " of " + name + " " + Verb(p.Rows, "has", "have") + " the tenant's key in " + column + " and " + Verb(p.Rows, "isn't", "aren't") + " found as the tenant's"
	if at := h.TenantColumn(r.Table.TableName); at != "" {
		p.Fix = "write the key of whoever they belong to into " + at + " of these rows"
	} else {
		p.Fix = mine + "; or columns: {" + short + `: ""} if it means something else`
	}
	return p
}
