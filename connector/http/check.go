package http

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// checker finds what the schema can't say, and compiles the texts.
type checker struct {
	d     *Description
	file  *source.File
	found source.Problems
	types map[string]*typeSpec
}

func (k *checker) problem(at source.Path, hint, format string, args ...any) {
	k.found = append(k.found, k.file.Problem(at, false, fmt.Sprintf(format, args...), hint))
}

// text compiles a text whose expressions may read the names.
func (k *checker) text(at source.Path, from string, names []string) {
	t, offset, err := dialect().Compile(from, names)
	if err != nil {
		k.found = append(k.found, k.file.ProblemIn(at, from, offset, err.Error(), ""))
		return
	}
	k.d.texts[from] = t
}

// field checks a pointer or an expression; blank is the whole or none.
func (k *checker) field(at source.Path, from string, names []string) {
	switch {
	case from == "" || strings.HasPrefix(from, "/"):
	case strings.HasPrefix(from, "${"):
		k.text(at, from, names)
	default:
		k.problem(at, "a pointer begins with /", "%q is neither a JSON pointer nor ${…}", source.Clip(from))
	}
}

func (k *checker) condition(at source.Path, from string, names []string) {
	if from != "" {
		k.text(at, from, names)
		if t := k.d.texts[from]; t != nil && !t.Whole() {
			k.problem(at, "", "a condition is one ${…} and nothing else")
		}
	}
}

func (k *checker) tree(at source.Path, v any, names []string) {
	switch v := v.(type) {
	case string:
		k.text(at, v, names)
	case []any:
		for i, e := range v {
			k.tree(at.Index(i), e, names)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			k.tree(at.With(key), v[key], names)
		}
	}
}

func (k *checker) request(at source.Path, r requestSpec, names []string) {
	k.text(at.With("path"), r.Path, names)
	if t := k.d.texts[r.Path]; t != nil && t.Reads["credential"] {
		k.problem(at.With("path"), "send it in the body or in a header", "a path is shown in messages and logs, and can't hold the credential")
	}
	k.tree(at.With("query"), mapping(r.Query), names)
	k.tree(at.With("form"), mapping(r.Form), names)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		k.text(at.With("header", name), r.Header[name], names)
		if err := checkHeader(name, ""); err != nil {
			k.problem(at.With("header", name), "", "%s", err)
		}
	}
	if r.Body != nil {
		k.tree(at.With("body"), r.Body, names)
		if r.Form != nil {
			k.problem(at.With("form"), "", "a request has a body or a form")
		}
	}
}

