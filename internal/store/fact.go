package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tenurehq/tenure"
)

// fact is a part of a row that lets something happen, or keeps it from happening: columns that are only ever
// set together. Whatever sets them, the log gets a digest of them with the same commit (see collect), and an audit
// compares the rows with what the log says. What is set beside them says nothing of them: a forged column isn't
// vouched for by the next honest change of another.
type fact struct {
	name    string // of the table, and of the part after a point; blank after it: what a row is from its beginning
	table   string
	key     []string // the table's primary key
	columns []string // of the part
	types   []string // of the key, then of the columns: see foreign
	hidden  string   // the column of the key that may name a person or hold a label
	whose   whose
	lasting bool                               // a row has it from its beginning; other parts say nothing while all their columns are blank
	absent  func(column func(string) any) bool // the part says nothing yet; nil: it does
	unless  string                             // a statement with this condition changes no row of which the part says something
}

// whose says how a row's tenant is found, whose salt goes into the digest.
type whose int

const (
	nobodys     whose = iota
	ownTenant         // the row is the tenant's own
	byTenant          // a column tenant names it
	byOperation       // a column operation names one of its operations
)

// covered is a table of which the log says how its rows stand.
type covered struct {
	table, key, parts string
	whose             whose
	hidden, unless    string
	absent            func(column func(string) any) bool // of all named parts
}

// unfinished says that a step has no result.
func unfinished(col func(string) any) bool {
	s := tenure.StepState(asText(col("state")))
	return s == tenure.StepPending || s == tenure.StepRunning
}

// notAnomalies is the condition that a finding holds no gate shut.
const notAnomalies = `kind <> 'anomaly'`

// harmless says that a finding asks nobody for one more approval.
func harmless(col func(string) any) bool { return asText(col("kind")) != string(tenure.FindingAnomaly) }

// ofStrangers says that a one-time text lets nobody in yet: whoever isn't known can have one stored.
func ofStrangers(col func(string) any) bool {
	return asText(col("purpose")) != Bootstrap && asText(col("principal")) == ""
}

