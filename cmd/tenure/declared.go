package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// document is one YAML document of a folder that apply reads.
type document struct {
	file   string
	line   int
	source []byte
	ref    tenure.BlueprintRef // of a blueprint
	tenant *declaredTenant     // of a tenant
}

// declaredTenant is a tenant as a file declares it.
type declaredTenant struct {
	APIVersion   string            `yaml:"apiVersion"`
	Kind         string            `yaml:"kind"`
	Name         string            `yaml:"name"`
	Blueprint    string            `yaml:"blueprint"`
	Tier         string            `yaml:"tier"`
	Organization string            `yaml:"organization"`
	Contact      string            `yaml:"contact"`
	Labels       map[string]string `yaml:"labels"`
	Parameters   map[string]any    `yaml:"parameters"`
	Features     map[string]bool   `yaml:"features"`
}

func (d document) place() string {
	if d.file == "" {
		return "--offboard"
	}
	return fmt.Sprintf("%s:%d", d.file, d.line)
}

func (d document) id() string {
	if d.tenant != nil {
		return "tenant " + d.tenant.Name
	}
	return "blueprint " + d.ref.Name + "@" + d.ref.Version
}

// wrong puts the document's place before an error.
func (d document) wrong(err error) error {
	return tenure.Errorf(tenure.CodeOf(err), "%s: %w", d.place(), err)
}

// readDocuments splits a file at its "---" lines and reads each part.
func readDocuments(path string, connectors []connector.Info) ([]document, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "read %s: %w", path, err)
	}
	if len(b) > maxInput {
		return nil, tenure.Errorf(tenure.Invalid, "%s is longer than %d bytes", path, maxInput)
	}
	var out []document
	begin, line := 1, 0
	var part [][]byte
	end := func() error {
		text := bytes.Join(part, []byte("\n"))
		if blankYAML(part) {
			return nil
		}
		d, err := readDocument(path, begin, append(text, '\n'), connectors)
		out = append(out, d)
		return err
	}
	for _, l := range bytes.Split(b, []byte("\n")) {
		if line++; string(bytes.TrimRight(l, " \r")) == "---" {
			if err := end(); err != nil {
				return nil, err
			}
			part, begin = nil, line+1
			continue
		}
		part = append(part, l)
	}
	return out, end()
}

// blankYAML says whether lines hold nothing but comments.
func blankYAML(lines [][]byte) bool {
	return !slices.ContainsFunc(lines, func(l []byte) bool {
		l = bytes.TrimSpace(l)
		return len(l) > 0 && l[0] != '#'
	})
}

