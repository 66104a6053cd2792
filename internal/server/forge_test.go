package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/server"
	"github.com/tenurehq/tenure/internal/store"
)

// TestForgedCursors: a cursor that somebody made leads into no list that isn't theirs,
// and breaks nothing.
func TestForgedCursors(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	hidden, seen := plant(t, s, "acme", "silver", "hidden"), plant(t, s, "bolt", "gold", "seen")
	near := bearer(t, s, "near", tenure.Viewer, gold)
	var made []string
	for _, text := range []string{
		`"acme"`, `"` + string(hidden.tenant) + `"`, `"` + string(hidden.operation) + `"`, `"` + string(hidden.hold) + `"`, `""`, `0`, `-1`, `1e308`, `9223372036854775808`, `null`, `[]`, `{}`, `true`,
		`{"name":"acme","id":"` + string(hidden.tenant) + `"}`, `{"At":0,"ID":"' or 1=1 --"}`, `["2026-01-01T00:00:00Z","` + string(hidden.operation) + `"]`, `"` + strings.Repeat("x", 3000) + `"`, strings.Repeat("[", 5000), `"\u0000"`, "\xff",
	} {
		made = append(made, base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	made = append(made, "!", "=", "%00", strings.Repeat("A", 9000))
	for _, d := range documentedRoutes(t, srv) {
		if d.verb != "GET" || strings.Contains(d.path, "events") {
			continue
		}
		for _, c := range made {
			code, _, body := do(t, srv.Handler(), "GET", d.at(seen)+"?cursor="+url.QueryEscape(c), "", near)
			if code >= 500 {
				t.Errorf("%s with the cursor %.40q: %d %s", d.ID, c, code, body)
			}
			if code == 200 {
				unsaid(t, d.ID, body, hidden.words()...)
			}
		}
	}
}

// TestLabelsChangeDuringAStream: from the entry of the change on, a stream tells nothing
// of a tenant that has left its caller's scope.
func TestLabelsChangeDuringAStream(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	left, kept := plant(t, s, "acme", "silver", "left"), plant(t, s, "bolt", "gold", "kept")
	token := tokenOf(t, s, "near", tenure.Viewer, tenure.Scope{Labels: []string{"team=silver", "team=gold"}})
	c := clientOf(t, remote(t, srv), token)
	one := listening(t, srv, "/v1/operations/"+string(left.operation)+"/events", map[string]string{"Authorization": "Bearer " + token.Reveal()})
	size, err := s.Engine.DB.LogSize(ctx)
	if err != nil {
		t.Fatal(err)
	}
	say := func(kind string, p planted) {
		e, err := s.Entry(ctx, kind, "test", p.tenant, p.operation, string(p.operation), nil)
		if err == nil {
			err = s.Engine.DB.Write(ctx, func(tx *store.Tx) error { return tx.Log(e) })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	say("step.before", left)
	var heard []string
	for e, err := range c.AllEvents(ctx, "", size-1) {
		if err != nil {
			t.Fatal(err)
		}
		if heard = append(heard, e.Entry); e.Entry == "step.kept" {
			break
		}
		if e.Entry != "step.before" {
			continue
		}
		if _, err := s.SetLabels(ctx, string(left.tenant), map[string]string{"team": "other"}, 0, "root", func(tenure.Target) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			say("step.after", left)
		}
		say("step.kept", kept)
	}
	if got := strings.Join(heard, " "); strings.Contains(got, "after") {
		t.Errorf("heard %s", got)
	}
	select {
	case said := <-one:
		unsaid(t, "the operation's stream", said, "step.after")
	case <-time.After(30 * time.Second):
		t.Error("the operation's stream is open still")
	}
}

// TestDelegationsMakeNoChain: approvals that somebody was lent aren't lent on, and a
// ring of delegations makes no second person of anybody.
func TestDelegationsMakeNoChain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	web := remote(t, srv)
	all := tenure.Scope{All: true}
	op := onboarding(t, as(t, srv, "ann"), as(t, srv, "rita"), "alder")
	settle(t, s)
	people := map[string]*client.Client{}
	for name, role := range map[string]tenure.Role{"ann": tenure.Approver, "ben": tenure.Viewer, "cyd": tenure.Viewer, "dee": tenure.Approver} {
		people[name] = strongly(t, s, web, name, role, all)
	}
	lend := func(from, to string) error {
		give := client.NewDelegation{}
		give.Body.To, give.Body.Scope, give.Body.Reason, give.Body.ExpiresAt = to, all, "on leave", s.Now().Add(time.Hour)
		_, err := client.Delegate.Call(ctx, people[from], give)
		return err
	}
	if err := lend("dee", "ben"); err != nil {
		t.Fatal(err)
	}
	if err := lend("ben", "cyd"); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("ben lends on what dee lent: %v", err)
	}
	if err := lend("ann", "cyd"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ApproveOperation.Call(ctx, people["cyd"], approval(op)); tenure.CodeOf(err) != tenure.Forbidden {
		t.Errorf("ann asked, and who has ann's approvals approves: %v", err)
	}
	if err := lend("dee", "ann"); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"ann", "cyd", "dee"} {
		if _, err := client.ApproveOperation.Call(ctx, people[who], approval(op)); tenure.CodeOf(err) != tenure.Forbidden {
			t.Errorf("%s, coupled with ann who asked, approves: %v", who, err)
		}
	}
}

// TestPublishedBlueprintsStay: what was published under a name and version is what runs,
// whoever submits another text under it.
func TestPublishedBlueprintsStay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "alder")
	before, err := client.ShowBlueprint.Call(ctx, as(t, srv, "olga"), client.BlueprintParams{Blueprint: "small@1.0"})
	if err != nil {
		t.Fatal(err)
	}
	var p client.SourceParams
	if err := json.Unmarshal([]byte(client.SubmitBlueprint.Example), &p.Body); err != nil {
		t.Fatal(err)
	}
	p.Body.Source += "\n# another text\n"
	p.Body.Source = strings.Replace(p.Body.Source, "failure: compensate", "failure: park", 1)
	for _, who := range []string{"mallory", "olga"} {
		b, err := client.SubmitBlueprint.Call(ctx, as(t, srv, who), p)
		if err != nil {
			continue // refused as it comes
		}
		if _, err := client.PublishBlueprint.Call(ctx, as(t, srv, "rita"), client.PublishParams{BlueprintParams: client.BlueprintParams{Blueprint: b.Digest}}); err == nil && b.Digest != before.Digest {
			t.Errorf("another text is published as small@1.0")
		}
	}
	after, err := client.ShowBlueprint.Call(ctx, as(t, srv, "olga"), client.BlueprintParams{Blueprint: "small@1.0"})
	if err != nil || after.Digest != before.Digest || after.PublishedBy != before.PublishedBy {
		t.Errorf("small@1.0 was %s and is %s (%v)", before.Digest, after.Digest, err)
	}
}

