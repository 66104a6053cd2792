package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector/memory"
	"github.com/tenurehq/tenure/internal/governance"
	"github.com/tenurehq/tenure/internal/noderedtest"
	"github.com/tenurehq/tenure/internal/npmtest"
	"github.com/tenurehq/tenure/internal/servertest"
	"github.com/tenurehq/tenure/internal/store"
)

const formRules = `
apiVersion: tenure.dev/v1
kind: Triggers
name: forms
version: "1"
as: feed
departures: 1
rules:
  - name: submitted
    source: form
    on: [form.submitted]
    customer: ${data.data.id}
    onboard: {tenant: "${slug(data.data.company)}", blueprint: small, parameters: {login: "${data.data.login}"}}
`

// newFlows is a feed that takes forms, at the machine's own time, by which flows sign.
func newFlows(t *testing.T) *feed {
	t.Helper()
	f := &feed{t: t, dir: t.TempDir(), file: filepath.Join(t.TempDir(), "tenure.db"), world: memory.InfoOf(memory.NewWorld("main"))}
	f.clock.Store(time.Now().UnixMicro())
	return f.begin(client.SubmitBlueprint.Example, formRules)
}

const noticeSecret = "whsec_bm90aWNlLXNlY3JldC1vZi10aGUtdGVzdA=="

// chat takes what is posted to it, unless it is down.
type chat struct {
	*httptest.Server

	mu   sync.Mutex
	said []string
	down bool
}

