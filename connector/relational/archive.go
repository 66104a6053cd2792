package relational

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// Archive writes an export: a tar (POSIX.1-2001) with schema.sql, one JSON lines
// file for each table under data/, the bytes of each large object under objects/,
// and manifest.json last, which gives the rows, bytes and SHA-256 of each. What
// a file holds is kept in a temporary file, never in memory.
type Archive struct {
	tar   *tar.Writer
	at    time.Time
	files []file
	Rows  int64
	Bytes int64
}

type file struct {
	Name   string `json:"name"`
	Table  string `json:"table,omitempty"`
	Class  string `json:"class,omitempty"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// NewArchive begins an export to w; at is written as the moment of its making.
func NewArchive(w io.Writer, at time.Time) *Archive {
	return &Archive{tar: tar.NewWriter(w), at: at.UTC().Truncate(time.Second)}
}

// Text adds a file of text.
func (a *Archive) Text(name, text string) error {
	sum := sha256.Sum256([]byte(text))
	return a.add(file{Name: name, Bytes: int64(len(text)), SHA256: hex.EncodeToString(sum[:])}, strings.NewReader(text))
}

// Table adds a table's rows: rows gives each as a JSON object.
func (a *Archive) Table(t TableName, class string, rows func(yield func(row []byte) error) error) error {
	f := file{Name: "data/" + url.PathEscape(t.String()) + ".jsonl", Table: t.String(), Class: class}
	return a.spooled(&f, func(w io.Writer) error {
		return rows(func(row []byte) error {
			f.Rows++
			if _, err := w.Write(row); err != nil {
				return err
			}
			_, err := w.Write([]byte{'\n'})
			return err
		})
	})
}

// Object adds a large object that a row of the table names by the id.
func (a *Archive) Object(id string, t TableName, class string, write func(w io.Writer) error) error {
	return a.spooled(&file{Name: "objects/" + url.PathEscape(id), Table: t.String(), Class: class}, write)
}

// spooled adds a file whose size is known when it is written.
func (a *Archive) spooled(f *file, write func(w io.Writer) error) error {
	spool, err := os.CreateTemp("", "tenure-export-*")
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "export: %w", err).Retryable()
	}
	defer func() {
		_ = spool.Close()
		_ = os.Remove(spool.Name())
	}()
	digest := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(spool, digest), 64<<10)
	if err := write(out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return tenure.Errorf(tenure.Unavailable, "export: %w", err).Retryable()
	}
	f.SHA256 = hex.EncodeToString(digest.Sum(nil))
	if f.Bytes, err = spool.Seek(0, io.SeekCurrent); err != nil {
		return tenure.Errorf(tenure.Internal, "export: %w", err)
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return tenure.Errorf(tenure.Internal, "export: %w", err)
	}
	return a.add(*f, spool)
}

func (a *Archive) add(f file, body io.Reader) error {
	err := a.tar.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o600, Size: f.Bytes, ModTime: a.at, Format: tar.FormatPAX})
	if err == nil {
		_, err = io.Copy(a.tar, body)
	}
	if err != nil {
		return tenure.Errorf(tenure.Unavailable, "export: %w", err).Retryable()
	}
	a.files = append(a.files, f)
	a.Rows += f.Rows
	a.Bytes += f.Bytes
	return nil
}

// Close writes the manifest and ends the archive.
func (a *Archive) Close() error {
	raw, err := tenure.Canonical(map[string]any{"format": 1, "made": a.at, "rows": a.Rows, "files": a.files})
	if err != nil {
		return err
	}
	if err := a.add(file{Name: "manifest.json", Bytes: int64(len(raw))}, strings.NewReader(string(raw))); err != nil {
		return err
	}
	if err := a.tar.Close(); err != nil {
		return tenure.Errorf(tenure.Unavailable, "export: %w", err).Retryable()
	}
	return nil
}

// Export adds the holding's rows to an archive. The querier is one snapshot.
func (h *Holding) Export(ctx context.Context, q Querier, a *Archive) error {
	for _, t := range h.Tables {
		if err := h.ExportTable(ctx, q, a, t); err != nil {
			return err
		}
	}
	return nil
}

// ExportTable adds the rows of one of its tables. After an error the archive is as it was.
func (h *Holding) ExportTable(ctx context.Context, q Querier, a *Archive, t Reached) error {
	return a.Table(t.Table.TableName, h.Classes[t.Table.TableName], func(yield func([]byte) error) error { return h.rows(ctx, q, t, yield) })
}

func (h *Holding) rows(ctx context.Context, q Querier, t Reached, yield func([]byte) error) error {
	v, err := h.Dialect.View(ctx, q, t.Table.TableName, "t")
	if err != nil {
		return err
	}
	if !v.Whole {
		return tenure.Errorf(tenure.Forbidden, "the rows of %s can't all be seen", t.Table)
	}
	rows, err := q.Query(ctx, "select "+v.JSON+" from "+h.Dialect.Name(t.Table.TableName)+` "t" where `+t.Where())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			return err
		}
		if err := yield([]byte(row)); err != nil {
			return err
		}
	}
	return rows.Err()
}
