package transform

import (
	"strings"

	"github.com/tenurehq/tenure"
)

// checkPath is Invalid if a path isn't of the form a.b[].c.
func checkPath(path string) error {
	for _, part := range strings.Split(path, ".") {
		if strings.TrimSuffix(part, "[]") == "" && part != "[]" {
			return tenure.Errorf(tenure.Invalid, "path %q has an empty part; one looks like address.city or tags[].name", path)
		}
	}
	return nil
}

// checkMembers is Invalid if a path can't be, leads through another one, or has a rule
// that a member can't have.
func (r Rule) checkMembers() error {
	paths := sortedKeys(r.Paths)
	for _, path := range paths {
		if err := checkPath(path); err != nil {
			return err
		}
		if err := r.Paths[path].fitsInside(path); err != nil {
			return err
		}
		for _, other := range paths {
			if strings.HasPrefix(other, path+".") || strings.HasPrefix(other, path+"[]") {
				return tenure.Errorf(tenure.Invalid, "%s is part of %s, of which all becomes %s", other, path, r.Paths[path])
			}
		}
	}
	return nil
}

// fitsInside is Invalid if the rule can't be for a part of a document.
func (r Rule) fitsInside(where string) error {
	err := r.Fits(Field{Kind: Any})
	if r.Word == Permute {
		err = tenure.Errorf(tenure.Invalid, "it can't be permuted")
	}
	if err != nil {
		return tenure.Errorf(tenure.Invalid, "%s: %w", where, err)
	}
	return nil
}

// branch is what becomes of a part of a document.
type branch struct {
	rule    *Rule
	members map[string]*branch
	element *branch
}

func (r Rule) tree() *branch {
	root := &branch{}
	for _, path := range sortedKeys(r.Paths) {
		at := root
		for _, part := range strings.Split(path, ".") {
			name, lists := part, 0
			for strings.HasSuffix(name, "[]") {
				name, lists = strings.TrimSuffix(name, "[]"), lists+1
			}
			if name != "" {
				if at.members == nil {
					at.members = map[string]*branch{}
				}
				if at.members[name] == nil {
					at.members[name] = &branch{}
				}
				at = at.members[name]
			}
			for range lists {
				if at.element == nil {
					at.element = &branch{}
				}
				at = at.element
			}
		}
		rule := r.Paths[path]
		at.rule = &rule
	}
	return root
}

// members takes out of a document all that no path names.
func (r Rule) members(v any, f Field, names Namer) (any, error) {
	v, text := document(v)
	if v == nil {
		return r.Emptied(f), nil
	}
	out, err := r.tree().apply(v, names)
	if err != nil || !text {
		return out, err
	}
	raw, err := tenure.Canonical(out)
	return string(raw), err
}

// document is an object or a list, nil if a value is neither; text says that it stands
// there as its JSON text.
func document(v any) (doc any, text bool) {
	switch in := v.(type) {
	case map[string]any, []any:
		return v, false
	case string:
		doc, err := decode([]byte(in))
		if err != nil {
			return nil, true
		}
		if doc, text := document(doc); doc != nil && !text {
			return doc, true
		}
	}
	return nil, false
}

func (b *branch) apply(v any, names Namer) (any, error) {
	if b.rule != nil {
		return b.rule.Apply(v, Field{Kind: Any}, names)
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, in := range b.members {
			old, has := v[name]
			if !has {
				continue
			}
			made, err := in.apply(old, names)
			if err != nil {
				return nil, err
			}
			out[name] = made
		}
		return out, nil
	case []any:
		out := []any{}
		if b.element == nil {
			return out, nil
		}
		for _, old := range v {
			made, err := b.element.apply(old, names)
			if err != nil {
				return nil, err
			}
			out = append(out, made)
		}
		return out, nil
	}
	return nil, nil
}
