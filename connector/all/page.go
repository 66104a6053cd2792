package all

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Page is a connector's page in Markdown, from what the connector declares
// (docs/connectors/NAME.md).
func Page(info connector.Info) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Connector %s\n\n%s\n\nVersion %s. Tested: **%s**, %s. This page is generated from the code.\n", info.Name, info.Summary, info.Version, info.Tested, info.How)
	if info.Rights != "" {
		fmt.Fprintf(&b, "\n**Rights that Tenure's account needs**: %s\n\n**What deletion leaves behind**: %s\n", info.Rights, info.Leaves)
	}
	writeOptions(&b, info.Options)
	for _, t := range info.Types {
		if err := writeType(&b, t); err != nil {
			return nil, err
		}
	}
	if len(info.Types) == 0 {
		b.WriteString("\n## Resource types\n\nNone: it is there for its probes.\n")
	}
	writeProbes(&b, info.Probes)
	writeReads(&b, info.Reads)
	if len(info.Types) > 0 {
		writeRemnants(&b, info.Remnants)
	}
	return []byte(b.String()), nil
}

// Index is the page that lists the connectors (docs/connectors/README.md).
func Index(catalog []connector.Info) []byte {
	var b strings.Builder
	b.WriteString("# Connectors\n\nEach page is generated from what the connector declares.\n\n| connector | what it speaks to | tested | resource types |\n|---|---|---|---|\n")
	for _, info := range catalog {
		var names []string
		for _, t := range info.Types {
			names = append(names, "`"+t.Name+"`")
		}
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s | %s |\n", info.Name, info.Name, cell(info.Summary), info.Tested, cmp.Or(strings.Join(names, ", "), "none"))
	}
	return []byte(b.String())
}

func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

