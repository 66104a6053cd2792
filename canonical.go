package tenure

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Canonical is v as JSON with sorted object keys, no insignificant space and no
// HTML escapes: the same value gives the same bytes. Struct fields keep the
// order of their declaration first and are then sorted with the rest.
func Canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, Errorf(Internal, "canonical json: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var generic any
	if err := dec.Decode(&generic); err != nil {
		return nil, Errorf(Internal, "canonical json: %w", err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(generic); err != nil {
		return nil, Errorf(Internal, "canonical json: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Digest is the SHA-256 of b, written "sha256:" and 64 hexadecimal digits.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Encode is the plan's canonical JSON, and its digest.
func (p *Plan) Encode() (body []byte, digest string, err error) {
	body, err = Canonical(p)
	if err != nil {
		return nil, "", err
	}
	return body, Digest(body), nil
}

// DecodePlan reads a plan, of any format up to PlanFormat, and checks it against
// the digest that it is stored under. A mismatch is Conflict: the plan was
// changed after it was named.
func DecodePlan(body []byte, digest string) (*Plan, error) {
	return DecodePlanBy(body, digest, json.Unmarshal)
}

// DecodePlanBy is DecodePlan with a decoder of the caller's, which makes of JSON what
// encoding/json does and may be faster.
func DecodePlanBy(body []byte, digest string, unmarshal func([]byte, any) error) (*Plan, error) {
	if got := Digest(body); got != digest {
		return nil, Errorf(Conflict, "plan %s doesn't match its digest (it hashes to %s): it was changed", digest, got)
	}
	var p Plan
	if err := unmarshal(body, &p); err != nil {
		return nil, Errorf(Invalid, "plan %s: %w", digest, err)
	}
	if p.Format < 1 || p.Format > PlanFormat {
		return nil, Errorf(Invalid, "plan %s has format %d; this build reads 1 to %d", digest, p.Format, PlanFormat).
			WithHint("run a newer tenure")
	}
	return &p, nil
}
