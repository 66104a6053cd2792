package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// request is one write that waits for the committer: either a function over the
// transaction, or a step commit, which the committer can join with others.
type request struct {
	ctx  context.Context
	f    func(*Tx) error
	step *StepCommit
	done chan error
}

// writer is the process's one committer. It owns one connection, the statements
// prepared on it and the tree's right edge.
type writer struct {
	db      *DB
	sql     *sql.DB
	conn    *sql.Conn
	stmts   map[string]*statement
	hot     map[string]driver.StmtExecContext // see rows
	args    []driver.NamedValue               // of the statement under way, used again
	tree    *audit.Tree
	foreign bool // the log that the tree is of wasn't left so by the program: it is never sealed again
	digest  *digester
	rows    []byte                        // the rows' entry that is written, used again
	salts   map[string]string             // see saltBy
	last    map[tenure.OperationID]string // on SQLite: which engine committed an operation's steps last
	max     int

	unclean atomic.Bool // what was forgotten may still stand in the write-ahead log
	refused time.Time   // when a reader last kept it from being emptied

	in    chan *request
	once  sync.Once
	ended chan struct{}
	shut  chan struct{}
}

func newWriter(ctx context.Context, db *DB, pool *sql.DB, maxBatch int) (*writer, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "store: %w", redactDSN(err)).Retryable()
	}
	if maxBatch <= 0 {
		maxBatch = 512
	}
	w := &writer{
		db: db, sql: pool, conn: conn, stmts: make(map[string]*statement), digest: newDigester(nil), hot: make(map[string]driver.StmtExecContext), last: make(map[tenure.OperationID]string), max: maxBatch,
		in: make(chan *request, maxBatch), ended: make(chan struct{}), shut: make(chan struct{}),
	}
	go w.loop()
	return w, nil
}

// Write runs f in a transaction that it may share with other writes, and returns
// after the commit. f may run more than once and must not keep what it read from
// an earlier run; an error from it undoes only its own changes.
func (db *DB) Write(ctx context.Context, f func(*Tx) error) error {
	return db.submit(&request{ctx: ctx, f: f})
}

// CommitSteps commits what an operation's steps did. See StepCommit.
func (db *DB) CommitSteps(ctx context.Context, c *StepCommit) error {
	return db.submit(&request{ctx: ctx, step: c})
}

func (db *DB) submit(r *request) error {
	if db.write == nil {
		return tenure.Errorf(tenure.Conflict, "the store is open for reading only").WithHint("writes go through the running server's socket")
	}
	if o := db.Outage(); o != nil {
		return refusal(o)
	}
	r.done = make(chan error, 1)
	select {
	case <-db.write.shut:
		return tenure.Errorf(tenure.Unavailable, "the store is closed")
	case <-r.ctx.Done():
		return tenure.Errorf(tenure.Unavailable, "store: %w", r.ctx.Err()).Retryable()
	case db.write.in <- r:
	}
	select {
	case err := <-r.done:
		return err
	case <-db.write.ended:
		select {
		case err := <-r.done:
			return err
		default:
			return tenure.Errorf(tenure.Unavailable, "the store is closed")
		}
	}
}

func (w *writer) close() error {
	w.once.Do(func() { close(w.shut) })
	<-w.ended
	for _, s := range w.stmts {
		_ = s.Close()
	}
	_ = w.conn.Raw(func(any) error {
		for _, s := range w.hot {
			_ = s.(driver.Stmt).Close()
		}
		return nil
	})
	_ = w.conn.Close()
	return w.sql.Close()
}

// loop takes what waits, lets others join, and commits.
func (w *writer) loop() {
	defer close(w.ended)
	batch := make([]*request, 0, w.max)
	for {
		batch = batch[:0]
		var again <-chan time.Time
		if o := w.db.Outage(); o != nil {
			again = time.After(o.Next)
		}
		select {
		case r := <-w.in:
			batch = append(batch, r)
		case <-again:
			w.trial()
			continue
		case <-w.shut:
			select {
			case r := <-w.in:
				batch = append(batch, r)
			default:
				return
			}
		}
		batch = w.gather(batch)
		w.run(batch)
	}
}

// gather lets others join the batch: it yields for as long as that brings more.
// No timer is involved, so a lone write is committed at once.
func (w *writer) gather(batch []*request) []*request {
	for before := 0; len(batch) > before && len(batch) < w.max; {
		before = len(batch)
		runtime.Gosched()
	drain:
		for len(batch) < w.max {
			select {
			case r := <-w.in:
				batch = append(batch, r)
			default:
				break drain
			}
		}
	}
	return batch
}

