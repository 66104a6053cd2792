package mariadbtest

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a server of a test's own, for what would disturb others: it is filled, stopped
// or set to be read only.
type Server struct {
	DSN string // of an account with every right

	command []string
	as      *syscall.SysProcAttr
	pid     int
	again   *exec.Cmd
	ended   chan struct{}
}

// Own starts a server whose data is in a folder below dir, the system's own if that is
// blank, with more arguments for it. It ends with the test.
func Own(t testing.TB, dir string, arguments ...string) *Server {
	t.Helper()
	DSN(t) // without one here this test is skipped by name
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command(filepath.Join(filepath.Dir(file), "../../scripts/with-mariadb"), "sh", "-c", "echo $"+Variable+"; exec cat >/dev/null")
	cmd.Env = append(os.Environ(), "TENURE_TEST_MARIADBD="+strings.Join(arguments, " "))
	if dir != "" {
		cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	dsn, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	s := &Server{DSN: strings.TrimSpace(dsn)}
	t.Cleanup(s.stop)
	db := Open(t, s.DSN)
	defer db.Close()
	var pidfile string
	must(t, db.QueryRow("select @@pid_file").Scan(&pidfile))
	raw, err := os.ReadFile(pidfile)
	must(t, err)
	s.pid, err = strconv.Atoi(strings.TrimSpace(string(raw)))
	must(t, err)
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.pid))
	must(t, err)
	s.command = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	owner, err := os.Stat(pidfile)
	must(t, err)
	if id, ok := owner.Sys().(*syscall.Stat_t); ok && os.Getuid() == 0 {
		s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id.Uid, Gid: id.Gid}}
	}
	return s
}

// Kill ends the server as a crash does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if s.again != nil {
		_ = s.again.Process.Kill()
		<-s.ended
		return
	}
	must(t, syscall.Kill(s.pid, syscall.SIGKILL))
}

// Again starts a server that was killed, and waits until it answers.
func (s *Server) Again(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := sql.Open("mysql", s.DSN)
	must(t, err)
	defer db.Close()
	for s.again = nil; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if s.again == nil || s.over() { // its files may be locked for a moment
			cmd, ended := exec.Command(s.command[0], s.command[1:]...), make(chan struct{})
			cmd.Dir, cmd.SysProcAttr = os.TempDir(), s.as
			must(t, cmd.Start())
			go func() { _ = cmd.Wait(); close(ended) }()
			s.again, s.ended = cmd, ended
		}
		if db.PingContext(ctx) == nil {
			return
		}
	}
	t.Fatal("the server doesn't come back")
}

func (s *Server) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *Server) stop() {
	if s.again != nil {
		_ = s.again.Process.Signal(syscall.SIGTERM)
		<-s.ended
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
