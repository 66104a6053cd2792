package postgres

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// rowRecords are resources that are one row in a platform's table.
type rowRecords struct {
	*Driver
	typ string
}

func (k rowRecords) Normalise(d connector.Desired) (json.RawMessage, error) {
	return k.records.Normalise(d)
}

func (k rowRecords) Ensure(ctx context.Context, d connector.Desired) (o connector.Observed, rec connector.Receipt, err error) {
	err = k.with(ctx, func(s *session) error {
		err := s.atomic(ctx, func(s *session) (err error) {
			if err := k.unlent(ctx, s, d.Ref); err != nil {
				return err
			}
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
	return k.records.Observe(ctx, s, refs, func(o connector.Observed) error { return stop(yield(o)) })
}

func (k rowRecords) Delete(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.atomic(ctx, func(s *session) (err error) {
		if err := k.unlent(ctx, s, r); err != nil {
			return err
		}
		rec, err = k.records.Delete(ctx, s, r)
		return err
	})
	return rec, err
}

func (k rowRecords) Discover(ctx context.Context, s *session, sc connector.Scope, yield func(connector.Observed) error) (bool, error) {
	return k.records.Discover(ctx, s, k.typ, sc.Tenant, func(o connector.Observed) error { return stop(yield(o)) })
}

func (k rowRecords) disable(ctx context.Context, r connector.Ref, to tenure.ResourceState) (rec connector.Receipt, err error) {
	err = k.atomic(ctx, func(s *session) (err error) {
		if err := k.unlent(ctx, s, r); err != nil {
			return err
		}
		rec, err = k.records.Disable(ctx, s, r, to)
		return err
	})
	return rec, err
}

func (k rowRecords) resume(ctx context.Context, r connector.Ref) (rec connector.Receipt, err error) {
	err = k.atomic(ctx, func(s *session) (err error) {
		if err := k.unlent(ctx, s, r); err != nil {
			return err
		}
		rec, err = k.records.Resume(ctx, s, r)
		return err
	})
	return rec, err
}

// unlent is Blocked if a change to the record's table would run a tenant's code.
func (k rowRecords) unlent(ctx context.Context, s *session, r connector.Ref) error {
	return lurking(ctx, s, []relational.TableName{relational.RecordTable(r, "public")})
}
