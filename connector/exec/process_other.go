//go:build !linux

package exec

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Programs run on Linux alone: elsewhere neither their memory nor what they start could be
// bounded.
var errElsewhere = errors.New("programs run as connectors on Linux alone")

func attributes() []*syscall.SysProcAttr { return []*syscall.SysProcAttr{nil} }
func refused(error) bool                 { return false }
func private()                           {}
func bound(int, int64) error             { return errElsewhere }
func exited(int)                         {}
func killGroup(pid int)                  {}
func hold(string) (*os.File, error)      { return nil, errElsewhere }
func own(fs.FileInfo) bool               { return false }
