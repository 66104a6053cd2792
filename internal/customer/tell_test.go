package customer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// The secrets that the CRM, the billing system and the downstream system share with Tenure.
const (
	crmSecret     = "client-secret-of-the-crm-app"
	billingSecret = "whsec_of_the_billing_system"
	noticeSecret  = "shared-with-the-downstream-system"
)

// crmAddress is what the CRM calls; a proxy stands between it and the server.
const crmAddress = "https://tenure.example/v1/events/crm"

func macOf(secret, what string) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(what))
	return m.Sum(nil)
}

// post sends a request of a source's, and gives the status.
func (p *platform) post(source, body string, header map[string]string) int {
	p.Helper()
	req, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.url+"/v1/events/"+source, strings.NewReader(body))
	p.must(err)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	p.must(err)
	_, _ = io.Copy(io.Discard, res.Body)
	p.must(res.Body.Close())
	return res.StatusCode
}

// stage tells that a deal came to a stage, as HubSpot tells it (webhooks, request signature
// v3), signed under a secret.
func (p *platform) stage(secret string, event int, deal, stage string, at time.Time, attempt int) int {
	p.Helper()
	object, err := strconv.ParseInt(deal, 10, 64)
	p.must(err)
	raw, err := json.Marshal([]any{map[string]any{
		"eventId": event, "subscriptionId": 12, "portalId": 62515, "appId": 54321, "occurredAt": at.UnixMilli(), "subscriptionType": "deal.propertyChange",
		"attemptNumber": attempt, "objectId": object, "propertyName": "dealstage", "propertyValue": stage, "changeSource": "CRM_UI",
	}})
	p.must(err)
	sent := strconv.FormatInt(p.now().UnixMilli(), 10)
	return p.post("crm", string(raw), map[string]string{
		"X-HubSpot-Request-Timestamp": sent,
		"X-HubSpot-Signature-v3":      base64.StdEncoding.EncodeToString(macOf(secret, http.MethodPost+crmAddress+string(raw)+sent)),
	})
}

// bill tells what became of a deal's subscription, as Stripe tells it, signed under a secret.
func (p *platform) bill(secret, id, kind, deal string, seats int) int {
	p.Helper()
	body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":%d,"livemode":true,"data":{"object":{"id":"sub_1","customer":"cus_1","quantity":%d,"metadata":{"deal":%q}}}}`, id, kind, p.now().Unix(), seats, deal)
	sent := strconv.FormatInt(p.now().Unix(), 10)
	return p.post("billing", body, map[string]string{"Stripe-Signature": "t=" + sent + ",v1=" + hex.EncodeToString(macOf(secret, sent+"."+body))})
}

// became waits until a source's event is decided, and gives what became of it. An event of
// the CRM is known by its number, one of the billing system by its id.
func (p *platform) became(source, event string) client.InboundEvent {
	p.Helper()
	var found client.InboundEvent
	p.until("event "+event+" of "+source+" is decided", func() (bool, string) {
		page, err := client.ListInbound.Call(p.Context(), p.reviewer, client.InboundFilter{Source: source})
		p.must(err)
		for _, e := range page.Items {
			if e.Reference == event || strings.HasPrefix(e.Reference, `["`+event+`",`) {
				found = e
				return e.State != "received", e.State + ": " + e.Reason
			}
		}
		return false, "it isn't kept"
	})
	return found
}

// want waits for an event's decision and holds it against what is due.
func (p *platform) want(source, event, state, reason string) client.InboundEvent {
	p.Helper()
	e := p.became(source, event)
	if e.State != state || !strings.Contains(e.Reason, reason) {
		p.Fatalf("event %s of %s is %s: %s; want %s: %s", event, source, e.State, e.Reason, state, reason)
	}
	return e
}

// downstream is the system that notices are posted to.
type downstream struct {
	*httptest.Server
	mu    sync.Mutex
	seen  map[string]bool
	texts []string // of the notices that the blueprint sends, in the order of their arrival
	wrong []string
}

func newDownstream(t *testing.T, now func() time.Time) *downstream {
	d := &downstream{seen: map[string]bool{}}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		at, signature, _ := strings.Cut(r.Header.Get("Tenure-Signature"), ",")
		seconds, bad := strconv.ParseInt(strings.TrimPrefix(at, "t="), 10, 64)
		var in struct {
			ID, Recipient, Text string
			CreatedAt           time.Time
		}
		unread := json.Unmarshal(raw, &in)
		d.mu.Lock()
		defer d.mu.Unlock()
		if signature != "v1="+hex.EncodeToString(macOf(noticeSecret, strings.TrimPrefix(at, "t=")+"."+string(raw))) || err != nil || bad != nil || unread != nil ||
			time.Unix(seconds+1, 0).Before(in.CreatedAt) || time.Unix(seconds, 0).After(now()) || in.ID == "" || in.ID != r.Header.Get("Idempotency-Key") {
			d.wrong = append(d.wrong, fmt.Sprintf("%s under %q", raw, r.Header.Get("Tenure-Signature")))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if in.Recipient == "downstream" && !d.seen[in.ID] {
			d.texts = append(d.texts, in.Text)
		}
		d.seen[in.ID] = true
	}))
	t.Cleanup(d.Close)
	return d
}

// told waits until the downstream system was told these things of a tenant, and no others,
// in this order.
func (p *platform) told(tenant string, want ...string) {
	p.Helper()
	for i, text := range want {
		want[i] = tenant + " " + text
	}
	p.until(fmt.Sprintf("the downstream system was told %q", want), func() (bool, string) {
		p.notices.mu.Lock()
		defer p.notices.mu.Unlock()
		if len(p.notices.wrong) > 0 {
			p.Fatalf("notices without a right signature: %q", p.notices.wrong)
		}
		var got []string
		for _, text := range p.notices.texts {
			if strings.HasPrefix(text, tenant+" ") {
				got = append(got, text)
			}
		}
		return fmt.Sprint(got) == fmt.Sprint(want), fmt.Sprintf("%q", got)
	})
}

// heard waits until the downstream system has heard what an operation had to tell it so far.
func (p *platform) heard(v client.OperationDetail) {
	p.Helper()
	for i, step := range v.Body.Steps {
		if step.Action == tenure.ActNotify && v.Rows[i].State == tenure.StepDone {
			p.until(fmt.Sprintf("the downstream system has heard %q", step.Note), func() (bool, string) {
				p.notices.mu.Lock()
				defer p.notices.mu.Unlock()
				return slices.Contains(p.notices.texts, step.Note), fmt.Sprintf("%q", p.notices.texts)
			})
		}
	}
}
