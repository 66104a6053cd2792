package lifecycle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"

	"github.com/tenurehq/tenure"
)

// signLink makes the secret part of a link: an id, and an HMAC over what the link is good for, which
// begins with its purpose. No part may hold a zero byte.
func (s *Service) signLink(id string, parts ...string) tenure.Secret {
	m := hmac.New(sha256.New, s.mac)
	_, _ = m.Write([]byte(strings.Join(parts, "\x00")))
	return tenure.NewSecret(id + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil)))
}

// linkID is the id that a link's secret part begins with; "" if it is none.
func linkID(secret tenure.Secret) string {
	id, _, signed := strings.Cut(secret.Reveal(), ".")
	if len(secret.Reveal()) > 200 || !signed {
		return ""
	}
	return id
}

// sameLink compares in a time that says nothing of where they differ.
func sameLink(a, b tenure.Secret) bool { return hmac.Equal([]byte(a.Reveal()), []byte(b.Reveal())) }

// errNoLink is what a link gives that isn't known, was withdrawn or has expired: which isn't said.
func errNoLink() error {
	return tenure.Errorf(tenure.NotFound, "this link isn't good, or not any more").WithHint("ask who sent it to you")
}

var anyLink = regexp.MustCompile(`(` + LeasePath + `|` + LeavePath + `/|` + VendorPath + `)[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)

// WithoutLinks cuts the secret parts of links out of a text: they are for its reader alone.
func WithoutLinks(text string) string { return anyLink.ReplaceAllString(text, "$1…") }

// linkTo is the address of a page that opens with a link.
func (s *Service) linkTo(path string, secret tenure.Secret) string {
	return strings.TrimSuffix(s.o.URL, "/") + path + secret.Reveal()
}
