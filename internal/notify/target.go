package notify

import (
	"crypto/tls"
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// Kind is how a target is told.
type Kind string

// Kinds of targets.
const (
	Webhook     Kind = "webhook"     // Standard Webhooks 1.0.0
	CloudEvents Kind = "cloudevents" // CloudEvents 1.0.2 over HTTP, structured, signed as webhook
	Slack       Kind = "slack"       // an incoming webhook of Slack's
	Teams       Kind = "teams"       // a workflow of Microsoft Teams that takes an Adaptive Card
	Mail        Kind = "mail"        // SMTP
	Plain       Kind = "plain"       // one flat JSON object, signed in Tenure-Signature
)

// Target is where notices go.
type Target struct {
	Name    string
	Kind    Kind
	URL     string          // https; http for this machine alone; of mail none
	Secrets []tenure.Secret // shared with the receiver, the current one first
	Timeout time.Duration   // of one request; 0 is 10 s

	Notices []string // kinds of notices that it gets, such as tenant.*; none: all but the timeline's, or of CloudEvents the timeline's
	To      []string // recipients whose notices it gets; none: everybody's

	Acknowledge time.Duration // how long the receiver has to say that it has done what it was told; 0: it needn't
	Mail        *MailServer   // of mail

	Quiet tenure.QuietHours // nothing is sent but what is urgent, by the clock of Zone
	Zone  string            // of the IANA's list; "" is UTC

	// Trust says by whom a receiver's certificate may be signed; nil is the system's
	// list.
	Trust *tls.Config

	resolver *net.Resolver // nil: the system's
}

const (
	minSecret  = 16 // bytes of a shared secret, at least
	maxSecrets = 8
)

// target is one in use.
type target struct {
	Target
	zone *time.Location
	post *poster
	mail *mailer
	make func(*target, *Notifier, []told, time.Time) (message, error)

	refusals int       // of single notices in a row, with none that arrived between them
	failures int       // in a row, of the receiver
	rest     time.Time // until then it is left alone
}

// newTarget checks a target. One that can't be used is Invalid, and says why without its secrets.
func newTarget(t Target) (*target, error) {
	if tenure.CheckLabel(t.Name, "") != nil || strings.Contains(t.Name, "/") {
		return nil, tenure.Errorf(tenure.Invalid, "notify: %q is no name for a target", t.Name)
	}
	if t.Timeout <= 0 {
		t.Timeout = 10 * time.Second
	}
	for _, p := range t.Notices {
		if !tenure.NamesNotices(p) {
			return nil, tenure.Errorf(tenure.Invalid, "notify: target %s: %q names no kind of notice", t.Name, p).WithHint("such as tenant.suspended, approval.reminder, or tenant.*; docs/notices.md lists them")
		}
	}
	if t.Acknowledge < 0 || t.Acknowledge > 0 && t.Kind != Webhook && t.Kind != CloudEvents {
		return nil, tenure.Errorf(tenure.Invalid, "notify: target %s: only a webhook or a receiver of CloudEvents can acknowledge", t.Name)
	}
	if t.Timeout > time.Minute || t.Acknowledge > 0 && t.Acknowledge < time.Minute {
		return nil, tenure.Errorf(tenure.Invalid, "notify: target %s: timeout is a minute at most, and acknowledge a minute at least", t.Name)
	}
	out := &target{Target: t}
	if err := out.checkQuiet(); err != nil {
		return nil, err
	}
	if t.Kind == Mail {
		var err error
		out.mail, err = newMailer(t)
		return out, err
	}
	switch t.Kind {
	case Webhook:
		out.make = standard
	case CloudEvents:
		out.make = cloudEvent
	case Slack:
		out.make = slack
	case Teams:
		out.make = teams
	case Plain:
		out.make = plain
	default:
		return nil, tenure.Errorf(tenure.Invalid, "notify: target %s: there is no kind %q", t.Name, t.Kind).WithHint("webhook, cloudevents, slack, teams, mail")
	}
	if err := t.checkSecrets(); err != nil {
		return nil, err
	}
	var err error
	out.post, err = newPoster(t)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "target %s: %w", t.Name, err)
	}
	return out, nil
}

func (t *target) checkQuiet() (err error) {
	if t.zone, err = tenure.Zone(t.Zone); err == nil {
		err = t.Quiet.Check()
	}
	switch {
	case err != nil:
		return tenure.Errorf(tenure.CodeOf(err), "notify: target %s: quiet: %w", t.Name, err)
	case t.Acknowledge > 0 && !t.Quiet.IsZero():
		return tenure.Errorf(tenure.Invalid, "notify: target %s has to acknowledge what it is told, and so has no quiet hours", t.Name)
	}
	return nil
}

func (t Target) checkSecrets() error {
	signed := t.Kind == Webhook || t.Kind == CloudEvents || t.Kind == Plain
	switch {
	case !signed && len(t.Secrets) > 0:
		return tenure.Errorf(tenure.Invalid, "notify: target %s: %s has no secret but the address, which may be kept elsewhere", t.Name, t.Kind)
	case signed && len(t.Secrets) == 0:
		return tenure.Errorf(tenure.Invalid, "notify: target %s has no secret: a receiver couldn't tell who sent a notice", t.Name)
	case len(t.Secrets) > maxSecrets:
		return tenure.Errorf(tenure.Invalid, "notify: target %s has more than %d secrets", t.Name, maxSecrets)
	}
	for _, s := range t.Secrets {
		if t.Kind == Plain {
			if len(s.Reveal()) < minSecret {
				return tenure.Errorf(tenure.Invalid, "notify: the webhook's secret has fewer than %d bytes", minSecret).WithHint("make one: openssl rand -hex 32")
			}
			continue
		}
		if key, err := signingKey(s); err != nil || len(key) < 24 || len(key) > 64 {
			return tenure.Errorf(tenure.Invalid, "notify: a secret of target %s isn't whsec_ and 24 to 64 bytes in base64", t.Name).WithHint("make one: echo whsec_$(openssl rand -base64 32)")
		}
	}
	return nil
}

// signingKey is what a secret of Standard Webhooks holds.
func signingKey(s tenure.Secret) ([]byte, error) {
	text, is := strings.CutPrefix(s.Reveal(), "whsec_")
	if !is {
		return nil, tenure.Errorf(tenure.Invalid, "no whsec_")
	}
	return base64.StdEncoding.DecodeString(text)
}

// takes says whether a notice goes to the target.
func (t *target) takes(n store.Notice) bool {
	if len(t.To) > 0 && !slices.Contains(t.To, n.Recipient) {
		return false
	}
	if len(t.To) == 0 && (t.Kind == Slack || t.Kind == Teams) && forCustomer(n.Recipient) {
		return false // it may hold a link that is its reader's alone
	}
	if len(t.Notices) == 0 {
		return (n.Recipient == tenure.Timeline) == (t.Kind == CloudEvents)
	}
	return n.Kind.Among(t.Notices)
}

// forCustomer says whether a recipient is a tenant's own person.
func forCustomer(recipient string) bool {
	return recipient == contact || strings.Contains(recipient, "@")
}

// gathers says whether many notices go in one message.
func (t *target) gathers() bool { return t.Kind == Mail || t.Kind == Slack || t.Kind == Teams }

// where is the receiver as the log names it.
func (t *target) where() string {
	if t.mail != nil {
		return t.mail.host
	}
	return t.post.host
}