func newChat(t *testing.T) *chat {
	c := &chat{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		raw, _ := io.ReadAll(r.Body)
		c.said = append(c.said, r.Header.Get("Authorization")+string(raw))
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *chat) set(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// heard is what was posted since the last look.
func (c *chat) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said
	c.said = nil
	return said
}

// machineToken is a token of a new machine, for one permission.
func machineToken(t *testing.T, f *feed, name string, role tenure.Role, only tenure.Permission) string {
	t.Helper()
	g := governorOf(f.s)
	m, err := g.AddPrincipal(t.Context(), store.Principal{Name: name, Kind: tenure.CallerMachine, Owner: "keeper"}, "test")
	f.must(err)
	_, err = g.Grant(t.Context(), governance.Local("test"), tenure.Grant{Principal: m.ID, Role: role, Scope: tenure.Scope{All: true}, Reason: "test"})
	f.must(err)
	_, text, err := g.NewToken(t.Context(), governance.Local("keeper"), name, store.Token{Name: "flows", Only: []tenure.Permission{only}, ExpiresAt: f.now().Add(time.Hour)})
	f.must(err)
	return text.Reveal()
}

// notice is a request as Standard Webhooks 1.0.0 has it.
type notice struct {
	id, body, secret string
	at               time.Time
}

// signed gives the headers webhook-timestamp and webhook-signature: a list, of which one fits.
func (n notice) signed(t *testing.T) (at, signature string) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(n.secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	at = strconv.FormatInt(n.at.Unix(), 10)
	m := hmac.New(sha256.New, key)
	m.Write([]byte(n.id + "." + at + "." + n.body))
	return at, "v1," + base64.StdEncoding.EncodeToString([]byte("another's")) + " v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func (n notice) post(t *testing.T, address string) (int, string) {
	t.Helper()
	at, signature := n.signed(t)
	return sent(t, address, n.id, at, signature, n.body)
}

// sent posts what is signed, and gives the answer, which shows no token.
func sent(t *testing.T, address, id, at, signature, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature} {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range res.Header {
		if strings.Contains(strings.Join(values, " "), "tnr_") {
			t.Errorf("the answer shows a token in %s", name)
		}
	}
	return res.StatusCode, string(raw)
}

// TestNodeREDFlows: the flows that docs/integrations gives away work as they stand. A form
// becomes a tenant, a signed notice reaches the chat with what the API says of the tenant,
// and a ticket suspends and resumes it; what is forged, old or doubled leads to nothing.
func TestNodeREDFlows(t *testing.T) {
	t.Parallel()
	f := newFlows(t)
	talk := newChat(t)
	red := noderedtest.Start(t,
		"TENURE_URL="+f.at.URL, "TENURE_SOURCE=form", "TENURE_SOURCE_SECRET="+formSecret, "TENURE_WEBHOOK_SECRET="+noticeSecret,
		"TENURE_READ_TOKEN="+machineToken(t, f, "teller", tenure.Viewer, tenure.TenantRead),
		"TENURE_REQUEST_TOKEN="+machineToken(t, f, "tickets", tenure.Operator, tenure.OperationRequest),
		"FORM_KEY=key-of-the-form", "REQUEST_KEY=key-of-the-tickets", "CHAT_URL="+talk.URL)
	raw, err := os.ReadFile("../../docs/integrations/node-red.json")
	f.must(err)
	red.Deploy(t, raw, "/tenure/requests")

	form := servertest.Caller{Base: red.URL, Authorization: "Bearer key-of-the-form"}
	submission := map[string]string{"id": "s-1", "company": "Acme", "login": "a@acme.example"}
	if code, said := (servertest.Caller{Base: red.URL, Authorization: "Bearer another"}).Do(t, http.MethodPost, "/tenure/form", submission); code != http.StatusUnauthorized {
		t.Fatalf("a form with a wrong key: %d %s", code, said)
	}
	if code, said := form.Do(t, http.MethodPost, "/tenure/form", map[string]string{"id": "s-0"}); code != http.StatusBadRequest || !strings.Contains(string(said), "company, login") {
		t.Errorf("a form without a company: %d %s", code, said)
	}
	for range 2 { // the form's own system sends again what it isn't sure of
		if code, said := form.Do(t, http.MethodPost, "/tenure/form", submission); code != http.StatusAccepted {
			t.Fatalf("a form: %d %s", code, said)
		}
	}
	f.work()
	if all, err := f.s.Engine.DB.Inbounds(t.Context(), store.InboundFilter{Limit: 10}); err != nil || len(all) != 1 {
		t.Fatalf("%d events of one form that came twice (%v)", len(all), err)
	}
	f.approve(f.want(store.InboundActed, "onboard acme").Operation)
	f.state(tenure.TenantActive)
	acme, err := f.s.Tenant(t.Context(), "acme")
	f.must(err)

	address := red.URL + "/tenure/notices"
	body := fmt.Sprintf(`{"type": "tenant.active", "timestamp": "2026-03-02T09:00:00Z",  "data": {"id": "not_1", "tenant": %q, "text": "moved in <é>"}}`, acme.ID)
	good := notice{"msg_1", body, noticeSecret, time.Now()}
	talk.set(true)
	if code, said := good.post(t, address); code != http.StatusBadGateway {
		t.Errorf("a notice while the chat is down: %d %s", code, said)
	}
	talk.set(false)
	if code, said := good.post(t, address); code != http.StatusOK || !strings.Contains(said, "posted") {
		t.Errorf("a notice that comes again: %d %s", code, said)
	}
	if got, want := talk.heard(), []string{`{"text":"acme (active): moved in &lt;é&gt;"}`}; !slices.Equal(got, want) {
		t.Errorf("the chat has %q, want %q", got, want)
	}
	for name, n := range map[string]struct {
		notice
		code int
	}{
		"doubled":        {good, http.StatusOK},
		"forged":         {notice{"msg_2", body, formSecret, time.Now()}, http.StatusUnauthorized},
		"without an id":  {notice{"", body, noticeSecret, time.Now()}, http.StatusUnauthorized},
		"old":            {notice{"msg_3", body, noticeSecret, time.Now().Add(-6 * time.Minute)}, http.StatusUnauthorized},
		"ahead of time":  {notice{"msg_4", body, noticeSecret, time.Now().Add(6 * time.Minute)}, http.StatusUnauthorized},
		"nobody we know": {notice{"msg_5", strings.Replace(body, string(acme.ID), "ten_01a22a5a-23fb-7e60-a1ee-0e4c80f215e8", 1), noticeSecret, time.Now()}, http.StatusOK},
	} {
		if code, said := n.post(t, address); code != n.code {
			t.Errorf("a notice that is %s: %d %s, want %d", name, code, said, n.code)
		}
	}
	if got := talk.heard(); len(got) != 0 {
		t.Errorf("the chat has %q of notices that say nothing", got)
	}

	tickets := servertest.Caller{Base: red.URL, Authorization: "Bearer key-of-the-tickets"}
	if code, said := form.Do(t, http.MethodPost, "/tenure/requests", map[string]string{}); code != http.StatusUnauthorized {
		t.Errorf("a request with the form's key: %d %s", code, said)
	}
	if code, said := tickets.Do(t, http.MethodPost, "/tenure/requests", map[string]string{"ticket": "t-0", "action": "offboard", "tenant": "acme", "reason": "x"}); code != http.StatusBadRequest {
		t.Errorf("a request to offboard: %d %s", code, said)
	}
	for _, step := range []struct {
		action string
		state  tenure.TenantState
	}{{"suspend", tenure.TenantSuspended}, {"resume", tenure.TenantActive}} {
		var first, again struct{ Operation tenure.OperationID }
		ask := map[string]string{"ticket": "t-1", "action": step.action, "tenant": "acme", "reason": "asked for in t-1"}
		tickets.Must(t, http.MethodPost, "/tenure/requests", ask, &first)
		tickets.Must(t, http.MethodPost, "/tenure/requests", ask, &again)
		if first.Operation == "" || first != again {
			t.Errorf("%s asked for twice is %v and %v", step.action, first, again)
		}
		settle(t, f.s)
		f.state(step.state)
	}
}

// step runs one of Zapier's code steps in Node.js, as Code by Zapier does, over a store that
// lasts as long as the process; it prints what each run of the same input gives.
const step = `
const fs = require('fs'), kept = {};
const Step = Object.getPrototypeOf(async function () {}).constructor;
const run = new Step('inputData', 'StoreClient', 'require', 'let output;\n' + fs.readFileSync(process.argv[1], 'utf8') + '\nreturn output;');
const store = () => ({ get: async (k) => kept[k], set: async (k, v) => { kept[k] = v; } });
(async () => {
  for (let n = 0; n < 2; n++) console.log(JSON.stringify(await run(JSON.parse(process.argv[2]), store, require).catch((e) => ({ error: e.message }))));
})();`

// inNode runs a script of ours in Node.js with a file of docs/integrations and an input.
func inNode(t *testing.T, script, file string, in any) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		npmtest.Absent(t, "node", "it isn't installed")
	}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), node, "-e", script, filepath.Join("../../docs/integrations", file), string(raw)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", file, err, out)
	}
	return strings.TrimSpace(string(out))
}

