package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenurehq/tenure/internal/s3test"
)

// TestS3Scripts runs the stories that take an S3 server, $ENDPOINT, each one of its own:
// "room BUCKET" makes a bucket that keeps versions, "put BUCKET KEY" stores an object there,
// "half BUCKET KEY" begins to upload one, and "holds BUCKET PREFIX N" fails unless there are
// N versions, markers and uploads. "join NAME" brings a tenant of the example in, and "adopt
// DIGEST" runs a plan that two persons approve.
func TestS3Scripts(t *testing.T) {
	t.Parallel()
	p := scripts("testdata/s3")
	setUp := p.Setup
	p.Setup = func(e *testscript.Env) error {
		s := s3test.Start(t)
		c := s.Client(t)
		if err := c.MakeBucket(t.Context(), "previews", minio.MakeBucketOptions{}); err != nil {
			return err
		}
		if err := c.EnableVersioning(t.Context(), "previews"); err != nil {
			return err
		}
		e.Setenv("ENDPOINT", s.Endpoint)
		e.Setenv("TENURE_S3_ACCESS_KEY", s.Access)
		e.Setenv("TENURE_S3_SECRET_KEY", s.Secret)
		e.Values["s3"] = s
		if err := os.CopyFS(filepath.Join(e.WorkDir, "documents"), os.DirFS("../../examples/s3-documents")); err != nil {
			return err
		}
		return setUp(e)
	}
	client := func(ts *testscript.TestScript) *minio.Client { return ts.Value("s3").(*s3test.Server).Client(t) }
	p.Cmds["put"] = func(ts *testscript.TestScript, _ bool, args []string) {
		_, err := client(ts).PutObject(t.Context(), args[0], args[1], strings.NewReader("of "+args[1]), int64(len(args[1])+3), minio.PutObjectOptions{})
		ts.Check(err)
	}
	p.Cmds["room"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(client(ts).MakeBucket(t.Context(), args[0], minio.MakeBucketOptions{}))
		ts.Check(client(ts).EnableVersioning(t.Context(), args[0]))
	}
	p.Cmds["half"] = func(ts *testscript.TestScript, _ bool, args []string) {
		core := minio.Core{Client: client(ts)}
		_, err := core.NewMultipartUpload(t.Context(), args[0], args[1], minio.PutObjectOptions{})
		ts.Check(err)
	}
	p.Cmds["holds"] = func(ts *testscript.TestScript, _ bool, args []string) {
		want, err := strconv.Atoi(args[2])
		ts.Check(err)
		if n := s3test.Held(t, client(ts), args[0], args[1]); n != want {
			ts.Fatalf("%s holds %d under %q, want %d", args[0], n, args[1], want)
		}
	}
	p.Cmds["adopt"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(ts.Exec("tenure", "operation", "start", args[0], "--as", "olga", "--output", "json"))
		readJSON(ts, false, []string{"OP", "id"})
		ts.Check(ts.Exec("tenure", "operation", "approve", ts.Getenv("OP"), "--digest", args[0], "--as", "rita"))
		ts.Check(ts.Exec("tenure", "operation", "approve", ts.Getenv("OP"), "--digest", args[0], "--as", "carl", "--output", "json"))
		readJSON(ts, false, []string{"STATE", "state"})
		if s := ts.Getenv("STATE"); s != "succeeded" {
			ts.Fatalf("the adoption is %s", s)
		}
	}
	p.Cmds["join"] = func(ts *testscript.TestScript, _ bool, args []string) { join(ts, args[0], "documents") }
	testscript.Run(t, p)
}
