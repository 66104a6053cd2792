package objects

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Marks names objects and results of one resource so that nobody without Tenure's key
// can tell which name is whose, or make one.
type Marks struct {
	Of   string              // the resource's mark
	Seal func(string) string // under Tenure's key
}

// ID is a name of 32 letters and digits for what the parts name.
func (m Marks) ID(parts ...string) string { return Hashed(m.Seal(fmt.Sprintf("%q %q", m.Of, parts))) }

// Changed is the sign that what stands at a place is a result, over its whole content.
func (m Marks) Changed(place string, r Result) string {
	return m.Seal(fmt.Sprintf("%q changed %q %d %x", m.Of, place, r.Size, r.Sum))
}

// Hashed names something without telling what.
func Hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
