package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/connectortest"
	"github.com/tenurehq/tenure/connector/exec"
	"github.com/tenurehq/tenure/internal/postgrestest"
	"github.com/tenurehq/tenure/internal/tofutest"
)

// The program is built once, without the race detector, as people build it.
var built struct {
	once sync.Once
	dir  string
	info connector.Info
	tofu string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// programInfo is the connector that the built program's own manifest makes.
func programInfo(t testing.TB) connector.Info {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "tofu-"); built.err != nil {
			return
		}
		path := filepath.Join(built.dir, "tenure-connector-tofu")
		if out, err := osexec.Command("go", "build", "-ldflags=-s -w", "-o", path, ".").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
			return
		}
		src, err := osexec.Command(path, "manifest").Output()
		if err != nil {
			built.err = err
			return
		}
		// What says its version each time is asked once.
		if built.tofu, built.err = told(tofutest.Program(t), built.dir); built.err != nil {
			return
		}
		// A script stands for the program: its copy, which each call makes, costs less.
		script := []byte("#!/bin/sh\nexec " + path + "\n")
		if built.err = os.WriteFile(filepath.Join(built.dir, "start"), script, 0o700); built.err != nil {
			return
		}
		src = regexp.MustCompile(`(?m)^  path: .*$`).ReplaceAll(src, []byte("  path: start"))
		src = regexp.MustCompile(`(?m)^  sha256: .*$`).ReplaceAll(src, fmt.Appendf(nil, "  sha256: %x", sha256.Sum256(script)))
		built.info, built.err = exec.Load(src, filepath.Join(built.dir, "tofu.yaml"))
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.info
}

// told is a script that answers version from a file, and is Terraform otherwise.
func told(program, dir string) (string, error) {
	said, err := osexec.Command(program, "version", "-json").Output()
	if err != nil {
		return "", err
	}
	answer, script := filepath.Join(dir, "version.json"), filepath.Join(dir, "tofu")
	if err := os.WriteFile(answer, said, 0o600); err != nil {
		return "", err
	}
	return script, os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = version ] && exec cat "+answer+"\nexec "+program+" \"$@\"\n"), 0o700)
}

// hello is the example's module.
const hello = "../../examples/tofu/modules/hello"

// site is one system, with hands on it that don't go through the program.
type site struct {
	dsn     string // "" of a local one
	conn    *pgx.Conn
	folder  string // of modules
	options map[string]string
	secrets map[string]tenure.Secret
}

