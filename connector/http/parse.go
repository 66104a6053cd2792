package http

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
	"github.com/tenurehq/tenure/internal/expression"
	"github.com/tenurehq/tenure/internal/source"
)

//go:embed description.schema.json
var schemaText []byte

// Schema is the JSON Schema (2020-12) of a description, for editors.
func Schema() []byte { return bytes.Clone(schemaText) }

var fileShape = source.ShapeOf(schemaText)

// Parse reads a description from YAML 1.2. What the schema refuses, expressions that don't
// compile or read what isn't known at their place, and what can't be right together are
// Invalid, each with its line.
func Parse(src []byte, file string) (*Description, error) {
	f, found, err := source.Read(src, file, source.Kind{Noun: "description", Begins: "apiVersion: tenure.dev/v1 and kind: Description"})
	if err != nil {
		return nil, err
	}
	shape, err := fileShape()
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the schema of descriptions: %w", err)
	}
	if found = append(found, f.Check(shape)...); len(found) > 0 {
		return nil, found.Err()
	}
	raw, err := json.Marshal(f.Value())
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", file, err)
	}
	var in struct {
		Description
		Types map[string]typeSpec
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", file, err)
	}
	d := &in.Description
	for _, name := range slices.Sorted(maps.Keys(in.Types)) {
		t := in.Types[name]
		t.Name = name
		d.Types = append(d.Types, t)
	}
	d.texts, d.shapes = map[string]*expression.Text{}, map[string]func(map[string]any) error{}
	canonical, err := tenure.Canonical(json.RawMessage(raw))
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", file, err)
	}
	sum := sha256.Sum256(canonical)
	d.digest = hex.EncodeToString(sum[:])
	k := &checker{d: d, file: f, types: map[string]*typeSpec{}}
	k.all()
	return d, k.found.Err()
}

// Digest is the SHA-256 of what the description says, in hexadecimal: two files that differ
// in comments and order alone have the same.
func (d *Description) Digest() string { return d.digest }

// Info is the connector that the description makes. Its version names the digest, so that a
// plan pins what it was made with.
func (d *Description) Info() connector.Info {
	info := connector.Info{
		Name: d.Name, Version: d.Version + "+" + d.digest[:12], Summary: d.Summary, Tested: d.Tested, How: d.How, Rights: d.Rights, Leaves: d.Leaves,
		Options: []connector.Option{
			{Name: "base", Help: "The URL that every request stays under, such as https://api.example.com.", Required: true},
			{Name: "timeout", Help: "How long one request may take.", Default: rest.DefaultTimeout},
			{Name: "rate", Help: "Requests a second at most. The description's own where none is given."},
			{Name: "ca", Help: "A file of certificates (PEM) that the system's own must come from, as file:PATH. The machine's own where none is given."},
			{Name: "clientCertificate", Help: "A certificate and its key (PEM) for mutual TLS.", Secret: true},
		},
		Open:   d.open,
		Review: d.review,
		Listed: true,
	}
	for _, o := range d.Options {
		info.Options = append(info.Options, connector.Option{Name: o.Name, Help: o.Help, Default: o.Default, Required: o.Required, Secret: o.Secret})
	}
	for i := range d.Types {
		t := &d.Types[i]
		layer, _ := layerOf(t.Layer)
		r := tenure.ResourceType{
			Name: t.Name, Summary: t.Summary, Layer: layer, Deletion: t.Deletion, Verification: t.Verification,
			Recovery: tenure.Recovery{Declared: true, Says: t.Recovery}, Holds: tenure.HoldsNothing, Attributes: string(t.Attributes),
			Credential: t.Credential, Cost: t.Cost, Lag: t.Lag, Whole: t.Whole, Isolation: t.Isolation,
		}
		r.Record = len(t.Leave) > 0
		if t.Data != nil {
			r.Holds = tenure.HoldsData
		}
		info.Types = append(info.Types, r)
	}
	for _, p := range d.Probes {
		info.Probes = append(info.Probes, connector.ProbeKind{Name: p.Name, Help: p.Help, Types: p.Types})
	}
	for _, r := range d.Reads {
		info.Reads = append(info.Reads, connector.ReadKind{Name: r.Name, Help: r.Help})
	}
	return info
}

