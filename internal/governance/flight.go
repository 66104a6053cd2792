package governance

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

// flight is a sign-in under way, as it is kept.
type flight struct {
	State, Nonce, Verifier, ReturnTo string
	ExpiresAt                        time.Time
}

// seal writes a flight down so that only the cookie of the browser that began it
// opens it again: who reads the store, or a copy of it, learns neither state nor
// nonce nor verifier (RFC 9700 §2.1.1 wants them bound to the user agent).
func (f flight) seal(cookie tenure.Secret) (string, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return "", tenure.Errorf(tenure.Internal, "sign-in: %w", err)
	}
	box, err := flightBox(cookie)
	if err != nil {
		return "", err
	}
	return base64.RawStdEncoding.EncodeToString(box.Seal(nil, nil, data, nil)), nil
}

// openFlight opens what seal wrote.
func openFlight(sealed string, cookie tenure.Secret) (f flight, err error) {
	box, err := flightBox(cookie)
	if err != nil {
		return f, err
	}
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err == nil {
		raw, err = box.Open(nil, nil, raw, nil)
	}
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		return f, tenure.Errorf(tenure.Internal, "sign-in: what was kept of it can't be opened: %w", err)
	}
	return f, nil
}

// flightBox is AES-256-GCM under a key made of the cookie, which has 256 random
// bits. The store knows the cookie's hash, which is another than this key.
func flightBox(cookie tenure.Secret) (cipher.AEAD, error) {
	key := sha256.Sum256([]byte("tenure sign-in under way\x00" + cookie.Reveal()))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "sign-in: %w", err)
	}
	box, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "sign-in: %w", err)
	}
	return box, nil
}