// run commits a batch as one transaction. If any part of it fails, the batch is
// undone and each request gets a transaction of its own, so that one's error
// isn't another's. While the store can't be written nothing is tried.
func (w *writer) run(batch []*request) {
	if o := w.db.Outage(); o != nil {
		answer(batch, refusal(o))
		return
	}
	if len(batch) == 1 {
		batch[0].done <- w.attempt(batch)
		return
	}
	err := w.attempt(batch)
	if err == nil || OutageOf(err) != nil {
		answer(batch, err)
		return
	}
	for i, r := range batch {
		err := w.attempt([]*request{r})
		r.done <- err
		if OutageOf(err) != nil {
			answer(batch[i+1:], err)
			return
		}
	}
}

func answer(batch []*request, err error) {
	for _, r := range batch {
		r.done <- err
	}
}

// attempt is one transaction: steps joined, then functions, then the tree's head
// last.
func (w *writer) attempt(batch []*request) (err error) {
	if told := w.db.commits.Load(); told != nil {
		began := time.Now()
		defer func() { (*told)(Commit{Size: len(batch), Took: time.Since(began), Err: err}) }()
	}
	// A write under way isn't cut off by its caller's context: the answer to
	// "was it committed" would be lost.
	ctx := context.Background()
	if len(batch) == 1 && batch[0].ctx.Err() != nil {
		return tenure.Errorf(tenure.Unavailable, "store: %w", batch[0].ctx.Err()).Retryable()
	}
	if err := w.begin(ctx); err != nil {
		return w.db.outages.failed(err)
	}
	tx := &Tx{w: w, ctx: ctx}
	defer func() {
		if err != nil {
			there := w.rollback(ctx)
			w.tree, w.salts = nil, nil // read anew from the store: a failed commit may have happened
			clear(w.last)
			if !there || unwritable(err) {
				err = w.db.outages.failed(err)
			}
		}
	}()
	steps := make([]*StepCommit, 0, len(batch))
	seen := make(map[tenure.OperationID]bool, len(batch))
	for _, r := range batch {
		if r.step == nil {
			continue
		}
		if seen[r.step.Operation] {
			return errTwice
		}
		seen[r.step.Operation] = true
		steps = append(steps, r.step)
	}
	if len(steps) > 0 {
		if err := tx.commitSteps(steps); err != nil {
			return err
		}
	}
	for _, r := range batch {
		if r.f != nil {
			if err := r.f(tx); err != nil {
				return err
			}
		}
	}
	if err := tx.flushCounts(); err != nil {
		return err
	}
	if err := tx.flushFacts(); err != nil {
		return err
	}
	next, err := tx.appendLog()
	if err != nil {
		return err
	}
	if _, err := w.conn.ExecContext(ctx, "commit"); err != nil {
		return storeError("commit", err)
	}
	if next != nil {
		w.tree = next
	}
	if tx.emptyLog && w.db.Dialect == SQLite {
		w.unclean.Store(true)
	}
	if w.unclean.Load() {
		w.emptyLog(ctx)
	}
	w.db.wakes.send(tx.wake)
	return nil
}

// emptyLog takes what was overwritten out of the write-ahead log, too. A reader who is
// at it isn't waited for: Clean tries again.
func (w *writer) emptyLog(ctx context.Context) {
	if time.Since(w.refused) < emptyEvery {
		return
	}
	var busy, pages, moved int
	_, _ = w.conn.ExecContext(ctx, "pragma busy_timeout(0)")
	err := w.conn.QueryRowContext(ctx, "pragma wal_checkpoint(truncate)").Scan(&busy, &pages, &moved)
	_, _ = w.conn.ExecContext(ctx, "pragma busy_timeout(10000)")
	if err != nil || busy != 0 {
		w.refused = time.Now()
		return
	}
	w.unclean.Store(false)
}

// emptyEvery is how often emptying the write-ahead log is tried against readers.
const emptyEvery = time.Second

// Clean empties the write-ahead log of what was forgotten, if a reader kept that from
// being done at once.
func (db *DB) Clean(ctx context.Context) error {
	if db.write == nil || !db.write.unclean.Load() {
		return nil
	}
	return db.Write(ctx, func(*Tx) error { return nil })
}

// errTwice sends a batch that holds one operation twice to single transactions.
var errTwice = errors.New("an operation stands in the batch twice")

// begin begins a transaction, on another connection if the one that there is can't.
func (w *writer) begin(ctx context.Context) error {
	begin := "begin immediate"
	if w.db.Dialect == Postgres {
		begin = "begin"
	}
	if _, err := w.conn.ExecContext(ctx, begin); err == nil {
		return nil
	}
	if err := w.reconnect(ctx); err != nil {
		return storeError("connect", err)
	}
	_, err := w.conn.ExecContext(ctx, begin)
	return storeError("begin", err)
}

// rollback ends a transaction that failed, and says whether the store is there.
func (w *writer) rollback(ctx context.Context) (there bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	if _, err := w.conn.ExecContext(ctx, "rollback"); err != nil {
		return w.reconnect(ctx) == nil
	}
	return true
}

