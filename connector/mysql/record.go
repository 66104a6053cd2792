package mysql

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// rowRecords are resources that are one row in a table of the platform's.
type rowRecords struct {
	*Driver
	typ string
}

func (k rowRecords) check(r connector.Ref) error {
	t := relational.RecordTable(r, k.home)
	if t.Schema == "" {
		return tenure.Errorf(tenure.Invalid, "%s %q names no database, and neither does the option dsn", r.Type, r.Name).WithHint("give the attribute schema")
	}
	if err := checkDatabase("the schema of "+r.Type, t.Schema); err != nil {
		return err
	}
	if k.keptDatabase(t.Schema) {
		return tenure.Errorf(tenure.Invalid, "%s %q: the database %q is Tenure's own", r.Type, r.Name, t.Schema)
	}
	return nil
}

func (k rowRecords) Normalise(d connector.Desired) (json.RawMessage, error) {
	raw, err := k.records.Normalise(d)
	if err != nil {
		return nil, err
	}
	return raw, k.check(d.Ref)
}

// change runs one call of package relational in a transaction.
func (k rowRecords) change(ctx context.Context, f func(s *session) (connector.Receipt, error)) (rec connector.Receipt, err error) {
	err = k.atomic(ctx, func(s *session) (err error) {
		rec, err = f(s)
		return err
	})
	return rec, err
}

func (k rowRecords) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		err := s.atomic(ctx, func() (err error) {
			rec, err = k.records.Ensure(ctx, s, d)
			return err
		})
		if err != nil {
			return err
		}
		_, err = k.records.Observe(ctx, s, []connector.Ref{d.Ref}, func(seen connector.Observed) error {
			o = seen
			return nil
		})
		return err
	})
	return o, rec, err
}

func (k rowRecords) Observe(ctx context.Context, s *session, refs []connector.Ref, yield func(connector.Observed) error) (bool, error) {
	return k.records.Observe(ctx, s, refs, yield)
}

func (k rowRecords) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	return k.records.Discover(ctx, s, k.typ, sc.Tenant, yield)
}

func (k rowRecords) Delete(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return k.change(ctx, func(s *session) (connector.Receipt, error) { return k.records.Delete(ctx, s, r) })
}

func (k rowRecords) disable(ctx context.Context, r connector.Ref, to tenure.ResourceState) (connector.Receipt, error) {
	return k.change(ctx, func(s *session) (connector.Receipt, error) { return k.records.Disable(ctx, s, r, to) })
}

func (k rowRecords) resume(ctx context.Context, r connector.Ref) (connector.Receipt, error) {
	return k.change(ctx, func(s *session) (connector.Receipt, error) { return k.records.Resume(ctx, s, r) })
}

func (k rowRecords) Adopt(ctx context.Context, r connector.Ref, as tenure.ResourceState) (connector.Receipt, error) {
	return k.change(ctx, func(s *session) (connector.Receipt, error) { return k.records.Adopt(ctx, s, r, as) })
}