// TestStandingApprovalsTakeNoHostileParameters: what a source sends along starts nothing
// that its rule's reviewers didn't mean.
func TestStandingApprovalsTakeNoHostileParameters(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newService(t)
	srv := newServer(t, s)
	onboarding(t, as(t, srv, "olga"), as(t, srv, "rita"), "alder")
	rule := client.StandingProposal{Body: tenure.StandingRule{Name: "sign-ups", Trigger: "shop:", Source: "shop", Blueprint: "small", Tiers: []string{"team"}, MaxResources: 20, PerDay: 50, EndsAt: s.Now().Add(24 * time.Hour)}}
	st, err := client.ProposeStanding.Call(ctx, as(t, srv, "olga"), rule)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"rita", "sam"} {
		p := client.StandingReviewParams{StandingParams: client.StandingParams{Standing: string(st.ID)}}
		p.Body.Digest = st.Digest
		if _, err := client.ReviewStanding.Call(ctx, as(t, srv, by), p); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(i int, in client.Intent) (client.Operation, error) {
		in.Kind, in.Blueprint, in.Tenant = tenure.Onboard, "small", fmt.Sprint("shop-", i)
		var p client.OperationRequest
		p.Body.Intent = in
		op, err := client.RequestOperation.Call(ctx, as(t, srv, "shop"), p)
		if err != nil {
			return op, err
		}
		settle(t, s)
		row, err := s.Engine.DB.Operation(ctx, op.ID)
		op.State, op.Reason = row.State, row.Reason
		return op, err
	}
	good := map[string]any{"login": "a@b.example"}
	if op, err := ask(0, client.Intent{Tier: "team", Trigger: "shop:0", Parameters: good}); err != nil || op.State != tenure.OperationSucceeded {
		t.Fatalf("what the rule is for: %s %s (%v)", op.State, op.Reason, err)
	}
	for i, in := range []client.Intent{
		{Tier: "gold", Trigger: "shop:1", Parameters: good},
		{Tier: "team\n", Trigger: "shop:2", Parameters: good},
		{Tier: "team", Trigger: "SHOP:3", Parameters: good},
		{Tier: "team", Trigger: " shop:4", Parameters: good},
		{Tier: "team", Trigger: "shop:5", Parameters: map[string]any{"login": "a@b.example", "tier": "gold", "standing": st.ID}},
		{Tier: "team", Trigger: "shop:6", Parameters: map[string]any{"login": []any{"a@b.example", "${tenant.name}"}}},
		{Tier: "team", Trigger: "shop:7", Parameters: map[string]any{"login": "a@b.example", "seats": 1e30}},
		{Tier: "team", Trigger: "shop:8", Parameters: map[string]any{"login": "a@b.example", "seats": -1}},
		{Tier: "team", Trigger: "shop:9", Parameters: map[string]any{"login": map[string]any{"$credential": "admin"}}},
	} {
		if op, err := ask(i+1, in); err == nil && op.State == tenure.OperationSucceeded {
			t.Errorf("started without a person: %+v", in)
		}
	}
}

