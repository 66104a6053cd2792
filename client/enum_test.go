package client_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// narrower are the fields that take fewer values than their type has, and why.
var narrower = map[string]string{
	"NewPrincipalParams.Kind": "who is local is added by nobody",
	"NewCampaign.Silence":     "silence changes nothing",
}

// TestEnumsAreTheConstants: what the document says that a field takes is what the type
// has, so that a new state or kind can be asked for on the day that it is there.
func TestEnumsAreTheConstants(t *testing.T) {
	t.Parallel()
	constants, seen := constantsOf(t), 0
	for _, file := range parsed(t, ".") {
		for _, decl := range file.Decls {
			ast.Inspect(decl, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				ast.Inspect(spec, func(n ast.Node) bool {
					f, ok := n.(*ast.Field)
					if !ok || f.Tag == nil || len(f.Names) == 0 {
						return true
					}
					text, _ := strconv.Unquote(f.Tag.Value)
					enum := reflect.StructTag(text).Get("enum")
					at, of := spec.Name.Name+"."+f.Names[0].Name, ""
					if typed, ok := f.Type.(*ast.SelectorExpr); ok {
						of = typed.Sel.Name
					} else if at == "AccessEventFilter.Kind" {
						of = "Event"
					}
					if enum == "" || of == "" {
						return true
					}
					seen++
					has, want := strings.Split(enum, ","), slices.Clone(constants[of])
					slices.Sort(has)
					slices.Sort(want)
					if i := slices.Index(want, ""); i >= 0 {
						want = slices.Delete(want, i, i+1)
					}
					if narrower[at] != "" {
						want = slices.DeleteFunc(want, func(v string) bool { return !slices.Contains(has, v) })
					}
					if !slices.Equal(has, want) {
						t.Errorf("%s takes %q, and tenure.%s has %q", at, has, of, want)
					}
					return true
				})
				return false
			})
		}
	}
	if seen < 12 {
		t.Errorf("only %d enums were seen", seen)
	}
}

// constantsOf are the texts of the root package's constants by their type.
func constantsOf(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, file := range parsed(t, "..") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != len(spec.Names) {
				return true
			}
			of := ""
			if kind, typed := spec.Type.(*ast.Ident); typed {
				of = kind.Name
			} else if strings.HasPrefix(spec.Names[0].Name, "Event") { // an access event's kind has no type of its own
				of = "Event"
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && of != "" && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value)
					out[of] = append(out[of], text)
				}
			}
			return true
		})
	}
	return out
}

func parsed(t *testing.T, dir string) (out []*ast.File) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	return out
}
