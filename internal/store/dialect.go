package store

import (
	"io"
	"io/fs"
	"regexp"
	"strings"
)

// dialectText gives the migrations in a dialect's own words. What stands in
// a comment that begins with a dialect's name and a colon is for that dialect
// alone. A whole number is an integer on SQLite, where a primary key of exactly that
// type is the row's own id and needs no index beside the table.
type dialectText struct {
	fs.FS
	dialect Dialect
}

var dialectComment = regexp.MustCompile(`/\*(sqlite|postgres):(.*?)\*/`)

// Open is fs.FS's.
func (t dialectText) Open(name string) (fs.File, error) {
	f, err := t.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	text := dialectComment.ReplaceAllStringFunc(string(raw), func(c string) string {
		if m := dialectComment.FindStringSubmatch(c); Dialect(m[1]) == t.dialect {
			return m[2]
		}
		return ""
	})
	if t.dialect == SQLite {
		text = strings.ReplaceAll(text, " bigint ", " integer ")
	}
	return textFile{f, strings.NewReader(text)}, nil
}

// textFile is a file whose text was replaced.
type textFile struct {
	fs.File
	text *strings.Reader
}

func (f textFile) Read(b []byte) (int, error) { return f.text.Read(b) }

// bytewise is a text column that compares byte by byte, as every text does on
// SQLite, whatever order the PostgreSQL database sorts in by itself.
func (db *DB) bytewise(column string) string {
	if db.Dialect == Postgres {
		return column + ` collate "C"`
	}
	return column
}
