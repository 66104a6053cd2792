package blueprint

import (
	"bytes"
	_ "embed"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tenurehq/tenure/internal/source"
)

const apiVersion = "tenure.dev/v1"

//go:embed blueprint.schema.json
var schemaText []byte

// Schema is the JSON Schema (2020-12) of a blueprint file, for editors.
func Schema() []byte { return bytes.Clone(schemaText) }

// fileSchema is the compiled schema of the file; it never changes.
var fileSchema = sync.OnceValues(func() (*source.Shape, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		return nil, err
	}
	return source.CompileShape(doc)
})
