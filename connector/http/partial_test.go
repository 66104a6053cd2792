package http_test

import (
	"encoding/json"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/http"
)

// crew is a system of users with a mark, whose access is cut in two steps, and with letters.
type crew struct {
	*httptest.Server
	mu      sync.Mutex
	users   map[string]map[string]any
	letters int
	ended   int            // sessions ended
	refuse  map[string]int // by the step's path: how often it still fails
	hides   bool           // users and letters are left out of lists that say how many there are
	keeps   bool           // letters are left out alone
	silent  bool           // lists have no place for their items
	removed []string       // paths of letters that were to go
	room    int            // so many bytes of a note are kept; 0 is all
	deaf    int            // letters of the next that aren't removed, though the answer is yes
}

func (c *crew) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	put := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in)
	id, step, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/users/"), "/")
	if c.refuse[step] > 0 {
		c.refuse[step]--
		w.WriteHeader(nethttp.StatusForbidden)
		put(map[string]any{"message": "not now"})
		return
	}
	list := func(items []any) {
		total := len(items)
		if c.hides || c.keeps {
			items = []any{}
		}
		body := map[string]any{"items": items, "total": total}
		if c.silent {
			body = map[string]any{"error": "try later"}
		}
		put(body)
	}
	switch {
	case r.URL.Path == "/users" && r.Method == "GET":
		items := []any{}
		for _, u := range c.users {
			if !c.hides || u["name"] == "sentinel" {
				items = append(items, u)
			}
		}
		body := map[string]any{"items": items, "total": len(c.users)}
		if c.silent {
			body = map[string]any{"error": "try later"}
		}
		put(body)
	case r.URL.Path == "/users":
		in["id"], in["on"] = in["name"], true
		c.users[in["name"].(string)] = in
		put(in)
	case step == "letters" && r.Method == "GET":
		items := []any{}
		for i := range c.letters {
			items = append(items, map[string]any{"id": i + 1})
		}
		list(items)
	case strings.HasPrefix(step, "letters/"):
		c.removed = append(c.removed, r.URL.Path)
		if c.deaf > 0 {
			c.deaf--
		} else if c.letters > 0 {
			c.letters--
		} else {
			w.WriteHeader(nethttp.StatusNotFound)
		}
	case step == "logout":
		c.ended++
	case r.Method == "PATCH":
		for key, v := range in {
			if note, is := v.(string); is && c.room > 0 {
				v = note[:min(c.room, len(note))]
			}
			c.users[id][key] = v
		}
		put(c.users[id])
	case r.Method == "DELETE":
		delete(c.users, id)
	}
}

const crewOf = `apiVersion: tenure.dev/v1
kind: Description
name: crew
version: "1"
summary: People.
tested: live
how: here
rights: None.
leaves: Nothing.
auth: {kind: none}
sentinel: {type: user, name: sentinel}
types:
  user:
    summary: Somebody.
    layer: account
    deletion: It goes.
    verification: It is listed.
    recovery: None.
    names: {pattern: "^[a-z]+$", says: small letters}
    attributes: {properties: {}}
    item:
      id: /id
      name: /name
      state: '${item.on ? "present" : word == "revoked" ? "revoked" : "suspended"}'
      mark: {at: /note, as: whole, writers: Nobody., write: {method: PATCH, path: "/users/${id}", body: {note: "${mark}"}, again: true}}
    list: {path: /users, items: /items, pages: {by: page, param: page, first: 1, limit: size, size: 100, total: /total}}
    create: {method: POST, path: /users, body: {name: "${own}", note: "${mark}"}}
    suspend: &off
      - {method: PATCH, path: "/users/${id}", body: {on: false, note: "${mark}"}, again: true}
      - {method: POST, path: "/users/${id}/logout", again: true}
    resume: {method: PATCH, path: "/users/${id}", body: {on: true, note: "${mark}"}, again: true}
    revoke: *off
    delete: {method: DELETE, path: "/users/${id}"}
    data:
      list: {path: "/users/${id}/letters", items: /items, pages: {by: page, param: page, first: 1, limit: size, size: 100, total: /total}}
      id: /id
      delete: {method: DELETE, path: "/users/${id}/letters/${entry.id}"}
`

