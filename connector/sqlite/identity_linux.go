package sqlite

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// identity names what stands at path: its inode and, where the file system knows
// it, its time of birth (statx(2)). A copy has another.
func identity(path string) (string, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return "", &os.PathError{Op: "statx", Path: path, Err: err}
	}
	id := fmt.Sprintf("%x", st.Ino)
	if st.Mask&unix.STATX_BTIME != 0 {
		id += fmt.Sprintf("-%x.%x", st.Btime.Sec, st.Btime.Nsec)
	}
	return id, nil
}