func writeOptions(b *strings.Builder, options []connector.Option) {
	if len(options) == 0 {
		return
	}
	b.WriteString("\n## Options\n\n| option | | default | what it is |\n|---|---|---|---|\n")
	for _, o := range options {
		var is []string
		if o.Required {
			is = append(is, "required")
		}
		if o.Secret {
			is = append(is, "secret: `env:NAME`, `file:PATH` or `vault:MOUNT/PATH#FIELD`")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", o.Name, strings.Join(is, ", "), code(o.Default), cell(o.Help))
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

func writeType(b *strings.Builder, t tenure.ResourceType) error {
	fmt.Fprintf(b, "\n## Type `%s`\n\n%s\n\n", t.Name, t.Summary)
	line := func(word, text string) {
		if text != "" {
			fmt.Fprintf(b, "- **%s**: %s\n", word, text)
		}
	}
	line("layer", t.Layer.String())
	line("deletion", t.Deletion)
	line("verification", t.Verification)
	line("quarantine", map[bool]string{true: "yes", false: "no"}[t.Recovery.Quarantine])
	line("recovery", t.Recovery.Says)
	line("holds", map[tenure.DataHeld]string{tenure.HoldsData: "data of data classes", tenure.HoldsNothing: "no data"}[t.Holds])
	if len(t.Dispositions) > 0 {
		line("dispositions", "beside deletion, its data can be "+done(t.Dispositions))
	}
	switch {
	case t.Issued:
		line("credential", "the system makes one, and Tenure hands it over once")
	case t.Credential:
		line("credential", "Tenure makes one and hands it over once")
	}
	if t.Copies {
		line("copies", "the system keeps copies that expire later")
	}
	line("lag", t.Lag.String())
	line("cost a month", costText(t.Cost))
	return writeAttributes(b, t)
}

func done(all []tenure.Disposition) string {
	out := make([]string, len(all))
	for i, d := range all {
		out[i] = d.Done()
	}
	return strings.Join(out, ", ")
}

func costText(terms []tenure.CostTerm) string {
	var out []string
	for _, c := range terms {
		switch {
		case c.Metric == "one":
			out = append(out, fmt.Sprintf("price `%s` for each", c.Price))
		case c.Per == 1:
			out = append(out, fmt.Sprintf("price `%s` for each of `%s`", c.Price, c.Metric))
		default:
			out = append(out, fmt.Sprintf("price `%s` for every %d of `%s`", c.Price, c.Per, c.Metric))
		}
	}
	return strings.Join(out, ", and ")
}

// property is what a page shows of one attribute's schema.
type property struct {
	Type        any    `json:"type"`
	Enum        []any  `json:"enum"`
	Const       any    `json:"const"`
	Default     any    `json:"default"`
	Description string `json:"description"`
	Items       *property
	Additional  json.RawMessage `json:"additionalProperties"`
}

func writeAttributes(b *strings.Builder, t tenure.ResourceType) error {
	var s struct {
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required"`
	}
	if err := json.Unmarshal([]byte(t.Attributes), &s); err != nil {
		return tenure.Errorf(tenure.Invalid, "attributes of type %s: %w", t.Name, err)
	}
	if len(s.Properties) == 0 {
		b.WriteString("\nIt has no attributes.\n")
		return nil
	}
	b.WriteString("\n| attribute | type | | default | what it is |\n|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p, need, def := s.Properties[name], "", ""
		if slices.Contains(s.Required, name) {
			need = "required"
		}
		if p.Default != nil {
			raw, _ := json.Marshal(p.Default)
			def = code(string(raw))
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", name, cell(p.kind()), need, def, cell(p.Description))
	}
	return nil
}

// kind is a property's type in words.
func (p property) kind() string {
	words := func(list []any, quote string) string {
		out := make([]string, len(list))
		for i, v := range list {
			out[i] = quote + fmt.Sprint(v) + quote
		}
		return strings.Join(out, " or ")
	}
	switch v := p.Type.(type) {
	case string:
		var values property
		switch {
		case len(p.Enum) > 0:
			return words(p.Enum, "`")
		case v == "array" && p.Items != nil:
			return "list of " + p.Items.kind()
		case v == "object" && json.Unmarshal(p.Additional, &values) == nil && values.Type != nil:
			return "object of " + values.kind()
		}
		return v
	case []any:
		return words(v, "")
	}
	if len(p.Enum) > 0 {
		return words(p.Enum, "`")
	}
	if p.Const != nil {
		return words([]any{p.Const}, "`")
	}
	return "any"
}

func writeProbes(b *strings.Builder, probes []connector.ProbeKind) {
	if len(probes) == 0 {
		return
	}
	b.WriteString("\n## Probes\n\n| probe | what must hold | runs by itself on |\n|---|---|---|\n")
	for _, p := range probes {
		var types []string
		for _, t := range p.Types {
			types = append(types, "`"+t+"`")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", p.Name, cell(p.Help), cmp.Or(strings.Join(types, ", "), "nothing: a blueprint asks for it"))
	}
}

func writeReads(b *strings.Builder, reads []connector.ReadKind) {
	if len(reads) == 0 {
		return
	}
	b.WriteString("\n## What rules can look up\n\nA rule for events goes by what stands there now ([how](../events.md#what-stands-there-now)).\n\n| kind | what it is |\n|---|---|\n")
	for _, r := range reads {
		fmt.Fprintf(b, "| `%s` | %s |\n", r.Name, cell(r.Help))
	}
}

func writeRemnants(b *strings.Builder, all []connector.RemnantInfo) {
	if len(all) == 0 {
		b.WriteString("\n## What may physically be left\n\nThis connector can't tell what its system keeps of deleted data, and certificates say so.\n")
		return
	}
	b.WriteString("\n## What may physically be left\n\nCertificates say of each kind what was seen. A blueprint says under `systems.NAME.remnants` what is done about it.\n\n| kind | what it is, and what ends it | what `clean` does |\n|---|---|---|\n")
	for _, r := range all {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", r.Kind, cell(r.Help), cmp.Or(cell(r.Clean), "it can't be asked for"))
	}
}
