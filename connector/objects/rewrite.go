package objects

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/transform"
)

// How is what a rewriting needs beside the transform.
type How struct {
	Name   transform.Namer   // makes pseudonyms; Unnamed where nothing is written
	Groups *transform.Groups // counts the records by what identifies them, if it isn't nil
	Past   bool              // they were counted before, and what went of their groups since isn't seen
	Beside []string          // what stays beside the records, such as a key: no original may stand in it
}

// Unnamed makes names for looking alone.
func Unnamed(string, string, bool) ([]byte, error) { return make([]byte, 32), nil }

// Rewrite reads records and writes what becomes of them, in bounded memory; the same
// input gives the same output. What is compressed with gzip (RFC 1952) is written so. It
// is Blocked by what isn't of the format, by a field without a rule, which it names, and
// by a name or metadata that repeat what a rule takes away. It shows no values.
func (t Transform) Rewrite(ctx context.Context, in io.Reader, out io.Writer, how How) error {
	source := bufio.NewReaderSize(&reading{ctx: ctx, r: in}, 64<<10)
	sink := out
	magic, err := source.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var packed *gzip.Writer
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(source)
		if err != nil {
			return unlike(err, "it can't be decompressed")
		}
		source = bufio.NewReaderSize(unpacked, 64<<10)
		packed = gzip.NewWriter(out)
		sink = packed
	}
	w := bufio.NewWriterSize(sink, 64<<10)
	if mark, _ := source.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = source.Discard(3)
		_, _ = w.Write(mark)
	}
	rewrite := t.csv
	if t.Format == jsonlFormat {
		rewrite = t.jsonl
	}
	if err := rewrite(source, w, how); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if packed != nil {
		return packed.Close()
	}
	return nil
}

// reading tells errors of the source from those of the format, and heeds a context.
type reading struct {
	ctx context.Context
	r   io.Reader
}

// sourceError is an error of where records are read.
type sourceError struct{ error }

func (e sourceError) Unwrap() error { return e.error }

func (r *reading) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, sourceError{context.Cause(r.ctx)}
	}
	n, err := r.r.Read(b)
	if err != nil && err != io.EOF {
		err = sourceError{err}
	}
	return n, err
}

// unlike is Blocked for what isn't of the format, unless the source failed.
func unlike(err error, format string, args ...any) error {
	var source sourceError
	if errors.As(err, &source) {
		return source.error
	}
	return tenure.Errorf(tenure.Blocked, format, args...).WithHint("put files of another format under a prefix of their own")
}

// limited fails if more than a record's bytes are read before it is told that one ended.
type limited struct {
	r    io.Reader
	left int
}

var errLong = errors.New("a record is too long")

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLong
	}
	n, err := l.r.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}

func (t Transform) csv(in *bufio.Reader, out *bufio.Writer, how How) error {
	bound := &limited{in, maxRecord}
	text := &lineEnds{r: bound}
	r := csv.NewReader(text)
	w := newCSVWriter(out, text)
	if t.Separator != "" {
		r.Comma, w.Comma = rune(t.Separator[0]), rune(t.Separator[0])
	}
	var names []string
	for n := 1; ; n++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return t.unreadCSV(err)
		}
		line, _ := r.FieldPos(0)
		bound.left = maxRecord
		for _, s := range record {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				return unlike(nil, "line %d isn't UTF-8, or has a NUL byte", line)
			}
		}
		if names == nil {
			if names, err = t.names(record); err != nil {
				return err
			}
			if t.headed() {
				if err := w.write(record); err != nil {
					return err
				}
				continue
			}
		}
		values := make([]leaf, len(record))
		for i, s := range record {
			l := leaf{path: names[i], rule: t.Fields[names[i]], set: func(v any) { record[i] = cell(v) }}
			if s != "" {
				l.in = s
			}
			values[i] = l
		}
		if err := t.settle(values, how); err != nil {
			return tenure.Errorf(tenure.CodeOf(err), "line %d: %w", line, err)
		}
		if err := w.write(record); err != nil {
			return err
		}
	}
}

func (t Transform) unreadCSV(err error) error {
	var at *csv.ParseError
	switch {
	case errors.Is(err, errLong):
		return unlike(nil, "a record has more than %d bytes, or a quote isn't closed", maxRecord)
	case errors.As(err, &at):
		return unlike(err, "line %d isn't CSV: %w", at.Line, at.Err)
	}
	return unlike(err, "it isn't CSV: it can't be read")
}

// names are the fields of the records that follow.
func (t Transform) names(first []string) ([]string, error) {
	if len(first) > maxValues {
		return nil, unlike(nil, "its first line has more than %d fields", maxValues)
	}
	out, seen := make([]string, len(first)), make(map[string]bool, len(first))
	known, unknown := false, -1
	for i := range first {
		out[i] = strconv.Itoa(i + 1)
		if t.headed() {
			out[i] = strings.TrimSpace(first[i])
		}
		if _, ok := t.Fields[out[i]]; ok {
			known = true
		} else if unknown < 0 {
			unknown = i
		}
		if seen[out[i]] {
			return nil, unlike(nil, "its header has two fields of one name")
		}
		seen[out[i]] = true
	}
	switch {
	case unknown >= 0 && !known: // the line may be data
		return nil, unlike(nil, "no field of its first line is among fields")
	case unknown >= 0:
		return nil, withoutRule(shown(out[unknown]))
	}
	return out, nil
}

// withoutRule is Blocked for a field without a rule.
func withoutRule(name string) error {
	err := tenure.Errorf(tenure.Blocked, "nothing says what becomes of the field %s", name)
	if name == unshown {
		return err.WithHint("give it a rule under fields, as the file writes it")
	}
	return err.WithHint("fields: {%s: clear}, or what else becomes of it", name)
}

// plainName is a name that is shown: others may be values.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_. \[\]-]{0,63}$|^[0-9]{1,4}$`)

const unshown = "(a name that isn't shown)"

func shown(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return unshown
}

// cell is a value as it stands in CSV.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	}
	raw, _ := tenure.Canonical(v)
	return string(raw)
}

func (t Transform) jsonl(in *bufio.Reader, out *bufio.Writer, how How) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxRecord)
	rules := t.tree()
	write := json.NewEncoder(out)
	write.SetEscapeHTML(false)
	for n := 1; lines.Scan(); n++ {
		raw := bytes.TrimSpace(lines.Bytes())
		if len(raw) == 0 {
			continue
		}
		doc, err := object(raw)
		if err != nil {
			return unlike(nil, "line %d %w", n, err)
		}
		var values []leaf
		var made any
		err = rules.collect(doc, "", &values, func(v any) { made = v })
		if err == nil {
			err = t.settle(values, how)
		}
		if err != nil {
			return tenure.Errorf(tenure.CodeOf(err), "line %d: %w", n, err)
		}
		if err := write.Encode(made); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return unlike(nil, "a line has more than %d bytes", maxRecord)
	} else if err != nil {
		return unlike(err, "it isn't JSON lines: it can't be read")
	}
	return nil
}
