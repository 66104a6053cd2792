package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

// fact is a group of columns that lets something happen, or keeps it from
// happening. Whatever changes one, the log gets a digest of it with the same
// commit (see collect), and an audit compares the rows with what the log says.
type fact struct {
	name    string // of the group: the table's, or the table's and a part's
	table   string
	key     []string // the table's primary key
	columns []string // beside the key
	hidden  string   // the column of the key that may name a person or hold a label
	whose   whose
	absent  func(column func(string) any) bool // the row says nothing yet; nil: it always does
}

// whose says how a row's tenant is found, whose salt goes into the digest.
type whose int

const (
	nobodys     whose = iota
	ownTenant         // the row is the tenant's own
	byTenant          // a column tenant names it
	byOperation       // a column operation names one of its operations
	byResource        // the row is of one of its resources
)

func words(s string) []string { return strings.Fields(s) }

// facts are all groups. What isn't in one is declared in unproven, with the reason.
var facts = []*fact{
	{name: "blueprint", table: "blueprint", key: words("digest"), columns: words("name version body author created_at published_by published_at")},
	{name: "system", table: "system", key: words("name"), columns: words("connector version fingerprint added_by added_at")},
	{name: "tenant", table: "tenant", key: words("id"), columns: words("name organization contact tier state previous blocked blueprint parameters features anchors labels created_at salt"), whose: ownTenant},
	{name: "plan", table: "plan", key: words("digest"), columns: words("tenant kind body made_by created_at")},
	{name: "operation", table: "operation", key: words("id"), columns: words("kind tenant plan requested_by trigger_key blueprint destructive wanted wanted_why created_at"), whose: byTenant},
	{name: "step", table: "step", key: words("operation seq"), columns: words("key destructive"), whose: byOperation},
	{name: "step.result", table: "step", key: words("operation seq"), columns: words("state verdict error_code error receipt"), whose: byOperation, absent: func(col func(string) any) bool {
		s := tenure.StepState(asText(col("state")))
		return s == tenure.StepPending || s == tenure.StepRunning
	}},
	{name: "approval", table: "approval", key: words("operation step approver"), columns: words("digest at note on_behalf roles"), hidden: "approver", whose: byOperation},
	{name: "exception", table: "exception", key: words("operation step"), columns: words("reason asked_by asked_at attested_by attested_at"), whose: byOperation},
	{name: "resource", table: "resource", key: words("id"), columns: words("tenant environment key system type name layer live desired classes needs created_at"), whose: byTenant},
	{name: "resource.state", table: "resource", key: words("id"), columns: words("state verdict normal observed expires_at"), whose: byResource},
	{name: "secret", table: "secret", key: words("resource"), columns: words("key box created_at claimed_at")},
	{name: "hold", table: "hold", key: words("id"), columns: words("matter tenant class system resource reason placed_by placed_at effective_at already_gone release_by released_at untold"), whose: byTenant},
	{name: "finding.waiver", table: "finding", key: words("id"), columns: words("waived_until waived_by"), absent: func(col func(string) any) bool { return asInt(col("waived_until")) == 0 }},
	{name: "certificate", table: "certificate", key: words("id"), columns: words("tenant kind digest body issued_at")},
	{name: "principal", table: "principal", key: words("id"), columns: words("name display email kind owner issuer subject state created_by created_at")},
	{name: "role_grant", table: "role_grant", key: words("id"), columns: words("principal role scope reason granted_by granted_at expires_at elevation break_glass revoked_at revoked_by")},
	{name: "token", table: "token", key: words("id"), columns: words("hash principal name scope allows strong created_by created_at expires_at revoked_at")},
	{name: "session", table: "session", key: words("id"), columns: words("hash principal strong method created_at expires_at revoked_at")},
	{name: "elevation", table: "elevation", key: words("id"), columns: words("kind principal name owner role scope reason lasts system access digest state requested_at decided_by decided_at claim_until started_at ends_at ended_at ended_by why reviewed_by reviewed_at review_note login login_gone_at")},
	{name: "elevation_scope", table: "elevation_scope", key: words("elevation kind value"), hidden: "value"},
	{name: "campaign", table: "campaign", key: words("id"), columns: words("name covers scope reviewers silence state due_at created_by created_at closed_at closed_by digest evidence")},
	{name: "review_item", table: "review_item", key: words("campaign seq"), columns: words("kind subject tenant holder owner detail salt reviewer decision change_to reason decided_by decided_at operation outcome"), whose: byTenant},
	{name: "access_move", table: "access_move", key: words("digest"), columns: words("principal body state requested_by requested_at decided_by decided_at note")},
	{name: "agreement", table: "agreement", key: words("id"), columns: words("tenant kind party classes purpose starts_at expires_at created_by created_at ended_at ended_by ended_why"), whose: byTenant},
	{name: "delegation", table: "delegation", key: words("id"), columns: words("from_name to_name scope reason starts_at ends_at created_at revoked_at revoked_by")},
	{name: "standing", table: "standing", key: words("id"), columns: words("name rule digest state proposed_by proposed_at reviews ends_at ended_by ended_at")},
	{name: "standing_start", table: "standing_start", key: words("operation"), columns: words("standing tenant resources at reviewed_by reviewed_at"), whose: byTenant},
	{name: "departure_link", table: "departure_link", key: words("id"), columns: words("hash tenant created_by created_at expires_at revoked_at"), whose: byTenant},
	{name: "incident", table: "incident", key: words("id"), columns: words("tenant severity source detail at"), whose: byTenant},
	{name: "coverage", table: "coverage", key: words("digest"), columns: words("tenant resource body reason asked_by asked_at reviewed_by reviewed_at"), whose: byTenant},
	{name: "sought", table: "sought", key: words("resource"), columns: words("tenant system type places key box expires_at")},
}

