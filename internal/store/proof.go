package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Unproven is the columns that the log says nothing of, by "table.column" or by "table.*", and the tables whose rows
// may come and go past it, with the reason.
var Unproven = map[string]string{
	"meta.*":                   "locks, and marks that are checked where they are used",
	"tenant_move.*":            "copied from the program's own table at each start",
	"tenure_migration.*":       "the store's format; a wrong one stops the program",
	"tenant.updated_at":        "only shown; what changed is in an entry with its date",
	"tenant.version":           "a counter against lost updates",
	"operation.reason":         "worked out anew at each decision",
	"operation.driver":         "who calls, never whether",
	"operation.locked":         "worked out from what is touched; at worst two operations wait for each other",
	"operation.updated_at":     "only shown",
	"operation.due_at":         "when to look again; a decision goes by what it then finds",
	"operation.reserved_until": "when to look again; a decision goes by what it then finds",
	"operation.version":        "a counter against lost updates",
	"operation.trace":          "only shown",
	"step.attempt":             "how often it was tried; at worst it is tried once more, or given up",
	"step.owner":               "leases between processes",
	"step.token":               "leases between processes",
	"step.lease_until":         "leases between processes",
	"step.due_at":              "when to try again",
	"step.started_at":          "only shown",
	"step.failing_since":       "only shown",
	"resource.operation":       "the last that changed it; only shown",
	"resource.updated_at":      "only shown",
	"resource.version":         "a counter against lost updates",
	"touch.*":                  "worked out from the plan; at worst two operations meet at a resource, whose steps are fenced",
	"finding.fingerprint":      "what drift sees is looked at anew",
	"finding.severity":         "what drift sees is looked at anew",
	"finding.tenant":           "what drift sees is looked at anew",
	"finding.resource":         "what drift sees is looked at anew",
	"finding.system":           "what drift sees is looked at anew",
	"finding.field":            "what drift sees is looked at anew",
	"finding.want":             "what drift sees is looked at anew",
	"finding.got":              "what drift sees is looked at anew",
	"finding.detail":           "what drift sees is looked at anew",
	"finding.confidence":       "what drift sees is looked at anew",
	"finding.steps":            "what drift sees is looked at anew",
	"inbound.why":              "only shown",
	"inbound.customer":         "whose events wait for each other; worked out anew as each is decided",
	"inbound.attempts":         "how often it was tried",
	"inbound.next_at":          "when it is tried again",
	"notice.*":                 "words on their way out; what they tell of is in an entry",
	"delivery.*":               "as notice",
	"notice_setting.version":   "a counter against lost updates",
	"notify_target.*":          "how a receiver does; a person who has it tried again stands in the log",
	"checkpoint":               "signed, and checked against the log and the witness while it is there; one less is one comparison less",
	"checkpoint.size":          "its signed text has it",
	"checkpoint.at":            "only shown",
	"principal.seen_at":        "only shown, and a hint in reviews",
	"principal.version":        "a counter against lost updates",
	"token.used_at":            "only shown, and a hint in reviews",
	"session.agent":            "only shown",
	"session.seen_at":          "how long it was idle; the date on which it ends is covered",
	"access_event.*":           "what anomalies are found in; strangers cause them, so they aren't in the log",
	"elevation.claiming_at":    "since when a login is being made",
	"elevation.version":        "a counter against lost updates",
	"campaign.version":         "a counter against lost updates",
	"agreement.noticed_at":     "whether a reminder went out",
	"agreement.version":        "a counter against lost updates",
	"standing.version":         "a counter against lost updates",
	"task.remind_at":           "when to remind; what is done then goes by the rest of the row",
	"departure_link.seen_at":   "only shown",
	"tenant_use.*":             "what a sweep saw, made anew by the next one; only shown",
	"lease.due_at":             "when to look again; a decision goes by what it then finds",
	"lease.version":            "a counter against lost updates",
	"leave_ask.*":              "what strangers type; they cause it, and what it leads to is looked at anew",
	"leave_request.due_at":     "when to look again; a decision goes by what it then finds",
	"leave_request.version":    "a counter against lost updates",
	"vendor.reminded_at":       "whether a reminder went out",
	"vendor.due_at":            "when to look again; a decision goes by what it then finds",
	"vendor.version":           "a counter against lost updates",
	"idempotency.*":            "answers to repeated requests, for a day; they change nothing",
	"fleet_count.*":            "kept counts of tenants, which are covered",
	"blueprint_source.*":       "only says where in a file something stands, and only while the text has the revision's digest",
	"sought.looked_at":         "when it was last looked at; at worst it is looked at sooner or later",
}

// rowsFrom is the mark of when the log began to cover rows.
const rowsFrom = "rows_from"

