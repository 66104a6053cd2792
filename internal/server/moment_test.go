package server_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// TestMomentsAreSaidAlike: the store keeps microseconds, and every answer says a moment
// as the store has it, also the one to who named it in nanoseconds.
func TestMomentsAreSaidAlike(t *testing.T) {
	t.Parallel()
	s := newServiceAt(t, func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 123456789, time.UTC) })
	srv := newServer(t, s)
	ada := signedIn(t, s, remote(t, srv), "ada", tenure.Admin, tenure.Scope{All: true})
	p := client.NewTokenParams{}
	p.Body.Name, p.Body.ExpiresAt = "laptop", time.Date(2026, 6, 15, 12, 30, 0, 987654321, time.UTC)
	made, err := client.MakeToken.Call(t.Context(), ada, p)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ListTokens.Call(t.Context(), ada, client.TokenFilter{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, have := range list {
		if have.ID == made.ID {
			found = true
			if !have.ExpiresAt.Equal(made.ExpiresAt) || made.ExpiresAt.Nanosecond() != 987654000 {
				t.Errorf("made until %s, listed until %s", made.ExpiresAt, have.ExpiresAt)
			}
		}
	}
	if !found {
		t.Error("the token isn't listed")
	}

	seen := plant(t, s, "alder", "gold", "ordinary")
	moment := regexp.MustCompile(`(20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8})Z`)
	fine := regexp.MustCompile(`"[^"]*\.[0-9]{7,9}Z"`)
	taken := 0
	for _, d := range documentedRoutes(t, srv) {
		if strings.HasSuffix(d.path, "/events") || d.ID == client.ExportLog.Name || d.ID == client.MakeCheckpoint.Name {
			continue
		}
		body := ""
		if c, ok := d.Body.Content["application/json"]; ok && json.Valid(c.Example) {
			body = moment.ReplaceAllString(string(c.Example), "$1.123456789Z")
		}
		code, _, answer := do(t, srv.LocalHandler(), d.verb, d.at(seen), body, tester)
		if said := fine.FindString(answer); said != "" && code/100 == 2 {
			t.Errorf("%s says %s", d.ID, said)
		}
		if code/100 == 2 && body != "" {
			taken++
		}
	}
	if taken < 5 {
		t.Errorf("only %d bodies were taken", taken)
	}
}
