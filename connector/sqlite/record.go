package sqlite

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// rowRecords are resources that are one row in a table of the platform's.
type rowRecords struct {
	*Driver
	typ string
}

func (k rowRecords) Normalise(d connector.Desired) (json.RawMessage, error) {
	return k.records.Normalise(d)
}

func (k rowRecords) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	err = k.onShared(ctx, writing, func(s *session) error {
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

// change runs one call of package relational in a transaction.
func (k rowRecords) change(ctx context.Context, f func(s *session) (connector.Receipt, error)) (rec connector.Receipt, err error) {
	err = k.onShared(ctx, writing, func(s *session) error {
		return s.atomic(ctx, func() (err error) {
			rec, err = f(s)
			return err
		})
	})
	return rec, err
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
