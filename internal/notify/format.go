package notify

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// told is a delivery with what a message says of its tenant.
type told struct {
	store.Delivery
	name string // the tenant's; "" if it isn't known any more
}

// message is what is posted.
type message struct {
	header http.Header
	body   []byte
}

// Headers of the plain form.
const (
	SignatureHeader = "Tenure-Signature" // t=UNIX SECONDS,v1=HEX of HMAC-SHA256 over "t.body" under the shared secret
	KeyHeader       = "Idempotency-Key"  // the notice's id: what comes twice is one
)

// Body is what is posted in the plain form.
type Body struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Recipient string    `json:"recipient"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"createdAt"`
}

func jsonMessage(kind string, v any) (message, error) {
	body, err := json.Marshal(v)
	return message{http.Header{"Content-Type": {kind}}, body}, err
}

func plain(t *target, _ *Notifier, list []told, now time.Time) (message, error) {
	n := list[0].Notice
	m, err := jsonMessage("application/json", Body{ID: n.ID, Tenant: string(n.Tenant), Operation: string(n.Operation), Recipient: n.Recipient, Text: n.Body, CreatedAt: n.CreatedAt})
	m.header.Set(KeyHeader, n.ID)
	m.header.Set(SignatureHeader, sign(t.Secrets[0], now, m.body))
	return m, err
}

// sign is the value of SignatureHeader.
func sign(secret tenure.Secret, now time.Time, body []byte) string {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Data is what a webhook or a CloudEvent says of a notice.
type Data struct {
	ID            string     `json:"id"` // the delivery: by it the receiver acknowledges
	Notice        string     `json:"notice"`
	Tenant        string     `json:"tenant,omitempty"`
	Name          string     `json:"name,omitempty"` // the tenant's, while it is known
	Operation     string     `json:"operation,omitempty"`
	Recipient     string     `json:"recipient"`
	Text          string     `json:"text"`
	State         string     `json:"state,omitempty"`   // of the tenant since the notice's time, where the notice is of its stage
	Service       string     `json:"service,omitempty"` // on, or off: nothing may be done for the tenant from then on
	Date          *time.Time `json:"date,omitempty"`    // that comes near, where the notice is ahead of one
	AcknowledgeBy *time.Time `json:"acknowledgeBy,omitempty"`
}

func dataOf(d told) Data {
	n := d.Notice
	out := Data{ID: d.ID, Notice: n.ID, Tenant: cmp.Or(string(n.Tenant), string(n.About)), Name: d.name, Operation: string(n.Operation), Recipient: n.Recipient, Text: n.Body}
	if !n.AheadOf.IsZero() {
		at := n.AheadOf.UTC()
		out.Date = &at
	}
	if stage, is := strings.CutPrefix(string(n.Kind), "tenant."); is && n.Recipient == tenure.Timeline {
		out.State = stage
		out.Service = "off"
		if s := tenure.TenantState(out.State); s == tenure.TenantActive || s == tenure.TenantTransition {
			out.Service = "on"
		}
	}
	if !d.DueAt.IsZero() {
		due := d.DueAt.UTC()
		out.AcknowledgeBy = &due
	}
	return out
}

// kindOf is a notice's kind; those of earlier releases have none.
func kindOf(n store.Notice) string { return cmp.Or(string(n.Kind), "notice") }

// standard is a message by Standard Webhooks 1.0.0.
func standard(t *target, _ *Notifier, list []told, now time.Time) (message, error) {
	d := list[0]
	m, err := jsonMessage("application/json", struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      Data      `json:"data"`
	}{kindOf(d.Notice), d.Notice.CreatedAt.UTC(), dataOf(d)})
	t.signStandard(&m, d.ID, now)
	return m, err
}

// signStandard signs a message under each secret, so that receivers can change theirs one by one.
func (t *target) signStandard(m *message, id string, now time.Time) {
	at := strconv.FormatInt(now.Unix(), 10)
	var signatures []string
	for _, s := range t.Secrets {
		key, _ := signingKey(s) // checked before
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(m.body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	m.header.Set("webhook-id", id)
	m.header.Set("webhook-timestamp", at)
	m.header.Set("webhook-signature", strings.Join(signatures, " "))
}

// cloudEvent is a message by CloudEvents 1.0.2 in the structured mode.
func cloudEvent(t *target, n *Notifier, list []told, now time.Time) (message, error) {
	d := list[0]
	data := dataOf(d)
	m, err := jsonMessage("application/cloudevents+json", struct {
		SpecVersion string    `json:"specversion"`
		ID          string    `json:"id"`
		Source      string    `json:"source"`
		Type        string    `json:"type"`
		Subject     string    `json:"subject,omitempty"`
		Time        time.Time `json:"time"`
		ContentType string    `json:"datacontenttype"`
		Data        Data      `json:"data"`
	}{"1.0", d.ID, n.o.Source, "dev.tenure." + kindOf(d.Notice), data.Tenant, d.Notice.CreatedAt.UTC(), "application/json", data})
	t.signStandard(&m, d.ID, now)
	return m, err
}

// line is what a chat says of a notice: one line, whatever is in it.
func line(d told) string {
	text := strings.Join(strings.Fields(shown(d.Notice.Body)), " ")
	if d.name != "" && !strings.Contains(text, d.name) {
		return d.name + ": " + text
	}
	return text
}

// shown is a text without what isn't seen and changes how the rest reads: control characters, and
// those that turn the direction of writing (Unicode UAX 9).
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsControl(r):
			return ' '
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
			return -1
		}
		return r
	}, text)
}

// slackText has Slack show a text as it is: these three are all that it reads otherwise.
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slack(_ *target, _ *Notifier, list []told, _ time.Time) (message, error) {
	var lines []string
	for _, d := range list {
		lines = append(lines, slackText.Replace(line(d)))
	}
	if len(lines) > 1 {
		for i := range lines {
			lines[i] = "• " + lines[i]
		}
		lines = append([]string{strconv.Itoa(len(list)) + " notices"}, lines...)
	}
	return jsonMessage("application/json", map[string]any{"text": strings.Join(lines, "\n"), "mrkdwn": false, "unfurl_links": false, "unfurl_media": false})
}

// teamsText has an Adaptive Card show a text as it is: what Markdown would read is escaped.
var teamsText = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `#`, `\#`, "`", "\\`")

func teams(_ *target, _ *Notifier, list []told, _ time.Time) (message, error) {
	type block map[string]any
	var body []block
	if len(list) > 1 {
		body = append(body, block{"type": "TextBlock", "text": strconv.Itoa(len(list)) + " notices", "weight": "Bolder", "wrap": true})
	}
	for _, d := range list {
		body = append(body, block{"type": "TextBlock", "text": teamsText.Replace(line(d)), "wrap": true})
	}
	return jsonMessage("application/json", block{"type": "message", "attachments": []block{{
		"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil,
		"content": block{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body, "msteams": block{"width": "Full"}},
	}}})
}