var facts = declare([]covered{
	{table: "blueprint", key: "digest", parts: "name version body author created_at; published: published_by published_at"},
	{table: "system", key: "name", parts: "connector version fingerprint added_by added_at"},
	{table: "system_credential", key: "system", parts: "digest since rotated_by; first: first_at"},
	{table: "tenant", key: "id", whose: ownTenant, parts: `created_at; name: name organization contact; state: state previous; blocked: blocked; binding: blueprint tier;
		parameters: parameters features; anchors: anchors; labels: labels; salt: salt; known: domains external_ids`},
	{table: "plan", key: "digest", parts: "tenant kind made_by created_at; body: body"},
	{table: "operation", key: "id", whose: byTenant, parts: "kind tenant plan requested_by blueprint destructive created_at; trigger: trigger_key; wanted: wanted; why: wanted_why; refused: refused"},
	{table: "step", key: "operation seq", whose: byOperation, absent: unfinished, parts: "key destructive; result: state verdict ended_at error_code error receipt"},
	{table: "step", key: "operation seq", whose: byOperation, parts: "progress: progress"}, // what has begun isn't asked about again
	{table: "approval", key: "operation step approver", whose: byOperation, hidden: "approver", parts: "digest at on_behalf roles; note: note"},
	{table: "approval_wait", key: "operation step", whose: byOperation, parts: `tenant action gate resources destructive; dates: since expires_at remind_at escalate_at;
		reminded: reminded_at; escalated: escalated_at escalated_to escalated_why`},
	{table: "exception", key: "operation step", whose: byOperation, parts: "reason asked_by asked_at; attested: attested_by attested_at"},
	{table: "task", key: "operation id", whose: byOperation, parts: "tenant step task added_by added_at; see: owner due_at set_by set_at; end: state ended_by ended_at note; artifact: artifact place; outcome: outcome destination"},
	{table: "resource", key: "id", whose: byTenant, parts: `tenant environment key system type layer created_at; name: name; desired: desired; needs: classes needs; live: live;
		state: state verdict expires_at; normal: normal; observed: observed`},
	{table: "secret", key: "resource", parts: "key box created_at; claimed: claimed_at; made: operation; first: first_at"},
	{table: "secret_replaced", key: "resource", parts: "operation key box maker created_at claimed_at"},
	{table: "hold", key: "id", whose: byTenant, parts: "matter tenant class system resource reason placed_by placed_at untold; release: release_by released_at; effective: effective_at already_gone; scope: environment part; custodians: custodians remind_days reminded_at; stalled: stalled"},
	{table: "finding", key: "id", parts: "waiver: waived_until waived_by; resolved: resolved_at"},
	{table: "finding", key: "id", unless: notAnomalies, absent: harmless, parts: "anomaly: kind type name seen_at"},
	{table: "certificate", key: "id", parts: "tenant kind digest issued_at; body: body; annex: annex"},
	{table: "principal", key: "id", parts: "name display email kind owner created_by created_at; bound: issuer subject; state: state"},
	{table: "role_grant", key: "id", parts: "principal role granted_by granted_at expires_at elevation break_glass; scope: scope; reason: reason; revoked: revoked_at revoked_by"},
	{table: "token", key: "id", parts: "hash principal name scope allows strong created_by created_at expires_at; revoked: revoked_at"},
	{table: "session", key: "id", parts: "hash principal strong method created_at expires_at; revoked: revoked_at"},
	{table: "one_time", key: "hash", absent: ofStrangers, parts: "good: purpose code principal data created_at expires_at used_at"},
	{table: "elevation", key: "id", parts: `kind principal name owner role lasts system access digest requested_at; scope: scope; reason: reason;
		state: state decided_by decided_at claim_until started_at ends_at ended_at ended_by why reviewed_by reviewed_at review_note; login: login; gone: login_gone_at`},
	{table: "elevation_scope", key: "elevation kind value", hidden: "value", parts: ""},
	{table: "tenant_label", key: "label tenant", hidden: "label", parts: ""},                // who may see a tenant goes by it
	{table: "tenant_external", key: "external_id tenant", hidden: "external_id", parts: ""}, // whose an event is goes by it
	{table: "campaign", key: "id", parts: "name covers scope silence due_at created_by created_at by_owner schedule occasion; reviewers: reviewers; state: state; closed: closed_at closed_by; evidence: digest evidence"},
	{table: "review_item", key: "campaign seq", whose: byTenant, parts: `kind subject tenant last_used_at; asked: holder owner detail salt; reviewer: reviewer assigned_by assigned_why; decision: decision decided_by decided_at;
		words: change_to reason; operation: operation; outcome: outcome`},
	{table: "access_move", key: "digest", parts: "principal body requested_by requested_at; decision: state decided_by decided_at note"},
	{table: "agreement", key: "id", whose: byTenant, parts: "tenant kind starts_at created_by created_at; with: party purpose; term: classes expires_at; ended: ended_at ended_by; why: ended_why"},
	{table: "delegation", key: "id", parts: "from_name to_name scope reason starts_at ends_at created_at; revoked: revoked_at revoked_by"},
	{table: "standing", key: "id", parts: "name rule digest proposed_by proposed_at ends_at; state: state reviews ended_by ended_at"},
	{table: "standing_start", key: "operation", whose: byTenant, parts: "standing tenant resources at; reviewed: reviewed_by reviewed_at"},
	{table: "departure_link", key: "id", whose: byTenant, parts: "hash tenant created_by created_at expires_at; revoked: revoked_at; audience: audience"},
	{table: "lease", key: "tenant", whose: byTenant, parts: "started_at; end: rule ends_at extended set_by set_at; asked: asked_at asked_for link; answer: answer answered_at; state: state state_at why suspension departure"},
	{table: "leave_request", key: "id", whose: byTenant, parts: "tenant requester reason asked_at; verified: verified_at; asked: contact linked_at expires_at; state: state decided_at decided_as decided_by why event"},
	{table: "vendor", key: "operation step", whose: byOperation, parts: "tenant opened_at; asked: email link asked_at asked_by; answer: answer until_at reason name role evidence evidence_sha256 answered_at recorded_by; earlier: earlier"},
	{table: "notice_setting", key: "principal", parts: "said: body set_by set_at"},
	{table: "incident", key: "id", whose: byTenant, parts: "tenant severity at; told: source detail"},
	{table: "coverage", key: "digest", whose: byTenant, parts: "tenant resource asked_by asked_at; asked: body reason; reviewed: reviewed_by reviewed_at"},
	{table: "inbound", key: "id", parts: "source external_id type subject version happened_at received_at body; decision: state rule tenant operation decided_at decided_by; released: released; pending: pending"},
	{table: "trigger_customer", key: "key", parts: "tenant started_at changed_at failures paid_at suspended_at ended_at ended_for grace_until grace_rule contract_end; told: grace_told; ends: ends_told"},
	{table: "trigger_subject", key: "key", parts: "version at updated_at"},
	{table: "trigger_revision", key: "digest", parts: "name version file body author created_at; published: published_by published_at"},
	{table: "record", key: "tenant", parts: "expires_at; box: key box"},
	{table: "known_digest", key: "tenant kind digest", parts: "expires_at"}, // a ghost isn't looked for without it
	{table: "sought", key: "resource", parts: "tenant system type places expires_at; box: key box"},
})

