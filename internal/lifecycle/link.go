package lifecycle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/tenurehq/tenure"
)

// signLink signs a link that opens a page without an account: its id, and an HMAC over what the link is
// for, its id, and all that it depends on.
func (s *Service) signLink(what string, id tenure.LinkID, on ...string) tenure.Secret {
	m := hmac.New(sha256.New, s.mac)
	_, _ = m.Write([]byte(strings.Join(append([]string{what, string(id)}, on...), "\x00")))
	return tenure.NewSecret(string(id) + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil)))
}

// linkOf is the id that a link says it has; "" where it can be none.
func linkOf(secret tenure.Secret) tenure.LinkID {
	if len(secret.Reveal()) > 200 {
		return ""
	}
	id, _, _ := strings.Cut(secret.Reveal(), ".")
	return tenure.LinkID(id)
}

// sameLink compares a link with what it should be, in constant time.
func sameLink(want, got tenure.Secret) bool {
	return hmac.Equal([]byte(want.Reveal()), []byte(got.Reveal()))
}

// noLink is all that is said of a link that isn't known, was withdrawn or has expired.
func noLink() error {
	return tenure.Errorf(tenure.NotFound, "this link isn't good, or not any more").WithHint("ask who sent it to you")
}
