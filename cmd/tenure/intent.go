package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// kindWords says of each operation what its command does.
var kindWords = []struct {
	kind        tenure.OperationKind
	short, long string
}{
	{tenure.Onboard, "Move a tenant in", "Makes the tenant, everything that the blueprint asks for and its credentials, and probes them before the tenant is active."},
	{tenure.Change, "Change a tenant's parameters, features or tier", "What isn't named stays as it is."},
	{tenure.Upgrade, "Bring a tenant to another revision of its blueprint", "Without --blueprint it is the latest published revision."},
	{tenure.Repair, "Bring what has drifted back to desired", "Looks again first; what has an open finding is brought back to desired. With --overdue, or --reissue and --resource, it rotates credentials\nand does nothing else: the new one is seen to work, the old one to be refused where the system can tell, and the new one is\nhanded over once."},
	{tenure.Suspend, "Cut a tenant's access, and keep everything", "Access is off until resume; nothing is destroyed."},
	{tenure.Resume, "Restore a suspended tenant's access", ""},
	{tenure.Offboard, "Move a tenant out, to the certificate", "Grace, cut of access, hand-over, retention, erasure with its points of no return, and the certificates."},
	{tenure.Reinstate, "Bring a leaving tenant back, before its point of no return", "What was revoked isn't revived: new credentials are issued."},
	{tenure.Revoke, "Revoke accounts by name, for good", "Another person approves it. What is taken off stays off: no change, repair or reinstatement brings it back."},
	{tenure.Supplement, "Take away what came back after a tenant had closed", "The tenant is named by its id, and stays closed. Approval, fresh counts, a point of no return by two persons, erasure, and a\nsupplementary certificate that names the closing one."},
}

// intentFlags are the flags of one kind of operation.
type intentFlags struct {
	in          client.Intent
	params      []string
	paramsFile  string
	features    []string
	labels      []string
	contractEnd string
}

func (f *intentFlags) register(cmd *cobra.Command, kind tenure.OperationKind) {
	f.in.Kind = kind
	fl := cmd.Flags()
	fl.StringVar(&f.in.Reason, "reason", "", "why; it stands in the plan and the log")
	switch kind {
	case tenure.Onboard, tenure.Upgrade:
		fl.StringVar(&f.in.Blueprint, "blueprint", "", "the blueprint: name, name@version or digest")
	}
	switch kind {
	case tenure.Onboard, tenure.Change, tenure.Upgrade:
		fl.StringArrayVar(&f.params, "param", nil, "a parameter, as name=value; JSON where the schema wants it (repeatable)")
		fl.StringVar(&f.paramsFile, "params", "", "a file of parameters, YAML or JSON; - is the standard input")
		fl.StringArrayVar(&f.features, "feature", nil, "a feature, as name or name=false (repeatable)")
		fl.StringVar(&f.in.Tier, "tier", "", "the tier")
	}
	switch kind {
	case tenure.Onboard:
		fl.BoolVar(&f.in.Adopt, "adopt", false, "mark what stands there already as the tenant's; make and change nothing, and issue no credential")
		fl.StringVar(&f.in.Organization, "organization", "", "the customer's legal entity")
		fl.StringVar(&f.in.Contact, "contact", "", "who asked on the customer's side")
		fl.StringArrayVar(&f.labels, "label", nil, "a label, as key=value (repeatable)")
	case tenure.Repair:
		fl.BoolVar(&f.in.Reissue, "reissue", false, "issue new credentials too")
		fl.StringSliceVar(&f.in.Resources, "resource", nil, "with --reissue: only the credential of this, as environment/key or an id (may be repeated)")
		fl.BoolVar(&f.in.Overdue, "overdue", false, "issue those credentials anew that should have been rotated by now, and repair nothing else")
	case tenure.Revoke:
		fl.StringSliceVar(&f.in.Resources, "resource", nil, "what to take off, as environment/key or an id (may be repeated)")
	case tenure.Offboard:
		fl.StringVar(&f.contractEnd, "contract-end", "", "when the contract ends: a date, or RFC 3339")
		fl.StringVar(&f.in.Recipient, "recipient", "", "the customer's own age recipient (age1…) that the export is encrypted to")
		fl.BoolVar(&f.in.AtOnce, "at-once", false, "cut access at once, without the grace")
		fl.BoolVar(&f.in.EraseOnly, "erase-only", false, "export nothing: the customer chose erasing over switching")
	}
}

// intent makes what is asked for out of the flags. It reads the blueprint's
// schema, if there are parameters, to give them their types.
func (f *intentFlags) intent(ctx context.Context, a *app, s *session, tenant string) (client.Intent, error) {
	in := f.in
	in.Tenant = tenant
	var err error
	if f.contractEnd != "" {
		if in.ContractEnd, err = parseDate(f.contractEnd); err != nil {
			return in, err
		}
	}
	if in.Recipient != "" {
		if _, err := age.ParseX25519Recipient(in.Recipient); err != nil {
			return in, tenure.Errorf(tenure.Invalid, "%q is no age recipient", clip(in.Recipient, 80)).WithHint("the customer makes a key with age-keygen and sends the line that begins with age1")
		}
	}
	if in.Features, err = parseFeatures(f.features); err != nil {
		return in, err
	}
	for _, l := range f.labels {
		if key, _, set := strings.Cut(l, "="); !set || key == "" {
			return in, tenure.Errorf(tenure.Invalid, "%q is no label", clip(l, 80)).WithHint("write it as key=value")
		}
	}
	if len(f.labels) > 0 {
		if in.Labels, err = relabelled(nil, f.labels); err != nil {
			return in, err
		}
	}
	if f.paramsFile != "" {
		if in.Parameters, err = a.readParameters(f.paramsFile); err != nil {
			return in, err
		}
	}
	if len(f.params) == 0 {
		return in, nil
	}
	schema, err := parameterSchema(ctx, s, in)
	if err != nil {
		return in, err
	}
	given, err := parseParams(f.params, schema)
	if err != nil {
		return in, err
	}
	if in.Parameters == nil {
		in.Parameters = map[string]any{}
	}
	for k, v := range given {
		in.Parameters[k] = v
	}
	return in, nil
}

