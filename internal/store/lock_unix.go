//go:build unix

package store

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/tenurehq/tenure"
)

// lockFile takes the lock that a process holds for as long as it has a SQLite
// store open for writing. The kernel lets go of it when the process dies.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "store lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		var buf [32]byte
		n, _ := f.ReadAt(buf[:], 0)
		_ = f.Close()
		return nil, tenure.Errorf(tenure.Conflict, "the store is open in another process (pid %s)", strings.TrimSpace(string(buf[:n]))).
			WithHint("stop that process, or send the command through its socket: it is found when both use the same folder")
	}
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return f, nil
}
