package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// prove tries the erasure on an empty copy of the tables, unless the same was tried on
// another tenant's a short while ago: tenants of one blueprint have the same tables.
func (d *Driver) prove(ctx context.Context, s *session, of holdingOf, seen *relational.Holding) (places []connector.Place, partial string, err error) {
	trial, again := trialOf(seen)
	if again {
		if again, err = repeatable(ctx, s); err != nil {
			return nil, "", err
		}
	}
	if again && d.proven.has(trial, d.clock()) {
		return nil, "", nil
	}
	places, partial, err = prove(ctx, s, of)
	if again && err == nil && partial == "" && len(places) == 0 {
		d.proven.add(trial, d.clock())
	}
	return places, partial, err
}

// prove runs the statements of the erasure on an empty copy of the tables, in a
// scratch schema of a transaction that is rolled back. The copies of a tenant's
// own tables have no expressions, so that nothing that the tenant wrote runs.
func prove(ctx context.Context, s *session, of holdingOf) (places []connector.Place, partial string, err error) {
	if err := s.simple(ctx, "begin; set local lock_timeout = '3s'", nil); err != nil {
		return nil, "", err
	}
	defer func() {
		if rollback := s.simple(context.WithoutCancel(ctx), "rollback", nil); rollback != nil {
			closeNow(s.conn)
		}
	}()
	held, err := of(ctx, s)
	if err != nil {
		return nil, "", err
	}
	copies, ddl := scratch(held, scratchPrefix+"prove_"+strconv.FormatUint(uint64(s.conn.PgConn().PID()), 10))
	if len(held.Tables) > crowdOf && held.Own(held.Tables[0].Table.TableName) {
		return nil, "the erasure wasn't tried on an empty copy: " + strconv.Itoa(len(held.Tables)) + " tables take more locks than one transaction may have; they are dropped " + strconv.Itoa(pieceful) + " at a time", nil
	}
	if err := s.simple(ctx, strings.Join(ddl, ";\n"), nil); err != nil {
		says := "the erasure couldn't be tried on an empty copy: " + coded(err).Error()
		switch {
		case state(err) == "55P03": // a lock is held, for now
			return nil, says, nil
		case passing(err):
			return nil, "", err
		}
		return []connector.Place{{Name: "order", Kind: connector.PlaceOrder, Blocks: true, Says: says,
			Fix: "let Tenure's role make a schema in this database, or switch off the event trigger that refuses it while this is counted"}}, "", nil
	}
	held = held.On(dialect{copies: copies})
	for _, class := range held.ClassNames() {
		e, err := held.Erasure(class)
		if err != nil {
			continue // it is a place already
		}
		if err := e.Rehearse(ctx, s); passing(err) {
			return nil, "", err
		} else if err != nil {
			return append(places, connector.Place{Name: class, Kind: connector.PlaceOrder, Class: class, Blocks: true,
				Says: "tried on an empty copy, the erasure of class " + class + " fails: " + coded(err).Error(), Fix: "change the constraint or the table that the server names; or put the tables between which it stands into one data class: tables: {TABLE: " + class + "}"}), "", nil
		}
	}
	return places, "", nil
}

// passing says that an error of a trial is the server's state, such as a lost
// connection, and says nothing about the erasure.
func passing(err error) bool {
	return tenure.CodeOf(coded(err)) == tenure.Unavailable
}

// scratch are statements that make empty copies of the tables of a holding, and of
// those that refer to them, with their keys.
func scratch(h *relational.Holding, schema string) (map[relational.TableName]relational.TableName, []string) {
	copies := map[relational.TableName]relational.TableName{}
	ddl := []string{"create schema " + quote(schema)}
	add := func(n relational.TableName) {
		if _, ok := copies[n]; ok {
			return
		}
		copies[n] = relational.TableName{Schema: schema, Name: "t" + strconv.Itoa(len(copies))}
		with := " including constraints including generated"
		if h.Own(n) {
			with = ""
		}
		ddl = append(ddl, "create table "+quote(schema, copies[n].Name)+" (like "+quote(n.Schema, n.Name)+with+")")
	}
	for _, t := range h.Tables {
		add(t.Table.TableName)
	}
	var keys []relational.ForeignKey
	for _, k := range h.Graph.Keys() {
		if _, ok := h.Table(k.Parent); ok {
			add(k.Child)
			keys = append(keys, k)
		}
	}
	unique := map[string]bool{}
	for _, k := range keys {
		parent := quote(schema, copies[k.Parent].Name)
		if on := parent + relational.QuoteList(k.Parents); !unique[on] {
			unique[on] = true
			ddl = append(ddl, "alter table "+parent+" add unique ("+relational.QuoteList(k.Parents)+")")
		}
	}
	for _, k := range keys {
		sets, late := "", ""
		if len(k.Sets) > 0 {
			sets = " (" + relational.QuoteList(k.Sets) + ")"
		}
		if k.Full {
			late = " match full"
		}
		late += " on delete " + string(k.OnDelete) + sets
		if k.Deferrable {
			late += " deferrable"
		}
		ddl = append(ddl, "alter table "+quote(schema, copies[k.Child].Name)+" add foreign key ("+relational.QuoteList(k.Columns)+") references "+
			quote(schema, copies[k.Parent].Name)+" ("+relational.QuoteList(k.Parents)+")"+late)
	}
	return copies, ddl
}