func declare(tables []covered) (out []*fact) {
	for _, t := range tables {
		for part := range strings.SplitSeq(t.parts, ";") {
			name, columns, named := strings.Cut(part, ":")
			f := &fact{name: t.table, table: t.table, key: strings.Fields(t.key), hidden: t.hidden, whose: t.whose, unless: t.unless, lasting: !named}
			if f.columns = strings.Fields(part); named {
				f.name += "." + strings.TrimSpace(name)
				f.columns, f.absent = strings.Fields(columns), t.absent
			}
			for _, col := range slices.Concat(f.key, f.columns) {
				f.types = append(f.types, columnTypes[t.table+"."+col])
			}
			out = append(out, f)
		}
	}
	return out
}

// factsOf is the parts of each table.
var factsOf = func() map[string][]*fact {
	by := make(map[string][]*fact)
	for _, f := range facts {
		by[f.table] = append(by[f.table], f)
	}
	return by
}()

// beside is the column that a row's salt is found by, where the key doesn't say it.
func (f *fact) beside() []string {
	switch f.whose {
	case ownTenant:
		return []string{"salt"}
	case byTenant:
		return []string{"tenant"}
	}
	return nil
}

// columnsOf is the columns that parts of one table are read by: the key, what the salt is found by, and theirs.
func columnsOf(parts ...*fact) []string {
	out := slices.Concat(parts[0].key, parts[0].beside())
	for _, f := range parts {
		out = append(out, f.columns...)
	}
	return out
}

// change is what a statement changes of what the log covers.
type change struct {
	parts   []*fact
	removes bool
	creates bool
}

var (
	changing = regexp.MustCompile(`(?is)^\s*(insert\s+into|update|delete\s+from)\s+(\w+)`)
	setting  = regexp.MustCompile(`(?is)\bset\s(.*?)(?:\bwhere\b|\bfrom\b|$)`)
)

// changeOf reads a statement: nil if it changes nothing that the log covers. One that sets a part of a part
// is Internal: what it leaves as it is would be vouched for unseen.
func changeOf(query string) (*change, error) {
	m := changing.FindStringSubmatch(query)
	if m == nil || factsOf[m[2]] == nil {
		return nil, nil
	}
	c := &change{parts: factsOf[m[2]], removes: m[1][0]|' ' == 'd', creates: m[1][0]|' ' == 'i'}
	set := setting.FindStringSubmatch(query)
	if set == nil {
		return c, nil
	}
	var touched []*fact
	for _, f := range c.parts {
		if f.unless != "" && strings.Contains(query, f.unless) {
			continue
		}
		n := 0
		for _, col := range f.columns {
			if assigns(set[1], col) {
				n++
			}
		}
		switch {
		case n == len(f.columns):
			touched = append(touched, f)
		case n > 0 || c.creates:
			return nil, tenure.Errorf(tenure.Internal, "store: a statement sets %d of the %d columns that the log covers together as %s: %s", n, len(f.columns), f.name, strings.Join(f.columns, ", "))
		}
	}
	if c.parts = touched; len(touched) == 0 {
		return nil, nil
	}
	c.creates = false // an insert that may update also takes back what a part said
	return c, nil
}

