package postgres

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/relational"
)

// hindered says that an error may be the doing of code on the premises, which can raise
// one with any code of the server's: all but a connection that was lost.
func hindered(err error) bool {
	return err != nil && (state(err) != "" || tenure.CodeOf(coded(err)) != tenure.Unavailable)
}

// copyTo copies a table's rows, or the columns of a list, as text. That asks the planner
// nothing, which would evaluate index expressions and checks; row security that is
// forced on the owner would have it asked.
func (s *session) copyTo(ctx context.Context, n relational.TableName, columns string, w io.Writer) (rows int64, err error) {
	leaves, err := textsOf(ctx, s, hereSQL(n)+`select quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' ' || c.relforcerowsecurity from here h
 join pg_class c on c.oid = h.oid join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' order by 1`)
	if err != nil {
		return 0, err
	}
	// No code runs here, so however large a table is, it is read to its end.
	if err := s.simple(ctx, "set local statement_timeout to 0", nil); err != nil {
		return 0, err
	}
	for part := range slices.Chunk(leaves, pieceful) {
		n, err := s.copyPart(ctx, part, columns, w)
		if rows += n; err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// copyPart copies some tables and lets go of their locks, of which the server has so many
// for everybody.
func (s *session) copyPart(ctx context.Context, leaves []string, columns string, w io.Writer) (rows int64, err error) {
	if err := s.simple(ctx, "savepoint part", nil); err != nil {
		return 0, err
	}
	for _, leaf := range leaves {
		i := strings.LastIndexByte(leaf, ' ')
		name, forced := leaf[:i], leaf[i+1:] == "true"
		if forced {
			if err := s.simple(ctx, "alter table "+name+" no force row level security", nil); err != nil {
				return rows, err
			}
		}
		tag, err := s.conn.PgConn().CopyTo(ctx, w, "copy "+name+" "+columns+" to stdout")
		rows += tag.RowsAffected()
		if err != nil {
			return rows, err
		}
	}
	return rows, s.simple(ctx, "rollback to savepoint part; release savepoint part", nil)
}

// copied counts a table's rows by copying them.
func (s *session) copied(ctx context.Context, n relational.TableName) (int64, error) {
	return s.copyTo(ctx, n, "", io.Discard)
}

// copyRows gives each row as a JSON object of texts.
func (s *session) copyRows(ctx context.Context, t relational.Table, yield func(row []byte) error) error {
	var list []string
	for _, c := range t.Columns {
		if !c.Computed { // such a column isn't copied
			list = append(list, c.Name)
		}
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := s.copyTo(ctx, t.TableName, "("+relational.QuoteList(list)+")", w)
		done <- err
		_ = w.CloseWithError(err)
	}()
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return <-done
		}
		if err == nil {
			var row []byte
			if row, err = textRow(list, bytes.TrimSuffix(line, []byte("\n"))); err == nil {
				err = yield(row)
			}
		}
		if err != nil {
			_ = r.CloseWithError(err)
			<-done
			return err
		}
	}
}

// textRow is a line of the text format as a JSON object
// (postgresql.org/docs/current/sql-copy.html, Text Format).
func textRow(columns []string, line []byte) ([]byte, error) {
	fields := bytes.Split(line, []byte("\t"))
	if len(fields) != len(columns) {
		return nil, tenure.Errorf(tenure.Internal, "a copied row has %d columns and not %d", len(fields), len(columns))
	}
	row := make(map[string]any, len(columns))
	for i, f := range fields {
		if string(f) == `\N` {
			row[columns[i]] = nil
			continue
		}
		row[columns[i]] = string(unescaped(f))
	}
	return json.Marshal(row)
}

func unescaped(f []byte) []byte {
	if bytes.IndexByte(f, '\\') < 0 {
		return f
	}
	out := make([]byte, 0, len(f))
	for i := 0; i < len(f); i++ {
		c := f[i]
		if c == '\\' && i+1 < len(f) {
			i++
			if c = f[i]; strings.IndexByte("bfnrtv", c) >= 0 {
				c = "\b\f\n\r\t\v"[strings.IndexByte("bfnrtv", c)]
			}
		}
		out = append(out, c)
	}
	return out
}