// Seal takes the key of the rows' digests, and the clock of the entries that hold them; it is called before the store
// is used. What an older program wrote, or has no word on yet, is put into the log as it stands, once. From then on the log says how each row
// that matters stands. A log that isn't trusted gets no seal for its first.
func (db *DB) Seal(ctx context.Context, key []byte, now func() time.Time, trusted bool) error {
	db.key, db.now = slices.Clone(key), now
	if db.write == nil {
		return nil
	}
	db.write.digest = newDigester(key)
	switch mark, err := db.Meta(ctx, rowsFrom); {
	case err != nil:
		return err
	case mark != "":
		return db.cover(ctx)
	}
	return db.Write(ctx, func(tx *Tx) error {
		size, _, err := tx.head()
		if err != nil {
			return err
		}
		if err := tx.baseline(trusted); err != nil {
			return err
		}
		if err := tx.sayParts(false); err != nil {
			return err
		}
		_, err = tx.Exec(`insert into meta (key, value) values ($1, $2)`, rowsFrom, text(size))
		return err
	})
}

// baseline notes all rows. A log that has noted some already has had its baseline: who took the mark away
// doesn't get another one, and an audit names what differs.
func (tx *Tx) baseline(trusted bool) error {
	find := `select count(*) from audit_entry where instr(body, $1) > 0`
	if tx.w.db.Dialect == Postgres {
		find = `select count(*) from audit_entry where position($1::bytea in body) > 0`
	}
	var noted int
	if err := tx.Row(find, []any{[]byte(`"kind":"` + RowsEntry + `"`)}, &noted); err != nil || noted > 0 {
		return err
	}
	tx.w.tree, tx.first = nil, trusted
	ids, err := oneColumn[string](tx, `select id from tenant where name <> '' and salt = ''`)
	for _, id := range ids {
		if err == nil {
			_, err = tx.Exec(`update tenant set salt = $1 where id = $2`, rand.Text(), id)
		}
	}
	for _, f := range facts {
		if err == nil {
			err = tx.noteWhere(&change{parts: []*fact{f}, creates: true}, `1 = 1`)
		}
	}
	return err
}

// Proven is a part of a row that the log covers, as it stands.
type Proven struct {
	Name   string // as the log has it: "hold/hld_…"
	Says   string // as people read it
	Digest string // blank: it says nothing yet
}

// Proven streams how all rows that the log covers stand.
func (db *DB) Proven(ctx context.Context, yield func(Proven) error) error {
	d := newDigester(db.key)
	salts, owner, err := db.salts(ctx)
	if err != nil {
		return err
	}
	for _, f := range facts {
		salt := func(by string) string {
			switch f.whose {
			case ownTenant:
				return by
			case byTenant:
				return salts[by]
			case byOperation:
				return salts[owner[by]]
			}
			return ""
		}
		if err := f.proven(db.reader(ctx), d, `1 = 1`, nil, salt, yield); err != nil {
			return err
		}
	}
	return nil
}

// proven reads how a part stands in the rows of a condition. It asks for the salt of a row's tenant by what that is
// found by: the salt itself, the tenant or the operation.
func (f *fact) proven(q querier, d *digester, where string, args []any, salt func(by string) string, yield func(Proven) error) error {
	columns := columnsOf(f)
	return q.Rows(`select `+strings.Join(columns, ", ")+` from `+f.table+` where `+where, args, func(r scanner) error {
		values, err := scanAll(r, len(columns))
		if err != nil {
			return err
		}
		key, rest := values[:len(f.key)], values[len(values)-len(f.columns):]
		by := asText(key[0])
		if len(f.beside()) > 0 {
			by = asText(values[len(f.key)])
		}
		p := Proven{Name: d.named(f, key), Says: f.label(key)}
		if !f.isAbsent(rest) {
			p.Digest = d.row(f, p.Name, salt(by), rest)
		}
		return yield(p)
	})
}

// label names a row for people: its table, and its key as it stands; bytes are written
// in hexadecimal digits, and what could steer a terminal in quotes.
func (f *fact) label(key []any) string {
	out := f.table + " "
	for i, v := range key {
		if i > 0 {
			out += "/"
		}
		raw := asText(v)
		switch n, ok := v.(int64); {
		case ok:
			out += text(n)
		case f.types[i] == "[]uint8":
			out += hex.EncodeToString([]byte(raw))
		case strings.ContainsFunc(raw, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(raw):
			out += strconv.Quote(raw)
		default:
			out += raw
		}
	}
	return out
}

// salts reads the tenants' salts, and whose each operation is.
func (db *DB) salts(ctx context.Context) (salts, owner map[string]string, err error) {
	salts, owner = make(map[string]string), make(map[string]string)
	pair := func(into map[string]string) func(scanner) error {
		return func(r scanner) error {
			var k, v string
			err := r.Scan(&k, &v)
			into[k] = v
			return err
		}
	}
	if err := db.reader(ctx).Rows(`select id, salt from tenant`, nil, pair(salts)); err != nil {
		return nil, nil, err
	}
	return salts, owner, db.reader(ctx).Rows(`select id, tenant from operation`, nil, pair(owner))
}