// parameterSchema is the schema of the parameters of the revision that is meant.
func parameterSchema(ctx context.Context, s *session, in client.Intent) (map[string]any, error) {
	ref := in.Blueprint
	if ref == "" {
		t, err := client.ShowTenant.Call(ctx, s.Client, client.TenantParams{Tenant: in.Tenant})
		if in.Kind == tenure.Onboard {
			return nil, nil // the service says that the blueprint is missing
		}
		if err != nil {
			return nil, err
		}
		if ref = t.Blueprint.Digest; in.Kind == tenure.Upgrade {
			ref = t.Blueprint.Name
		}
	}
	b, err := client.ShowBlueprint.Call(ctx, s.Client, client.BlueprintParams{Blueprint: ref})
	if err != nil {
		return nil, err
	}
	var body struct {
		Parameters struct {
			Properties map[string]any `json:"properties"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(b.Body, &body); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "blueprint %s: %w", ref, err)
	}
	return body.Parameters.Properties, nil
}

func parseParams(given []string, schema map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(given))
	for _, kv := range given {
		name, raw, ok := strings.Cut(kv, "=")
		switch _, twice := out[name]; {
		case !ok || strings.TrimSpace(name) == "":
			return nil, tenure.Errorf(tenure.Invalid, "--param %q is not name=value", clip(kv, 80))
		case twice:
			return nil, tenure.Errorf(tenure.Invalid, "--param %s is given twice", name)
		}
		v, err := typed(raw, schema[name])
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "--param %s: %w", clip(name, 80), err)
		}
		out[name] = v
	}
	return out, nil
}

// typed reads a parameter's text: as JSON where it is JSON of a type that its
// schema takes, and as the text itself otherwise. What reads as JSON in two ways, and
// text that isn't UTF-8, is Invalid.
func typed(raw string, schema any) (any, error) {
	if !utf8.ValidString(raw) {
		return nil, tenure.Errorf(tenure.Invalid, "the text isn't UTF-8")
	}
	if !json.Valid([]byte(raw)) {
		return raw, nil
	}
	v, wrong := tenure.ReadJSON([]byte(raw))
	property, _ := schema.(map[string]any)
	var types []any
	switch t := property["type"].(type) {
	case string:
		types = []any{t}
	case []any:
		types = t
	}
	takesText := len(types) == 0 && property["enum"] != nil
	for _, t := range types {
		if wrong == nil && isOfType(v, t) {
			return v, nil
		}
		takesText = takesText || t == "string"
	}
	if takesText {
		return raw, nil
	}
	return v, wrong
}

func isOfType(v, typ any) bool {
	switch v := v.(type) {
	case string:
		return typ == "string"
	case bool:
		return typ == "boolean"
	case json.Number:
		_, err := v.Int64()
		return typ == "number" || typ == "integer" && err == nil
	case map[string]any:
		return typ == "object"
	case []any:
		return typ == "array"
	}
	return typ == "null"
}

func parseFeatures(given []string) (map[string]bool, error) {
	if len(given) == 0 {
		return nil, nil
	}
	out := make(map[string]bool, len(given))
	for _, g := range given {
		name, value, said := strings.Cut(g, "=")
		if strings.TrimSpace(name) == "" || said && value != "true" && value != "false" {
			return nil, tenure.Errorf(tenure.Invalid, "--feature %q is not a name, name=true or name=false", clip(g, 80))
		}
		out[name] = value != "false"
	}
	return out, nil
}

// maxInput bounds what is read from a file that a person names.
const maxInput = 1 << 20

// readFile reads a file, or the standard input for "-".
func (a *app) readFile(path string) ([]byte, error) {
	var r io.Reader = a.in
	if path != "-" {
		f, err := os.Open(path)
		if os.IsNotExist(err) {
			return nil, tenure.Errorf(tenure.NotFound, "there is no file %s", path)
		}
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "read %s: %w", path, err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "read %s: %w", path, err)
	}
	if len(b) > maxInput {
		return nil, tenure.Errorf(tenure.Invalid, "%s is longer than %d bytes", path, maxInput)
	}
	return b, nil
}

func (a *app) readParameters(path string) (map[string]any, error) {
	b, err := a.readFile(path)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, tenure.Errorf(tenure.Invalid, "%s holds no parameters", path)
	}
	return blueprint.Values(b, path)
}

// parseDate reads a date, which is its first moment in UTC, or a moment.
func parseDate(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil && !t.IsZero() {
			return t.UTC(), nil
		}
	}
	return time.Time{}, tenure.Errorf(tenure.Invalid, "%q is no date", clip(s, 80)).WithHint("write it like 2027-01-31 or 2027-01-31T12:00:00Z")
}
