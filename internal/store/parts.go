package store

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/tenurehq/tenure/audit"
)

// partsEntry is the kind of the entries that say which parts of rows the log covers from
// then on: their data is the columns of each by its name.
const partsEntry = "store.parts"

// rowsParts is the mark of which parts the log covers.
const rowsParts = "rows_parts"

// firstParts are the parts that a log covers which has rows and no entry on parts.
//
//go:embed parts.txt
var firstParts string

// partsOf reads parts.txt.
func partsOf(text string) map[string]string {
	out := make(map[string]string)
	for line := range strings.Lines(text) {
		name, columns, _ := strings.Cut(strings.TrimSpace(line), ": ")
		out[name] = columns
	}
	return out
}

// partsNow are the parts that this program covers, as parts.txt has them.
func partsNow() string {
	var b strings.Builder
	for _, f := range facts {
		b.WriteString(f.name + ": " + f.covers() + "\n")
	}
	return b.String()
}

func (f *fact) covers() string {
	return strings.Join(f.key, " ") + " | " + strings.Join(f.columns, " ")
}

// cover puts into the log how the rows stand in the parts that a newer program covers and
// the log doesn't yet: once, since what is written then is taken as it stands.
func (db *DB) cover(ctx context.Context) error {
	now := partsNow()
	mark, err := db.Meta(ctx, rowsParts)
	if err != nil || mark == shortHash(now) || mark == "" && now == firstParts {
		return err
	}
	return db.Write(ctx, func(tx *Tx) error {
		said, err := tx.partsSaid() // and not the mark, which whoever has the store may change
		if err != nil {
			return err
		}
		for _, f := range facts {
			if said[f.name] == f.covers() {
				continue
			}
			if err := tx.noteWhere(&change{parts: []*fact{f}, creates: said[f.name] == ""}, `1 = 1`); err != nil {
				return err
			}
		}
		return tx.sayParts(true)
	})
}

// sayParts says which parts the log covers from now on: in the log, if they aren't the first.
func (tx *Tx) sayParts(always bool) error {
	now := partsNow()
	if always || now != firstParts {
		if err := tx.Log(audit.Entry{Format: audit.Format, At: tx.at(), Kind: partsEntry, Data: audit.Facts(partsOf(now))}); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value`, rowsParts, shortHash(now))
	return err
}

// partsSaid is what the log says last of the parts that it covers.
func (tx *Tx) partsSaid() (map[string]string, error) {
	find := `select body from audit_entry where instr(body, $1) > 0 order by idx desc`
	if tx.w.db.Dialect == Postgres {
		find = `select body from audit_entry where position($1::bytea in body) > 0 order by idx desc`
	}
	said := partsOf(firstParts)
	found := false
	err := tx.Rows(find, []any{[]byte(`"kind":"` + partsEntry + `"`)}, func(r scanner) error {
		var body []byte
		if err := r.Scan(&body); err != nil || found || audit.KindOf(body) != partsEntry {
			return err
		}
		e, err := audit.Decode(body)
		if err != nil {
			return err
		}
		found = true
		clear(said)
		return json.Unmarshal(e.Data, &said)
	})
	return said, err
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}