// twice runs a step two times, and gives both answers.
func twice(t *testing.T, file string, in map[string]string) (first, second string) {
	t.Helper()
	first, second, _ = strings.Cut(inNode(t, step, file, in), "\n")
	return first, second
}

// TestZapierSteps: the code steps do for a Zap what the flows do in Node-RED.
func TestZapierSteps(t *testing.T) {
	t.Parallel()
	f := newFlows(t)
	if first, second := twice(t, "zapier-form.js", map[string]string{"url": f.at.URL, "source": "form", "secret": formSecret, "id": "s-1", "company": "Acme", "login": "a@acme.example"}); first != second || strings.Contains(first, "error") {
		t.Fatalf("a form: %s %s", first, second)
	}
	f.work()
	f.approve(f.want(store.InboundActed, "onboard acme").Operation)
	f.state(tenure.TenantActive)
	acme, err := f.s.Tenant(t.Context(), "acme")
	f.must(err)

	read := machineToken(t, f, "teller", tenure.Viewer, tenure.TenantRead)
	hook := func(n notice) map[string]string {
		at, signature := n.signed(t)
		return map[string]string{"url": f.at.URL, "secret": noticeSecret, "token": read, "storage": "kept", "body": n.body, "id": n.id, "timestamp": at, "signature": signature}
	}
	body := fmt.Sprintf(`{"type": "tenant.active",  "data": {"tenant": %q, "text": "moved in"}}`, acme.ID)
	for name, c := range map[string]struct {
		notice
		first, second string
	}{
		"new":            {notice{"msg_1", body, noticeSecret, time.Now()}, `"text":"acme (active): moved in"`, `"post":false`},
		"forged":         {notice{"msg_2", body, formSecret, time.Now()}, "not signed", "not signed"},
		"old":            {notice{"msg_3", body, noticeSecret, time.Now().Add(-6 * time.Minute)}, "not in time", "not in time"},
		"nobody we know": {notice{"msg_4", strings.Replace(body, string(acme.ID), "ten_01a22a5a-23fb-7e60-a1ee-0e4c80f215e8", 1), noticeSecret, time.Now()}, `"post":false`, `"post":false`},
	} {
		if first, second := twice(t, "zapier-notice.js", hook(c.notice)); !strings.Contains(first, c.first) || !strings.Contains(second, c.second) {
			t.Errorf("a notice that is %s: %s %s", name, first, second)
		}
	}

	ask := map[string]string{"url": f.at.URL, "token": machineToken(t, f, "tickets", tenure.Operator, tenure.OperationRequest), "ticket": "t-1", "action": "suspend", "tenant": "acme", "reason": "asked for"}
	if first, second := twice(t, "zapier-request.js", ask); first != second || !strings.Contains(first, "op_") {
		t.Errorf("a ticket: %s %s", first, second)
	}
	settle(t, f.s)
	f.state(tenure.TenantSuspended)
	ask["action"] = "offboard"
	if first, _ := twice(t, "zapier-request.js", ask); !strings.Contains(first, "suspend or resume") {
		t.Errorf("a ticket that offboards: %s", first)
	}
}