// factsOf is the groups of each table.
var factsOf = func() map[string][]*fact {
	by := make(map[string][]*fact)
	for _, f := range facts {
		by[f.table] = append(by[f.table], f)
	}
	return by
}()

// change is what a statement changes of what the log covers.
type change struct {
	groups  []*fact
	columns []string // what it is asked to return: the key, then the groups' columns
	removes bool
	creates bool
}

var (
	changing = regexp.MustCompile(`(?is)^\s*(insert\s+into|update|delete\s+from)\s+(\w+)`)
	setting  = regexp.MustCompile(`(?is)\bset\s(.*?)(?:\bwhere\b|\bfrom\b|$)`)
)

// changeOf reads a statement: nil if it changes nothing that the log covers.
func changeOf(query string) *change {
	m := changing.FindStringSubmatch(query)
	if m == nil || factsOf[m[2]] == nil {
		return nil
	}
	c := &change{groups: factsOf[m[2]], removes: m[1][0]|' ' == 'd', creates: m[1][0]|' ' == 'i'}
	if !c.removes && !c.creates {
		c.groups = touched(query, c.groups)
	}
	if len(c.groups) == 0 {
		return nil
	}
	c.columns = append(c.columns, c.groups[0].key...)
	for _, f := range c.groups {
		c.columns = append(c.columns, f.columns...)
	}
	return c
}

// touched is the groups that have a column which an update sets.
func touched(query string, groups []*fact) (out []*fact) {
	set := setting.FindStringSubmatch(query)
	if set == nil {
		return groups
	}
	for _, f := range groups {
		for _, col := range slices.Concat(f.key, f.columns) {
			if assigns(set[1], col) {
				out = append(out, f)
				break
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

// row is the digest of a group: of its key and of its columns by name, those that are blank or zero left out, so
// that a column which comes later changes nothing until it says something.
func (d *digester) row(f *fact, key, salt string, values []any) string {
	d.buf = d.buf[:0]
	d.text(salt)
	d.text(key)
	for i, col := range f.columns {
		var num [20]byte
		var b []byte
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

// named is a row's name in the log. A part of the key that may name a person is a digest there.
func (d *digester) named(f *fact, key []any) string {
	n := append([]byte(nil), f.name...)
	for i, col := range f.key {
		n = append(n, '/')
		switch v := key[i].(type) {
		case int64:
			n = strconv.AppendInt(n, v, 10)
		default:
			s := asText(v)
			if col == f.hidden || !plain(s) {
				d.buf = d.buf[:0]
				d.text(f.name)
				d.text(s)
				s = "#" + d.done()
			}
			n = append(n, s...)
		}
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

func asInt(v any) int64 {
	n, _ := v.(int64)
	return n
}
