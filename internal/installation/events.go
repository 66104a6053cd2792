package installation

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/event"
	"github.com/tenurehq/tenure/internal/secret"
)

// EventSource is a system that tells of events, at /v1/events/NAME. docs/events.md says which
// scheme takes what.
type EventSource struct {
	Scheme          string        `yaml:"scheme"`
	Secrets         []string      `yaml:"secrets"` // where each is kept; the current one first
	Tolerance       time.Duration `yaml:"tolerance"`
	URL             string        `yaml:"url"` // default the settings' url with the route's path
	Header          string        `yaml:"header"`
	Algorithm       string        `yaml:"algorithm"`
	Encoding        string        `yaml:"encoding"`
	Prefix          string        `yaml:"prefix"`
	TimestampHeader string        `yaml:"timestampHeader"`
	Signed          string        `yaml:"signed"`
	Username        string        `yaml:"username"`
	Organization    string        `yaml:"organization"`
	Origins         []string      `yaml:"origins"`
	Fields          EventFields   `yaml:"fields"`
}

// EventFields are the places of an event's parts.
type EventFields struct {
	ID      string `yaml:"id"`
	Type    string `yaml:"type"`
	Subject string `yaml:"subject"`
	Version string `yaml:"version"`
	Time    string `yaml:"time"`
}

// sources reads the sources of events with their secrets, which stand nowhere in clear.
func (s Settings) sources(ctx context.Context, from *secret.Reader) (map[string]event.Source, error) {
	out := make(map[string]event.Source, len(s.Events))
	for _, name := range slices.Sorted(maps.Keys(s.Events)) {
		set := s.Events[name]
		src := event.Source{
			Name: name, Scheme: set.Scheme, Tolerance: set.Tolerance, URL: set.URL, Header: set.Header, Algorithm: set.Algorithm, Encoding: set.Encoding, Prefix: set.Prefix,
			TimestampHeader: set.TimestampHeader, Signed: set.Signed, Username: set.Username, Organization: set.Organization, Origins: set.Origins, Fields: event.Fields(set.Fields),
		}
		if src.URL == "" && s.URL != "" {
			src.URL = s.URL + "/v1/events/" + name
		}
		for _, kept := range set.Secrets {
			text, elsewhere, err := indirect(ctx, from, kept)
			if err != nil {
				return nil, tenure.Errorf(tenure.CodeOf(err), "tenure.yaml: events.%s.secrets: %w", name, err)
			}
			if !elsewhere {
				return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: a secret of events.%s stands in clear", name).WithHint("write %s", secret.Notations)
			}
			src.Secrets = append(src.Secrets, tenure.NewSecret(text))
		}
		out[name] = src
	}
	return out, nil
}

// RenewSources reads the sources of events in the settings file again, with their secrets. What is wrong
// there is Invalid, and those before stay.
func (i *Installation) RenewSources(ctx context.Context) error {
	set, err := readSettings(i.Dir)
	if err != nil {
		return err
	}
	from, err := set.secrets(i.Now)
	if err != nil {
		return err
	}
	sources, err := set.sources(ctx, from)
	if err != nil {
		return err
	}
	return i.Events.SetSources(sources)
}
