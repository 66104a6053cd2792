package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenurehq/tenure/internal/pocketbasetest"
	"github.com/tenurehq/tenure/internal/servertest"
)

// TestPocketBaseScripts runs the stories that take a PocketBase, $POCKETBASE, each one of
// its own. "signin LOGIN PASSWORD" signs a user in, "sees COLLECTION N" fails unless that
// user lists N records, "write COLLECTION N" writes N as the platform, "holds COLLECTION N"
// counts all of them, "rule COLLECTION RULE" changes who may list, and "gone PREFIX" fails
// if a collection or user of it is left. "join NAME" brings a tenant of the example in, and
// "gates GATE..." approves them.
func TestPocketBaseScripts(t *testing.T) {
	t.Parallel()
	p := scripts("testdata/pocketbase")
	setUp := p.Setup
	var srv *pocketbasetest.Server
	var user servertest.Caller
	p.Setup = func(e *testscript.Env) error {
		srv = pocketbasetest.Start(t)
		e.Setenv("POCKETBASE", srv.URL)
		e.Setenv("TENURE_POCKETBASE_PASSWORD", srv.Password)
		if err := os.CopyFS(filepath.Join(e.WorkDir, "example"), os.DirFS("../../examples/lowcode-pocketbase")); err != nil {
			return err
		}
		return setUp(e)
	}
	p.Cmds["join"] = func(ts *testscript.TestScript, _ bool, args []string) {
		join(ts, args[0], "lowcode-pocketbase", "--param", "adminMail=admin@"+args[0]+".example")
	}
	p.Cmds["signin"] = func(ts *testscript.TestScript, neg bool, args []string) {
		var in struct{ Token string }
		code, raw := servertest.Caller{Base: srv.URL}.Do(t, http.MethodPost, "/api/collections/users/auth-with-password", map[string]any{"identity": args[0], "password": args[1]})
		if (code == http.StatusOK) == neg {
			ts.Fatalf("%s signs in with %d: %s", args[0], code, raw)
		}
		if !neg {
			servertest.Caller{Base: srv.URL}.Must(t, http.MethodPost, "/api/collections/users/auth-with-password", map[string]any{"identity": args[0], "password": args[1]}, &in)
			user = servertest.Caller{Base: srv.URL, Authorization: in.Token}
		}
	}
	count := func(ts *testscript.TestScript, c servertest.Caller, collection, want string) {
		var in struct{ TotalItems int }
		c.Must(t, http.MethodGet, "/api/collections/"+collection+"/records", nil, &in)
		if strconv.Itoa(in.TotalItems) != want {
			ts.Fatalf("%s has %d records, want %s", collection, in.TotalItems, want)
		}
	}
	p.Cmds["sees"] = func(ts *testscript.TestScript, _ bool, args []string) { count(ts, user, args[0], args[1]) }
	p.Cmds["holds"] = func(ts *testscript.TestScript, _ bool, args []string) { count(ts, srv.Caller, args[0], args[1]) }
	p.Cmds["write"] = func(ts *testscript.TestScript, _ bool, args []string) {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		for i := range n {
			srv.Must(t, http.MethodPost, "/api/collections/"+args[0]+"/records", map[string]any{"name": fmt.Sprint("n", i), "article": "a"}, nil)
		}
	}
	p.Cmds["rule"] = func(_ *testscript.TestScript, _ bool, args []string) {
		srv.Must(t, http.MethodPatch, "/api/collections/"+args[0], map[string]any{"listRule": args[1]}, nil)
	}
	p.Cmds["gone"] = func(ts *testscript.TestScript, _ bool, args []string) {
		if text := srv.Look(t); strings.Contains(text, args[0]) {
			ts.Fatalf("something is left: %s", text)
		}
	}
	p.Cmds["gates"] = func(ts *testscript.TestScript, _ bool, args []string) {
		for _, gate := range args {
			for _, who := range []string{"rita", "lena"} {
				ts.Check(ts.Exec("tenure", "operation", "approve", ts.Getenv("OP"), "--gate", gate, "--digest", ts.Getenv("DIGEST"), "--as", who))
			}
		}
		watch(ts, false, nil)
	}
	testscript.Run(t, p)
}