// reconnect replaces a broken connection.
func (w *writer) reconnect(ctx context.Context) error {
	if w.db.Dialect == SQLite {
		_, _ = w.conn.ExecContext(ctx, "rollback")
		return nil
	}
	for _, s := range w.stmts {
		_ = s.Close()
	}
	clear(w.stmts)
	_ = w.conn.Close()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := w.sql.Conn(ctx)
	if err != nil {
		return redactDSN(err)
	}
	w.conn = conn
	return nil
}

// appendLog takes the tree's head, which every process takes last, and writes
// the entries and the nodes that they complete.
func (tx *Tx) appendLog() (*audit.Tree, error) {
	if len(tx.leaves) == 0 {
		return nil, nil
	}
	w := tx.w
	if w.tree == nil {
		if err := tx.readTree(); err != nil {
			return nil, err
		}
	}
	batch, next, n, err := tx.takeHead()
	if err == nil && n == 0 { // another process has appended since
		if err = tx.readTree(); err == nil {
			batch, next, n, err = tx.takeHead()
		}
	}
	if err != nil || n != 1 {
		return nil, storeError("take the log's head", err)
	}
	if w.db.Dialect == Postgres {
		return next, beyond(tx.sendEntries(&batch))
	}
	if err := tx.insertEntries(batch.OldSize); err != nil {
		return nil, beyond(err)
	}
	if _, err := tx.Exec(`insert into audit_node (first, data) values ($1, $2)`, batch.First, batch.Hashes); err != nil {
		return nil, beyond(err)
	}
	return next, nil
}

// beyond says of an entry that can't be appended because its place is taken that somebody else wrote there.
func beyond(err error) error {
	if tenure.CodeOf(err) != tenure.Conflict {
		return err
	}
	return tenure.Errorf(tenure.Blocked, "nothing can be written: rows stand in the store beyond the log's head: %w", err).
		WithHint("see tenure audit verify; take these rows away, or restore the store")
}

// takeHead moves the head over the transaction's entries, unless it isn't where the tree ends.
func (tx *Tx) takeHead() (batch audit.Batch, next *audit.Tree, n int64, err error) {
	w := tx.w
	batch, next = w.tree.Prepare(tx.leaves)
	seal := ""
	if w.db.key != nil && !w.foreign {
		seal = w.digest.head(batch.NewSize, batch.Root)
	}
	n, err = tx.Exec(`update audit_head set size = $1, seal = $2 where id = 1 and size = $3`, batch.NewSize, seal, batch.OldSize)
	return batch, next, n, err
}

// readTree locks the head, and reads where the tree ends. One that the program didn't leave so is
// written on, so that what mends the store can be done, and not sealed: nothing vouches for it.
func (tx *Tx) readTree() error {
	w := tx.w
	size, seal, err := tx.head()
	if err != nil {
		return err
	}
	if w.tree, err = audit.NewTree(size, hashReader{tx}); err != nil {
		return err
	}
	w.foreign = !tx.first && (w.db.key == nil || !w.digest.sealed(size, w.tree.Root(), seal))
	return nil
}

// head locks the head and reads it.
func (tx *Tx) head() (size int64, seal string, err error) {
	q := `select size, seal from audit_head where id = 1`
	if tx.w.db.Dialect == Postgres {
		q += ` for update`
	}
	return size, seal, tx.Row(q, nil, &size, &seal)
}

// sendEntries writes the entries and the nodes to PostgreSQL.
func (tx *Tx) sendEntries(b *audit.Batch) error {
	idx := make([]int64, len(tx.leaves))
	for i := range idx {
		idx[i] = b.OldSize + int64(i)
	}
	not := func() error { return tenure.Errorf(tenure.Internal, "store: the log took another number of rows") }
	return tx.send(pipeline{
		{`insert into audit_entry (idx, body) select * from unnest($1::bigint[], $2::bytea[])`, []any{idx, tx.leaves}, len(idx), not},
		{`insert into audit_node (first, data) values ($1, $2)`, []any{b.First, b.Hashes}, 1, not},
	})
}

func (tx *Tx) insertEntries(first int64) error {
	return tx.withRows(func(r *rows) error {
		rest := tx.leaves
		for _, n := range [...]int{32, 8, 1} {
			for ; len(rest) >= n; rest, first = rest[n:], first+int64(n) {
				args := make([]driver.Value, 0, 2*n)
				for i, leaf := range rest[:n] {
					args = append(args, first+int64(i), leaf)
				}
				if _, err := r.exec(insertEntry[n], args...); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// insertEntry holds the statements that insert so many entries at once.
var insertEntry = map[int]string{1: insertRows(1), 8: insertRows(8), 32: insertRows(32)}

func insertRows(n int) string {
	q := "insert into audit_entry (idx, body) values "
	for i := range n {
		if i > 0 {
			q += ", "
		}
		q += "(" + placeholder(2*i+1) + ", " + placeholder(2*i+2) + ")"
	}
	return q
}
