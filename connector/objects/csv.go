package objects

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"io"
)

// lineEnds gives a CSV reader what it reads such that a carriage return before a line
// feed within quotes, which the reader would drop, stays in the value.
type lineEnds struct {
	r      io.Reader
	raw    [32 << 10]byte
	ready  []byte
	err    error
	quoted bool
	last   byte
	ended  bool // the first line has
	both   bool // with a carriage return and a line feed
}

func (l *lineEnds) Read(b []byte) (int, error) {
	for len(l.ready) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		var n int
		n, l.err = l.r.Read(l.raw[:])
		l.ready = l.ready[:0]
		for _, c := range l.raw[:n] {
			switch {
			case c == '"':
				l.quoted = !l.quoted
			case c == '\n' && l.quoted && l.last == '\r':
				l.ready = append(l.ready, '\r')
			case c == '\n' && !l.quoted && !l.ended:
				l.ended, l.both = true, l.last == '\r'
			}
			l.ready, l.last = append(l.ready, c), c
		}
	}
	n := copy(b, l.ready)
	l.ready = l.ready[n:]
	return n, nil
}

// csvWriter writes records whose lines end as the first one that was read.
type csvWriter struct {
	*csv.Writer
	line bytes.Buffer
	out  *bufio.Writer
	like *lineEnds
}

func newCSVWriter(out *bufio.Writer, like *lineEnds) *csvWriter {
	w := &csvWriter{out: out, like: like}
	w.Writer = csv.NewWriter(&w.line)
	return w
}

func (w *csvWriter) write(record []string) error {
	w.line.Reset()
	if err := w.Write(record); err != nil {
		return err
	}
	w.Flush()
	line := bytes.TrimSuffix(w.line.Bytes(), []byte{'\n'})
	if len(line) == 0 { // an empty line would be no record
		line = []byte(`""`)
	}
	end := "\n"
	if w.like.both {
		end = "\r\n"
	}
	if _, err := w.out.Write(line); err != nil {
		return err
	}
	_, err := w.out.WriteString(end)
	return err
}
