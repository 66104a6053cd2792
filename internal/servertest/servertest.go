// Package servertest runs real servers for tests: it compiles a Go program once, starts a
// server on a free port of 127.0.0.1, waits until it answers, and ends it by its process.
package servertest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenurehq/tenure/internal/npmtest"
)

const (
	installLimit = 25 * time.Minute // a program is compiled once
	readyLimit   = time.Minute
	endLimit     = 10 * time.Second
	pause        = 20 * time.Millisecond // between two looks
)

// Program is the path of a program of a Go module. It is compiled into the user's cache,
// once. Where it can't be had, the test is skipped by name; where CI is set it fails.
func Program(t testing.TB, module, version string) string {
	t.Helper()
	name := path.Base(module)
	cache, err := os.UserCacheDir()
	if err != nil {
		npmtest.Absent(t, name, "this user has no cache folder")
	}
	folder := filepath.Join(cache, "tenure-test", strings.ReplaceAll(module, "/", "_")+"-"+version)
	program := filepath.Join(folder, name)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	made, err := os.MkdirTemp(filepath.Dir(folder), "compiling-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(made)
	ctx, cancel := context.WithTimeout(context.Background(), installLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", "-trimpath", module+"@"+version)
	cmd.Dir = made // outside of any module
	cmd.Env = append(os.Environ(), "GOBIN="+made, "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		npmtest.Absent(t, name, "go install: "+err.Error()+"\n"+string(out))
	}
	// It appears whole or not at all, so that two test programs need no lock.
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(made, name), program); err != nil {
		t.Fatal(err)
	}
	return program
}

// Server is one running server. It ends with the test.
type Server struct {
	Address string // 127.0.0.1:PORT
	URL     string // http://127.0.0.1:PORT

	name    string
	command func(address string) *exec.Cmd
	ready   func(address string) bool
	log     string
	process *exec.Cmd
}

// Start starts a server and waits until a GET of ready is answered. Command gives it anew
// for each try: a free port may be taken by another before the server has it.
func Start(t testing.TB, name, ready string, command func(address string) *exec.Cmd) *Server {
	t.Helper()
	return StartUntil(t, name, func(address string) bool {
		answer, err := http.Get("http://" + address + ready)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode < 500
	}, command)
}

// StartUntil is Start for a server that speaks no HTTP: it is up once ready says so.
func StartUntil(t testing.TB, name string, ready func(address string) bool, command func(address string) *exec.Cmd) *Server {
	t.Helper()
	s := &Server{name: name, command: command, ready: ready, log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() { s.Stop(t) })
	for range 20 {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Address = free.Addr().String()
		s.URL = "http://" + s.Address
		_ = free.Close()
		if s.start(t) {
			return s
		}
	}
	said, _ := os.ReadFile(s.log)
	t.Fatalf("%s doesn't start: %s", name, said)
	return nil
}

// start runs the program, and says whether it came up.
func (s *Server) start(t testing.TB) bool {
	t.Helper()
	cmd := s.command(s.Address)
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = cmd
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for range readyLimit / pause {
		time.Sleep(pause)
		select {
		case <-ended:
			s.process = nil
			return false
		default:
		}
		if s.ready(s.Address) {
			return true
		}
	}
	said, _ := os.ReadFile(s.log)
	t.Fatalf("%s didn't answer within %s: %s", s.name, readyLimit, said)
	return false
}

// Stop ends the server; what it keeps stays until the test ends.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	p := s.process.Process
	s.process = nil
	_ = p.Signal(syscall.SIGTERM)
	for range endLimit / pause {
		time.Sleep(pause)
		if errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) {
			return
		}
	}
	_ = p.Kill()
}

// Kill ends the server with SIGKILL, as a crash does.
func (s *Server) Kill() error {
	p := s.process
	if p == nil {
		return os.ErrProcessDone
	}
	s.process = nil
	return p.Process.Kill()
}

// Again starts a stopped server on its own address.
func (s *Server) Again(t testing.TB) {
	t.Helper()
	for range 20 {
		if s.start(t) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s didn't start again", s.name)
}