// completing is the other columns of the parts that some of these columns are of.
func completing(table string, columns []string) (out []string) {
	for _, f := range factsOf[table] {
		if slices.ContainsFunc(f.columns, func(c string) bool { return slices.Contains(columns, c) }) {
			for _, c := range f.columns {
				if !slices.Contains(columns, c) {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// assigns says whether a list of assignments has one to a column.
func assigns(list, column string) bool {
	for rest := list; ; {
		i := strings.Index(rest, column)
		if i < 0 {
			return false
		}
		before, after := rest[:i], strings.TrimLeft(rest[i+len(column):], " \t\n")
		if strings.HasPrefix(after, "=") && (before == "" || strings.ContainsAny(before[len(before)-1:], " ,\t\n")) {
			return true
		}
		rest = rest[i+len(column):]
	}
}

// digester makes the digests: HMAC-SHA-256 (RFC 2104) under a key that stands in
// the keystore, cut to 128 bits. Without the key nobody can try values against the log.
type digester struct {
	mac hash.Hash
	buf []byte
	sum []byte
}

func newDigester(key []byte) *digester { return &digester{mac: hmac.New(sha256.New, key)} }

func (d *digester) done() string {
	d.mac.Reset()
	d.mac.Write(d.buf)
	d.sum = d.mac.Sum(d.sum[:0])
	return base64.RawURLEncoding.EncodeToString(d.sum[:16])
}

func (d *digester) add(b []byte) {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(b)))
	d.buf = append(d.buf, b...)
}

func (d *digester) text(s string) {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(s)))
	d.buf = append(d.buf, s...)
}

// row is the digest of a part: of its key and of its columns by name, those that are blank or zero left out, so
// that a column which comes later changes nothing until it says something. A value of a type that isn't the column's
// stands there with its type, behind a blank, which no other value is.
func (d *digester) row(f *fact, key, salt string, values []any) string {
	d.buf = d.buf[:0]
	d.text(salt)
	d.text(key)
	for i, col := range f.columns {
		var num [20]byte
		var b []byte
		if typ := foreign(f.types[len(f.key)+i], values[i]); typ != "" {
			d.text(col)
			d.text("")
			d.text(typ)
			d.text(fmt.Sprint(values[i]))
			continue
		}
		switch v := values[i].(type) {
		case string:
			if v != "" {
				d.text(col)
				d.text(v)
			}
			continue
		case []byte:
			b = v
		case int64:
			if v != 0 {
				b = strconv.AppendInt(num[:0], v, 10)
			}
		}
		if len(b) > 0 {
			d.text(col)
			d.add(b)
		}
	}
	return d.done()
}

// head is the seal of a log of this size and root.
func (d *digester) head(size int64, root tlog.Hash) string {
	d.buf = d.buf[:0]
	d.text("audit_head")
	d.buf = binary.AppendUvarint(d.buf, uint64(size))
	d.add(root[:])
	return d.done()
}

// sealed says whether a log of this size and root was left so by a program that has the key.
func (d *digester) sealed(size int64, root tlog.Hash, seal string) bool {
	return size == 0 || hmac.Equal([]byte(seal), []byte(d.head(size, root)))
}

// named is a row's name in the log. A part of the key that may name a person is a digest there.
func (d *digester) named(f *fact, key []any) string {
	n := append([]byte(nil), f.name...)
	for i, col := range f.key {
		n = append(n, '/')
		typ := foreign(f.types[i], key[i])
		if v, ok := key[i].(int64); ok && typ == "" {
			n = strconv.AppendInt(n, v, 10)
			continue
		}
		s := asText(key[i])
		if col == f.hidden || typ != "" || !plain(s) {
			d.buf = d.buf[:0]
			d.text(f.name)
			d.text(s)
			if typ != "" {
				d.text(typ)
				d.text(fmt.Sprint(key[i]))
			}
			s = "#" + d.done()
		}
		n = append(n, s...)
	}
	return string(n)
}

// plain says that a text can stand in the log as it is: what names consist of, and not too long.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '/' || c == '#' {
			return false
		}
	}
	return len(s) <= 128
}

func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}
