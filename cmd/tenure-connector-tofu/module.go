package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// module is the content of a module's folder.
type module struct {
	files  map[string][]byte // by path, with slashes
	digest string
}

// largestModule is how many bytes a module may have.
const largestModule = 16 << 20

// readModule reads a folder. What terraform itself writes there doesn't count; a link or
// something else that is no file can't be pinned, and is refused.
func readModule(folder string) (*module, error) {
	m := &module{files: map[string][]byte{}}
	size := int64(0)
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		switch base := e.Name(); {
		case e.IsDir() && (base == ".terraform" || base == ".git"):
			return fs.SkipDir
		case e.IsDir():
			return nil
		case strings.HasPrefix(base, "terraform.tfstate"), strings.HasSuffix(base, ".tfvars"), strings.HasSuffix(base, ".tfvars.json"):
			return nil
		case !e.Type().IsRegular():
			return refuse("blocked", "module %s: %s is no file", filepath.Base(folder), name)
		}
		raw, err := os.ReadFile(path)
		if size += int64(len(raw)); size > largestModule {
			return refuse("blocked", "module %s is larger than 16 MiB", filepath.Base(folder))
		}
		m.files[filepath.ToSlash(name)] = raw
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(m.files) == 0 {
		return nil, refuse("blocked", "module %s has no files", filepath.Base(folder))
	}
	m.digest = digestOf(m.archive())
	return m, nil
}

// archive is the module as one text, the same for the same files.
func (m *module) archive() []byte {
	raw, _ := json.Marshal(m.files) // sorted by name
	return raw
}

func readArchive(raw []byte) (*module, error) {
	m := &module{digest: digestOf(raw)}
	return m, json.Unmarshal(raw, &m.files)
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// write puts the module's files below a folder.
func (m *module) write(folder string) error {
	for name, raw := range m.files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return refuse("internal", "a module has a file %q", name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// reserved are the names that a module's call has for itself.
var reserved = []string{"source", "version", "providers", "count", "for_each", "depends_on", "lifecycle", "locals"}

// root is the root module that calls the tenant's, and records in the state what was
// applied once all of it was. The values stand in a file of variables, in which terraform
// evaluates nothing.
func root(c configuration, backend string, settings map[string]string) (hcl, values []byte, err error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "terraform {\n  backend %q {\n", backend)
	for _, name := range sortedKeys(settings) {
		fmt.Fprintf(&out, "    %s = %s\n", name, literal(settings[name]))
	}
	out.WriteString("  }\n}\n\nvariable \"tenure_record\" {\n  type = string\n}\n\nvariable \"tenure_variables\" {\n  type = any\n}\n\nmodule \"tenant\" {\n  source = \"./module\"\n")
	for _, name := range sortedKeys(c.Variables) {
		if !variableName.MatchString(name) || contains(reserved, name) {
			return nil, nil, refuse("invalid", "no module has a variable %q", name)
		}
		fmt.Fprintf(&out, "  %s = var.tenure_variables[%q]\n", name, name)
	}
	out.WriteString("}\n\nresource \"terraform_data\" \"tenure\" {\n  input      = var.tenure_record\n  depends_on = [module.tenant]\n}\n")
	variables := c.Variables
	if variables == nil {
		variables = map[string]any{}
	}
	values, err = json.Marshal(map[string]any{"tenure_record": c.text(), "tenure_variables": variables})
	return out.Bytes(), values, err
}

// literal is a text in which nothing is evaluated.
func literal(text string) string {
	raw, _ := json.Marshal(text)
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(string(raw))
}
