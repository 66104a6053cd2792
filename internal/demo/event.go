package demo

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

// feed is the machine in whose name what the CRM tells is asked for.
const feed = "crm-feed"

// dealRules make a customer of a deal that was won.
const dealRules = `apiVersion: tenure.dev/v1
kind: Triggers
name: deals
version: "1"
as: ` + feed + `
rules:
  - name: won
    source: crm
    on: [deal.won]
    customer: ${data.deal}
    onboard: {tenant: "${slug(data.company)}", blueprint: BLUEPRINT, tier: team, parameters: {adminLogin: "${data.login}"}}
tests:
  - name: a deal that was won is a tenant, once
    events:
      - {source: crm, type: deal.won, at: "2026-03-01", data: {deal: deal-1, company: Alder, login: a@alder.example}}
      - {source: crm, type: deal.won, at: "2026-03-02", data: {deal: deal-1, company: Alder, login: a@alder.example}}
    expect: [onboard alder]
`

// crm is the source of events, with a secret of this run's own.
func (s *story) crm() (map[string]installation.EventSource, error) {
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	s.secret = hex.EncodeToString(raw[:])
	path := filepath.Join(s.dir, "crm.secret")
	if err := os.WriteFile(path, []byte(s.secret), 0o600); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "demo folder: %w", err)
	}
	return map[string]installation.EventSource{"crm": {
		Scheme: "hmac", Header: "X-Signature", TimestampHeader: "X-Timestamp", Secrets: []string{"file:" + path},
		Fields: installation.EventFields{ID: "id", Type: "type", Subject: "deal"},
	}}, nil
}

// rules puts the rules for the CRM's events in force, and adds the machine that they ask as.
func (s *story) rules(ctx context.Context, blueprint string) error {
	root := governance.Local("demo")
	if _, err := s.inst.Governor.AddPrincipal(ctx, store.Principal{Name: operator, Email: address(operator), Kind: tenure.CallerPerson}, root.Name); err != nil {
		return err
	}
	m, err := s.inst.Governor.AddPrincipal(ctx, store.Principal{Name: feed, Kind: tenure.CallerMachine, Owner: operator}, root.Name)
	if err != nil {
		return err
	}
	if _, err := s.inst.Governor.Grant(ctx, root, tenure.Grant{Principal: m.ID, Role: tenure.Operator, Scope: tenure.Scope{Tiers: []string{"team"}}, Reason: "what the CRM tells"}); err != nil {
		return err
	}
	set, err := s.inst.Events.Submit(ctx, []byte(strings.Replace(dealRules, "BLUEPRINT", blueprint, 1)), "deals.yaml", author)
	if err != nil {
		return err
	}
	_, err = s.inst.Events.Publish(ctx, set.Digest, reviewer)
	return err
}

// wonDeal has the CRM tell of a deal, over HTTP and signed, and gives what it started. A
// forged one is refused, and the same one sent again counts once.
func (s *story) wonDeal(ctx context.Context, company string) (id tenure.OperationID, err error) {
	srv, err := server.New(server.Options{Service: s.inst.Service, Governor: s.inst.Governor, Events: s.inst.Events, Notices: s.inst.Notices})
	if err != nil {
		return "", err
	}
	defer srv.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", tenure.Errorf(tenure.Unavailable, "a loopback port: %w", err)
	}
	web := &http.Server{Handler: srv.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = web.Serve(l) }()
	defer web.Close()
	s.inst.Events.Open(srv.Door())
	defer s.inst.Events.Open(nil)

	body := fmt.Sprintf(`{"id":"evt-1","type":"deal.won","deal":"deal-1","company":%q,"login":"admin@%s.example"}`, company, company)
	post := func(secret string) (int, error) {
		at := fmt.Sprint(s.now().Unix())
		sum := hmac.New(sha256.New, []byte(secret))
		_, _ = fmt.Fprintf(sum, "%s.%s", at, body)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.Addr().String()+"/v1/events/crm", strings.NewReader(body))
		if err != nil {
			return 0, err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Timestamp", at)
		r.Header.Set("X-Signature", hex.EncodeToString(sum.Sum(nil)))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, tenure.Errorf(tenure.Unavailable, "an event: %w", err)
		}
		return res.StatusCode, res.Body.Close()
	}
	for _, c := range []struct {
		secret string
		status int
	}{{"a guess", http.StatusUnauthorized}, {s.secret, http.StatusOK}, {s.secret, http.StatusOK}} {
		got, err := post(c.secret)
		if err != nil {
			return "", err
		}
		if got != c.status {
			return "", s.check(false, "an event is answered with %d, and was with %d", c.status, got)
		}
	}
	if err := s.inst.Events.Work(ctx); err != nil {
		return "", err
	}
	list, err := s.inst.Events.List(ctx, store.InboundFilter{Limit: 10})
	if err != nil {
		return "", err
	}
	if err := s.check(len(list) == 1 && list[0].State == store.InboundActed, "the CRM told of a deal, signed, twice: one event is kept, and led to one request; a forged one was refused"); err != nil {
		return "", err
	}
	s.note("event %s: %s, by the rule %s that one person wrote and another published", list[0].ExternalID, list[0].Why, list[0].Rule)
	return list[0].Operation, nil
}
