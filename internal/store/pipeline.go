package store

import (
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/tenurehq/tenure"
)

// pipeline is what goes to PostgreSQL in one round trip.
type pipeline []counted

// counted is a statement that must change so many rows.
type counted struct {
	query string
	args  []any
	want  int
	not   func() error // what it is if it changed another number
}

// send runs the statements in order, within the transaction under way, and
// returns the first one's error. Nothing is committed by it: the counts are known
// before the commit is sent.
func (tx *Tx) send(p pipeline) error {
	if len(p) == 0 {
		return nil
	}
	return tx.w.conn.Raw(func(c any) error {
		conn, ok := c.(*stdlib.Conn)
		if !ok {
			return tenure.Errorf(tenure.Internal, "store: %T has no pipeline", c)
		}
		var b pgx.Batch
		for _, s := range p {
			b.Queue(s.query, s.args...)
		}
		answers := conn.Conn().SendBatch(tx.ctx, &b)
		for _, s := range p {
			tag, err := answers.Exec()
			if err == nil && tag.RowsAffected() == int64(s.want) {
				continue
			}
			_ = answers.Close()
			if err != nil {
				return storeError(s.query, err)
			}
			return s.not()
		}
		return storeError("pipeline", answers.Close())
	})
}
