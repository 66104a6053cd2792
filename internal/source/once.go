package source

import (
	"encoding/json"
	"sync"
)

// ShapeOf compiles a JSON Schema (2020-12) that a program holds, when it is first asked for.
func ShapeOf(schema []byte) func() (*Shape, error) {
	return sync.OnceValues(func() (*Shape, error) {
		var doc any
		if err := json.Unmarshal(schema, &doc); err != nil {
			return nil, err
		}
		return CompileShape(doc)
	})
}
