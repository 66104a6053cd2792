// Package s3test gives tests a real S3 server of their own: versitygw on folders of the
// test's, with versioning, with users, and with hands on what it keeps.
package s3test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// version is the server's, as its module has it.
const version = "v1.8.0"

const (
	module       = "github.com/versity/versitygw/cmd/versitygw"
	installLimit = 15 * time.Minute // it is compiled, once
	readyLimit   = 30 * time.Second
	endLimit     = 10 * time.Second
	pause        = 20 * time.Millisecond // between two looks
	region       = "us-east-1"
)

// Server is one running server. Its folder goes with the test.
type Server struct {
	Endpoint string // http://127.0.0.1:PORT
	Address  string // 127.0.0.1:PORT
	Region   string
	Access   string // of its root user
	Secret   string
	Folder   string // what it keeps: objects, versions, metadata, users

	program  string
	versions bool
	process  *exec.Cmd
}

// Start starts a server on a free port of 127.0.0.1 and ends it with the test. Where the
// program can't be had, the test is skipped by name; where CI is set it fails.
func Start(t testing.TB) *Server {
	t.Helper()
	return run(t, true)
}

// StartPlain is Start for a server that keeps no versions.
func StartPlain(t testing.TB) *Server {
	t.Helper()
	return run(t, false)
}

func run(t testing.TB, versions bool) *Server {
	t.Helper()
	s := &Server{versions: versions, Region: region, Access: "root" + rand.Text(), Secret: rand.Text(), Folder: t.TempDir(), program: Program(t)}
	for _, dir := range []string{"objects", "versions", "meta", "users"} {
		if err := os.Mkdir(filepath.Join(s.Folder, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.Stop(t) })
	for range 20 { // a free port may be taken by another before the server has it
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Address = free.Addr().String()
		s.Endpoint = "http://" + s.Address
		_ = free.Close()
		if s.start(t) {
			return s
		}
	}
	t.Fatal("the S3 server found no free port")
	return nil
}

// start runs the program, and says whether it came up.
func (s *Server) start(t testing.TB) bool {
	t.Helper()
	in := func(dir string) string { return filepath.Join(s.Folder, dir) }
	args := []string{"--port", s.Address, "--iam-dir", in("users"), "--iam-cache-disable", "--health", "/health", "--quiet", "posix", "--sidecar", in("meta")}
	if s.versions {
		args = append(args, "--versioning-dir", in("versions"))
	}
	cmd := exec.Command(s.program, append(args, in("objects"))...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.Access, "ROOT_SECRET_KEY="+s.Secret, "VGW_REGION="+s.Region)
	log, err := os.OpenFile(in("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
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
		if answer, err := http.Get(s.Endpoint + "/health"); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	said, _ := os.ReadFile(in("log"))
	t.Fatalf("the S3 server didn't answer within %s: %s", readyLimit, said)
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
	t.Fatal("the S3 server didn't start again")
}

// Client speaks to the server as its root user.
func (s *Server) Client(t testing.TB) *minio.Client { return s.As(t, s.Access, s.Secret) }

// As speaks to the server as another user.
func (s *Server) As(t testing.TB, access, secret string) *minio.Client {
	t.Helper()
	c, err := minio.New(s.Address, &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: s.Region, MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Program is the server's path. It is compiled into the user's cache, once.
func Program(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		absent(t, "this user has no cache folder")
	}
	folder := filepath.Join(cache, "tenure-test", "versitygw-"+version)
	program := filepath.Join(folder, "versitygw")
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
		absent(t, "go install: "+err.Error()+"\n"+string(out))
	}
	// It appears whole or not at all, so that two test programs need no lock.
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(made, "versitygw"), program); err != nil {
		t.Fatal(err)
	}
	return program
}

func absent(t testing.TB, why string) {
	t.Helper()
	why = strings.TrimSpace(why)
	if os.Getenv("CI") != "" {
		t.Fatalf("versitygw can't be had: %s", why)
	}
	t.Skipf("%s needs versitygw: %s", t.Name(), why)
}