// review says what of the attributes is exposed. Those that aren't worked out yet tell nothing.
func (d *Description) review(typ string, attributes map[string]any) (out []string) {
	for _, t := range d.Types {
		if t.Name != typ {
			continue
		}
		for _, r := range t.Review {
			v := vars{"attributes": t.desired(attributes), "options": map[string]any{}}
			if is, err := d.is(r.When, false, v); err == nil && is {
				out = append(out, r.Says)
			}
		}
	}
	return out
}

func (d *Description) open(_ context.Context, c connector.Config) (connector.Driver, error) {
	timeout, err := rest.Timeout(c)
	if err != nil {
		return nil, err
	}
	s := &described{Description: d, marker: c.Marker, now: c.Now, options: vars{}, turns: map[string]chan struct{}{}}
	for _, t := range d.Types {
		if t.Serial {
			s.turns[t.Name] = make(chan struct{}, 1)
		}
	}
	options := map[string]any{}
	for _, o := range d.Options {
		if !o.Secret {
			options[o.Name] = cmp.Or(c.Options[o.Name], o.Default)
		}
	}
	s.options["options"] = options
	settings := rest.Options{Base: c.Option("base"), Timeout: timeout, Rate: d.Limits.PerSecond, Burst: d.Limits.Burst, CA: c.Option("ca"), Cert: c.Secrets["clientCertificate"]}
	if text := c.Option("rate"); text != "" {
		if settings.Rate, err = strconv.ParseFloat(text, 64); err != nil || !(settings.Rate > 0) {
			return nil, tenure.Errorf(tenure.Invalid, "option rate is %q, which isn't a number above 0", text)
		}
	}
	for _, secret := range c.Secrets {
		settings.Hidden = append(settings.Hidden, secret)
	}
	if settings.Auth, err = s.auth(c, settings); err != nil {
		return nil, err
	}
	if s.client, err = rest.Open(settings); err != nil {
		return nil, err
	}
	return s, nil
}

// auth is what puts the credential on requests.
func (d *described) auth(c connector.Config, settings rest.Options) (rest.Auth, error) {
	a, secret := d.Auth, c.Secrets[d.Auth.Secret]
	option := func(name string) string {
		value, _ := d.options["options"].(map[string]any)[name].(string)
		return value
	}
	user := option(a.User)
	switch a.Kind {
	case "bearer":
		return rest.Bearer(secret), nil
	case "basic":
		return rest.Basic(user, secret), nil
	case "header":
		return rest.InHeader(a.Header, a.Prefix, secret), nil
	case "hmac":
		return rest.Signed(rest.Signature{Key: secret, Hash: a.Hash, Over: a.Over, Header: a.Header, Prefix: a.Prefix, Encoding: a.Encoding, Time: a.Time, Now: c.Now})
	case "oauth2":
		path, err := d.path(a.Path, d.options)
		if err != nil {
			return nil, err
		}
		token := rest.ClientCredentials(path, user, secret, a.Scopes, c.Now)
		if base := option(a.Base); base != "" {
			settings.Base, settings.Auth = base, nil
			if token.Via, err = rest.Open(settings); err != nil {
				return nil, err
			}
		}
		return token, nil
	case "session":
		return &rest.Token{
			Header: cmp.Or(a.Header, "Authorization"), Prefix: a.Prefix, Now: c.Now,
			Ask: func(time.Time) (rest.Request, error) {
				return d.request(*a.Request, d.options.with("credential", secret.Reveal()))
			},
			Read: func(body any) (string, time.Duration, error) {
				token, err := d.word(a.Token, body, d.options.with("body", body))
				if err == nil && token == "" {
					err = tenure.Errorf(tenure.Blocked, "%s gave no token", d.Name)
				}
				return token, time.Duration(a.Lives) * time.Second, err
			},
		}, nil
	}
	return nil, nil
}
