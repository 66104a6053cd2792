package audit

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure"
	"golang.org/x/mod/sumdb/note"
)

// Verifier is a public key in the verifier key format of C2SP signed-note:
// "name+hash+base64", Ed25519 only. It is a note.Verifier.
type Verifier struct {
	note.Verifier
	public ed25519.PublicKey
	text   string
}

// ParseVerifier reads a verifier key; white space around it is ignored, so the
// content of a key file will do. Anything but its canonical text is Invalid.
func ParseVerifier(text string) (*Verifier, error) {
	text = strings.TrimSpace(text)
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "verifier key: %w", err).
			WithHint("it looks like name+1234abcd+AbCd…, one line")
	}
	encoded := strings.SplitN(text, "+", 3)[2] // NewVerifier has seen both
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return nil, tenure.Errorf(tenure.Invalid, "verifier key %q is not an Ed25519 key", v.Name())
	}
	return newVerifier(v.Name(), ed25519.PublicKey(raw[1:]), text)
}

// NewVerifier is the verifier key of a named public key. A name is one word
// without a plus sign (C2SP signed-note).
func NewVerifier(name string, public ed25519.PublicKey) (*Verifier, error) {
	return newVerifier(name, public, "")
}

func newVerifier(name string, public ed25519.PublicKey, want string) (*Verifier, error) {
	text, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "verifier key %q: %w", name, err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "verifier key %q: %w", name, err)
	}
	if want != "" && want != text {
		return nil, tenure.Errorf(tenure.Invalid, "verifier key %q is not in its canonical form", name)
	}
	return &Verifier{Verifier: v, public: public, text: text}, nil
}

// String is the key's text, as ParseVerifier reads it.
func (v *Verifier) String() string { return v.text }

// ID is the short name of the key, "name+hash".
func (v *Verifier) ID() string { return fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash()) }

// Public is the key itself.
func (v *Verifier) Public() ed25519.PublicKey { return v.public }

// Signer is a named Ed25519 private key. It is a note.Signer; Crypto is the
// same key as a crypto.Signer.
type Signer struct {
	key      crypto.Signer
	verifier *Verifier
}

// NewSigner names an Ed25519 key, which may live in a process or in a KMS.
func NewSigner(name string, key crypto.Signer) (*Signer, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, tenure.Errorf(tenure.Invalid, "signing key %q is not an Ed25519 key", name)
	}
	v, err := NewVerifier(name, public)
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, verifier: v}, nil
}

// Name and KeyHash identify the key in a signature line.
func (s *Signer) Name() string    { return s.verifier.Name() }
func (s *Signer) KeyHash() uint32 { return s.verifier.KeyHash() }

// Sign returns the Ed25519 signature of msg (RFC 8032, not prehashed).
func (s *Signer) Sign(msg []byte) ([]byte, error) { return s.key.Sign(nil, msg, crypto.Hash(0)) }

// Crypto is the key for the callers of the standard library.
func (s *Signer) Crypto() crypto.Signer { return s.key }

// Verifier is the public half.
func (s *Signer) Verifier() *Verifier { return s.verifier }

// String is the key's short name; the private half is never printed.
func (s *Signer) String() string { return s.verifier.ID() }

// GoString is String.
func (s *Signer) GoString() string { return s.String() }
