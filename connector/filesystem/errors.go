package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/tenurehq/tenure"
)

// classify gives an error of the file system its code: a full disk or a quota,
// a device or a server that fails are Unavailable and may be tried again, a
// missing right is Forbidden.
func classify(call string, err error) error {
	var coded *tenure.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return tenure.Errorf(tenure.Unavailable, "%s: %w", call, err).Retryable()
	case is(err, syscall.ENOSPC, syscall.EDQUOT):
		return tenure.Errorf(tenure.Unavailable, "%s: %w", call, err).Retryable().WithHint("make room on the file system, or raise the quota")
	case is(err, syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.EMFILE, syscall.ENFILE, syscall.EBUSY, syscall.ENODEV, syscall.ENXIO):
		return tenure.Errorf(tenure.Unavailable, "%s: %w", call, err).Retryable()
	case errors.Is(err, fs.ErrPermission), is(err, syscall.EROFS):
		return tenure.Errorf(tenure.Forbidden, "%s: %w", call, err).WithHint("the process that runs Tenure needs to own the system's root")
	case is(err, syscall.ENAMETOOLONG):
		return tenure.Errorf(tenure.Invalid, "%s: %w", call, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist), is(err, syscall.ENOTEMPTY, syscall.ENOTDIR):
		// It was there, or wasn't, a moment ago: somebody else is at work.
		return tenure.Errorf(tenure.Unavailable, "%s: %w", call, err).Retryable()
	}
	return tenure.Errorf(tenure.Internal, "%s: %w", call, err)
}

func is(err error, numbers ...syscall.Errno) bool {
	for _, n := range numbers {
		if errors.Is(err, n) {
			return true
		}
	}
	return false
}
