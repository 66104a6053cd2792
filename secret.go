package tenure

import (
	"fmt"
	"log/slog"
)

// Secret is a text that no printer shows: fmt, slog, JSON and YAML all write
// "[secret]". Reveal is the one way to the value. Two secrets aren't to be compared
// with ==.
type Secret struct {
	// A pointer: fmt asks no method of an unexported field, and would print a text
	// that stands in one.
	value *string
}

const redacted = "[secret]"

// NewSecret keeps value as a secret.
func NewSecret(value string) Secret { return Secret{&value} }

// Reveal returns the value, for the call that needs it and nothing else.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero says whether there is no secret at all.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

func (s Secret) String() string                { return redacted }
func (s Secret) GoString() string              { return redacted }
func (s Secret) Format(f fmt.State, _ rune)    { _, _ = f.Write([]byte(redacted)) }
func (s Secret) LogValue() slog.Value          { return slog.StringValue(redacted) }
func (s Secret) MarshalJSON() ([]byte, error)  { return []byte(`"` + redacted + `"`), nil }
func (s Secret) MarshalText() ([]byte, error)  { return []byte(redacted), nil }
func (s Secret) MarshalYAML() (any, error)     { return redacted, nil }
func (s *Secret) UnmarshalText(b []byte) error { *s = NewSecret(string(b)); return nil }
