package objects

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// object reads one JSON object with its numbers as they are written. A name that an
// object has twice is an error: one of the values would go unseen.
func object(raw []byte) (doc map[string]any, err error) {
	none := errors.New("isn't a JSON object in UTF-8")
	if !utf8.Valid(raw) {
		return nil, none
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&doc) != nil || doc == nil {
		return nil, none
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, none
	}
	return doc, once(raw)
}

// once looks through JSON that can be decoded for a name that an object has twice.
func once(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	var open []map[string]bool // by nesting; nil is a list
	name := false              // a name comes next
	for {
		token, err := dec.Token()
		if err != nil {
			return nil
		}
		switch token {
		case json.Delim('{'):
			open = append(open, map[string]bool{})
		case json.Delim('['):
			open = append(open, nil)
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		default:
			if s, ok := token.(string); ok && name {
				at := open[len(open)-1]
				if at[s] {
					return errors.New("has an object with two members of one name")
				}
				at[s], name = true, false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}
