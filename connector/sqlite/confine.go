package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
)

// A tenant writes its own file as it likes: triggers, generated columns, indexes on
// expressions, pages that SQLite never made. Whoever opens it runs that in its own
// process, so what it may take there is bounded (sqlite.org/security).
const (
	longestStatement = 4 << 20       // of a schema, and of Tenure's own
	leastMade        = 1 << 20       // how long a value may be that a tenant's code may run over: functions of two long
	longestMade      = 16 << 20      // ones have no end; in between twice as long as the file
	longestValue     = 1_000_000_000 // SQLite's own limit
)

// codeSQL finds what SQLite works out when rows change.
const codeSQL = `select name from sqlite_schema where type = 'trigger' or type = 'index' and sql like '%(%(%' or sql like '%check%' or sql like '% as %(%' limit 1`

// confine bounds what statements on the session may take, in a file of that size.
func (s *session) confine(ctx context.Context, size int64, h how) error {
	for id, n := range map[int]int64{
		sqlite3.SQLITE_LIMIT_LENGTH:              longestValue,
		sqlite3.SQLITE_LIMIT_SQL_LENGTH:          longestStatement,
		sqlite3.SQLITE_LIMIT_EXPR_DEPTH:          1000,
		sqlite3.SQLITE_LIMIT_COMPOUND_SELECT:     500,
		sqlite3.SQLITE_LIMIT_VDBE_OP:             5_000_000,
		sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
		sqlite3.SQLITE_LIMIT_WORKER_THREADS:      0,
	} {
		if _, err := sqlite.Limit(s.conn, id, int(n)); err != nil {
			return err
		}
	}
	if h != writing { // nothing of the file's runs
		return nil
	}
	code, err := s.value(ctx, codeSQL)
	if err == nil && code == "" {
		return nil
	}
	_, err = sqlite.Limit(s.conn, sqlite3.SQLITE_LIMIT_LENGTH, int(min(max(2*size, leastMade), longestMade))) // what can't be read may hold any
	return err
}

// confined runs f on a tenant's own file, for a while that grows with the file.
// What takes longer is Blocked: its code or its pages make work without end.
func (d *Driver) confined(ctx context.Context, file, dsn string, h how, f func(s *session) error) error {
	var size int64
	for _, path := range []string{file, file + sidecars[0]} {
		if info, err := os.Lstat(path); err == nil {
			size += info.Size()
		}
	}
	last := d.limit + d.timeout + time.Duration(size>>20)*time.Second
	end := time.Now().Add(last)
	inside, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	err := d.connect(inside, dsn+"&_pragma=cell_size_check(1)&_pragma=mmap_size(0)", h, func(s *session) error {
		s.end = end
		if err := s.confine(inside, size, h); err != nil {
			return err
		}
		return s.ready(inside, h, f)
	})
	if err != nil && !time.Now().Before(end) && ctx.Err() == nil {
		return tenure.Errorf(tenure.Blocked, "database %q keeps whoever works in it for more than %s: %w", strings.TrimSuffix(filepath.Base(file), suffix), last, errEndless).
			WithHint("take out of the file what makes work without end, a trigger, a generated column or an index on an expression; a large file on a slow disk needs a longer option limit")
	}
	return err
}

var errEndless = errors.New("the file makes work without end")

// unveiled is Blocked if something in a tenant's own file bears the name of what Tenure
// asks SQLite for: the file would answer in its place. So it is if code of the file's
// runs when Tenure writes into its own tables.
func (s *session) unveiled(ctx context.Context) error {
	if s.end.IsZero() {
		return nil
	}
	var typ, name string
	err := s.each(ctx, `select type, substr(name, 1, 100) from sqlite_schema where type in ('table', 'view') and lower(name) in ('pragma_table_xinfo', 'pragma_index_list',
 'pragma_index_info', 'pragma_foreign_key_list', 'pragma_foreign_key_check', 'json_tree', 'dbstat', 'sqlite_dbpage')
 or type = 'trigger' and lower(tbl_name) in `+ownTables+` or type = 'view' and lower(name) in `+ownTables+` limit 1`, func() error { return nil }, &typ, &name)
	if err == nil && name != "" {
		err = tenure.Errorf(tenure.Blocked, "the file has a %s %q, which stands in the way of what Tenure or SQLite calls so", typ, name).
			WithHint("give it another name, or drop it")
	}
	return err
}
