package store

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
)

// ledger is what the log says of the rows that an operation goes by, checked against
// the log's tree and kept up with it. When it is first asked it reads what the log has
// more than its file, or the whole log.
type ledger struct {
	mu     sync.Mutex
	tree   *audit.Tree
	seal   string            // of the head that the tree was compared with
	saved  int64             // how far the file has read
	short  map[uint64]uint64 // short hashes of tenants' and callers' rows: there are many
	holds  map[string]string // digests by the rows' names
	covers map[string]string
	events map[string]string            // rules for events, and how far customers' events were heeded
	open   map[string]map[string]string // of operations that haven't ended
}

// goneBy is the tables of which an operation goes by its own rows.
var goneBy = []string{"operation", "step", "approval", "approval_wait", "exception", "task", "vendor"}

// Vouched is nil if the rows that an operation goes by are as the log says: its own, its steps', approvals
// and exceptions, its tenant's, and every hold. Otherwise it is Blocked, and says what differs: somebody
// has changed the store behind the log's back. What is gone by is read by read, if it isn't nil, in the same
// snapshot, so that nothing can be otherwise for the moment of the comparison; its error is told first.
func (db *DB) Vouched(ctx context.Context, op tenure.OperationID, tenant tenure.TenantID, read func(*DB) error) error {
	return db.vouchedWith(ctx, read, func(l *ledger, c *comparison) error {
		said, known := l.open[string(op)]
		if !known {
			return notAsLogged(fmt.Sprintf("operation %s stands in the store, and the log doesn't know that it is open", op))
		}
		if err := c.q.Row(`select salt from tenant where id = $1`, []any{string(tenant)}, &c.salt); err != nil {
			return err
		}
		for _, table := range goneBy {
			where := `operation = $1`
			if table == "operation" {
				where = `id = $1`
			}
			if err := c.compare(table, where, string(op), said); err != nil {
				return err
			}
		}
		c.missing(said)
		if err := c.compare("coverage", `tenant = $1`, string(tenant), l.covers); err != nil {
			return err
		}
		for _, of := range []struct{ table, where string }{
			{"tenant", `id = $1`}, // its anchors say from when its dates count
			{"agreement", `tenant = $1`},
			{"system", `$1 <> ''`}, // whose fingerprints say which are meant
		} {
			if err := l.same(c, of.table, of.where, string(tenant)); err != nil {
				return err
			}
		}
		return l.held(c)
	})
}

// VouchedHolds is nil if the holds are as the log says, and Blocked otherwise.
func (db *DB) VouchedHolds(ctx context.Context) error {
	return db.vouched(ctx, func(l *ledger, c *comparison) error { return l.held(c) })
}

// VouchedCaller is nil if who calls, the token or session that they call with, and what they may do are as
// the log says, and Blocked otherwise: a grant that was written into the store lets nobody sign. By what they
// were let in read looks at in the same snapshot, if it isn't nil.
func (db *DB) VouchedCaller(ctx context.Context, who tenure.Caller, read func(*DB) error) error {
	if db.key == nil {
		return nil
	}
	lent := `(select from_name from delegation where to_name = $1)`
	return db.vouchedWith(ctx, read, func(l *ledger, c *comparison) error {
		for _, of := range []struct{ table, where, arg string }{
			{"principal", `name = $1 or name in ` + lent, who.Name},
			{"principal", `name = $1`, who.Owner},
			{"role_grant", `principal in (select id from principal where name = $1 or name in ` + lent + `)`, who.Name},
			{"delegation", `to_name = $1`, who.Name},
			{"token", `id = $1`, string(who.Token)},
			{"session", `id = $1`, string(who.Session)},
		} {
			if of.arg == "" {
				continue
			}
			if err := l.same(c, of.table, of.where, of.arg); err != nil {
				return err
			}
		}
		return nil
	})
}