func newCrew(t *testing.T) (*crew, *connector.System, connector.Ref) {
	t.Helper()
	c := &crew{users: map[string]map[string]any{}, refuse: map[string]int{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	sys := opened(t, crewOf, map[string]string{"base": c.URL}, nil)
	r := connector.Ref{Resource: "res_01890a5d-ac96-774b-bcce-000000000001", Tenant: "ten_01890a5d-ac96-774b-bcce-b302099a8057", Type: "user", Name: "ada", Classes: []string{"letters"}}
	if _, _, _, err := sys.Ensure(t.Context(), connector.Desired{Ref: r}); err != nil {
		t.Fatal(err)
	}
	return c, sys, r
}

func stateOf(t *testing.T, d connector.Driver, r connector.Ref) (state tenure.ResourceState) {
	t.Helper()
	if _, err := d.Observe(t.Context(), []connector.Ref{r}, func(o connector.Observed) error { state = o.State; return nil }); err != nil {
		t.Fatal(err)
	}
	return state
}

// A cut of which a later step failed isn't seen as made, and who asks for it again has all
// of its steps done.
func TestCutThatBrokeOff(t *testing.T) {
	t.Parallel()
	for call, to := range map[string]tenure.ResourceState{"suspend": tenure.ResourceSuspended, "revoke": tenure.ResourceRevoked} {
		t.Run(call, func(t *testing.T) {
			c, sys, r := newCrew(t)
			d := sys.Driver()
			cut := d.(connector.Suspender).Suspend
			if call == "revoke" {
				cut = d.(connector.Revoker).Revoke
			}
			c.refuse["logout"] = 1
			if _, err := cut(t.Context(), r); err == nil {
				t.Fatal("the refusal of a step isn't told")
			}
			if got := stateOf(t, d, r); got == to {
				t.Errorf("with a step left it is seen as %s", got)
			}
			if call == "revoke" {
				if _, err := d.(connector.Suspender).Resume(t.Context(), r); tenure.CodeOf(err) != tenure.Conflict {
					t.Errorf("what is being revoked is resumed: %v", err)
				}
			}
			if _, err := cut(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if got := stateOf(t, d, r); got != to || c.ended != 1 {
				t.Errorf("once more, it is %s, and sessions were ended %d times", got, c.ended)
			}
			if _, err := cut(t.Context(), r); err != nil || c.ended != 1 {
				t.Errorf("a cut that is made was made again: %v", err)
			}
		})
	}
}

// From a list that doesn't show all nothing is concluded: nothing is made, taken for gone,
// for erased or for cut.
func TestAbsenceInPartialSight(t *testing.T) {
	t.Parallel()
	for name, blind := range map[string]func(*crew){"lists that hide": func(c *crew) { c.hides = true }, "lists without a place for items": func(c *crew) { c.silent = true }} {
		t.Run(name, func(t *testing.T) {
			c, sys, r := newCrew(t)
			d := sys.Driver()
			blind(c)
			for call, do := range map[string]func() error{
				"ensure": func() error { _, _, err := d.Ensure(t.Context(), connector.Desired{Ref: r}); return err },
				"delete": func() error { _, err := d.Delete(t.Context(), r); return err },
				"revoke": func() error { _, err := d.(connector.Revoker).Revoke(t.Context(), r); return err },
				"erase": func() error {
					e, err := d.(connector.Eraser).Erase(t.Context(), r, connector.Batch{Class: "letters"})
					if e.Done {
						t.Error("erase says that it is done")
					}
					return err
				},
			} {
				if err := do(); tenure.CodeOf(err) != tenure.Unavailable {
					t.Errorf("%s: %v", call, err)
				}
			}
			if len(c.users) != 2 || c.users["ada"]["on"] != true {
				t.Errorf("there are %v", c.users)
			}
		})
	}
	t.Run("letters that are hidden", func(t *testing.T) {
		c, sys, r := newCrew(t)
		d := sys.Driver()
		c.letters, c.keeps = 3, true
		if _, err := d.Delete(t.Context(), r); tenure.CodeOf(err) != tenure.Unavailable || c.users["ada"] == nil {
			t.Errorf("what holds unseen letters is deleted: %v", err)
		}
	})
}

// An entry is deleted below the thing that holds it, and only what went counts.
func TestEntriesGo(t *testing.T) {
	t.Parallel()
	c, sys, r := newCrew(t)
	d := sys.Driver()
	c.letters, c.deaf = 3, 1
	e, err := d.(connector.Eraser).Erase(t.Context(), r, connector.Batch{Class: "letters"})
	if tenure.CodeOf(err) != tenure.Blocked || e.Done || e.Counts["user entries"] != 2 {
		t.Errorf("of three one stays: %+v, %v", e, err)
	}
	e, err = d.(connector.Eraser).Erase(t.Context(), r, connector.Batch{Class: "letters"})
	if err != nil || !e.Done || e.Counts["user entries"] != 1 || c.letters != 0 {
		t.Errorf("the last: %+v, %v; %d are left", e, err, c.letters)
	}
	for _, path := range c.removed {
		if !strings.HasPrefix(path, "/users/ada/letters/") {
			t.Errorf("it asked for %s", path)
		}
	}
	if len(c.removed) != 4 {
		t.Errorf("it asked for %q", c.removed)
	}
	_, err = http.Parse([]byte(strings.Replace(crewOf, "letters/${entry.id}", "letters/${id}", 1)), "crew.yaml")
	if err == nil || !strings.Contains(err.Error(), "which of the entries goes") {
		t.Errorf("a deletion that names no entry is %v", err)
	}
}

// A cut whose note the field was too short for isn't verified: what stands there now isn't
// our mark.
func TestCutThatWasCutOff(t *testing.T) {
	t.Parallel()
	c, sys, r := newCrew(t)
	c.room = len(c.users["ada"]["note"].(string)) + 4
	if _, v, err := sys.Suspend(t.Context(), r); err == nil && v == tenure.Verified {
		t.Error("the suspension counts as verified")
	}
}