// code runs one code node of n8n's workflow in Node.js, with what the node sees of n8n.
const code = `
const workflow = JSON.parse(require('fs').readFileSync(process.argv[1], 'utf8')), given = JSON.parse(process.argv[2]);
const node = workflow.nodes.find((n) => n.name === given.node);
const Code = Object.getPrototypeOf(async function () {}).constructor;
const run = new Code('$input', '$env', '$', '$getWorkflowStaticData', 'require', node.parameters.jsCode);
const first = (json) => ({ first: () => ({ json }) });
const self = { helpers: { getBinaryDataBuffer: async () => Buffer.from(given.body || '') } };
run.call(self, first(given.input), given.env, (name) => first(given.nodes[name]), () => given.seen || {}, require)
  .then((items) => console.log(JSON.stringify(items[0].json)), (e) => console.log(JSON.stringify({ error: e.message })));`

// TestN8NCode: the code of n8n's workflow signs what Tenure takes, and takes what Tenure signs.
// What n8n itself does between its nodes isn't run.
func TestN8NCode(t *testing.T) {
	t.Parallel()
	f := newFlows(t)
	type given map[string]any
	env := given{"TENURE_SOURCE_SECRET": formSecret, "TENURE_WEBHOOK_SECRET": noticeSecret}
	var out struct{ ID, At, Body, Signature, Key, Text string }
	run := func(in given) string {
		in["env"] = env
		said := inNode(t, code, "n8n.json", in)
		f.must(json.Unmarshal([]byte(said), &out))
		return said
	}
	said := run(given{"node": "Sign the event", "input": given{"body": given{"id": "s-1", "company": "Acme", "login": "a@acme.example"}}})
	if status, answer := sent(t, f.at.URL+"/v1/events/form", out.ID, out.At, out.Signature, out.Body); status != http.StatusOK {
		t.Fatalf("%d %s for %s", status, answer, said)
	}
	f.work()
	f.want(store.InboundActed, "onboard acme")

	body := `{"type": "tenant.active",  "data": {"tenant": "ten_1", "text": "moved in <now>"}}`
	for name, c := range map[string]struct {
		notice
		seen given
		want string
	}{
		"new":     {notice{"msg_1", body, noticeSecret, time.Now()}, nil, `"go":true`},
		"doubled": {notice{"msg_1", body, noticeSecret, time.Now()}, given{"msg_1": time.Now().UnixMilli()}, `"status":200`},
		"forged":  {notice{"msg_2", body, formSecret, time.Now()}, nil, `"status":401`},
		"old":     {notice{"msg_3", body, noticeSecret, time.Now().Add(-6 * time.Minute)}, nil, `"status":401`},
	} {
		at, signature := c.signed(t)
		headers := given{"webhook-id": c.id, "webhook-timestamp": at, "webhook-signature": signature}
		if said := run(given{"node": "Verify the notice", "input": given{"headers": headers}, "body": c.body, "seen": c.seen}); !strings.Contains(said, c.want) {
			t.Errorf("a notice that is %s: %s, want %s", name, said, c.want)
		}
	}
	verified := given{"Verify the notice": given{"id": "msg_1", "type": "tenant.active", "data": given{"tenant": "ten_1", "text": "moved in <now>"}}}
	for status, want := range map[int]string{200: `"text":"acme (active): moved in &lt;now&gt;"`, 404: `"go":false`, 500: `"error":"Tenure answered 500"`} {
		if said := run(given{"node": "Write the message", "nodes": verified, "input": given{"statusCode": status, "body": given{"name": "acme", "state": "active"}}}); !strings.Contains(said, want) {
			t.Errorf("a tenant answered with %d: %s", status, said)
		}
	}
	ask := given{"ticket": "t-1", "action": "suspend", "tenant": "acme", "reason": "asked for"}
	if said := run(given{"node": "Check the request", "input": given{"body": ask}}); !strings.Contains(said, `"key":"suspend-`) {
		t.Errorf("a ticket: %s", said)
	}
	ask["action"] = "offboard"
	if said := run(given{"node": "Check the request", "input": given{"body": ask}}); !strings.Contains(said, "suspend or resume") {
		t.Errorf("a ticket that offboards: %s", said)
	}
}
