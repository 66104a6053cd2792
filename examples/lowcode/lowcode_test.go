package lowcode

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// start runs a platform that has two tenants, as Tenure would have written
// them; the token of a workspace is "token-" and its name.
func start(t *testing.T) *Platform {
	t.Helper()
	p, err := Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	for _, w := range [][2]string{{"acme", "prod"}, {"acme", "test"}, {"borg", "prod"}} {
		admit(t, p, w[0], w[1])
	}
	return p
}

func admit(t *testing.T, p *Platform, tenant, environment string) {
	t.Helper()
	name := tenant + "-" + environment
	sum := sha256.Sum256([]byte("token-" + name))
	exec(t, p.db, "insert into workspaces (workspace, tenant, environment, database, bucket) values ($1, $2, $3, $1, $1)", name, tenant, environment)
	exec(t, p.db, "insert into api_keys (workspace, label, secret_sha256) values ($1, 'main', $2)", name, hex.EncodeToString(sum[:]))
	exec(t, p.db, "insert into entitlements (workspace, feature, enabled) values ($1, 'reports', 1), ($1, 'sso', 0)", name)
	exec(t, p.db, "insert into apps (workspace, app, template, title) values ($1, 'customers', 'customers', 'Customers'), ($1, 'orders', 'orders', 'Orders')", name)
	db, err := open(filepath.Join(p.Tenants, name+".db"), "rwc")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec(t, db, ddl(t))
}

// ddl is what the example's blueprint gives a tenant's database.
func ddl(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("blueprint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	src, err := blueprint.Parse(raw, "blueprint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := src.Blueprint.Resources[0].Attributes["ddl"].(string)
	if text == "" {
		t.Fatal("the blueprint's first resource has no ddl")
	}
	return text
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// do calls the API and gives the status and the body.
func do(t *testing.T, p *Platform, method, path, token, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s %s: %q isn't JSON", method, path, raw)
	}
	return res.StatusCode, out
}

// Who may call what: these are the boundaries that the blueprint's probes try.
func TestAccess(t *testing.T) {
	t.Parallel()
	p := start(t)
	tests := []struct {
		name, path, token string
		want              int
	}{
		{"anybody asks for health", "/healthz", "", 200},
		{"no token", "/prod/v1/records?app=orders", "", 401},
		{"an unknown token", "/prod/v1/records?app=orders", "token-nobody-prod", 401},
		{"its own environment", "/prod/v1/records?app=orders", "token-acme-prod", 200},
		{"the test key on production", "/prod/v1/records?app=orders", "token-acme-test", 403},
		{"the production key on test", "/test/v1/apps", "token-acme-prod", 403},
		{"a neighbour's workspace", "/prod/v1/records?app=orders&workspace=borg-prod", "token-acme-prod", 403},
		{"its own workspace by name", "/prod/v1/records?app=orders&workspace=acme-prod", "token-acme-prod", 200},
		{"a feature that it has", "/prod/v1/features/reports", "token-acme-prod", 200},
		{"a feature that is off", "/prod/v1/features/sso", "token-acme-prod", 403},
		{"a feature that nobody knows", "/prod/v1/features/teleport", "token-acme-prod", 403},
		{"an app that it doesn't have", "/prod/v1/records?app=invoices", "token-acme-prod", 404},
		{"a table that is no app", "/prod/v1/records?app=sqlite_master", "token-acme-prod", 404},
	}
	for _, tt := range tests {
		if got, body := do(t, p, "GET", tt.path, tt.token, ""); got != tt.want {
			t.Errorf("%s: status %d %v, want %d", tt.name, got, body, tt.want)
		}
	}
}

// What suspends and revokes a key is its row: the next call is refused.
func TestAccessEndsWithTheRow(t *testing.T) {
	t.Parallel()
	p := start(t)
	if got, _ := do(t, p, "GET", "/prod/v1/apps", "token-acme-prod", ""); got != 200 {
		t.Fatalf("before: status %d", got)
	}
	exec(t, p.db, "update api_keys set active = 0 where workspace = 'acme-prod'")
	if got, _ := do(t, p, "GET", "/prod/v1/apps", "token-acme-prod", ""); got != 401 {
		t.Errorf("after: status %d, want 401", got)
	}
	if got, _ := do(t, p, "GET", "/prod/v1/apps", "token-borg-prod", ""); got != 200 {
		t.Errorf("the neighbour: status %d, want 200", got)
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	p := start(t)
	got, body := do(t, p, "POST", "/prod/v1/records?app=customers", "token-acme-prod", `{"name": "Customer 0001", "city": "Cork", "segment": "standard"}`)
	if got != 200 || body["id"] != float64(1) {
		t.Fatalf("add: status %d %v", got, body)
	}
	if got, body := do(t, p, "POST", "/prod/v1/records?app=customers", "token-acme-prod", `{"name": 1}`); got != 400 {
		t.Errorf("a record that doesn't fit: status %d %v, want 400", got, body)
	}
	_, body = do(t, p, "GET", "/prod/v1/records?app=customers", "token-acme-prod", "")
	want := map[string]any{"records": []any{map[string]any{"id": float64(1), "name": "Customer 0001", "city": "Cork", "segment": "standard"}}}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if _, body := do(t, p, "GET", "/prod/v1/records?app=customers", "token-borg-prod", ""); len(body["records"].([]any)) != 0 {
		t.Errorf("the neighbour sees %v", body)
	}
	var n int
	if err := p.db.QueryRow("select count(*) from usage_events where billed_to = 'acme-prod'").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d calls were counted, %v, want 3", n, err)
	}
}

func TestFillAndBackup(t *testing.T) {
	t.Parallel()
	p := start(t)
	ctx := context.Background()
	filled, err := p.Fill(ctx, "acme-prod", 100)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Filled{Feedback: 20, Customers: 100, Orders: 300, Invoices: 150, Files: 10}); filled != want {
		t.Errorf("filled %+v, want %+v", filled, want)
	}
	day := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	if files, err := p.Backup(ctx, day); err != nil || len(files) != 0 {
		t.Errorf("without a folder for backups: %v, %v", files, err)
	}
	folder := p.backupFolder(workspace{database: "acme-prod"})
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second replaces the first
		files, err := p.Backup(ctx, day)
		if err != nil || len(files) != 1 {
			t.Fatalf("backup: %v, %v", files, err)
		}
		copied, err := open(files[0], "ro")
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(files[0]); err != nil || !info.ModTime().Equal(day) {
			t.Errorf("the backup's time isn't the day's: %v, %v", info, err)
		}
		var n int
		if err := copied.QueryRow("select count(*) from invoices").Scan(&n); err != nil || n != 150 {
			t.Errorf("the backup has %d invoices, %v, want 150", n, err)
		}
		copied.Close()
	}
}

// A platform that starts again has what it had.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	admit(t, p, "acme", "prod")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if p, err = Start(dir); err != nil {
		t.Fatal(err)
	}
	if got, _ := do(t, p, "GET", "/prod/v1/apps", "token-acme-prod", ""); got != 200 {
		t.Errorf("status %d after a restart, want 200", got)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