func newSite(t testing.TB) *site {
	t.Helper()
	programInfo(t)
	s := &site{dsn: postgrestest.Database(t), folder: t.TempDir()}
	s.conn = postgrestest.Connect(t, s.dsn)
	s.options = map[string]string{"modules": s.folder, "binary": built.tofu, "look": "state", "wait": "1"}
	dsn := postgrestest.With(t, s.dsn, func(u *url.URL) { u.RawQuery = "sslmode=disable" })
	s.secrets = map[string]tenure.Secret{"connection": tenure.NewSecret(dsn)}
	raw, err := os.ReadFile(filepath.Join(hello, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	s.module(t, "hello", string(raw))
	return s
}

// module writes a module and gives its digest.
func (s *site) module(t testing.TB, name, text string) string {
	t.Helper()
	folder := filepath.Join(s.folder, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "main.tf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := readModule(folder)
	if err != nil {
		t.Fatal(err)
	}
	return m.digest
}

func (s *site) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := s.conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (s *site) count(t testing.TB, sql string, args ...any) (n int) {
	t.Helper()
	if err := s.conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// state is the text of a workspace's state, "" if there is none.
func (s *site) state(t testing.TB, name string) (text string) {
	t.Helper()
	if s.count(t, "select count(*) from pg_tables where schemaname = 'terraform_remote_state' and tablename = 'states'") == 0 {
		return ""
	}
	if err := s.conn.QueryRow(t.Context(), "select coalesce((select data from terraform_remote_state.states where name = $1), '')", name).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// look is every row of the schema of the states, without the numbers that states are given.
func (s *site) look(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	for _, table := range []string{"states", "tenure_module", "tenure_system", "tenure_workspace"} {
		if s.count(t, "select count(*) from pg_tables where schemaname = 'terraform_remote_state' and tablename = $1", table) == 0 {
			continue
		}
		what := "to_jsonb(t)"
		if table == "states" {
			what += " - 'id'"
		}
		rows, err := s.conn.Query(t.Context(), "select ("+what+")::text from terraform_remote_state."+table+" t order by 1")
		if err != nil {
			t.Fatal(err)
		}
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, table, strings.Join(texts, "\n"))
	}
	return out.String()
}

// foreign makes a workspace with something in it, as somebody else would.
func (s *site) foreign(t testing.TB, name string) {
	t.Helper()
	s.exec(t, "insert into terraform_remote_state.states (name, data) values ($1, $2)", name, fmt.Sprintf(`{"version": 4, "terraform_version": "1.5.7", "serial": 1, "lineage": %q, "outputs": {}, "resources": []}`, "foreign "+name))
}

var tenant = tenure.NewID[tenure.TenantID](time.Unix(1790000000, 0))

func (s *site) desired(t testing.TB, name, module, digest string, variables map[string]any) connector.Desired {
	t.Helper()
	return connector.Desired{Ref: connector.Ref{Resource: tenure.NewID[tenure.ResourceID](time.Unix(1790000000, 0)), Tenant: tenant, Environment: "prod", Type: "workspace", Name: name,
		Attributes: map[string]any{"module": module, "digest": digest, "variables": variables}}}
}

var marker = connector.Marker{Installation: tenure.NewID[tenure.InstallationID](time.Unix(1790000000, 0)), System: "infra", Key: bytes.Repeat([]byte{7}, 32)}

// driver opens the system, and plants it.
func (s *site) driver(t testing.TB) connector.Driver {
	t.Helper()
	d := s.opened(t)
	if _, err := d.Plant(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func (s *site) opened(t testing.TB) connector.Driver {
	t.Helper()
	d, err := programInfo(t).Open(t.Context(), connector.Config{System: "infra", Options: s.options, Secrets: s.secrets, Marker: marker, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// world is the site as the suite takes it.
func world(t *testing.T) *connectortest.World {
	s := newSite(t)
	digest := s.module(t, "hello", text(t, filepath.Join(hello, "main.tf")))
	return &connectortest.World{
		Dear: true,
		Info: programInfo(t), Options: s.options, Secrets: s.secrets, Look: s.look,
		LoseSentinel: func(t testing.TB) {
			s.exec(t, "delete from terraform_remote_state.states where name = $1", sentinel)
		},
		Outage: func(t testing.TB) func() {
			u, err := url.Parse(s.dsn)
			if err != nil {
				t.Fatal(err)
			}
			name, admin := strings.TrimPrefix(u.Path, "/"), postgrestest.DSN(t)
			_ = s.conn.Close(t.Context())
			postgrestest.Exec(t, admin, `alter database "`+name+`" with allow_connections false`)
			return func() {
				postgrestest.Exec(t, admin, `alter database "`+name+`" with allow_connections true`)
				s.conn = postgrestest.Connect(t, s.dsn)
			}
		},
		Cases: []connectortest.Case{{
			Type: "workspace",
			New: func(_ testing.TB, n int) connector.Desired {
				return connector.Desired{Ref: connector.Ref{Name: fmt.Sprintf("tenant-%d", n), Attributes: map[string]any{"module": "hello", "digest": digest, "variables": map[string]any{"owner": "T", "rooms": 1}}}}
			},
			Changed: func(d connector.Desired) connector.Desired {
				d.Attributes = map[string]any{"module": "hello", "digest": digest, "variables": map[string]any{"owner": "${other} %{x}", "rooms": 2}}
				return d
			},
			Invalid: []map[string]any{{}, {"module": "hello"}, {"module": "../x", "digest": digest}, {"module": "hello", "digest": "x"}, {"module": "hello", "digest": digest, "drift": "x"}, {"module": "hello", "digest": digest, "size": 1}},
			Tamper: func(t testing.TB, r connector.Ref) {
				s.exec(t, `update terraform_remote_state.states set data = replace(data, '\"rooms\":1', '\"rooms\":9') where name = $1`, r.Name)
			},
			Foreign: func(t testing.TB, r connector.Ref) { s.foreign(t, r.Name) },
			Remark: func(t testing.TB, r connector.Ref, mark string) {
				s.exec(t, "update terraform_remote_state.tenure_workspace set mark = $2 where name = $1", r.Name, mark)
			},
			Unmark: func(t testing.TB, r connector.Ref) {
				s.exec(t, "delete from terraform_remote_state.tenure_workspace where name = $1", r.Name)
			},
			Exists: func(t testing.TB, r connector.Ref) bool {
				return strings.Contains(s.state(t, r.Name), `"index_key": 0`)
			},
		}},
	}
}

func text(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
