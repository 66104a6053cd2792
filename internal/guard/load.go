package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/tenurehq/tenure"
)

// Bounds of a folder of policies: each decision evaluates all of them.
const (
	MaxPolicies = 500
	maxFile     = 1 << 20 // bytes
)

// Load reads the policies of a folder: its *.cedar files, in order of their
// names. An absent folder is an empty set. Everything that is wrong is said at
// once, one line each as file:line, in an Invalid error: a text that isn't Cedar,
// a policy that permits, one without an @id or with another's, and one that names
// an entity type, an entity, an action or an attribute that isn't in Schema.
func Load(dir string) (*Set, error) {
	items, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return &Set{}, nil
	}
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "policies: %w", err)
	}
	check, err := newValidator()
	if err != nil {
		return nil, err
	}
	l := loader{check: check, named: named(), places: make(map[string]string), set: &Set{}}
	for _, item := range items {
		if item.IsDir() || filepath.Ext(item.Name()) != ".cedar" {
			continue
		}
		text, err := readBounded(filepath.Join(dir, item.Name()))
		if err != nil {
			return nil, err
		}
		l.file(item.Name(), text)
	}
	if n := len(l.set.policies); n > MaxPolicies {
		l.problem("%s: %d policies, and at most %d are evaluated for each decision", filepath.Base(dir), n, MaxPolicies)
	}
	if len(l.problems) > 0 {
		return nil, tenure.Errorf(tenure.Invalid, "policies: %s", strings.Join(l.problems, "\n")).WithHint("a policy only forbids; what it can look at is the schema in docs/access.md")
	}
	return l.set, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "policies: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, tenure.Errorf(tenure.Invalid, "policies: %s isn't a file of at most %d bytes", filepath.Base(path), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "policies: %w", err)
	}
	return text, nil
}

type loader struct {
	check    *validate.Validator
	named    map[types.EntityType][]string
	places   map[string]string // where each id stands
	set      *Set
	problems []string
}

func (l *loader) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// parseErrors say "<input>" for the file, and its position after it.
var parsePlace = regexp.MustCompile(`^(?:parser error: )?parse error at <input>:(\d+):\d+ `)

func (l *loader) file(name string, text []byte) {
	list, err := cedar.NewPolicyListFromBytes(name, text)
	if err != nil {
		said := err.Error()
		if m := parsePlace.FindStringSubmatch(said); m != nil {
			l.problem("%s:%s: not Cedar: %s", name, m[1], strings.TrimPrefix(said, m[0]))
			return
		}
		l.problem("%s:1: not Cedar: %s", name, said)
		return
	}
	for _, p := range list {
		l.policy(name, p)
	}
}

// idPattern is what an @id is made of: it is shown to who is denied.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (l *loader) policy(name string, p *cedar.Policy) {
	at := fmt.Sprintf("%s:%d", name, p.Position().Line)
	id := string(p.Annotations()["id"])
	switch {
	case id == "":
		l.problem("%s: the policy has no @id(\"…\"), and who it denies couldn't be told which it was", at)
		return
	case !idPattern.MatchString(id):
		l.problem("%s: the @id %q isn't 1 to 63 letters, digits, '.', '_' and '-'", at, id)
		return
	case l.places[id] != "":
		l.problem("%s: the @id %q stands at %s already", at, id, l.places[id])
		return
	}
	l.places[id] = at
	if p.Effect() == cedar.Permit {
		l.problem("%s: policy %s permits; policies only forbid, and grants say what is allowed", at, id)
		return
	}
	tree := (*ast.Policy)(p.AST())
	if err := l.check.Policy(id, tree); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			l.problem("%s: policy %s: %s", at, id, strings.TrimPrefix(line, "for policy `"+id+"`, "))
		}
		return
	}
	if wrong := l.unknown(tree); len(wrong) > 0 {
		for _, w := range wrong {
			l.problem("%s: policy %s: %s", at, id, w)
		}
		return
	}
	l.set.policies = append(l.set.policies, entry{id: cedar.PolicyID(id), policy: p, Policy: Policy{ID: id, File: name, Line: p.Position().Line, About: string(p.Annotations()["about"])}})
}

// unknown names the entities of a policy that there can't be. Cedar's own check
// knows types and attributes; a role with a typing error would pass it and never
// deny anybody.
func (l *loader) unknown(p *ast.Policy) (problems []string) {
	look := func(e types.EntityUID) {
		if ids, closed := l.named[e.Type]; closed && !slices.Contains(ids, string(e.ID)) {
			problems = append(problems, fmt.Sprintf("there is no %s; %s is one of %s", e, e.Type, strings.Join(ids, ", ")))
		}
		if e.Type == tenantType {
			if _, err := tenure.ParseID[tenure.TenantID](string(e.ID)); err != nil {
				problems = append(problems, fmt.Sprintf("%s isn't a tenant's id (ten_…)", e))
			}
		}
	}
	for _, scope := range []ast.IsScopeNode{p.Principal, p.Action, p.Resource} {
		switch s := scope.(type) {
		case ast.ScopeTypeEq:
			look(s.Entity)
		case ast.ScopeTypeIn:
			look(s.Entity)
		case ast.ScopeTypeIsIn:
			look(s.Entity)
		}
	}
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			if v, ok := n.(ast.NodeValue); ok {
				if e, ok := v.Value.(types.EntityUID); ok {
					look(e)
				}
			}
			return true
		})
	}
	return problems
}
