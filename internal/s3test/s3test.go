// Package s3test gives tests a real S3 server of their own: versitygw on folders of the
// test's, with versioning, with users, and with hands on what it keeps.
package s3test

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tenurehq/tenure/internal/servertest"
)

// version is the server's, as its module has it.
const version = "v1.8.0"

const (
	module = "github.com/versity/versitygw/cmd/versitygw"
	region = "us-east-1"
)

// Server is one running server. Its folder goes with the test.
type Server struct {
	*servertest.Server
	Endpoint string // http://127.0.0.1:PORT
	Region   string
	Access   string // of its root user
	Secret   string
	Folder   string // what it keeps: objects, versions, metadata, users
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
	program := Program(t)
	s := &Server{Region: region, Access: "root" + rand.Text(), Secret: rand.Text(), Folder: t.TempDir()}
	in := func(dir string) string { return filepath.Join(s.Folder, dir) }
	for _, dir := range []string{"objects", "versions", "meta", "users"} {
		if err := os.Mkdir(in(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.Server = servertest.Start(t, "versitygw", "/health", func(address string) *exec.Cmd {
		args := []string{"--port", address, "--iam-dir", in("users"), "--iam-cache-disable", "--health", "/health", "--quiet", "posix", "--sidecar", in("meta")}
		if versions {
			args = append(args, "--versioning-dir", in("versions"))
		}
		cmd := exec.Command(program, append(args, in("objects"))...)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.Access, "ROOT_SECRET_KEY="+s.Secret, "VGW_REGION="+s.Region)
		return cmd
	})
	s.Endpoint = s.URL
	return s
}

// Program is the server's path. It is compiled into the user's cache, once.
func Program(t testing.TB) string {
	t.Helper()
	return servertest.Program(t, module, version)
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
