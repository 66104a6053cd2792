package installation

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/secret"
)

// Connector is an entry of the catalog.
type Connector = connector.Info

// readSystems resolves systems.yaml: paths are relative to the installation, and
// what stands elsewhere is read from there. An absent file has no systems.
func readSystems(dir string) (map[string]lifecycle.SystemSettings, error) {
	out, err := readSystemsFile(filepath.Join(dir, "systems.yaml"))
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil, nil
	}
	return out, err
}

func readSystemsFile(path string) (map[string]lifecycle.SystemSettings, error) {
	var file Systems
	if err := readYAML(path, &file); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	out := make(map[string]lifecycle.SystemSettings, len(file.Systems))
	for _, name := range slices.Sorted(maps.Keys(file.Systems)) {
		sys := file.Systems[name]
		if sys.Limit < 0 || strings.TrimSpace(sys.Connector) == "" {
			return nil, tenure.Errorf(tenure.Invalid, "systems.yaml: system %q needs a connector and a limit that isn't negative", name)
		}
		set := lifecycle.SystemSettings{
			Connector: sys.Connector, Limit: sys.Limit, Prices: sys.Prices, Currency: sys.Currency, Region: sys.Region, Dormant: sys.Dormant,
			Rotate: sys.Rotate, Owner: strings.TrimSpace(sys.Owner),
			Options: make(map[string]string), Kept: make(map[string]secret.Place),
		}
		var from time.Time
		if !sys.Rotate.IsZero() && sys.Rotate.After(from).Sub(from) < time.Hour {
			return nil, tenure.Errorf(tenure.Invalid, "systems.yaml: the credential of system %q would always be overdue: rotate is shorter than an hour", name)
		}
		for key, p := range sys.Prices {
			if p < 0 {
				return nil, tenure.Errorf(tenure.Invalid, "systems.yaml: the price %s of system %q is negative", key, name)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(sys.Options)) {
			if err := resolve(dir, name, key, sys.Options[key], &set); err != nil && set.Err == nil {
				set.Err = err
			}
		}
		out[name] = set
	}
	return out, nil
}

// resolve files an option where it belongs: what is kept elsewhere is read when the system
// is opened.
func resolve(dir, system, key, value string, set *lifecycle.SystemSettings) error {
	place, elsewhere, err := secret.Parse(value)
	switch {
	case err != nil:
		return tenure.Errorf(tenure.Invalid, "systems.yaml: option %s of system %q: %w", key, system, err)
	case elsewhere:
		set.Kept[key] = place
	case strings.HasPrefix(value, "./"), strings.HasPrefix(value, "../"):
		set.Options[key] = filepath.Join(dir, value)
	default:
		set.Options[key] = value
	}
	return nil
}

const systemsExample = `# The systems that tenants live in. Add each with: tenure system add NAME
# Secrets are written env:NAME, file:PATH or vault:MOUNT/PATH#FIELD; paths that begin with ./ or ../ are from this folder on.
systems: {}
`

const settingsExample = `# vault: {address: https://vault.example:8200, token: file:/run/secrets/vault-token}   # an OpenBao or a Vault that vault:… is read from
# store: env:TENURE_STORE        # a postgres:// address; the default is tenure.db in this folder
# keys: /secure/place            # keep the keystore out of the store's backups
# witness: /mnt/elsewhere/log    # or https://…: keeps checkpoints where this machine can't rewrite them
# sought: P2Y                    # how long closed tenants' places are looked at; then what that takes is destroyed
# budget: {person: 10, blueprint: 50}   # destructive operations an hour
# name: Example Cloud            # what people are told runs this; the default is the installation's id
# url: https://tenure.example    # the address that people reach this server at, through your TLS proxy
# signIn: {issuer: https://login.example, clientId: tenure, clientSecret: env:OIDC_SECRET, strongAmr: [mfa, hwk]}
# sessions: {for: 12h, idle: 1h}
# policies: policies             # folder of Cedar policies that deny further
# notify:                        # where notices go; docs/notices.md
#   targets:
#     chat: {kind: slack, url: env:SLACK_URL, to: [platform, security]}
#     mail: {kind: mail, server: smtp.example, username: tenure, password: env:SMTP_PASSWORD, from: tenure@example.com}
# events:                        # systems that tell of events, at /v1/events/NAME; docs/events.md
#   billing: {scheme: stripe, secrets: ["env:STRIPE_SECRET"]}
# approvals:                     # on top of what blueprints ask for; all that match apply, the strictest wins
#   - {name: leaving, when: {kinds: [offboard], tiers: [gold]}, count: 2, from: [{role: legal, count: 1}], expires: P14D, remind: P2D, escalate: {after: P4D, role: security-officer}}
`

// writeFiles puts the two settings files into a new installation, and leaves what
// is there.
func writeFiles(dir string, s Settings) error {
	text := settingsExample
	for _, kv := range [][2]string{{"store", s.Store}, {"keys", s.Keys}, {"witness", s.Witness}} {
		if kv[1] != "" {
			text += kv[0] + ": " + kv[1] + "\n"
		}
	}
	for name, content := range map[string]string{"tenure.yaml": text, "systems.yaml": systemsExample} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return tenure.Errorf(tenure.Unavailable, "write %s: %w", name, err)
		}
	}
	return nil
}
