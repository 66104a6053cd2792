// Package standin has stateful stand-ins of services that can't be run for a test, by what
// their makers publish of their interfaces. What passes with one is labelled fake: it shows
// that a description does what the documentation asks for, and not that the service does.
package standin

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Service is one running stand-in: tables of objects behind the routes of one service.
type Service struct {
	*httptest.Server
	Token string // what its interface asks for

	// Before may answer a request in the service's place: it says whether it did.
	Before func(w http.ResponseWriter, r *http.Request) bool

	mu     sync.Mutex
	tables map[string][]object
	next   int64
}

type object = map[string]any

// start serves the routes to who has the token. Allowed says whether a request has it.
func start(t testing.TB, allowed func(r *http.Request, token string) bool, routes func(s *Service, mux *http.ServeMux)) *Service {
	t.Helper()
	var random [4]byte
	_, _ = rand.Read(random[:])
	start := int64(100_000 + binary.BigEndian.Uint32(random[:])%800_000) // another for each, as services have
	s := &Service{Token: "token-" + rand.Text(), tables: map[string][]object{}, next: start}
	mux := http.NewServeMux()
	routes(s, mux)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.Before != nil && s.Before(w, r) {
			return
		}
		if !allowed(r, s.Token) {
			answer(w, http.StatusUnauthorized, object{"message": "no or an unknown token"})
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func bearer(r *http.Request, token string) bool {
	return r.Header.Get("Authorization") == "Bearer "+token
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func read(r *http.Request) object {
	var in object
	dec := json.NewDecoder(r.Body)
	dec.UseNumber()
	_ = dec.Decode(&in)
	return in
}

// add puts an object into a table under a new id.
func (s *Service) add(table string, o object) object {
	s.next++
	o["id"] = strconv.FormatInt(s.next, 10)
	s.tables[table] = append(s.tables[table], o)
	return o
}

func (s *Service) find(table, id string) object {
	for _, o := range s.tables[table] {
		if o["id"] == id {
			return o
		}
	}
	return nil
}

func (s *Service) drop(table, id string) bool {
	before := len(s.tables[table])
	s.tables[table] = slices.DeleteFunc(s.tables[table], func(o object) bool { return o["id"] == id })
	return len(s.tables[table]) < before
}

// Objects are copies of a table's objects that have what is asked for, as somebody at the
// service's own screen sees them.
func (s *Service) Objects(table string, is func(o map[string]any) bool) (out []map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.tables[table] {
		if is == nil || is(o) {
			out = append(out, maps.Clone(o))
		}
	}
	return out
}

// Change changes objects of a table, as somebody at the service's own screen does.
func (s *Service) Change(table string, is func(o map[string]any) bool, change func(o map[string]any)) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.tables[table] {
		if is(o) {
			change(o)
			n++
		}
	}
	return n
}

// Add adds an object to a table, as somebody at the service's own screen does.
func (s *Service) Add(table string, o map[string]any) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(table, o)["id"].(string)
}

// Remove removes objects of a table.
func (s *Service) Remove(table string, is func(o map[string]any) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tables[table] = slices.DeleteFunc(s.tables[table], is)
}

// Look writes down all that is there.
func (s *Service) Look(testing.TB) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, table := range slices.Sorted(maps.Keys(s.tables)) {
		for _, o := range s.tables[table] {
			raw, _ := json.Marshal(o)
			fmt.Fprintf(&b, "%s %s\n", table, raw)
		}
	}
	return b.String()
}

// number is a parameter of a query, or what none means.
func number(r *http.Request, name string, none int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
		return n
	}
	return none
}
