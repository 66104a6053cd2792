package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
)

const scramIterations = 4096

// verifier is what PostgreSQL keeps of a password (RFC 5802 §3, RFC 7677, in the
// form of pg_authid.rolpassword). Made here, the password itself never travels
// in a statement, so no server log can hold it.
func verifier(password tenure.Secret) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	return verifierWith(password, salt, scramIterations)
}

func verifierWith(password tenure.Secret, salt []byte, iterations int) (string, error) {
	for _, c := range []byte(password.Reveal()) {
		if c < ' ' || c > '~' {
			return "", tenure.Errorf(tenure.Invalid, "a role's credential may hold printable ASCII alone")
		}
	}
	salted, err := pbkdf2.Key(sha256.New, password.Reveal(), salt, iterations, sha256.Size)
	if err != nil {
		return "", tenure.Errorf(tenure.Internal, "scram: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return "SCRAM-SHA-256$" + strconv.Itoa(iterations) + ":" + b64(salt) + "$" + b64(stored[:]) + ":" + b64(mac(salted, "Server Key")), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// matches says whether a stored verifier is the password's.
func matches(stored string, password tenure.Secret) bool {
	rest, ok := strings.CutPrefix(stored, "SCRAM-SHA-256$")
	if !ok {
		return false
	}
	head, _, _ := strings.Cut(rest, "$")
	count, salt64, _ := strings.Cut(head, ":")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 10_000_000 {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(salt64)
	if err != nil {
		return false
	}
	again, err := verifierWith(password, salt, n)
	return err == nil && hmac.Equal([]byte(again), []byte(stored))
}
