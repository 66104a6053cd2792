package filesystem

import (
	"context"
	"io/fs"
	"syscall"
	"testing"

	"github.com/tenurehq/tenure"
)

// An operator is told to wait, to give a right, or to look for a fault of ours.
func TestClassify(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]struct {
		code  tenure.Code
		retry bool
	}{
		syscall.ENOSPC:           {tenure.Unavailable, true},
		syscall.EDQUOT:           {tenure.Unavailable, true},
		syscall.EIO:              {tenure.Unavailable, true},
		syscall.ESTALE:           {tenure.Unavailable, true},
		context.DeadlineExceeded: {tenure.Unavailable, true},
		fs.ErrNotExist:           {tenure.Unavailable, true},
		syscall.EACCES:           {tenure.Forbidden, false},
		syscall.EROFS:            {tenure.Forbidden, false},
		syscall.ENAMETOOLONG:     {tenure.Invalid, false},
		syscall.EINVAL:           {tenure.Internal, false},
	} {
		err := classify("call", &fs.PathError{Op: "open", Path: "p", Err: cause})
		if tenure.CodeOf(err) != want.code || tenure.CanRetry(err) != want.retry {
			t.Errorf("%v is %s, retry %t; want %+v", cause, tenure.CodeOf(err), tenure.CanRetry(err), want)
		}
	}
	if classify("call", nil) != nil {
		t.Error("no error became one")
	}
}
