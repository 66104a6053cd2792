package audit

import (
	"encoding/binary"

	"github.com/tenurehq/tenure"
)

// AEAD is authenticated encryption with associated data, in tink's shape.
type AEAD interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// Seal puts plaintext into the entry's field under the key with this id. The
// box opens only in this field of an entry with the same kind, time, tenant,
// operation and subject, which therefore must be set before.
func (e *Entry) Seal(aead AEAD, key, field string, plaintext []byte) error {
	if !plainKey(field) || key == "" {
		return tenure.Errorf(tenure.Invalid, "seal %q: a plain field name and a key id are needed", field)
	}
	box, err := aead.Encrypt(plaintext, e.associated(key, field))
	if err != nil {
		return tenure.Errorf(tenure.CodeOf(err), "seal %q: %w", field, err)
	}
	if e.Sealed == nil {
		e.Sealed = make(map[string]Sealed, 1)
	}
	e.Sealed[field] = Sealed{Key: key, Box: box}
	return nil
}

// Open returns what was sealed in a field. An absent field is NotFound; a box
// that another entry or field was given, or that was changed, is Invalid; a
// destroyed key is whatever the AEAD says of it, Blocked for the keystore's.
func (e *Entry) Open(aead AEAD, field string) ([]byte, error) {
	s, ok := e.Sealed[field]
	if !ok {
		return nil, tenure.Errorf(tenure.NotFound, "the entry has no sealed field %q", field)
	}
	text, err := aead.Decrypt(s.Box, e.associated(s.Key, field))
	if err == nil {
		return text, nil
	}
	code := tenure.CodeOf(err)
	if code == tenure.Internal {
		code = tenure.Invalid
	}
	return nil, tenure.Errorf(code, "open the sealed field %q: %w", field, err)
}

// associated is what a box is bound to; each part is preceded by its length,
// so that no two contexts have the same bytes.
func (e *Entry) associated(key, field string) []byte {
	b := make([]byte, 0, 256)
	for _, part := range [...]string{
		"tenure audit field v1", key, field, e.Kind, string(e.Tenant), string(e.Operation), e.Subject,
	} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
}
