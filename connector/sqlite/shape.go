package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// shape is what can be said of a database's schema.
type shape struct {
	tables []string
	digest string
}

const shapeSQL = `select type, name, tbl_name, sql, coalesce(rootpage, 0) from sqlite_schema
 where sql is not null and name not like 'sqlite\_%' escape '\' and tbl_name not in ('tenure_mark', 'tenure_tally', 'tenure_parent') order by type, name`

// shapeOf reads the schema that a file has. What its statements have in white
// space and comments doesn't count.
func shapeOf(ctx context.Context, s *session) (out shape, err error) {
	var typ, name, on, text string
	lines := [][]string{}
	out.tables = []string{}
	var root int64
	var behind []virtual
	err = s.each(ctx, shapeSQL, func() error {
		if typ == "table" && root == 0 {
			behind = append(behind, parseVirtual(name, text))
		}
		lines = append(lines, []string{typ, name, on, flatten(text)})
		return nil
	}, &typ, &name, &on, &text, &root)
	if err != nil {
		return out, err
	}
	lines = slices.DeleteFunc(lines, func(l []string) bool { return l[0] == "table" && isShadow(l[1], behind) })
	for _, l := range lines {
		if l[0] == "table" {
			out.tables = append(out.tables, l[1])
		}
	}
	raw, err := tenure.Canonical(lines)
	out.digest = tenure.Digest(raw)
	return out, err
}

// given is the shape that a ddl gives to an empty database.
func (d *Driver) given(ctx context.Context, ddl string) (out shape, err error) {
	d.mu.Lock()
	out, known := d.shapes[ddl]
	d.mu.Unlock()
	if known {
		return out, nil
	}
	err = d.memory(ctx, func(s *session) error {
		err := s.atomic(ctx, func() (err error) {
			if err := s.run(ctx, ddl+"\n"); err != nil {
				return err
			}
			out, err = shapeOf(ctx, s)
			return err
		})
		if result(err) != 0 {
			return tenure.Errorf(tenure.Invalid, "the ddl: %w", err)
		}
		return err
	})
	if err != nil {
		return out, err
	}
	if i := slices.IndexFunc(out.tables, func(t string) bool { return strings.HasPrefix(strings.ToLower(t), "tenure_") }); i >= 0 {
		return out, tenure.Errorf(tenure.Invalid, "the ddl makes a table %q; names that begin with tenure_ are Tenure's", out.tables[i])
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.shapes) > 100 {
		clear(d.shapes)
	}
	d.shapes[ddl] = out
	return out, nil
}

// flatten takes the comments out of an SQL text and makes each run of space one
// blank, none beside a bracket or a comma. What is in quotes stays.
func flatten(text string) string {
	var b strings.Builder
	space := false
	for i := 0; i < len(text); {
		n := len(text) - i
		switch c := text[i]; {
		case strings.HasPrefix(text[i:], "--"):
			if end := strings.IndexByte(text[i:], '\n'); end >= 0 {
				n = end
			}
			space = true
		case strings.HasPrefix(text[i:], "/*"):
			if end := strings.Index(text[i+2:], "*/"); end >= 0 {
				n = end + 4
			}
			space = true
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			n, space = 1, true
		default:
			n = quotedLength(text[i:])
			tight := strings.IndexByte("(),", c) >= 0
			if space && b.Len() > 0 && !tight && !strings.HasSuffix(b.String(), "(") && !strings.HasSuffix(b.String(), ",") && !strings.HasSuffix(b.String(), ")") {
				b.WriteByte(' ')
			}
			space = false
			b.WriteString(text[i : i+n])
		}
		i += n
	}
	return b.String()
}

// quotedLength is the length of the quoted text that s begins with; 1 if it
// begins with none.
func quotedLength(s string) int {
	end := s[0]
	switch end {
	case '[':
		end = ']'
	case '\'', '"', '`':
	default:
		return 1
	}
	if i := strings.IndexByte(s[1:], end); i >= 0 {
		return i + 2 // a doubled quote begins the next piece
	}
	return len(s)
}
