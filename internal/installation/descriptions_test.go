package installation

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
)

const desks = `apiVersion: tenure.dev/v1
kind: Description
name: desks
version: "1.0"
summary: Desks.
tested: live
how: here
rights: None.
leaves: Nothing.
auth: {kind: none}
sentinel: {type: desk, name: sentinel}
types:
  desk:
    summary: A desk.
    layer: configuration
    deletion: It goes.
    verification: It is listed.
    recovery: None.
    attributes: {properties: {}}
    item: {id: /id, name: /name, mark: {at: /mark, as: whole, writers: Nobody.}}
    list: {path: /desks, items: ""}
    create: {method: POST, path: /desks, body: {name: "${own}", mark: "${mark}"}}
    delete: {method: DELETE, path: "/desks/${id}"}
`

// A system is used by the description that it was added with alone; one that was changed
// takes a person, who adds it again. Comments change nothing.
func TestDescriptionIsPinned(t *testing.T) {
	var all []map[string]any
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			var in map[string]any
			_ = json.NewDecoder(r.Body).Decode(&in)
			in["id"] = fmt.Sprint(len(all))
			all = append(all, in)
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(in)
			return
		}
		_ = json.NewEncoder(w).Encode(append([]map[string]any{}, all...))
	}))
	defer srv.Close()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "descriptions"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("descriptions/desks.yaml", desks)
	write("systems.yaml", "systems: {desks: {connector: desks, options: {base: '"+srv.URL+"'}}}\n")
	in, err := Init(t.Context(), Options{Dir: dir, Now: time.Now}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	add := func() {
		t.Helper()
		if _, err := in.AddSystem(t.Context(), "desks", false, "ada"); err != nil {
			t.Fatal(err)
		}
	}
	again := func() (well bool, reason string) {
		t.Helper()
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if in, err = Open(t.Context(), Options{Dir: dir, Now: time.Now}); err != nil {
			t.Fatal(err)
		}
		list, err := in.Systems(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0].Well, list[0].Why
	}
	add()
	if well, why := again(); !well {
		t.Errorf("the system that was added: %s", why)
	}
	write("descriptions/desks.yaml", "# a comment\n"+desks)
	if well, why := again(); !well {
		t.Errorf("after a comment: %s", why)
	}
	write("descriptions/desks.yaml", strings.Replace(desks, `"/desks/${id}"`, `"/other/${id}"`, 1))
	if well, why := again(); well || !strings.Contains(why, "was added when its description was 1.0+") {
		t.Errorf("after a change: well %t, %s", well, why)
	}
	add()
	if well, why := again(); !well {
		t.Errorf("once it was added again: %s", why)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a name that is taken": strings.Replace(desks, "name: desks", "name: sqlite", 1), "what is none": strings.Replace(desks, "layer: configuration", "layer: nothing", 1)} {
		write("descriptions/other.yaml", text)
		if _, err := Open(t.Context(), Options{Dir: dir, Now: time.Now}); tenure.CodeOf(err) != tenure.Invalid || !strings.Contains(err.Error(), "descriptions/other.yaml") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
