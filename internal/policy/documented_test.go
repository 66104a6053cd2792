package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// documented are the packages whose every exported name has a doc comment: those
// that others build on. What a public name promises is read there, not guessed.
var documented = []string{".", "audit", "connector", "evidence"}

// wellKnown are methods whose contract is another package's: the standard
// library's, and KeyHash of sumdb/note.
var wellKnown = []string{
	"Error", "Unwrap", "String", "GoString", "Format", "LogValue",
	"KeyHash", "MarshalJSON", "MarshalText", "MarshalYAML", "UnmarshalText",
}

func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, f := range files(t, ".go") {
		if strings.HasSuffix(f, "_test.go") || !slices.Contains(documented, path.Dir(f)) {
			continue
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, filepath.Join(root, f), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			names, bare := undocumented(d)
			seen += names
			for _, n := range bare {
				t.Errorf("%s: %s has no doc comment", fset.Position(n.Pos()), n.Name)
			}
		}
	}
	if seen < 300 {
		t.Errorf("%d exported names seen: the packages weren't found", seen)
	}
}

// undocumented counts a declaration's exported names and returns the bare ones.
func undocumented(d ast.Decl) (names int, bare []*ast.Ident) {
	look := func(n *ast.Ident, comments ...*ast.CommentGroup) {
		if !n.IsExported() {
			return
		}
		names++
		if !slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) != "" }) {
			bare = append(bare, n)
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || ast.IsExported(receiver(d)) && !slices.Contains(wellKnown, d.Name.Name) {
			look(d.Name, d.Doc)
		}
	case *ast.GenDecl:
		typed := d.Tok == token.CONST // constants of a named type stand under that type's comment
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				look(s.Name, d.Doc, s.Doc, s.Comment)
			case *ast.ValueSpec:
				if typed && (s.Type != nil || len(s.Values) == 0) {
					names += len(s.Names)
					continue
				}
				for _, n := range s.Names {
					look(n, d.Doc, s.Doc, s.Comment)
				}
			}
		}
	}
	return names, bare
}

func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if n, ok := t.(*ast.Ident); ok {
		return n.Name
	}
	return ""
}

// TestUndocumentedIsSeen: the check sees what it is there for.
func TestUndocumentedIsSeen(t *testing.T) {
	t.Parallel()
	const src = `package p
func Bare() {}
// Good is.
func Good() {}
func (t T) Method() {}
func (t t) Hidden() {}
func (t T) String() string { return "" }
type T struct{}
type t struct{}
const Loose = 1
const Typed K = "k"
var Var = 1
`
	parsed, err := parser.ParseFile(token.NewFileSet(), "p.go", src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var bare []string
	for _, d := range parsed.Decls {
		_, names := undocumented(d)
		for _, n := range names {
			bare = append(bare, n.Name)
		}
	}
	if got, want := strings.Join(bare, " "), "Bare Method T Loose Var"; got != want {
		t.Errorf("bare names: %s; want %s", got, want)
	}
}
