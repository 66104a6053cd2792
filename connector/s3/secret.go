package s3

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/tenurehq/tenure"
)

// closed begins the secret that a suspended user has.
const closed = "tenure-suspended."

// sealing is the cipher for the secret of a user: AES-256-GCM under a key that is derived
// from the marks' key for this use and this user alone (HKDF, RFC 5869).
func (d *Driver) sealing(name string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, d.marker.Key, nil, "s3 suspended user "+string(d.marker.Installation)+" "+d.marker.System+" "+name, 32)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the key for suspended users: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "the key for suspended users: %w", err)
	}
	return cipher.NewGCM(block)
}

// closeSecret is what stands in place of a secret while its user is suspended.
func (d *Driver) closeSecret(name string, s tenure.Secret) (string, error) {
	aead, err := d.sealing(name)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce)
	return closed + base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, []byte(s.Reveal()), nil)), nil
}

// openSecret is the secret that was closed, and whether it was: by this installation, and
// for this user.
func (d *Driver) openSecret(name string, s tenure.Secret) (tenure.Secret, bool) {
	text, ok := strings.CutPrefix(s.Reveal(), closed)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil {
		return tenure.Secret{}, false
	}
	aead, err := d.sealing(name)
	if err != nil || len(raw) < aead.NonceSize() {
		return tenure.Secret{}, false
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], nil)
	return tenure.NewSecret(string(plain)), err == nil
}