// TestLogLinesStayLines: what a caller writes makes no second line in the server's log,
// and no field of one.
func TestLogLinesStayLines(t *testing.T) {
	t.Parallel()
	for format, handler := range map[string]func(io.Writer) slog.Handler{
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var out lockedBuffer
			s := newService(t)
			srv, err := server.New(server.Options{Service: s, Governor: governorOf(s), Log: slog.New(handler(&out))})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(srv.Close)
			as1 := as(t, srv, "eve level=ERROR msg=forged") // a name with a line feed isn't taken
			onboarding(t, as1, as(t, srv, "rita"), "alder")
			near := bearer(t, s, "near", tenure.Viewer, tenure.Scope{All: true})
			if err := s.Engine.DB.Close(); err != nil { // from here on everything is an internal error, which is logged
				t.Fatal(err)
			}
			const forged = "x\r\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\nlevel=ERROR msg=forged\u2028\x1b[2J"
			for _, path := range []string{"/v1/tenants/" + url.PathEscape(forged), "/v1/tenants?cursor=" + url.QueryEscape(forged), "/v1/operations/" + url.PathEscape(forged) + "/events", "/v1/holds?tenant=" + url.QueryEscape(forged)} {
				near["User-Agent"], near["Idempotency-Key"] = forged, forged
				do(t, srv.Handler(), "GET", path, "", near)
				do(t, srv.LocalHandler(), "GET", path, "", map[string]string{client.PrincipalHeader: url.PathEscape(forged)})
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if len(lines) < 2 {
				t.Fatalf("nothing was logged, so this test says nothing: %q", out.String())
			}
			for _, l := range lines {
				if strings.ContainsAny(l, "\r\x1b\u2028") || format == "json" && !json.Valid([]byte(l)) || strings.HasPrefix(l, "level=ERROR") || strings.HasPrefix(l, "{\"level\":\"ERROR\"") {
					t.Errorf("a line of the log was forged: %q", l)
				}
			}
		})
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// TestSlowClients: who sends headers byte by byte, or opens many connections and says
// nothing, is let go, and others are served meanwhile.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	at, _ := running(t, srv, server.Listen{Socket: socketDir(t) + "/s", Address: "127.0.0.1:0"})
	address := strings.TrimPrefix(at, "http://")
	const slow = 200
	ended := make(chan time.Duration, slow)
	begun := time.Now()
	for range slow {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			_, _ = conn.Write([]byte("GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Slow: "))
			go func() {
				for range 60 {
					if _, err := conn.Write([]byte("a")); err != nil {
						return
					}
					time.Sleep(500 * time.Millisecond)
				}
			}()
			_, _ = io.Copy(io.Discard, bufio.NewReader(conn))
			ended <- time.Since(begun)
		}()
	}
	res, err := http.Get(at + "/healthz")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("meanwhile others are answered %v (%v)", res, err)
	}
	_ = res.Body.Close()
	for range slow {
		select {
		case after := <-ended:
			if after > 15*time.Second {
				t.Errorf("a slow client was let go after %s", after)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("slow clients are still connected")
		}
	}
}

// TestSlowBodies: a body that comes byte by byte is let go as well; who isn't signed in
// is refused before any of it is read.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	s := newService(t)
	srv := newServer(t, s)
	token := tokenOf(t, s, "ada", tenure.Admin, tenure.Scope{All: true}).Reveal()
	at, _ := running(t, srv, server.Listen{Socket: socketDir(t) + "/s", Address: "127.0.0.1:0"})
	address := strings.TrimPrefix(at, "http://")
	// send begins a long body and says how long it took until it was answered or let go.
	send := func(header string) time.Duration {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer conn.Close()
		begun, stop := time.Now(), make(chan struct{})
		defer close(stop)
		_, _ = io.WriteString(conn, "POST /v1/principals HTTP/1.1\r\nHost: "+address+"\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n"+header+"\r\n{\"name\": \"")
		go func() {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					_, _ = conn.Write([]byte("a"))
				}
			}
		}()
		_ = conn.SetReadDeadline(begun.Add(time.Minute))
		if _, err := bufio.NewReader(conn).ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a slow body holds its connection")
		}
		return time.Since(begun)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if took := send("Authorization: Bearer " + token + "\r\n"); took > 40*time.Second {
				t.Errorf("a slow body was let go after %s", took)
			}
		})
		all.Go(func() {
			if took := send(""); took > 10*time.Second {
				t.Errorf("a stranger's body was waited for: %s", took)
			}
		})
	}
	res, err := http.Get(at + "/readyz")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("meanwhile others are answered %v (%v)", res, err)
	}
	_ = res.Body.Close()
	all.Wait()
}
