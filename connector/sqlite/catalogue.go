package sqlite

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

var (
	_ connector.Cataloguer = (*Driver)(nil)
	_ connector.Sampler    = (*Driver)(nil)
)

// platform runs f with what is in the platform's own file.
func (d *Driver) platform(ctx context.Context, f func(s *session, c catalog) error) error {
	if d.shared == "" {
		return tenure.Errorf(tenure.Invalid, "the system has no file that tenants share").WithHint("give the option shared")
	}
	_, err := d.look(ctx, func(s *session) (bool, error) {
		c, err := readCatalog(ctx, s)
		if err != nil {
			return false, err
		}
		return true, f(s, c)
	})
	return coded(err)
}

func unclosed(relational.Table) string { return "" }

// Catalogue is described at connector.Cataloguer: the tables of the platform's file.
func (d *Driver) Catalogue(ctx context.Context) (out connector.Catalogue, err error) {
	err = d.platform(ctx, func(_ *session, c catalog) error {
		out = c.graph.Catalogue(unclosed)
		for _, v := range c.virtuals {
			if !c.has(v.name) {
				out.Says = append(out.Says, "virtual table "+v.name+" isn't listed")
			}
		}
		return nil
	})
	return out, err
}

// Sample is described at connector.Sampler.
func (d *Driver) Sample(ctx context.Context, ask connector.Sampling, yield func(connector.ColumnSample) error) (partial string, err error) {
	err = d.platform(ctx, func(s *session, c catalog) (err error) {
		partial, err = c.graph.Sample(ctx, relational.Reader{Name: dialect{}.Name, Text: textOf, Run: s.texts}, unclosed, ask, yield)
		return err
	})
	return partial, err
}

func textOf(_ relational.Table, c relational.Column) (expr string, isJSON bool, says string) {
	if c.Computed {
		return "", false, "it is worked out from other columns"
	}
	value := relational.Quote("t", c.Name)
	return "case typeof(" + value + ") when 'blob' then null else substr(cast(" + value + " as text), 1, 20000) end", strings.HasPrefix(strings.ToLower(c.Type), "json"), ""
}

// texts runs a query of texts for at most the given time.
func (s *session) texts(ctx context.Context, within time.Duration, query string, columns int, row func([]*string)) (done bool, err error) {
	short, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	values := make([]*string, columns)
	dest := make([]any, columns)
	for i := range values {
		dest[i] = &values[i]
	}
	err = s.each(short, query, func() error { row(values); return nil }, dest...)
	if err != nil && ctx.Err() == nil && (short.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		return false, nil
	}
	return err == nil, err
}
