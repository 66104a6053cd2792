package exec

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes are the ways in which a program is started, the best first: in a PID namespace
// of its own, in which all ends when the program ends, and without one where the machine
// grants none. It ends when Tenure ends.
func attributes() []*syscall.SysProcAttr {
	group := func() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} }
	apart := group()
	apart.Cloneflags = syscall.CLONE_NEWPID
	if uid := os.Geteuid(); uid != 0 {
		apart.Cloneflags |= syscall.CLONE_NEWUSER
		apart.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		apart.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	}
	return []*syscall.SysProcAttr{apart, group()}
}

// refused says whether a namespace was refused.
func refused(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EUSERS)
}

// private marks each descriptor of this process as one that a program doesn't inherit, those
// too that this process was itself started with.
func private() { _ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) }

// bound sets the limits of a process that was just started: the memory that it may write to
// (RLIMIT_DATA: address space that is only reserved doesn't count), and no dump of it.
func bound(pid int, memory int64) error {
	for what, most := range map[int]uint64{unix.RLIMIT_DATA: uint64(memory), unix.RLIMIT_CORE: 0} {
		limit := unix.Rlimit{Cur: most, Max: most}
		if err := unix.Prlimit(pid, what, &limit, nil); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// exited waits until a child has ended, and leaves its pid to it.
func exited(pid int) {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func killGroup(pid int) { _ = unix.Kill(-pid, unix.SIGKILL) }

// hold locks a folder while this process lives.
func hold(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func own(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
