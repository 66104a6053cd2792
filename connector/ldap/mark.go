package ldap

import (
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// note is what Tenure writes on an entry: whose it is, what it did to it, and which
// credential it has. It is one line, the owner mark and words NAME=VALUE, and sealed.
type note struct {
	id    tenure.ResourceID
	state string // suspended or revoked, "" otherwise
	key   string // the seal of the credential
	free  bool   // who is in the group is somebody else's affair
}

// begins is what every mark begins with.
const begins = "tenure:"

// bound is what a note is tied to: the entry's entryUUID or, until that is known, its DN.
// The UUID stays with the entry when it is renamed; no other entry ever has it.
func bound(uuid string) string { return "of=" + strings.ToLower(uuid) }

func boundDN(at dn) string { return "at=" + at.key() }

// write writes a note of an entry of a type that is bound to something.
func (d *Driver) write(typ string, n note, to string) string {
	text := d.marker.Named(n.id)
	if n.state != "" {
		text += " state=" + n.state
	}
	if n.key != "" {
		text += " key=" + n.key
	}
	if n.free {
		text += " members=free"
	}
	if strings.HasPrefix(to, "at=") {
		text += " new"
	}
	return text + " seal=" + d.marker.Seal(sealed(typ, text, to))
}

// sealed is the text that a seal is over. Its first line is the mark.
func sealed(typ, text, to string) string {
	mark, words, _ := strings.Cut(text, " ")
	return mark + "\nldap\x00" + typ + "\x00" + words + "\x00" + to
}

// read says whose a note is. New says that it was written before the entry had a UUID.
func (d *Driver) read(typ, text string, at dn, uuid string) (n note, owner connector.Ownership, fresh bool) {
	rest, seal, _ := strings.Cut(text, " seal=")
	to := bound(uuid)
	mark, words, _ := strings.Cut(rest, " ")
	for w := range strings.FieldsSeq(words) {
		switch name, value, _ := strings.Cut(w, "="); name {
		case "state":
			n.state = value
		case "key":
			n.key = value
		case "members":
			n.free = value == "free"
		case "new":
			fresh, to = true, boundDN(at)
		}
	}
	if seal == "" && strings.HasPrefix(mark, begins) { // sealed or not, it has to say whose it is
		n.id, owner = d.marker.ReadSealed(mark, "none")
	} else {
		n.id, owner = d.marker.ReadSealed(sealed(typ, rest, to), seal)
	}
	return n, owner, fresh
}

// marks are the values of an entry that begin as marks do.
func (d *Driver) marks(e *ldap.Entry) (out []string) {
	for _, v := range values(e, d.mark) {
		if strings.HasPrefix(v, begins) {
			out = append(out, v)
		}
	}
	return out
}

// whose finds the note of an entry among its marks. One of ours counts before others.
func (d *Driver) whose(typ string, e *ldap.Entry, at dn) (text string, n note, owner connector.Ownership, fresh bool) {
	owner = connector.Unmarked
	for _, v := range d.marks(e) {
		m, whose, isNew := d.read(typ, v, at, value(e, "entryUUID"))
		if owner == connector.Unmarked || whose == connector.Ours && owner != connector.Ours {
			text, n, owner, fresh = v, m, whose, isNew
		}
	}
	if owner != connector.Ours {
		n = note{}
	}
	return text, n, owner, fresh
}

// values are an attribute's values in an entry, whatever way its name is spelled.
func values(e *ldap.Entry, name string) []string {
	for _, a := range e.Attributes {
		if a.Name == name || len(a.Name) == len(name) && strings.EqualFold(a.Name, name) {
			return a.Values
		}
	}
	return nil
}

func value(e *ldap.Entry, name string) string {
	if v := values(e, name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// sealOf is what tells one credential from another without telling it.
func (d *Driver) sealOf(id tenure.ResourceID, secret tenure.Secret) string {
	if secret.IsZero() {
		return ""
	}
	return d.marker.Seal("ldap credential\x00" + string(id) + "\x00" + secret.Reveal())
}
