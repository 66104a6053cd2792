package departure

import (
	"bufio"
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure/internal/postgrestest"
)

// server is a PostgreSQL of the test's own, which may be killed.
type server struct {
	dsn     string
	command []string // how a server whose postmaster was killed is started again
	as      *syscall.SysProcAttr
	again   *exec.Cmd     // it, started
	ended   chan struct{} // closed once it has
}

func start(t *testing.T) *server {
	t.Helper()
	postgrestest.DSN(t) // without one here this test is skipped by name
	cmd := exec.Command("../../scripts/with-postgres", "sh", "-c", "echo $"+postgrestest.Variable+"; exec cat >/dev/null")
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
	s := &server{dsn: strings.TrimSpace(dsn)}
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	if s.again != nil {
		_ = s.again.Process.Signal(os.Interrupt)
		<-s.ended
	}
}

func (s *server) database(t *testing.T, name string) string {
	t.Helper()
	postgrestest.Exec(t, s.dsn, "create database "+name)
	return postgrestest.With(t, s.dsn, func(u *url.URL) { u.Path = "/" + name })
}

// kill ends the database with SIGKILL: a backend at work, upon which the server
// throws all sessions out and recovers from its log, or the postmaster.
func (s *server) kill(dsn string, postmaster bool) bool {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return false
	}
	defer conn.Close(ctx)
	if postmaster {
		return s.killPostmaster(ctx, conn) == nil
	}
	var pid int
	if err := conn.QueryRow(ctx, "select pid from pg_stat_activity where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid() limit 1").Scan(&pid); err != nil {
		return false
	}
	return syscall.Kill(pid, syscall.SIGKILL) == nil
}

// killPostmaster kills the server's first process and keeps the command that
// starts it again.
func (s *server) killPostmaster(ctx context.Context, conn *pgx.Conn) error {
	var dir string
	if err := conn.QueryRow(ctx, "select current_setting('data_directory')").Scan(&dir); err != nil {
		return err
	}
	lock, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(lock), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	line, err := os.ReadFile(filepath.Join("/proc", first, "cmdline"))
	if err != nil {
		return err
	}
	owner, err := os.Stat(dir)
	if err != nil {
		return err
	}
	s.command = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if id := owner.Sys().(*syscall.Stat_t); os.Getuid() == 0 {
		s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id.Uid, Gid: id.Gid}}
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// revive starts a server whose postmaster was killed, if it isn't up.
func (s *server) revive() error {
	if s.command == nil {
		return nil
	}
	if s.again != nil {
		select {
		case <-s.ended:
		default:
			return nil
		}
	}
	cmd, ended := exec.Command(s.command[0], s.command[1:]...), make(chan struct{})
	cmd.Dir, cmd.SysProcAttr = os.TempDir(), s.as
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	s.again, s.ended = cmd, ended
	return nil
}

// await waits until the server answers again; one whose postmaster was killed is
// started until the processes it left behind have gone.
func (s *server) await(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 60*time.Second)
	defer stop()
	for ctx.Err() == nil {
		must(t, s.revive())
		if conn, err := pgx.Connect(ctx, s.dsn); err == nil {
			_ = conn.Close(ctx)
			return
		}
		time.Sleep(20 * time.Millisecond) // between two tries to connect
	}
	t.Fatal("the server doesn't come back")
}

// dump is all that the database holds, as text, with large objects.
func dump(t *testing.T, dsn string) []byte {
	t.Helper()
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	must(t, err)
	name := "pg_dump"
	if len(bins) > 0 {
		name = bins[len(bins)-1]
	}
	cmd := exec.Command(name, "--inserts", "-b", dsn)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v: %s", err, errs.String())
	}
	return out
}
