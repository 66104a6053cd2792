package sqlite

import (
	"context"
	"database/sql"
	"net/url"

	"github.com/tenurehq/tenure/connector/relational"
)

// handle opens a database file that exists; mode is ro, rw or rwc. What is
// deleted is overwritten with zeroes (secure_delete).
func handle(path, mode string) (*sql.DB, error) {
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)", "foreign_keys(1)", "secure_delete(1)", "trusted_schema(0)"}, "_txlock": {"immediate"}}
	if mode == "ro" {
		q["_txlock"] = []string{"deferred"}
		q["_pragma"] = []string{"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)"}
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode(), OmitHost: true}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, coded(err)
	}
	db.SetMaxOpenConns(4)
	if mode != "ro" {
		db.SetMaxOpenConns(1)
	}
	return db, nil
}

// within runs f in one transaction on a file that is opened for it alone.
func within(ctx context.Context, path, mode string, f func(q querier) error) error {
	db, err := handle(path, mode)
	if err != nil {
		return err
	}
	defer db.Close()
	return atomic(ctx, db, f)
}

// atomic runs f in a transaction that commits if f ends well.
func atomic(ctx context.Context, db *sql.DB, f func(q querier) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(querier{tx}); err != nil {
		return err
	}
	return tx.Commit()
}

// querier is a transaction as a relational.Querier.
type querier struct{ tx *sql.Tx }

// Query is described at relational.Querier.
func (q querier) Query(ctx context.Context, text string, args ...any) (relational.Rows, error) {
	r, err := q.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	return rows{r}, nil
}

// Exec is described at relational.Querier.
func (q querier) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	res, err := q.tx.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

type rows struct{ *sql.Rows }

// Close ends the result; an error shows in Err.
func (r rows) Close() { _ = r.Rows.Close() }

type queryer interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// textsOf reads a result of one text column.
func textsOf(ctx context.Context, q queryer, text string, args ...any) ([]string, error) {
	r, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []string
	for r.Next() {
		var s sql.NullString
		if err := r.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s.String)
	}
	return out, r.Err()
}