// VouchedPrincipal is nil if a principal is as the log says and as somebody has read it, and Blocked otherwise:
// a sign-in makes a session that is good by itself, so who it is for mustn't come from a forged row.
func (db *DB) VouchedPrincipal(ctx context.Context, p Principal) error {
	same := func(db *DB) error {
		now, err := db.Principal(ctx, string(p.ID))
		if now.SeenAt, now.Version = p.SeenAt, p.Version; err == nil && now != p {
			err = tenure.Errorf(tenure.Conflict, "who signs in was changed at the same moment").Retryable().WithHint("sign in again")
		}
		return err
	}
	return db.vouchedWith(ctx, same, func(l *ledger, c *comparison) error {
		return l.same(c, "principal", `id = $1`, string(p.ID))
	})
}

// VouchedRow is nil if a row is as the log says, or isn't there, and Blocked otherwise. It is for tables whose
// rows let something happen and aren't an operation's; the row is named by the first column of its key.
func (db *DB) VouchedRow(ctx context.Context, table string, key any) error {
	return db.vouched(ctx, func(l *ledger, c *comparison) error {
		f := factsOf[table][0]
		where := f.key[0] + ` = $1`
		if f.whose == byTenant {
			if err := c.q.Row(`select salt from tenant where id = (select tenant from `+table+` where `+where+`)`, []any{key}, &c.salt); err != nil && tenure.CodeOf(err) != tenure.NotFound {
				return err
			}
		}
		return l.same(c, table, where, key)
	})
}

// vouched compares rows with the log in one snapshot of both.
func (db *DB) vouched(ctx context.Context, look func(*ledger, *comparison) error) error {
	return db.vouchedWith(ctx, nil, look)
}

// vouchedWith is vouched, and has read look at the same snapshot.
func (db *DB) vouchedWith(ctx context.Context, read func(*DB) error, look func(*ledger, *comparison) error) error {
	if read == nil {
		read = func(*DB) error { return nil }
	}
	if db.key == nil {
		return read(db)
	}
	l, file := &db.ledger, db.ledgerFile
	l.mu.Lock() // before there is a snapshot: what was read of the log is never ahead of it
	unlock := sync.OnceFunc(l.mu.Unlock)
	defer unlock()
	return db.View(ctx, func(db *DB) error {
		differs := l.differs(db.reader(ctx), db.Dialect, file, db.key, look)
		unlock()
		if err := read(db); err != nil {
			return err
		}
		return differs
	})
}

// differs is Blocked if rows aren't as the log says.
func (l *ledger) differs(q reader, dialect Dialect, file string, key []byte, look func(*ledger, *comparison) error) error {
	c := &comparison{q: q, d: newDigester(key)}
	if err := unplanted(q, dialect); err != nil {
		return err
	}
	if err := l.follow(q, c.d, file, key); err != nil {
		return err
	}
	if err := look(l, c); err != nil {
		return err
	}
	if len(c.differ) > 0 {
		return notAsLogged(strings.Join(c.differ, "; "))
	}
	return nil
}

func notAsLogged(what string) error {
	return tenure.Errorf(tenure.Blocked, "the store isn't as the log says: %s", what).
		WithHint("see tenure audit verify; put the row back as it was, or restore the store, and retry")
}

func errRewritten() error { return notAsLogged("the log itself was changed") }

// comparison holds rows against what the log says of them.
type comparison struct {
	q      reader
	d      *digester
	salt   string
	salts  map[string]string // by tenant, where rows of several are read
	seen   map[string]bool
	differ []string
}

// compare reads rows of a table; what the log doesn't know, or has otherwise, differs.
func (c *comparison) compare(table, where, arg string, said map[string]string) error {
	return c.each(table, where, []any{arg}, func(p Proven) {
		switch was := said[p.Name]; {
		case was == p.Digest:
		case was == "":
			c.differ = append(c.differ, p.Says+" isn't known to it")
		default:
			c.differ = append(c.differ, p.Says+" was changed")
		}
	})
}

