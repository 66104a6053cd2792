package connector

import (
	"crypto/hmac"
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

const markPrefix = "tenure:1:"

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
	rest, ok := strings.CutPrefix(text, markPrefix)
	if !ok {
		return "", Unmarked
	}
	parts := strings.Split(rest, ":")
	if len(parts) != 3 {
		return "", Malformed
	}
	if tenure.InstallationID(parts[0]) != m.Installation {
		return "", Others
	}
	id := tenure.ResourceID(parts[1])
	if !hmac.Equal([]byte(parts[2]), []byte(m.mac(typ, id))) {
		return "", Forged
	}
	return id, Ours
}