func readDocument(path string, line int, source []byte, connectors []connector.Info) (document, error) {
	d := document{file: path, line: line, source: source}
	// Blank lines before it keep the lines of messages those of the file.
	padded := append(bytes.Repeat([]byte("\n"), line-1), source...)
	bad := func(err error) error {
		return tenure.Errorf(tenure.Invalid, "%s: %s", d.place(), strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	var head struct {
		Kind string `yaml:"kind"`
	}
	if err := yaml.Unmarshal(padded, &head); err != nil {
		return d, bad(err)
	}
	switch strings.ToLower(head.Kind) {
	case "tenant":
		d.tenant = &declaredTenant{}
		if err := yaml.UnmarshalWithOptions(padded, d.tenant, yaml.DisallowUnknownField()); err != nil {
			return d, bad(err)
		}
		values, err := blueprint.Values(padded, path) // numbers as they are written
		if err != nil {
			return d, err
		}
		d.tenant.Parameters, _ = values["parameters"].(map[string]any)
		if strings.TrimSpace(d.tenant.Blueprint) == "" {
			return d, tenure.Errorf(tenure.Invalid, "%s: the tenant %q names no blueprint", d.place(), d.tenant.Name)
		}
		if err := tenure.CheckTenantName(d.tenant.Name); err != nil {
			return d, d.wrong(err)
		}
	case "blueprint":
		parsed, err := blueprint.Parse(padded, path)
		if err != nil {
			return d, err
		}
		c, err := blueprint.Check(parsed, connectors)
		if err != nil {
			return d, err
		}
		d.ref = c.Ref()
	default:
		return d, tenure.Errorf(tenure.Invalid, "%s: there is no kind %q", d.place(), clip(head.Kind, 80)).WithHint("kind: tenant or kind: blueprint")
	}
	return d, nil
}

// compare says of each document what there is to do.
func (s *session) compare(ctx context.Context, docs []document, gone []string) ([]*task, error) {
	var work []*task
	for _, d := range docs {
		w := &task{doc: d, applied: applied{File: d.place(), Kind: "blueprint", Name: d.ref.Name + "@" + d.ref.Version}}
		look := s.compareBlueprint
		if d.tenant != nil {
			w.Kind, w.Name = "tenant", d.tenant.Name
			look = s.compareTenant
		}
		if err := look(ctx, w); err != nil {
			return nil, d.wrong(err)
		}
		work = append(work, w)
	}
	for _, name := range gone {
		w := &task{applied: applied{Kind: "tenant", Name: name, Do: "offboard", Why: "named on the command line"}}
		t, err := client.ShowTenant.Call(ctx, s.Client, client.TenantParams{Tenant: name})
		if err != nil {
			return nil, w.doc.wrong(err)
		}
		if t.State != tenure.TenantActive && t.State != tenure.TenantSuspended {
			w.Do, w.Why = "nothing", "it is "+string(t.State)
		}
		w.intent = client.Intent{Kind: tenure.Offboard, Tenant: name, Trigger: triggerKey(string(t.ID), "offboard", fmt.Sprint(t.Version))}
		for _, op := range t.Operations {
			if op.Kind == tenure.Offboard && !op.State.Ended() {
				w.Do, w.Why = "nothing", fmt.Sprintf("operation %s is %s", op.ID, op.State)
			}
		}
		work = append(work, w)
	}
	return work, nil
}

func (s *session) compareBlueprint(ctx context.Context, w *task) error {
	have, err := client.ShowBlueprint.Call(ctx, s.Client, client.BlueprintParams{Blueprint: w.doc.ref.Digest})
	switch {
	case err == nil && have.Published():
		w.Do, w.Why = "nothing", "it is published"
	case err == nil:
		w.Do, w.Why = "nothing", "it is a draft; another person publishes it"
	case tenure.CodeOf(err) == tenure.NotFound:
		w.Do, w.Why = "submit", "there is no such revision yet"
		err = nil
	}
	return ignoreNotFound(err)
}

func ignoreNotFound(err error) error {
	if tenure.CodeOf(err) == tenure.NotFound {
		return nil
	}
	return err
}

// triggerKey is the key of an operation that apply starts: the same wish on the same
// ground is the same operation.
func triggerKey(parts ...string) string {
	return "apply:" + tenure.Digest([]byte(strings.Join(parts, "\x00")))
}

func (s *session) compareTenant(ctx context.Context, w *task) error {
	want := w.doc.tenant
	w.intent = client.Intent{Tenant: want.Name, Blueprint: want.Blueprint, Parameters: want.Parameters, Features: want.Features, Tier: want.Tier, Reason: "declared in " + w.File}
	t, err := client.ShowTenant.Call(ctx, s.Client, client.TenantParams{Tenant: want.Name})
	if tenure.CodeOf(err) == tenure.NotFound {
		w.Do, w.Why = "create", "there is no such tenant"
		w.intent.Kind, w.intent.Organization, w.intent.Contact, w.intent.Labels = tenure.Onboard, want.Organization, want.Contact, want.Labels
		return nil // without a trigger: a tenant made again under an old name is another tenant
	}
	if err != nil {
		return err
	}
	for _, op := range t.Operations {
		if !op.State.Ended() {
			w.Do, w.Why = "nothing", fmt.Sprintf("operation %s (%s) is %s", op.ID, op.Kind, op.State)
			return nil
		}
	}
	if t.State != tenure.TenantActive {
		w.Do, w.Why = "nothing", "it is "+string(t.State)
		return nil
	}
	return s.difference(ctx, w, t)
}

// difference says what of an active tenant isn't as declared. What a file doesn't
// say stays as it is.
func (s *session) difference(ctx context.Context, w *task, t client.TenantDetail) error {
	want := w.doc.tenant
	var why []string
	if want.Tier != "" && want.Tier != t.Tier {
		why = append(why, "tier "+want.Tier+", not "+orElse(t.Tier, "none"))
	}
	var have map[string]any
	if len(t.Parameters) > 0 {
		if err := json.Unmarshal(t.Parameters, &have); err != nil {
			return tenure.Errorf(tenure.Internal, "parameters of %s: %w", t.Name, err)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want.Parameters)) {
		if !sameValue(want.Parameters[k], have[k]) {
			why = append(why, "parameter "+k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want.Features)) {
		if want.Features[k] != t.Features[k] {
			why = append(why, "feature "+k)
		}
	}
	if want.Organization != "" && want.Organization != t.Organization || want.Contact != "" && want.Contact != t.Contact {
		return tenure.Errorf(tenure.Invalid, "organization and contact of %s are another's in the file, and no operation changes them", t.Name)
	}
	b, err := client.ShowBlueprint.Call(ctx, s.Client, client.BlueprintParams{Blueprint: want.Blueprint})
	if err != nil {
		return err
	}
	w.Do, w.intent.Kind = "change", tenure.Change
	if b.Digest != t.Blueprint.Digest {
		w.Do, w.intent.Kind = "upgrade", tenure.Upgrade
		why = append(why, "blueprint "+b.Name+"@"+b.Version+", not "+t.Blueprint.Name+"@"+t.Blueprint.Version)
	} else {
		w.intent.Blueprint = ""
	}
	if len(why) == 0 {
		w.Do, w.Why = "nothing", "it is as declared"
		return nil
	}
	body, err := tenure.Canonical(w.intent)
	if err != nil {
		return err
	}
	w.Why = strings.Join(why, "; ")
	last := ""
	if len(t.Operations) > 0 { // what failed, or was cancelled, is tried again as another operation
		last = string(t.Operations[0].ID)
	}
	w.intent.Trigger = triggerKey(string(t.ID), fmt.Sprint(t.Version), last, string(body))
	return nil
}

// sameValue compares a value of a file with one of the store, as JSON.
func sameValue(a, b any) bool {
	x, errX := tenure.Canonical(a)
	y, errY := tenure.Canonical(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
