package site

import (
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func queryEscape(s string) string { return url.QueryEscape(s) }

// atVersion makes "name version" the name@version that a filter takes.
func atVersion(s string) string { return strings.Replace(s, " ", "@", 1) }

func tenantRef(id tenure.TenantID, name string) dashboard.Ref {
	if id == "" {
		return dashboard.Ref{}
	}
	if name == "" {
		name = string(id)
	}
	return dashboard.Ref{Label: name, Href: dashboard.TenantPath(id)}
}

func operationRef(id tenure.OperationID, label string) dashboard.Ref {
	if id == "" {
		return dashboard.Ref{}
	}
	if label == "" {
		label = string(id)
	}
	return dashboard.Ref{Label: label, Href: dashboard.OperationPath(id)}
}

// revision is a revision in a few words.
func revision(b tenure.BlueprintRef) string { return strings.TrimSpace(b.Name + " " + b.Version) }

func blueprintRef(b tenure.BlueprintRef) dashboard.Ref {
	return dashboard.Ref{Label: revision(b), Href: "/blueprints/" + url.PathEscape(b.Name+"@"+b.Version)}
}

// choice makes a filter's select: the first option takes everything.
func choice(name, label, value, all string, options ...string) dashboard.Field {
	f := dashboard.Field{Kind: dashboard.FieldChoice, Name: name, Label: label, Options: []dashboard.Option{{Label: all, On: value == ""}}}
	for _, o := range options {
		f.Options = append(f.Options, dashboard.Option{Value: o, Label: strings.ReplaceAll(o, "_", " "), On: o == value})
	}
	return f
}

// filters is a filter form with how many of its fields are set.
func filters(path string, q url.Values, fields ...dashboard.Field) dashboard.Filters {
	f := dashboard.Filters{Path: path, Fields: fields}
	for _, field := range fields {
		if q.Get(field.Name) != "" {
			f.On++
		}
	}
	return f
}

// hiddenPairs are fields that a form sends along.
func hiddenPairs(kv ...string) []dashboard.Pair {
	var out []dashboard.Pair
	for i := 0; i+1 < len(kv); i += 2 {
		out = append(out, dashboard.Pair{Name: kv[i], Value: kv[i+1]})
	}
	return out
}
