package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
)

// stopped carries an error of the caller's through a pass.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

func stop(err error) error {
	if err == nil {
		return nil
	}
	return &stopped{err}
}

// coded gives an error its code, by SQLite's result code (sqlite.org/rescode)
// or by that of the file system. A caller's own error passes as it is.
func coded(err error) error {
	var own *tenure.Error
	var caller *stopped
	var lite *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &caller):
		return caller.err
	case errors.As(err, &own):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return tenure.Errorf(tenure.Unavailable, "the call was cut off: %w", err).Retryable()
	case errors.As(err, &lite):
		return byResult(lite)
	case errors.Is(err, fs.ErrPermission):
		return tenure.Errorf(tenure.Forbidden, "the file system refuses it").WithHint("check who owns the folder and its files")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EMFILE):
		return tenure.Errorf(tenure.Unavailable, "the file system: %w", err).Retryable()
	case errors.Is(err, fs.ErrNotExist):
		return tenure.Errorf(tenure.Unavailable, "the folder or file isn't there").Retryable()
	}
	return tenure.Errorf(tenure.Internal, "sqlite: %w", err)
}

func byResult(e *driver.Error) error {
	code := func(c tenure.Code) *tenure.Error { return tenure.Errorf(c, "sqlite: %w", e) }
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return code(tenure.Conflict)
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return code(tenure.Blocked)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM:
		return code(tenure.Unavailable).Retryable()
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return code(tenure.Forbidden)
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_TOOBIG:
		return code(tenure.Invalid)
	}
	return code(tenure.Internal)
}
