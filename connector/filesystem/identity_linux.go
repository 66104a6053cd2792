package filesystem

import (
	"fmt"
	"os"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// identity names the file that stands under name in an open directory: its
// inode and, where the file system knows it, its time of birth (statx(2)). It
// stays through renames, changes and restarts; a copy has another. It needs no
// right on the file itself.
func identity(dir *os.File, name string) (string, error) {
	var st unix.Statx_t
	err := unix.Statx(int(dir.Fd()), name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &st)
	if err != nil {
		return "", &os.PathError{Op: "statx", Path: name, Err: err}
	}
	id := fmt.Sprintf("%x", st.Ino)
	if st.Mask&unix.STATX_BTIME != 0 {
		id += fmt.Sprintf("-%x.%x", st.Btime.Sec, st.Btime.Nsec)
	}
	return id, nil
}

// links is how many names a file has, and the device that it is on.
func links(info os.FileInfo) (names, device uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink), uint64(st.Dev)
	}
	return 1, 0
}

// inode tells a file's content from others', whatever names lead to it.
func inode(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// sameOwner says whether two files are one user's.
func sameOwner(a, b os.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, also := b.Sys().(*syscall.Stat_t)
	return !ok || !also || x.Uid == y.Uid
}

// stranger names the user whose file it is, "" if that is the one that Tenure runs as:
// an owner may always change the permissions.
func stranger(info os.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Sprintf("uid %d", st.Uid)
	}
	return ""
}

// sameAs gives a file the owner and the group of another.
func sameAs(f *os.File, like os.FileInfo) error {
	st, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && is.Uid == st.Uid && is.Gid == st.Gid {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// owner is the user whose file it is.
func owner(info os.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// born is when a file was made; zero where the file system doesn't know it.
func born(r *os.Root, name string) (at time.Time) {
	dir, err := r.Open(path.Dir(name))
	if err != nil {
		return at
	}
	defer dir.Close()
	var st unix.Statx_t
	if err := unix.Statx(int(dir.Fd()), path.Base(name), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &st); err == nil && st.Mask&unix.STATX_BTIME != 0 {
		at = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).UTC()
	}
	return at
}
