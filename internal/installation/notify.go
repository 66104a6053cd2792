package installation

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/notify"
	"github.com/tenurehq/tenure/internal/secret"
	"github.com/tenurehq/tenure/internal/store"
)

// Notify says where notices go. Without any they stay in the store.
type Notify struct {
	Targets  map[string]NotifyTarget `yaml:"targets"`
	Webhook  *Webhook                `yaml:"webhook"`  // the target of that name, in the plain form
	Log      bool                    `yaml:"log"`      // write each into the server's log, with its text
	Language string                  `yaml:"language"` // of mail, where nothing says otherwise
	Ahead    []tenure.Period         `yaml:"ahead"`    // how long before dates notices go out; without it P7D and P1D, [] never
}

// Webhook is where notices are posted in the plain form.
type Webhook struct {
	URL    string `yaml:"url"`    // https, or http on loopback; it may be kept elsewhere
	Secret string `yaml:"secret"` // where it is kept; shared with the receiver
}

// NotifyTarget is where notices go. docs/notices.md says which kind takes what.
type NotifyTarget struct {
	Kind        string        `yaml:"kind"`
	URL         string        `yaml:"url"`     // it may be kept elsewhere
	Secrets     []string      `yaml:"secrets"` // where each is kept; the current one first
	Notices     []string      `yaml:"notices"`
	To          []string      `yaml:"to"`
	Acknowledge time.Duration `yaml:"acknowledge"`
	Timeout     time.Duration `yaml:"timeout"`
	Quiet       *Quiet        `yaml:"quiet"`

	Server    string            `yaml:"server"` // of mail, and what follows
	Port      int               `yaml:"port"`
	TLS       string            `yaml:"tls"`
	Username  string            `yaml:"username"`
	Password  string            `yaml:"password"` // where it is kept
	From      string            `yaml:"from"`
	Addresses map[string]string `yaml:"addresses"`
}

// Quiet is when nothing is sent to a target but what is urgent.
type Quiet struct {
	tenure.QuietHours `yaml:",inline"`
	Zone              string `yaml:"zone"` // such as Europe/Berlin; blank: UTC
}

// hidden reads a secret, which may not stand in clear.
func hidden(ctx context.Context, from *secret.Reader, key, kept string) (tenure.Secret, error) {
	text, elsewhere, err := indirect(ctx, from, kept)
	if err != nil {
		return tenure.Secret{}, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: %s: %w", key, err)
	}
	if !elsewhere {
		return tenure.Secret{}, tenure.Errorf(tenure.Invalid, "tenure.yaml: %s stands in clear", key).WithHint("write %s", secret.Notations)
	}
	return tenure.NewSecret(text), nil
}

// targets reads where notices go, with their secrets.
func (n Notify) targets(ctx context.Context, from *secret.Reader) (out []notify.Target, err error) {
	address := func(key, kept string) (string, error) {
		text, _, err := indirect(ctx, from, kept)
		if err != nil {
			return "", tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: %s: %w", key, err)
		}
		return text, nil
	}
	if n.Webhook != nil {
		t := notify.Target{Name: "webhook", Kind: notify.Plain}
		if t.URL, err = address("notify.webhook.url", n.Webhook.URL); err != nil {
			return nil, err
		}
		shared, err := hidden(ctx, from, "notify.webhook.secret", n.Webhook.Secret)
		if err != nil {
			return nil, err
		}
		t.Secrets = []tenure.Secret{shared}
		out = append(out, t)
	}
	for _, name := range slices.Sorted(maps.Keys(n.Targets)) {
		set, key := n.Targets[name], "notify.targets."+name
		t := notify.Target{Name: name, Kind: notify.Kind(set.Kind), Notices: set.Notices, To: set.To, Acknowledge: set.Acknowledge, Timeout: set.Timeout}
		if set.Quiet != nil {
			t.Quiet, t.Zone = set.Quiet.QuietHours, set.Quiet.Zone
		}
		if set.URL != "" {
			if t.URL, err = address(key+".url", set.URL); err != nil {
				return nil, err
			}
		}
		for _, kept := range set.Secrets {
			shared, err := hidden(ctx, from, "a secret of "+key, kept)
			if err != nil {
				return nil, err
			}
			t.Secrets = append(t.Secrets, shared)
		}
		mail := notify.MailServer{Host: set.Server, Port: set.Port, TLS: set.TLS, Username: set.Username, From: set.From, Also: set.Addresses}
		if set.Password != "" {
			if mail.Password, err = hidden(ctx, from, key+".password", set.Password); err != nil {
				return nil, err
			}
		}
		switch ofMail := mail.Host != "" || mail.Port != 0 || mail.TLS != "" || mail.Username != "" || mail.From != "" || len(mail.Also) > 0 || set.Password != ""; {
		case t.Kind == notify.Mail:
			t.Mail = &mail
		case ofMail:
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: %s: server, port, tls, username, password, from and addresses are of mail alone", key)
		}
		out = append(out, t)
	}
	return out, nil
}

func (n Notify) notifier(ctx context.Context, db *store.DB, log *slog.Logger, from *secret.Reader, source string, groups map[string][]string) (*notify.Notifier, error) {
	if err := lifecycle.CheckAhead(n.Ahead); err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: notify.ahead: %w", err)
	}
	targets, err := n.targets(ctx, from)
	if err != nil {
		return nil, err
	}
	out, err := notify.New(notify.Options{DB: db, Log: cmp.Or(log, slog.New(slog.DiscardHandler)), Targets: targets, Say: n.Log, Source: source, Language: n.Language, Groups: groups})
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: %w", err)
	}
	return out, nil
}