func mapping(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

func (k *checker) list(at source.Path, l *listSpec, names []string) {
	k.request(at, l.requestSpec, names)
	k.field(at.With("items"), l.Items, answers)
	k.condition(at.With("where"), l.Where, append(slices.Clone(items), "entry", "id"))
	k.condition(at.With("complete"), l.Complete, answers)
	p := l.Pages
	if p == nil {
		return
	}
	k.field(at.With("pages", "next"), p.Next, answers)
	k.field(at.With("pages", "total"), p.Total, answers)
	needs := map[string][]string{"cursor": {"next"}, "url": {"next"}, "page": {"param"}, "offset": {"param"}}
	have := map[string]bool{"next": p.Next != "", "param": p.Param != ""}
	for _, need := range needs[p.By] {
		if !have[need] {
			k.problem(at.With("pages"), "", "pages by %s need %s", p.By, need)
		}
	}
	if p.By == "cursor" && (p.Param == "") == (p.Body == "") {
		k.problem(at.With("pages"), "", "a cursor stands in a parameter of the query (param) or in a key of the body (body)")
	}
	if p.Stable && (p.By == "page" || p.By == "offset") {
		k.problem(at.With("pages", "stable"), "", "pages by %s move when something goes: only a cursor or a link can stay", p.By)
	}
	if p.Limit != "" && p.Size == 0 {
		k.problem(at.With("pages", "limit"), "", "limit needs size")
	}
}

// steps checks the steps of a change: each may read the answer to the one before it.
func (k *checker) steps(at source.Path, all steps, names []string) {
	names = append(slices.Clone(names), "status", "body")
	for i, s := range all {
		here := at
		if len(all) > 1 || k.file.Has(at.Index(0)...) {
			here = at.Index(i)
		}
		if s.Each != nil {
			k.list(here.With("each"), &s.Each.listSpec, names)
			names = append(slices.Clone(names), "entry")
			k.field(here.With("each", "id"), s.Each.ID, names)
		}
		k.request(here, s.requestSpec, names)
		k.condition(here.With("when"), s.When, names)
		if s.Wait != nil {
			k.request(here.With("wait"), s.Wait.requestSpec, names)
			k.condition(here.With("wait", "until"), s.Wait.Until, names)
			k.condition(here.With("wait", "fails"), s.Wait.Fails, names)
		}
	}
}

func (k *checker) all() {
	d := k.d
	root := source.Path(nil)
	k.options(root.With("options"))
	k.auth(root.With("auth"))
	if d.Identity != nil {
		k.request(root.With("identity"), d.Identity.requestSpec, about)
		k.text(root.With("identity", "value"), d.Identity.Value, answers)
	}
	for i := range d.Types {
		k.types[d.Types[i].Name] = &d.Types[i]
	}
	for i := range d.Types {
		k.typ(root.With("types", d.Types[i].Name), &d.Types[i])
	}
	k.sentinel(root.With("sentinel"))
	for i := range d.Types {
		if t := &d.Types[i]; t.Sentinel != nil {
			k.planted(root.With("types", t.Name, "sentinel"), t)
		}
	}
	if m := d.Marks; m != nil {
		at := root.With("marks")
		if m.Ready != nil {
			k.request(at.With("ready"), *m.Ready, about)
		}
		if (m.Ready == nil) != (len(m.Setup) == 0) {
			k.problem(at, "", "ready and setup go together: what is there isn't made again")
		}
		k.steps(at.With("setup"), m.Setup, marking)
		k.list(at.With("list"), &m.List, about)
		for _, f := range [][2]string{{"key", m.Key}, {"text", m.Text}, {"id", m.ID}} {
			k.field(at.With(f[0]), f[1], marking)
		}
		k.steps(at.With("put"), m.Put, marking)
		k.steps(at.With("change"), m.Change, marking)
		k.steps(at.With("remove"), m.Remove, marking)
	}
	k.reads(root)
	for i, p := range d.Probes {
		at := root.With("probes").Index(i)
		k.request(at, requestSpec{Method: p.Method, Path: p.Path, Header: withoutAuthorization(p.Header), Body: p.Body}, thing)
		for name, from := range p.Header {
			k.text(at.With("header", name), from, thing)
		}
		k.condition(at.With("passes"), p.Passes, append(slices.Clone(thing), "status", "body"))
		for _, name := range p.Types {
			if k.types[name] == nil {
				k.problem(at.With("types"), "", "there is no type %q", name)
			}
		}
	}
}

// reads checks what is looked up by its id.
func (k *checker) reads(root source.Path) {
	names := map[string]bool{}
	for i, r := range k.d.Reads {
		at := root.With("reads").Index(i)
		if names[r.Name] {
			k.problem(at.With("name"), "", "two of them are called %s", r.Name)
		}
		names[r.Name] = true
		k.request(at, r.requestSpec, lookUp)
		k.field(at.With("item"), r.Item, lookUp)
		if t := k.d.texts[r.Path]; t != nil && !t.Reads["id"] && r.Query == nil && r.Body == nil && r.Form == nil {
			k.problem(at.With("path"), "such as /deals/${id}", "the request doesn't say which one is asked for")
		}
		switch r.Method {
		case "", "GET", "HEAD", "POST":
		default:
			k.problem(at.With("method"), "GET, or POST for a search", "looking something up changes nothing")
		}
	}
}

// withoutAuthorization is what of a probe's header is checked as a request's is: a probe may
// say who is asking.
func withoutAuthorization(h map[string]string) map[string]string {
	out := maps.Clone(h)
	for name := range out {
		if strings.EqualFold(name, "Authorization") {
			delete(out, name)
		}
	}
	return out
}

func (k *checker) options(at source.Path) {
	seen := map[string]bool{"base": true, "timeout": true, "rate": true, "ca": true, "clientCertificate": true}
	for i, o := range k.d.Options {
		if seen[o.Name] {
			k.problem(at.Index(i).With("name"), "", "option %q is there already", o.Name)
		}
		seen[o.Name] = true
		if o.Default != "" && (o.Secret || o.Required) {
			k.problem(at.Index(i).With("default"), "", "an option that is secret or required has no default")
		}
	}
}

func (k *checker) auth(at source.Path) {
	a := k.d.Auth
	option := func(key, name string, secret bool) {
		i := slices.IndexFunc(k.d.Options, func(o optionSpec) bool { return o.Name == name })
		switch {
		case i < 0:
			k.problem(at.With(key), "declare it under options", "there is no option %q", name)
		case secret && !k.d.Options[i].Secret:
			k.problem(at.With(key), "set secret: true there", "option %q isn't secret", name)
		}
	}
	needs := map[string][]string{
		"bearer": {"secret"}, "basic": {"user", "secret"}, "header": {"secret", "header"}, "oauth2": {"user", "secret", "path"},
		"session": {"secret", "request", "token"}, "hmac": {"secret", "over", "hash", "encoding", "header"},
	}
	have := map[string]bool{"secret": a.Secret != "", "user": a.User != "", "header": a.Header != "", "path": a.Path != "", "request": a.Request != nil, "token": a.Token != "", "over": len(a.Over) > 0, "hash": a.Hash != "", "encoding": a.Encoding != ""}
	for _, need := range needs[a.Kind] {
		if !have[need] {
			k.problem(at, "", "auth of the kind %s needs %s", a.Kind, need)
		}
	}
	if a.Secret != "" {
		option("secret", a.Secret, true)
	}
	if a.User != "" {
		option("user", a.User, false)
	}
	if a.Base != "" {
		option("base", a.Base, false)
	}
	if a.Path != "" {
		k.text(at.With("path"), a.Path, about)
	}
	if a.Request != nil {
		k.request(at.With("request"), *a.Request, append(slices.Clone(about), "credential"))
		k.field(at.With("token"), a.Token, answers)
	}
}

func (k *checker) sentinel(at source.Path) {
	s := k.d.Sentinel
	t := k.types[s.Type]
	switch {
	case t == nil:
		k.problem(at.With("type"), "", "there is no type %q", s.Type)
	case t.In != "":
		k.problem(at.With("type"), "", "the sentinel can't lie in something else")
	default:
		k.shaped(at, t, s)
	}
	if s.Value != "" {
		k.text(at.With("value"), s.Value, items)
	}
}

// planted checks the sentinel of a type: what it lies in has to be one, too.
func (k *checker) planted(at source.Path, t *typeSpec) {
	parent, own := t.split(t.Sentinel.Name)
	switch {
	case t.Name == k.d.Sentinel.Type:
		k.problem(at, "", "the system's sentinel is of this type already")
	case (t.In == "") != (parent == "") || own == "" || t.In == "" && strings.Contains(own, "/"):
		k.problem(at.With("name"), "", "the sentinel's name is NAME, or PARENT/NAME of a type that lies in another")
	case t.In != "" && !k.d.kept(t.In, parent):
		k.problem(at.With("name"), "", "the sentinel has to lie in one of type %s, and %q is none", t.In, parent)
	default:
		k.shaped(at, t, *t.Sentinel)
	}
}

func (k *checker) shaped(at source.Path, t *typeSpec, s sentinelSpec) {
	if check := k.d.shapes[t.Name]; check != nil {
		if err := check(t.desired(s.Attributes)); err != nil {
			k.problem(at.With("attributes"), "", "%s", err)
		}
	}
}

func (k *checker) typ(at source.Path, t *typeSpec) {
	for up, steps := t.In, 0; up != ""; steps++ {
		above := k.types[up]
		if above == nil || steps > len(k.types) {
			k.problem(at.With("in"), "", "type %q isn't there, or lies in itself", up)
			break
		}
		up = above.In
	}
	if t.Name != k.d.Sentinel.Type && t.Sentinel == nil && !t.List.Refuses && t.List.Complete == "" {
		k.problem(at.With("list"), "", "say how a missing right to read things of type %s would show, lest an empty list be taken for absence: by an error (refuses), in the answer (complete), or at a sentinel of the type's own (sentinel)", t.Name)
	}
	if t.Cascades && t.In == "" {
		k.problem(at.With("cascades"), "", "it lies in nothing that it could go with")
	}
	for i, name := range t.Refers {
		if k.types[name] == nil || name == t.Name {
			k.problem(at.With("refers").Index(i), "", "there is no other type %q", name)
		}
	}
	if t.Names.Pattern != "" {
		if _, err := regexp.Compile(t.Names.Pattern); err != nil {
			k.problem(at.With("names", "pattern"), "", "it is no regular expression (RE2): %s", err)
		}
		if t.Names.Says == "" {
			k.problem(at.With("names"), "", "a pattern needs says, for people")
		}
	}
	layer, _ := layerOf(t.Layer)
	for word, all := range map[string]steps{"suspend": t.Suspend, "resume": t.Resume, "revoke": t.Revoke} {
		if layer.IsAccess() && len(all) == 0 {
			k.problem(at, "", "a type of the layer %s needs %s: access has to be cut before data goes", t.Layer, word)
		}
	}
	if layer.IsAccess() && t.Item.State == "" {
		k.problem(at.With("item"), "", "a type of the layer %s needs state: a cut is read back", t.Layer)
	}
	switch m := t.Item.Mark; {
	case m == nil && k.d.Marks == nil:
		k.problem(at.With("item"), "", "say where the owner mark stands: in the item (mark), or in a place of Tenure's own (marks)")
	case m != nil && k.d.Marks != nil:
		k.problem(at.With("item", "mark"), "", "the owner marks of all types stand in a place of Tenure's own (marks): say one or the other, not both")
	case m != nil:
		k.field(at.With("item", "mark", "at"), m.At, items)
		k.steps(at.With("item", "mark", "write"), m.Write, thing)
		if m.As == "suffix" && m.At != t.Item.Name {
			k.problem(at.With("item", "mark", "at"), "", "a suffix is one of the name")
		}
	}
	for _, f := range [][2]string{{"id", t.Item.ID}, {"name", t.Item.Name}} {
		k.field(at.With("item", f[0]), f[1], items)
	}
	if t.Item.State != "" {
		k.text(at.With("item", "state"), t.Item.State, items)
	}
	if a := t.Item.Account; a != nil {
		here := at.With("item", "account")
		for _, f := range [][2]string{{"mail", a.Mail}, {"externalId", a.ExternalID}, {"lastSeen", a.LastSeen}, {"created", a.Created}} {
			k.field(here.With(f[0]), f[1], items)
		}
		k.condition(here.With("enabled"), a.Enabled, items)
		for key, list := range map[string][]string{"disable": a.Disable, "remove": a.Remove} {
			for i, line := range list {
				k.text(here.With(key).Index(i), line, append(slices.Clone(items), "id"))
			}
		}
	}
	k.attributes(at, t)
	k.list(at.With("list"), &t.List, []string{"options", "parent", "omit"})
	if t.Find != nil {
		k.list(at.With("find"), t.Find, thing)
	}
	if t.Get != nil {
		k.request(at.With("get"), t.Get.requestSpec, thing)
		k.field(at.With("get", "item"), t.Get.Item, answers)
	}
	for word, all := range map[string]steps{"create": t.Create, "change": t.Change, "suspend": t.Suspend, "resume": t.Resume, "revoke": t.Revoke, "delete": t.Delete, "leave": t.Leave} {
		k.steps(at.With(word), all, thing)
	}
	k.field(at.With("created"), t.Created, answers)
	if t.Credential && !k.sends(t.Create, "credential") {
		k.problem(at.With("create"), "", "create doesn't send ${credential}, which credential: true promises")
	}
	if t.Item.Mark != nil && !k.sends(t.Create, "mark") {
		k.problem(at.With("create"), "", "create doesn't send ${mark}: nobody would know whose it is")
	}
	if len(t.Leave) > 0 && (t.Item.Mark == nil || t.Layer != "configuration" || t.Credential || t.Whole || len(t.Change) == 0) {
		k.problem(at.With("leave"), "", "only a record of the layer configuration stays: one with item.mark and change, without a credential, and not whole")
	}
	if data := t.Data; data != nil {
		names := append(slices.Clone(thing), "entry")
		k.list(at.With("data", "list"), &data.List, thing)
		k.field(at.With("data", "id"), data.ID, names)
		k.steps(at.With("data", "delete"), data.Delete, names)
		if !k.sends(data.Delete, "entry") {
			k.problem(at.With("data", "delete"), "", "delete doesn't say by ${entry} which of the entries goes")
		}
		if data.Class != "" {
			k.text(at.With("data", "class"), data.Class, names)
		}
	}
	if s := t.Try; s != nil && k.d.shapes[t.Name] != nil {
		if err := k.d.shapes[t.Name](t.desired(s.Attributes)); err != nil {
			k.problem(at.With("try", "attributes"), "", "%s", err)
		}
	}
	for i, r := range t.Review {
		k.condition(at.With("review").Index(i).With("when"), r.When, thing)
	}
}

// sends says whether a step's requests read a name.
func (k *checker) sends(all steps, name string) bool {
	reads := func(v any) bool { return false }
	reads = func(v any) bool {
		switch v := v.(type) {
		case string:
			t := k.d.texts[v]
			return t == nil || t.Reads[name] // one that doesn't compile is told already
		case []any:
			return slices.ContainsFunc(v, reads)
		case map[string]any:
			return slices.ContainsFunc(slices.Collect(maps.Values(v)), reads)
		}
		return false
	}
	return slices.ContainsFunc(all, func(s actionSpec) bool {
		header := map[string]any{}
		for name, from := range s.Header {
			header[name] = from
		}
		return reads(s.Path) || reads(s.Body) || reads(mapping(s.Form)) || reads(mapping(s.Query)) || reads(header)
	})
}

func (k *checker) attributes(at source.Path, t *typeSpec) {
	var given struct {
		Properties map[string]map[string]any `json:"properties"`
		Required   []string                  `json:"required"`
	}
	if err := json.Unmarshal(t.Attributes, &given); err != nil {
		k.problem(at.With("attributes"), "", "%s", err)
		return
	}
	if given.Required == nil {
		given.Required = []string{}
	}
	doc := map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false, "properties": given.Properties, "required": given.Required}
	raw, err := json.Marshal(doc)
	if err != nil {
		k.problem(at.With("attributes"), "", "%s", err)
		return
	}
	t.Attributes = raw
	var plain any
	_ = json.Unmarshal(raw, &plain)
	shape, err := source.CompileShape(plain)
	if err != nil {
		k.problem(at.With("attributes"), "", "%s", err)
		return
	}
	t.defaults, t.sets = map[string]any{}, map[string]bool{}
	for name, p := range given.Properties {
		if v, ok := p["default"]; ok && v != nil {
			t.defaults[name] = whole(v)
		}
		t.sets[name] = p["uniqueItems"] == true
	}
	for _, name := range t.Isolation {
		if _, ok := given.Properties[name]; name != "*" && !ok {
			k.problem(at.With("isolation"), "", "there is no attribute %q", name)
		}
	}
	k.d.shapes[t.Name] = func(attributes map[string]any) error {
		for _, m := range shape.Check(attributes, nil) {
			return tenure.Errorf(tenure.Invalid, "%s: attribute %s %s", t.Name, strings.TrimPrefix(strings.TrimPrefix(m.At.String(), "$"), "."), m.Message)
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(t.Item.Attributes)) {
		if _, ok := given.Properties[name]; !ok {
			k.problem(at.With("item", "attributes", name), "", "there is no attribute %q", name)
		}
		k.field(at.With("item", "attributes", name), t.Item.Attributes[name], items)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Item.Metrics)) {
		k.field(at.With("item", "metrics", name), t.Item.Metrics[name], items)
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
