// Package exec makes a connector of a program on this machine. A manifest, a YAML file,
// names the program with its SHA-256 and says what it makes. Each call starts the program
// anew, from a copy that was checked, hands it one request in JSON and reads its answer.
// What a program says is checked; whose a thing is, Tenure decides from the mark that the
// program keeps with it.
package exec

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

//go:embed manifest.schema.json
var schemaText []byte

// Schema is the JSON Schema (2020-12) of a manifest, for editors.
func Schema() []byte { return bytes.Clone(schemaText) }

var fileShape = source.ShapeOf(schemaText)

// Load is the connector that the manifest at a path makes. It reads src alone: programs are
// read when they are started. Its version names the digest of all that the manifest says,
// the programs' checksums among it. What can't be right is Invalid, with its line.
func Load(src []byte, file string) (connector.Info, error) {
	m, err := Parse(src, file)
	if err != nil {
		return connector.Info{}, err
	}
	return m.Info(), nil
}

// Parse reads a manifest. File is where it stands: the program is found from there.
func Parse(src []byte, file string) (*Manifest, error) {
	f, found, err := source.Read(src, filepath.Base(file), source.Kind{Noun: "manifest", Begins: "apiVersion: tenure.dev/v1", Then: "kind: Program"})
	if err != nil {
		return nil, err
	}
	shape, err := fileShape()
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the schema of manifests: %w", err)
	}
	if found = append(found, f.Check(shape)...); len(found) > 0 {
		return nil, found.Err()
	}
	raw, err := tenure.Canonical(f.Value())
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", filepath.Base(file), err)
	}
	var in struct {
		Manifest
		Types map[string]typeSpec
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "%s: %w", filepath.Base(file), err)
	}
	m := &in.Manifest
	for _, name := range slices.Sorted(maps.Keys(in.Types)) {
		t := in.Types[name]
		t.Name = name
		m.Types = append(m.Types, &t)
	}
	sum := sha256.Sum256(raw)
	m.digest = hex.EncodeToString(sum[:])
	if m.dir, err = filepath.Abs(filepath.Dir(file)); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "%s: %w", filepath.Base(file), err)
	}
	k := checker{m: m, file: f}
	k.all()
	return m, k.found.Err()
}

// Digest is the SHA-256 of what the manifest says, in hexadecimal.
func (m *Manifest) Digest() string { return m.digest }

// Info is the connector that the manifest makes.
func (m *Manifest) Info() connector.Info {
	info := connector.Info{
		Name: m.Name, Version: m.Version + "+" + m.digest[:12], Summary: m.Summary, Tested: m.Tested, How: m.How, Rights: m.Rights, Leaves: m.Leaves,
		Pinned: true, Listed: true, Open: m.open, Review: m.review,
	}
	for _, o := range m.Options {
		info.Options = append(info.Options, connector.Option(o))
	}
	for _, t := range m.Types {
		layer, _ := layerOf(t.Layer)
		info.Types = append(info.Types, tenure.ResourceType{
			Name: t.Name, Summary: t.Summary, Layer: layer, Deletion: t.Deletion, Verification: t.Verification,
			Recovery: tenure.Recovery{Declared: true, Quarantine: t.can("quarantine"), Says: t.Recovery}, Holds: t.holds(), Attributes: string(t.Attributes),
			Credential: t.Credential, Cost: t.Cost, Lag: t.Lag, Whole: t.Whole, Isolation: t.Isolation, Shared: t.can("foresee"),
		})
	}
	for _, p := range m.Probes {
		info.Probes = append(info.Probes, connector.ProbeKind{Name: p.Name, Help: p.Help, Types: p.Types})
	}
	return info
}

// review says what of the attributes is exposed. One that isn't worked out yet tells nothing.
func (m *Manifest) review(typ string, attributes map[string]any) (out []string) {
	t := m.typ(typ)
	if t == nil {
		return nil
	}
	given := t.desired(attributes)
	for _, e := range t.Exposed {
		a, _ := tenure.Canonical(given[e.Attribute])
		b, _ := tenure.Canonical(plain(e.Is))
		if bytes.Equal(a, b) {
			out = append(out, e.Attribute+": "+e.Says)
		}
	}
	return out
}

// checker finds what the schema can't say.
type checker struct {
	m     *Manifest
	file  *source.File
	found source.Problems
}

func (k *checker) problem(at source.Path, hint, format string, args ...any) {
	k.found = append(k.found, k.file.Problem(at, false, fmt.Sprintf(format, args...), hint))
}

