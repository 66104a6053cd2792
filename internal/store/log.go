package store

import (
	"context"
	"iter"
	"math"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// LogSize is the number of entries that the head says the log has.
func (db *DB) LogSize(ctx context.Context) (size int64, err error) {
	return size, db.reader(ctx).Row(`select size from audit_head where id = 1`, nil, &size)
}

// HashReader reads the stored hashes of the log's tree.
func (db *DB) HashReader(ctx context.Context) tlog.HashReader {
	return hashReader{db.reader(ctx)}
}

// hashReader is a tlog.HashReader of the stored hashes.
type hashReader struct{ querier }

// ReadHashes reads the hashes at indexes.
func (h hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for n, i := range indexes {
		var first int64
		var data []byte
		if err := h.Row(`select first, data from audit_node where first <= $1 order by first desc limit 1`, []any{i}, &first, &data); err != nil {
			return nil, tenure.Errorf(tenure.Internal, "stored hash %d: %w", i, err)
		}
		at := (i - first) * tlog.HashSize
		if at < 0 || at+tlog.HashSize > int64(len(data)) {
			return nil, tenure.Errorf(tenure.Internal, "stored hash %d is missing", i)
		}
		copy(out[n][:], data[at:])
	}
	return out, nil
}

// Root is the log's size and root.
func (db *DB) Root(ctx context.Context) (size int64, root tlog.Hash, err error) {
	if size, err = db.LogSize(ctx); err != nil {
		return 0, root, err
	}
	tree, err := audit.NewTree(size, db.HashReader(ctx))
	if err != nil {
		return 0, root, err
	}
	return size, tree.Root(), nil
}

// Sealed says whether the log was left by the program as it stands: who has the store and no
// key can't write it on, or anew.
func (db *DB) Sealed(ctx context.Context) (bool, error) {
	var size int64
	var seal string
	if err := db.reader(ctx).Row(`select size, seal from audit_head where id = 1`, nil, &size, &seal); err != nil || db.key == nil {
		return err == nil, err
	}
	tree, err := audit.NewTree(size, db.HashReader(ctx))
	if err != nil {
		return false, err
	}
	return newDigester(db.key).sealed(size, tree.Root(), seal), nil
}

// Entries streams the stored entries from an index on, a page at a time: whoever takes
// them may ask the store between two.
func (db *DB) Entries(ctx context.Context, from int64) iter.Seq2[audit.Record, error] {
	return paged(func() (page []audit.Record, err error) {
		err = db.reader(ctx).Rows(`select idx, body from audit_entry where idx >= $1 order by idx limit $2`, []any{from, logPage}, func(r scanner) error {
			var rec audit.Record
			err := r.Scan(&rec.Index, &rec.Entry)
			page, from = append(page, rec), rec.Index+1
			return err
		})
		return page, err
	})
}

// paged yields what next gives until a page isn't full.
func paged[T any](next func() ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			page, err := next()
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, v := range page {
				if !yield(v, nil) {
					return
				}
			}
			if len(page) < logPage {
				return
			}
		}
	}
}

// EntrySpan reads the stored entries from one index up to another, which isn't read.
func (db *DB) EntrySpan(ctx context.Context, from, to int64) (out []audit.Record, err error) {
	err = db.reader(ctx).Rows(`select idx, body from audit_entry where idx >= $1 and idx < $2 order by idx`, []any{from, to}, func(r scanner) error {
		var rec audit.Record
		err := r.Scan(&rec.Index, &rec.Entry)
		out = append(out, rec)
		return err
	})
	return out, err
}

// Nodes streams the rows of stored hashes, a page at a time.
func (db *DB) Nodes(ctx context.Context) iter.Seq2[audit.NodeRow, error] {
	from := int64(math.MinInt64)
	return paged(func() (page []audit.NodeRow, err error) {
		err = db.reader(ctx).Rows(`select first, data from audit_node where first >= $1 order by first limit $2`, []any{from, logPage}, func(r scanner) error {
			var row audit.NodeRow
			err := r.Scan(&row.First, &row.Hashes)
			page, from = append(page, row), row.First+1
			return err
		})
		return page, err
	})
}

// SaveCheckpoint keeps a signed checkpoint.
func (db *DB) SaveCheckpoint(ctx context.Context, size int64, note []byte, at time.Time) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`insert into checkpoint (size, note, at) values ($1, $2, $3) on conflict (size) do nothing`, size, string(note), micros(at))
		return err
	})
}

// LastCheckpoint is the latest signed checkpoint; nil if there is none.
func (db *DB) LastCheckpoint(ctx context.Context) ([]byte, error) {
	var note string
	err := db.reader(ctx).Row(`select note from checkpoint order by size desc limit 1`, nil, &note)
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil, nil
	}
	return []byte(note), err
}

// Meta returns a fact about the installation; blank if it isn't set.
func (db *DB) Meta(ctx context.Context, key string) (string, error) {
	var v string
	err := db.reader(ctx).Row(`select value from meta where key = $1`, []any{key}, &v)
	if tenure.CodeOf(err) == tenure.NotFound {
		return "", nil
	}
	return v, err
}

// SetMeta records a fact about the installation once; a later value is refused
// by keeping the first.
func (db *DB) SetMeta(ctx context.Context, key, value string) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`insert into meta (key, value) values ($1, $2) on conflict (key) do nothing`, key, value)
		return err
	})
}

// Checkpoints streams the kept checkpoints by ascending size.
func (db *DB) Checkpoints(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		notes, err := oneColumn[string](db.reader(ctx), `select note from checkpoint order by size`)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, n := range notes {
			if !yield([]byte(n), nil) {
				return
			}
		}
	}
}

// States streams where everything stands that the log tells of: tenants,
// operations, steps ("operation/seq", "state verdict") and resources.
func (db *DB) States(ctx context.Context, yield func(kind, id, state string) error) error {
	for _, q := range []string{
		`select 'tenant', id, state from tenant order by id`,
		`select 'operation', id, state from operation order by id`,
		`select 'step', operation || '/' || cast(seq as text), state || ' ' || verdict from step order by operation, seq`,
		`select 'resource', id, state from resource order by id`,
	} {
		err := db.longReader(ctx).Rows(q, nil, func(r scanner) error {
			var kind, id, state string
			if err := r.Scan(&kind, &id, &state); err != nil {
				return err
			}
			return yield(kind, id, state)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
