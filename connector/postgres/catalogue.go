package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Cataloguer = (*Driver)(nil)
	_ connector.Sampler    = (*Driver)(nil)
)

// commons are what is in the database save tenants' own stores.
type commons struct {
	graph *relational.Graph
	*catalog
	says []string
}

func (d *Driver) commons(ctx context.Context, s *session) (p commons, err error) {
	if p.catalog, err = d.readCatalog(ctx, s, connector.Ref{}); err != nil {
		return p, err
	}
	var seeds []oid
	other := map[string]int{}
	for _, r := range p.relations {
		_, store := p.strangers[r.name.Schema]
		switch {
		case store:
		case r.kind == 'r' || r.kind == 'p':
			seeds = append(seeds, r.oid)
		case r.kind == 'm':
			other["materialized view"]++
		case r.kind == 'f':
			other["foreign table"]++
		}
	}
	for _, kind := range []string{"materialized view", "foreign table"} {
		if n := int64(other[kind]); n > 0 {
			p.says = append(p.says, relational.Plural(n, kind)+" "+relational.Verb(n, "isn't", "aren't")+" listed")
		}
	}
	if n := int64(len(p.strangers)); n > 0 {
		p.says = append(p.says, relational.Plural(n, "schema")+" of tenants' own "+relational.Verb(n, "isn't", "aren't")+" listed")
	}
	p.graph, err = graph(ctx, s, nil, "select unnest("+array(seeds)+"::oid[])", "select null::oid where false")
	return p, err
}

// closed says why a table's rows aren't read.
func (p commons) closed(t relational.Table) string {
	switch _, store := p.strangers[t.Schema]; {
	case store:
		return "it is in a tenant's own schema, whose code could run"
	case t.Alien:
		return "it belongs to a tenant's role, whose code could run"
	case t.Hidden:
		return "rights or row security hide its rows from Tenure's role"
	}
	return ""
}

// Catalogue is described at connector.Cataloguer: every schema of the database, save
// those of tenants' own.
func (d *Driver) Catalogue(ctx context.Context) (c connector.Catalogue, err error) {
	_, err = d.look(ctx, func(s *session) (bool, error) {
		p, err := d.commons(ctx, s)
		if err == nil {
			c = p.graph.Catalogue(p.closed)
			c.Says = p.says
		}
		return err == nil, err
	})
	return c, coded(err)
}

// basesSQL reads what columns' types are made of: the server's own by their names,
// citext where it is the extension's, and "" for what people made.
const basesSQL = `with recursive domain (oid, base) as (
 select oid, typbasetype from pg_type where typtype = 'd' union select d.oid, t.typbasetype from domain d join pg_type t on t.oid = d.base where t.typtype = 'd')
select a.attrelid::text, a.attname, case when b.typtype = 'e' then 'enum' when b.typcategory = 'A' and e.typnamespace = 'pg_catalog'::regnamespace then e.typname || '[]' when b.typnamespace = 'pg_catalog'::regnamespace then b.typname
 when b.typname = 'citext' and exists (select 1 from pg_depend p join pg_extension x on x.oid = p.refobjid where p.classid = 'pg_type'::regclass and p.objid = b.oid and p.deptype = 'e' and x.extname = 'citext') then 'citext' else '' end
 from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
 left join domain d on d.oid = a.atttypid and not exists (select 1 from pg_type t where t.oid = d.base and t.typtype = 'd')
 join pg_type b on b.oid = coalesce(d.base, a.atttypid) left join pg_type e on e.oid = b.typelem
 where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and ` + notOurs

// Sample is described at connector.Sampler. Values are read by the server's own output
// functions, past no row security.
func (d *Driver) Sample(ctx context.Context, ask connector.Sampling, yield func(connector.ColumnSample) error) (partial string, err error) {
	_, err = d.look(ctx, func(s *session) (bool, error) {
		p, err := d.commons(ctx, s)
		if err != nil {
			return false, err
		}
		bases := map[column]string{}
		err = s.simple(ctx, basesSQL, func(_ int, v [][]byte) error {
			if r := p.byOID[oidOf(v[0])]; r != nil {
				bases[column{r.name, string(v[1])}] = string(v[2])
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		partial, err = p.graph.Sample(ctx, relational.Reader{
			Name: dialect{}.Name,
			Text: func(t relational.Table, c relational.Column) (string, bool, string) {
				return textOf(c, bases[column{t.TableName, c.Name}])
			},
			Run: func(ctx context.Context, within time.Duration, query string, columns int, row func([]*string)) (bool, error) {
				done, err := s.tried(ctx, within, query, func(v [][]byte) error {
					values := make([]*string, columns)
					for i := range values {
						if text := string(v[i]); v[i] != nil {
							values[i] = &text
						}
					}
					row(values)
					return nil
				})
				if state(err) == "55P03" { // somebody has locked the table
					return false, s.simple(ctx, "rollback to savepoint tried; release savepoint tried", nil)
				}
				return done, err
			},
		}, p.closed, ask, yield)
		return err == nil, err
	})
	return partial, coded(err)
}

func textOf(c relational.Column, base string) (expr string, isJSON bool, says string) {
	isJSON = strings.HasPrefix(base, "json")
	switch base {
	case "":
		return "", false, "its type was made by people, whose code could run"
	case "bytea":
		return "", false, "bytes aren't read"
	case "enum", "enum[]":
		return "", false, "its values are words of the schema"
	}
	length := 4000
	if isJSON {
		length = 20000
	}
	return fmt.Sprintf("left(%s::text, %d)", quote("t", c.Name), length), isJSON, ""
}
