package mysql

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Cataloguer = (*Driver)(nil)
	_ connector.Sampler    = (*Driver)(nil)
)

// platform runs f with what is in the platform's databases, save those of tenants' own.
func (d *Driver) platform(ctx context.Context, f func(s *session, c catalog, closed func(relational.Table) string) error) error {
	_, err := d.look(ctx, func(s *session) (bool, error) {
		c, err := d.shared(ctx, s)
		if err != nil {
			return false, err
		}
		others, err := d.others(ctx, s, "")
		if err != nil {
			return false, err
		}
		return true, f(s, c, func(t relational.Table) string {
			if others != nil && others(t.TableName) {
				return "it is in a tenant's own database"
			}
			return ""
		})
	})
	return coded(err)
}

// Catalogue is described at connector.Cataloguer: the databases in the system's scope,
// save those of tenants' own.
func (d *Driver) Catalogue(ctx context.Context) (out connector.Catalogue, err error) {
	err = d.platform(ctx, func(s *session, c catalog, closed func(relational.Table) string) error {
		out = c.graph.Catalogue(closed)
		own, err := d.notes(ctx, s, "database")
		if n := int64(len(own)); n > 0 {
			out.Says = append(out.Says, relational.Plural(n, "database")+" of tenants' own "+relational.Verb(n, "isn't", "aren't")+" listed")
		}
		return err
	})
	return out, err
}

// Sample is described at connector.Sampler.
func (d *Driver) Sample(ctx context.Context, ask connector.Sampling, yield func(connector.ColumnSample) error) (partial string, err error) {
	err = d.platform(ctx, func(s *session, c catalog, closed func(relational.Table) string) (err error) {
		partial, err = c.graph.Sample(ctx, relational.Reader{Name: d.dialect.Name, Text: textOf, Run: s.texts}, closed, ask, yield)
		return err
	})
	return partial, err
}

func textOf(_ relational.Table, c relational.Column) (expr string, isJSON bool, says string) {
	value := relational.Quote("t", c.Name)
	switch sortOf(c.Type) {
	case binary, bits, shaped:
		return "", false, "bytes aren't read"
	case textual:
		kind, _, _ := strings.Cut(c.Type, " ")
		if kind == "enum" || kind == "set" {
			return "", false, "its values are words of the schema"
		}
		length := 4000
		if kind == "json" {
			length = 20000
		}
		return "left(convert(" + value + " using utf8mb4), " + strconv.Itoa(length) + ")", kind == "json", ""
	}
	return "cast(" + value + " as char character set utf8mb4)", false, ""
}

// texts runs a query of texts for at most the given time.
func (s *session) texts(ctx context.Context, within time.Duration, query string, columns int, row func([]*string)) (done bool, err error) {
	values := make([]*string, columns)
	dest := make([]any, columns)
	for i := range values {
		dest[i] = &values[i]
	}
	err = each(ctx, s, "set statement max_statement_time = "+strconv.FormatFloat(max(within.Seconds(), 0.01), 'f', 3, 64)+" for "+query, func() error { row(values); return nil }, dest...)
	if isNumber(err, 1969, 1205, 1142, 1143, 1356) && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}
