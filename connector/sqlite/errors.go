package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenurehq/tenure"
)

// coded gives an error its code, by SQLite's result code (sqlite.org/rescode)
// or the system's error number.
func coded(err error) error {
	if err == nil {
		return nil
	}
	var own *tenure.Error
	var lite *sqlite.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.Canceled):
		return tenure.Errorf(tenure.Unavailable, "the call was cut off: %w", context.Canceled).Retryable()
	case errors.Is(err, context.DeadlineExceeded):
		return tenure.Errorf(tenure.Unavailable, "the call was cut off: %w", context.DeadlineExceeded).Retryable()
	case errors.As(err, &lite):
		return byResult(lite)
	}
	return byNumber(err)
}

// isBusy says that somebody else holds a lock.
func isBusy(code int) bool {
	return code&0xff == sqlite3.SQLITE_BUSY || code&0xff == sqlite3.SQLITE_LOCKED
}

// plain is SQLite's own text of an error.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "SQL logic error: ") }

// isCoded says whether an error has its code already.
func isCoded(err error) bool {
	var own *tenure.Error
	return errors.As(err, &own)
}

// result is an error's primary result code, 0 if it has none.
func result(err error) int { return extended(err) & 0xff }

// extended is its extended result code.
func extended(err error) int {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code()
	}
	return 0
}

func byResult(lite *sqlite.Error) error {
	e := tenure.Errorf(tenure.Internal, "sqlite says: %w", lite)
	set := func(code tenure.Code) *tenure.Error { e.Code = code; return e }
	switch lite.Code() {
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, sqlite3.SQLITE_CONSTRAINT_TRIGGER:
		return set(tenure.Blocked)
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return set(tenure.Conflict)
	case sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE: // a log's index takes room even for reading
		return set(tenure.Unavailable).Retryable().WithHint("make room on the disk, or raise the quota")
	}
	switch lite.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_SCHEMA:
		return set(tenure.Unavailable).Retryable().WithHint("another process holds the database; a longer option timeout waits for it")
	case sqlite3.SQLITE_FULL:
		return set(tenure.Unavailable).Retryable().WithHint("make room on the disk, or raise the quota")
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CANTOPEN:
		return set(tenure.Unavailable).Retryable()
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY:
		return set(tenure.Forbidden).WithHint("the process that runs Tenure needs to own the files and their folder")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return set(tenure.Blocked).WithHint("the file is no sound SQLite database; restore it, or take it away by hand")
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISUSE:
		return set(tenure.Invalid)
	}
	return e
}

func byNumber(err error) error {
	is := func(numbers ...syscall.Errno) bool {
		for _, n := range numbers {
			if errors.Is(err, n) {
				return true
			}
		}
		return false
	}
	switch {
	case is(syscall.ENOSPC, syscall.EDQUOT):
		return tenure.Errorf(tenure.Unavailable, "%w", err).Retryable().WithHint("make room on the disk, or raise the quota")
	case errors.Is(err, fs.ErrPermission), is(syscall.EROFS):
		return tenure.Errorf(tenure.Forbidden, "%w", err).WithHint("the process that runs Tenure needs to own the files and their folder")
	case is(syscall.ENAMETOOLONG):
		return tenure.Errorf(tenure.Invalid, "%w", err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist),
		is(syscall.ENOTDIR, syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.EMFILE, syscall.ENFILE, syscall.EBUSY, syscall.ENODEV, syscall.ENXIO):
		// It was there, or wasn't, a moment ago: somebody else is at work.
		return tenure.Errorf(tenure.Unavailable, "%w", err).Retryable()
	}
	return tenure.Errorf(tenure.Internal, "sqlite: %w", err)
}
