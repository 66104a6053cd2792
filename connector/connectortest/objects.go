package connectortest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// ChangeAll takes batches of a disposition until it is done, and counts what was changed.
func ChangeAll(ctx context.Context, d connector.Driver, r connector.Ref, class string, to tenure.Disposition, limit int, name func(key, value string, reversible bool) ([]byte, error)) (n int64, err error) {
	b := connector.Batch{Run: "run", Class: class, Limit: limit, Disposition: to, Name: name}
	for range 1000 {
		e, err := d.(connector.Eraser).Erase(ctx, r, b)
		if err != nil {
			return n, err
		}
		n += e.Counts["objects (changed)"]
		if b.Cursor = e.Cursor; e.Done {
			return n, nil
		}
	}
	return n, fmt.Errorf("not done after 1000 batches")
}

// Pseudonym makes pseudonyms from a key's name alone.
func Pseudonym(key, value string, _ bool) ([]byte, error) {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(value))
	return h.Sum(nil), nil
}

// What becomes of the fields of a CSV of events with id, email and born.
var (
	Pseudonymous = map[string]any{"id": "keep", "email": map[string]any{"pseudonym": "people"}, "born": "year"}
	Anonymous    = map[string]any{"id": "keep", "email": "clear", "born": "year"}
)

// ChangedEvents is the model: what such a CSV becomes. It may be packed.
func ChangedEvents(t testing.TB, csv string, to tenure.Disposition) string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(Unpacked(t, csv), "\n"), "\n")
	for i, line := range lines[1:] {
		f := strings.Split(line, ",")
		sum, _ := Pseudonym("people", f[1], false)
		if f[1] = ""; to == tenure.Pseudonymise {
			f[1] = strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
		}
		f[2] = f[2][:4] + "-01-01"
		lines[i+1] = strings.Join(f, ",")
	}
	return strings.Join(lines, "\n") + "\n"
}

// Packed is a text compressed with gzip.
func Packed(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Unpacked is the text of what may be compressed with gzip.
func Unpacked(t testing.TB, raw string) string {
	t.Helper()
	if !strings.HasPrefix(raw, "\x1f\x8b") {
		return raw
	}
	r, err := gzip.NewReader(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
