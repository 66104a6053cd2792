package audit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

func TestCheckpointRoundTrip(t *testing.T) {
	t.Parallel()
	signer, other := newSigner(t, origin), newSigner(t, "witness.test/w")
	for _, want := range []audit.Checkpoint{
		{Origin: origin},
		{Origin: origin, Size: 1 << 40, Root: [32]byte{1, 2}, Extensions: []string{"a", "b — c"}},
	} {
		msg, err := audit.SignCheckpoint(want, signer, other)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string][]note.Verifier{"log": {signer.Verifier()}, "both": {signer.Verifier(), other.Verifier()}} {
			got, err := audit.VerifyCheckpoint(msg, origin, v...)
			if err != nil {
				t.Fatalf("verify by %s: %v", name, err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("checkpoint (-want +got):\n%s", d)
			}
		}
		if _, err := audit.VerifyCheckpoint(msg, origin); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("verified by nobody: %v", err)
		}
		if _, err := audit.VerifyCheckpoint(msg, "other.test/log", signer.Verifier()); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("verified for another log: %v", err)
		}
	}
	for _, bad := range []audit.Checkpoint{
		{}, {Origin: origin, Size: -1}, {Origin: "a\nb"}, {Origin: origin, Extensions: []string{""}}, {Origin: origin, Extensions: []string{"a\nb"}},
	} {
		if msg, err := audit.SignCheckpoint(bad, signer); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("signed %q: %v", msg, err)
		}
	}
}

// TestCheckpointStrict: a note that can be written in two ways lets two
// parties hold "the same" checkpoint with different bytes.
func TestCheckpointStrict(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, origin)
	sign := func(text string) []byte {
		msg, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	root := strings.Repeat("A", 43) + "="
	good := sign(origin + "\n7\n" + root + "\n")
	if _, err := audit.VerifyCheckpoint(good, origin, signer.Verifier()); err != nil {
		t.Fatal(err)
	}
	for name, msg := range map[string][]byte{
		"leading zero":     sign(origin + "\n07\n" + root + "\n"),
		"plus":             sign(origin + "\n+7\n" + root + "\n"),
		"negative":         sign(origin + "\n-7\n" + root + "\n"),
		"too large":        sign(origin + "\n9223372036854775808\n" + root + "\n"),
		"stray bits":       sign(origin + "\n7\n" + strings.Repeat("A", 42) + "B=\n"),
		"short root":       sign(origin + "\n7\nAAAA\n"),
		"no root":          sign(origin + "\n7\n"),
		"empty extension":  sign(origin + "\n7\n" + root + "\n\n"),
		"trailing junk":    append(append([]byte{}, good...), 'x'),
		"trailing line":    append(append([]byte{}, good...), '\n'),
		"not a note":       []byte("hello"),
		"carriage return":  []byte(strings.ReplaceAll(string(good), "\n", "\r\n")),
		"signature's bits": []byte(strings.TrimSuffix(string(good), "=\n")[:len(good)-3] + string(next(good[len(good)-3])) + "=\n"),
	} {
		if string(msg) == string(good) {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if c, err := audit.VerifyCheckpoint(msg, origin, signer.Verifier()); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
}

// next is another base64 digit that differs only in its lowest bit, which the
// last digit before a padding doesn't use.
func next(c byte) byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return digits[strings.IndexByte(digits, c)^1]
}

// TestCheckpointFlip: no byte of a log's own checkpoint is without effect.
func TestCheckpointFlip(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, origin)
	l := &memLog{}
	l.grow(t, 5)
	msg := l.checkpoint(t, signer)
	rapid.Check(t, func(t *rapid.T) {
		bad := append([]byte{}, msg...)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if c, err := audit.VerifyCheckpoint(bad, origin, signer.Verifier()); err == nil {
			t.Fatalf("verified %+v from %q", c, bad)
		}
	})
}

func TestVerifierKey(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, origin)
	text := signer.Verifier().String()
	v, err := audit.ParseVerifier("\n" + text + " \n")
	if err != nil || v.String() != text || v.ID() != signer.String() || !v.Public().Equal(signer.Crypto().Public()) {
		t.Fatalf("parsed %v, %v", v, err)
	}
	for name, bad := range map[string]string{
		"empty":      "",
		"private":    "PRIVATE+KEY+" + text,
		"other name": "x" + text,
		"hash case":  strings.Replace(text, text[len(origin)+1:len(origin)+9], strings.ToUpper(text[len(origin)+1:len(origin)+9]), 1),
		"cut":        text[:len(text)-4],
	} {
		if bad == text {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if v, err := audit.ParseVerifier(bad); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	for _, name := range []string{"", "two words", "a+b"} {
		if _, err := audit.NewSigner(name, signer.Crypto()); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("a signer named %q: %v", name, err)
		}
	}
}
