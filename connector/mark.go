package connector

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/tenurehq/tenure"
)

// Ownership says whose mark a thing bears.
type Ownership string

const (
	Ours      Ownership = "ours"
	Others    Ownership = "others"    // another installation's
	Forged    Ownership = "forged"    // names us, and the HMAC doesn't hold
	Unmarked  Ownership = "unmarked"  // bears no mark
	Malformed Ownership = "malformed" // begins like a mark and can't be read
)

// Marker writes and reads owner marks: the installation's id, the resource's id
// and an HMAC-SHA-256 (RFC 2104) over both, the system and the resource type.
// A mark that was copied to another system or to another type of thing doesn't
// authenticate.
type Marker struct {
	Installation tenure.InstallationID
	System       string
	Key          []byte
}

const (
	markPrefix   = "tenure:1:"
	sealedPrefix = "tenure:2:"
)

// Mark is the text that a resource bears, below 140 bytes of [A-Za-z0-9:_-].
func (m Marker) Mark(typ string, id tenure.ResourceID) string {
	return markPrefix + string(m.Installation) + ":" + string(id) + ":" + m.mac(typ, id)
}

func (m Marker) mac(typ string, id tenure.ResourceID) string {
	h := hmac.New(sha256.New, m.Key)
	for _, s := range []string{string(m.Installation), m.System, typ, string(id)} {
		h.Write([]byte{byte(len(s) >> 8), byte(len(s))})
		h.Write([]byte(s))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// Read says whose mark a text is, and which resource it names if it is ours.
func (m Marker) Read(typ, text string) (tenure.ResourceID, Ownership) {
	id, code, owner := m.parse(text)
	if owner == Ours && !hmac.Equal([]byte(code), []byte(m.mac(typ, id))) {
		return "", Forged
	}
	return id, owner
}

// Seal authenticates a whole text, such as a mark with all that is kept beside it:
// an HMAC over it, the installation and the system.
func (m Marker) Seal(text string) string {
	h := hmac.New(sha256.New, m.Key)
	for _, s := range []string{"seal", string(m.Installation), m.System, text} {
		h.Write([]byte{byte(len(s) >> 24), byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))})
		h.Write([]byte(s))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

const probePrefix = "tenure-probe-"

// ProbeName is a name that nobody else can make, for what a probe writes in a tenant's
// place and takes away again.
func (m Marker) ProbeName() string {
	name := rand.Text()
	return probePrefix + name + "." + m.Seal(probePrefix+name)
}

// IsProbe says whether a name is one of ProbeName's, so that a map that is taken while a
// probe is at work doesn't show it as the tenant's data.
func (m Marker) IsProbe(name string) bool {
	rest, ok := strings.CutPrefix(name, probePrefix)
	name, seal, found := strings.Cut(rest, ".")
	return ok && found && hmac.Equal([]byte(seal), []byte(m.Seal(probePrefix+name)))
}

// ReadSealed is Read for a mark that begins a sealed text and has no code of its own:
// only the seal counts.
func (m Marker) ReadSealed(text, seal string) (tenure.ResourceID, Ownership) {
	first, _, _ := strings.Cut(text, "\n")
	rest, ok := strings.CutPrefix(first, sealedPrefix)
	if !ok {
		_, _, owner := m.parse(first)
		if owner == Ours { // a mark with a code, where a seal was due
			owner = Forged
		}
		return "", owner
	}
	of, id, ok := strings.Cut(rest, ":")
	switch {
	case !ok:
		return "", Malformed
	case tenure.InstallationID(of) != m.Installation:
		return "", Others
	case seal == "":
		return "", Unmarked // it only tells people
	case !hmac.Equal([]byte(seal), []byte(m.Seal(text))):
		return "", Forged
	}
	return tenure.ResourceID(id), Ours
}

// Named is the mark that begins a sealed text. By itself it tells people, and other
// installations, whose a thing is, and proves nothing.
func (m Marker) Named(id tenure.ResourceID) string {
	return sealedPrefix + string(m.Installation) + ":" + string(id)
}

// parse takes a mark apart; whether its code holds isn't looked at.
func (m Marker) parse(text string) (id tenure.ResourceID, code string, owner Ownership) {
	rest, ok := strings.CutPrefix(text, markPrefix)
	if !ok {
		return "", "", Unmarked
	}
	parts := strings.Split(rest, ":")
	if len(parts) != 3 {
		return "", "", Malformed
	}
	if tenure.InstallationID(parts[0]) != m.Installation {
		return "", "", Others
	}
	return tenure.ResourceID(parts[1]), parts[2], Ours
}