func (k *checker) all() {
	m := k.m
	at := source.Path{"program"}
	names := map[string]bool{}
	beside := func(at source.Path, path string) {
		if clean := filepath.Clean(path); !filepath.IsLocal(path) || clean != path || clean == "." {
			k.problem(at, "such as lib/names.py", "%q doesn't stand beside the manifest", source.Clip(path))
		} else if names[clean] {
			k.problem(at, "", "%q is named twice", source.Clip(path))
		}
		names[path] = true
	}
	if filepath.IsAbs(m.Program.Path) {
		names[filepath.Base(m.Program.Path)] = true
	} else {
		beside(at.With("path"), m.Program.Path)
	}
	for i, f := range m.Program.Files {
		beside(at.With("files").Index(i).With("path"), f.Path)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Program.Environment)) {
		if slices.Contains([]string{"PATH", "HOME", "TMPDIR"}, name) || strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "DYLD_") {
			k.problem(at.With("environment", name), "", "%s is set by Tenure or decides what else is loaded, and can't be given", name)
		}
	}
	if t := m.Limits.Time; !t.IsZero() && (span(t) <= 0 || span(t) > longest) {
		k.problem(source.Path{"limits", "time"}, "", "it must be above nothing, and at most P1D")
	}
	seen := map[string]bool{}
	for i, o := range m.Options {
		if at := (source.Path{"options"}).Index(i); seen[o.Name] || o.Default != "" && (o.Required || o.Secret) {
			k.problem(at, "", "option %s is there twice, or has a default although it is required or secret", o.Name)
		}
		seen[o.Name] = true
	}
	probes := map[string]bool{}
	for i, p := range m.Probes {
		at := (source.Path{"probes"}).Index(i)
		if probes[p.Name] {
			k.problem(at.With("name"), "", "probe %s is there twice", p.Name)
		}
		probes[p.Name] = true
		for j, name := range p.Types {
			if m.typ(name) == nil {
				k.problem(at.With("types").Index(j), "", "there is no type %q", name)
			}
		}
	}
	for _, t := range m.Types {
		k.typ(source.Path{"types", t.Name}, t)
	}
}

func (k *checker) typ(at source.Path, t *typeSpec) {
	if p := t.Names.Pattern; p != "" {
		re, err := regexp.Compile(p)
		if err != nil {
			k.problem(at.With("names", "pattern"), "", "it is no regular expression (RE2): %s", err)
		}
		if t.Names.Says == "" {
			k.problem(at.With("names"), "", "a pattern needs says, for people")
		}
		t.pattern = re
	}
	layer, _ := layerOf(t.Layer)
	for _, word := range []string{"suspend", "revoke"} {
		if layer.IsAccess() && !t.can(word) {
			k.problem(at, "", "a type of the layer %s needs %s: access has to be cut before data goes", t.Layer, word)
		}
	}
	for _, word := range []string{"erase", "map"} {
		if t.Holds == "data" && !t.can(word) {
			k.problem(at, "", "a type that holds data needs %s", word)
		}
	}
	for _, word := range []string{"erase", "map", "export", "tally"} {
		if t.Holds != "data" && t.can(word) {
			k.problem(at, "holds: data", "%s is for a type that holds data", word)
		}
	}
	if t.can("tally") && !t.can("erase") {
		k.problem(at, "", "tally needs erase")
	}
	if layer == tenure.LayerBackup {
		k.problem(at.With("layer"), "", "a program can't keep copies that expire")
	}
	if err := t.compile(); err != nil {
		k.problem(at.With("attributes"), "", "%s", err)
		return
	}
	for i, name := range t.Isolation {
		if name != "*" && !t.has(name) {
			k.problem(at.With("isolation").Index(i), "", "there is no attribute %q", name)
		}
	}
	for i, e := range t.Exposed {
		if !t.has(e.Attribute) {
			k.problem(at.With("exposed").Index(i), "", "there is no attribute %q", e.Attribute)
		}
	}
	if s := t.Try; s != nil {
		if err := t.checkName(s.Name); err != nil {
			k.problem(at.With("try", "name"), "", "%s", err)
		}
		if err := t.check(t.desired(s.Attributes)); err != nil {
			k.problem(at.With("try", "attributes"), "", "%s", err)
		}
	}
}

func layerOf(word string) (tenure.Layer, bool) {
	for l := tenure.LayerKey; l <= tenure.LayerConfiguration; l++ {
		if l.String() == word {
			return l, true
		}
	}
	return 0, false
}
