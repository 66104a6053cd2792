package http_test

import (
	"encoding/json"
	nethttp "net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// desk keeps things and notes, each under the smallest number that is free.
type desk struct {
	mu   sync.Mutex
	rows map[string]map[string]map[string]any // by list and number

	lost  string // the list to which the next is added without an answer
	blind string // the list that shows none, as if a right were missing
}

func (k *desk) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	rows := k.rows[list]
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in)
	w.Header().Set("Content-Type", "application/json")
	switch r.Method {
	case "GET":
		all := []any{}
		for _, row := range rows {
			if list == k.blind {
				break
			}
			all = append(all, row)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"items": all})
	case "POST":
		n := 1
		for rows[strconv.Itoa(n)] != nil {
			n++
		}
		in["id"] = strconv.Itoa(n)
		rows[strconv.Itoa(n)] = in
		if list == k.lost {
			k.lost = ""
			w.WriteHeader(nethttp.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(in)
	case "PATCH":
		for name, v := range in {
			rows[id][name] = v
		}
	case "DELETE":
		delete(rows, id)
	}
}

const deskOf = `apiVersion: tenure.dev/v1
kind: Description
name: desk
version: "1"
summary: Things.
tested: live
how: here
rights: None.
leaves: Nothing.
auth: {kind: none}
sentinel: {type: thing, name: sentinel}
marks:
  list: {path: /notes, items: /items}
  key: /key
  text: /text
  id: /id
  put: {method: POST, path: /notes, body: {key: "${key}", text: "${mark}"}}
  change: {method: PATCH, path: "/notes/${id}", body: {text: "${mark}"}, again: true}
  remove: {method: DELETE, path: "/notes/${id}"}
types:
  thing:
    summary: A thing.
    layer: configuration
    deletion: It goes.
    verification: It is listed.
    recovery: None.
    attributes: {properties: {color: {type: string}}}
    item: {id: /id, name: /name}
    list: {path: /things, items: /items}
    create: {method: POST, path: /things, body: {name: "${own}"}}
    change: {method: PATCH, path: "/things/${id}", body: {name: "${own}"}, again: true}
    delete: {method: DELETE, path: "/things/${id}"}
`

// Where ids are given again, what has the id of a tenant's thing and another name isn't
// taken for it: it is told, and left alone. Where they aren't, it is the tenant's, renamed.
func TestIdGivenAgain(t *testing.T) {
	t.Parallel()
	for _, unique := range []bool{false, true} {
		k := &desk{rows: map[string]map[string]map[string]any{"things": {}, "notes": {}}}
		srv := httptest.NewServer(k)
		t.Cleanup(srv.Close)
		text := deskOf
		if unique {
			text = strings.Replace(text, "{id: /id, name", "{id: /id, unique: true, name", 1)
		}
		sys := opened(t, text, map[string]string{"base": srv.URL}, nil)
		if _, _, v, err := sys.Ensure(t.Context(), thing(1)); err != nil || v != tenure.Verified {
			t.Fatalf("%s, %v", v, err)
		}
		k.mu.Lock()
		for id, row := range k.rows["things"] {
			if row["name"] == thing(1).Name {
				k.rows["things"][id] = map[string]any{"id": id, "name": "a stranger's"}
			}
		}
		k.mu.Unlock()
		seen, _, err := sys.Observe(t.Context(), []connector.Ref{thing(1).Ref})
		if err != nil || !seen[0].Found || seen[0].Called != "a stranger's" {
			t.Errorf("unique %t: it is seen as %+v, %v", unique, seen, err)
		}
		_, v, err := sys.Delete(t.Context(), thing(1).Ref)
		k.mu.Lock()
		left := len(k.rows["things"]) - 1 // the sentinel stays
		k.mu.Unlock()
		if unique && (err != nil || v != tenure.Verified || left != 0) || !unique && (tenure.CodeOf(err) != tenure.Blocked || left != 1) {
			t.Errorf("unique %t: deleted %s, %v; %d are left", unique, v, err, left)
		}
	}
}
