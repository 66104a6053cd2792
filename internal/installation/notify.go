package installation

import (
	"log/slog"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/notify"
	"github.com/tenurehq/tenure/internal/store"
)

// Notify says where notices go. Without either they stay in the store.
type Notify struct {
	Webhook *Webhook `yaml:"webhook"`
	Log     bool     `yaml:"log"` // write each into the server's log, with its text
}

// Webhook is where notices are posted.
type Webhook struct {
	URL    string `yaml:"url"`    // https, or http on loopback; env:NAME or file:PATH may hold it
	Secret string `yaml:"secret"` // env:NAME or file:PATH; shared with the receiver
}

func (n Notify) notifier(db *store.DB, log *slog.Logger) (*notify.Notifier, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o := notify.Options{DB: db, Log: log, Say: n.Log}
	if n.Webhook != nil {
		address, _, err := indirect(n.Webhook.URL)
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: notify.webhook.url: %w", err)
		}
		secret, indirectly, err := indirect(n.Webhook.Secret)
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: notify.webhook.secret: %w", err)
		}
		if !indirectly {
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: notify.webhook.secret stands in clear").WithHint("write env:NAME or file:PATH")
		}
		o.Webhook = &notify.Webhook{URL: address, Secret: tenure.NewSecret(secret)}
	}
	out, err := notify.New(o)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: notify: %w", err)
	}
	return out, nil
}
