package main

import (
	"bytes"
	"io"
)

// cleanLines makes what could steer a terminal visible in lines of JSON, in whose
// strings `\u202e` says the same as the character. The text format quotes by itself.
type cleanLines struct{ w io.Writer }

func (c cleanLines) Write(line []byte) (int, error) {
	end := bytes.TrimRight(line, "\n")
	if _, err := io.WriteString(c.w, clean(string(end))+"\n"); err != nil {
		return 0, err
	}
	return len(line), nil
}
