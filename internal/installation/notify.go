package installation

import (
	"context"
	"log/slog"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/notify"
	"github.com/tenurehq/tenure/internal/secret"
	"github.com/tenurehq/tenure/internal/store"
)

// Notify says where notices go. Without either they stay in the store.
type Notify struct {
	Webhook *Webhook `yaml:"webhook"`
	Log     bool     `yaml:"log"` // write each into the server's log, with its text
}

// Webhook is where notices are posted.
type Webhook struct {
	URL    string `yaml:"url"`    // https, or http on loopback; it may be kept elsewhere
	Secret string `yaml:"secret"` // where it is kept; shared with the receiver
}

func (n Notify) notifier(ctx context.Context, db *store.DB, log *slog.Logger, from *secret.Reader) (*notify.Notifier, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o := notify.Options{DB: db, Log: log, Say: n.Log}
	if n.Webhook != nil {
		address, _, err := indirect(ctx, from, n.Webhook.URL)
		if err != nil {
			return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: notify.webhook.url: %w", err)
		}
		shared, indirectly, err := indirect(ctx, from, n.Webhook.Secret)
		if err != nil {
			return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: notify.webhook.secret: %w", err)
		}
		if !indirectly {
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: notify.webhook.secret stands in clear").WithHint("write %s", secret.Notations)
		}
		o.Webhook = &notify.Webhook{URL: address, Secret: tenure.NewSecret(shared)}
	}
	out, err := notify.New(o)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: notify: %w", err)
	}
	return out, nil
}