// each gives the parts of a table's rows.
func (c *comparison) each(table, where string, args []any, yield func(Proven)) error {
	here := make(map[string]bool)
	for _, f := range factsOf[table] {
		salt := func(by string) string {
			switch {
			case f.whose == nobodys:
				return ""
			case c.salts != nil:
				return c.salts[by]
			}
			return c.salt
		}
		err := f.proven(c.q, c.d, where, args, salt, func(p Proven) error {
			if c.seen == nil {
				c.seen = make(map[string]bool)
			}
			if here[p.Name] {
				c.differ = append(c.differ, p.Says+" stands there twice")
			}
			c.seen[p.Name], here[p.Name] = true, true
			yield(p)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// missing adds what the log has and no row was read of.
func (c *comparison) missing(said map[string]string) {
	var gone []string
	for name, digest := range said {
		table, part, _ := strings.Cut(name[:strings.IndexByte(name, '/')], ".")
		if digest != "" && !c.seen[name] && (part == "" || c.seen[table+"/"+rowOf(name)]) {
			gone = append(gone, strings.Replace(name, "/", " ", 1)+" is gone")
		}
	}
	slices.Sort(gone)
	c.differ = append(c.differ, gone...)
}

// same compares rows of which only short hashes are kept.
func (l *ledger) same(c *comparison, table, where string, args ...any) error {
	return c.each(table, where, args, func(p Proven) {
		switch was := l.short[l.hash(p.Name)]; was {
		case l.hash(p.Digest):
		case 0:
			c.differ = append(c.differ, p.Says+" isn't known to it")
		default:
			c.differ = append(c.differ, p.Says+" was changed")
		}
	})
}

// VouchedTriggers is nil if the rules for events are as the log says, and none is gone.
func (db *DB) VouchedTriggers(ctx context.Context) error {
	return db.vouched(ctx, func(l *ledger, c *comparison) error {
		if err := c.compare("trigger_revision", `$1 <> ''`, "x", l.events); err != nil {
			return err
		}
		rules := make(map[string]string)
		for name, digest := range l.events {
			if strings.HasPrefix(name, "trigger_revision") {
				rules[name] = digest
			}
		}
		c.missing(rules)
		return nil
	})
}

// VouchedCustomers has read look at the store, and is Blocked if what it says of customers
// under these keys isn't as the log says, or is gone, or what it says of a subject is otherwise.
func (db *DB) VouchedCustomers(ctx context.Context, keys []string, subject string, read func(*DB) error) error {
	return db.vouchedWith(ctx, read, func(l *ledger, c *comparison) error {
		if err := l.same(c, "trigger_subject", `key = $1`, subject); err != nil {
			return err
		}
		for _, key := range keys {
			if err := c.compare("trigger_customer", `key = $1`, key, l.events); err != nil {
				return err
			}
			name := "trigger_customer/" + key
			c.missing(map[string]string{name: l.events[name]})
		}
		return nil
	})
}

// held compares all holds: which operation one that is gone stood against can't be known any more. One that
// the log doesn't know keeps more, not less.
func (l *ledger) held(c *comparison) error {
	c.salts = make(map[string]string)
	err := c.q.Rows(`select id, salt from tenant where id in (select tenant from hold)`, nil, func(r scanner) error {
		var id, salt string
		err := r.Scan(&id, &salt)
		c.salts[id] = salt
		return err
	})
	if err != nil {
		return err
	}
	err = c.each("hold", `1 = 1`, nil, func(p Proven) {
		if l.holds["hold/"+rowOf(p.Name)] != "" && l.holds[p.Name] != p.Digest {
			c.differ = append(c.differ, p.Says+" was changed")
		}
	})
	c.missing(l.holds)
	return err
}

// rowOf is which row a name is of.
func rowOf(name string) string {
	_, row, _ := strings.Cut(name, "/")
	return row
}

// hash shortens a name, or a digest, which nobody makes without the key.
func (l *ledger) hash(s string) uint64 {
	if s == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}

// follow reads what the log has more than when it was last asked, and checks that all of it is what
// its tree was made of.
func (l *ledger) follow(q reader, d *digester, file string, key []byte) error {
	var size int64
	var seal string
	if err := q.Row(`select size, seal from audit_head where id = 1`, nil, &size, &seal); err != nil {
		return err
	}
	if l.tree == nil {
		l.tree, _ = audit.NewTree(0, nil)
		l.saved, l.short = 0, make(map[uint64]uint64)
		l.holds, l.covers, l.events, l.open = make(map[string]string), make(map[string]string), make(map[string]string), make(map[string]map[string]string)
		l.recall(q, file, key, size)
	}
	if size == l.tree.Size() && seal == l.seal {
		return nil
	}
	if size < l.tree.Size() { // what was read stays, so that an older log isn't taken for a new one
		return errRewritten()
	}
	tree, err := grown(q, d, l.tree, size, seal, l.take)
	if err != nil { // what was taken of it may be wrong: read it all again
		l.tree = nil
		return err
	}
	l.tree, l.seal = tree, seal
	l.keep(file, key)
	return nil
}

// grown reads what a log of this size and seal has more than a tree, and gives the tree with it. Blocked if
// the log doesn't continue the tree, or the program didn't leave it so.
func grown(q reader, d *digester, tree *audit.Tree, size int64, seal string, take func(body []byte) error) (*audit.Tree, error) {
	lot := make([][]byte, 0, 256)
	push := func() {
		_, tree = tree.Prepare(lot)
		lot = lot[:0]
	}
	err := q.Rows(`select idx, body from audit_entry where idx >= $1 and idx < $2 order by idx`, []any{tree.Size(), size}, func(r scanner) error {
		var at int64
		var body []byte
		if err := r.Scan(&at, &body); err != nil {
			return err
		}
		if at != tree.Size()+int64(len(lot)) {
			return errRewritten()
		}
		if lot = append(lot, body); len(lot) == cap(lot) {
			push()
		}
		return take(body)
	})
	push()
	if err != nil {
		return nil, err
	}
	now, err := audit.NewTree(size, hashReader{q})
	switch {
	case err != nil:
		return nil, err
	case tree.Size() != size || tree.Root() != now.Root():
		return nil, errRewritten()
	case !d.sealed(size, tree.Root(), seal):
		return nil, notAsLogged("its log was written past the program")
	}
	return tree, nil
}

// take reads one entry.
func (l *ledger) take(body []byte) error {
	kind := audit.KindOf(body)
	switch kind {
	case "operation.start", "operation.state", RowsEntry:
	default:
		return nil
	}
	e, err := audit.Decode(body)
	if err != nil {
		return notAsLogged("an entry can't be read: " + err.Error())
	}
	switch kind {
	case "operation.start":
		l.open[e.Subject] = make(map[string]string)
		return nil
	case "operation.state":
		var f struct{ To tenure.OperationState }
		if json.Unmarshal(e.Data, &f) == nil && f.To.Ended() {
			delete(l.open, e.Subject)
		}
		return nil
	}
	var f struct{ Rows map[string]string }
	if err := json.Unmarshal(e.Data, &f); err != nil {
		return notAsLogged("an entry can't be read: " + err.Error())
	}
	for name, digest := range f.Rows {
		table, _, _ := strings.Cut(name[:strings.IndexByte(name+"/", '/')], ".")
		op, _, _ := strings.Cut(rowOf(name), "/")
		switch table {
		case "tenant", "principal", "role_grant", "delegation", "token", "session", "one_time",
			"elevation", "standing", "blueprint", "system", "departure_link", "access_move", "agreement", "lease", "leave_request",
			"inbound", "trigger_subject":
			if digest == "" {
				delete(l.short, l.hash(name))
			} else {
				l.short[l.hash(name)] = l.hash(digest)
			}
		case "hold":
			keep(l.holds, name, digest)
		case "coverage":
			keep(l.covers, name, digest)
		case "trigger_revision", "trigger_customer":
			keep(l.events, name, digest)
		case "operation", "step", "approval", "approval_wait", "exception", "task", "vendor":
			if rows := l.open[op]; rows != nil {
				keep(rows, name, digest)
			}
		}
	}
	return nil
}

// keep sets a row's digest; one without any is gone.
func keep(rows map[string]string, name, digest string) {
	if digest == "" {
		delete(rows, name)
	} else {
		rows[name] = digest
	}
}
