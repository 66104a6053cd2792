package audit_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// TestProof: each entry is proven in each tree that has it, the proof survives
// its file, and proves neither another entry, place, tree nor key.
func TestProof(t *testing.T) {
	t.Parallel()
	signer, stranger := newSigner(t, origin), newSigner(t, "other.test/log")
	rapid.Check(t, func(t *rapid.T) {
		l := &memLog{}
		l.grow(t, rapid.IntRange(1, 70).Draw(t, "size"))
		i := rapid.IntRange(0, len(l.records)-1).Draw(t, "index")
		msg := l.checkpoint(t, signer)
		l.grow(t, rapid.IntRange(0, 9).Draw(t, "later"))
		p, err := audit.Prove(msg, int64(i), l)
		if err != nil {
			t.Fatal(err)
		}
		p.Extra = rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "extra")
		if len(p.Extra) == 0 {
			p.Extra = nil
		}
		read, err := audit.ParseProof(p.Encode())
		if err != nil {
			t.Fatal(err)
		}
		same := cmp.Transformer("hashes", func(p tlog.RecordProof) []tlog.Hash { return append([]tlog.Hash{}, p...) })
		if d := cmp.Diff(p, read, same); d != "" {
			t.Fatalf("proof (-want +got):\n%s", d)
		}
		if _, err := read.Verify(l.records[i].Entry, origin, signer.Verifier()); err != nil {
			t.Fatal(err)
		}
		if _, err := read.Verify([]byte("other"), origin, signer.Verifier()); tenure.CodeOf(err) != tenure.Invalid {
			t.Fatalf("another entry: %v", err)
		}
		if _, err := read.Verify(l.records[i].Entry, origin, stranger.Verifier()); tenure.CodeOf(err) != tenure.Invalid {
			t.Fatalf("another key: %v", err)
		}
		read.Index++
		if _, err := read.Verify(l.records[i].Entry, origin, signer.Verifier()); tenure.CodeOf(err) != tenure.Invalid {
			t.Fatalf("another place: %v", err)
		}
	})
}

func TestProveNothing(t *testing.T) {
	t.Parallel()
	l := &memLog{}
	l.grow(t, 3)
	msg := l.checkpoint(t, newSigner(t, origin))
	for _, i := range []int64{-1, 3} {
		if _, err := audit.Prove(msg, i, l); tenure.CodeOf(err) != tenure.NotFound {
			t.Errorf("entry %d of 3: %v", i, err)
		}
	}
}

// TestProofFile pins the format to the text of C2SP tlog-proof@v1.
func TestProofFile(t *testing.T) {
	t.Parallel()
	l := &memLog{}
	l.grow(t, 3)
	msg := l.checkpoint(t, newSigner(t, origin))
	p, err := audit.Prove(msg, 0, l)
	if err != nil {
		t.Fatal(err)
	}
	p.Extra = []byte("hi")
	h1, h2 := tlog.RecordHash(l.records[1].Entry), tlog.RecordHash(l.records[2].Entry)
	good := "c2sp.org/tlog-proof@v1\nextra aGk=\nindex 0\n" + h1.String() + "\n" + h2.String() + "\n\n" + string(msg)
	if d := cmp.Diff(good, string(p.Encode())); d != "" {
		t.Fatalf("file (-want +got):\n%s", d)
	}
	if _, err := audit.ParseProof([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"version":        {"@v1", "@v2"},
		"empty extra":    {"extra aGk=", "extra "},
		"loose extra":    {"aGk=", "aGl="},
		"no index":       {"index 0\n", ""},
		"leading zero":   {"index 0", "index 00"},
		"negative":       {"index 0", "index -1"},
		"plus":           {"index 0", "index +1"},
		"no blank line":  {"\n\n" + origin, "\n" + origin},
		"two blanks":     {"\n\n" + origin, "\n\n\n" + origin},
		"return":         {"index 0\n", "index 0\r\n"},
		"short hash":     {h1.String(), "AAAA"},
		"loose hash":     {h1.String(), h1.String()[:42] + string(next(h1.String()[42])) + "="},
		"too many":       {h1.String() + "\n", strings.Repeat(h1.String()+"\n", 64)},
		"no checkpoint":  {string(msg), ""},
		"trailing":       {string(msg), string(msg) + "x"},
		"extra is twice": {"extra aGk=\n", "extra aGk=\nextra aGk=\n"},
	} {
		bad := strings.Replace(good, edit[0], edit[1], 1)
		if bad == good {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if p, err := audit.ParseProof([]byte(bad)); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestConsistency: a log that grew is proven to have grown, one that was
// rewritten isn't, whatever the sizes.
func TestConsistency(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := &memLog{tree: &audit.Tree{}}
		point := func() audit.Checkpoint {
			return audit.Checkpoint{Origin: origin, Size: l.tree.Size(), Root: l.tree.Root()}
		}
		l.grow(t, rapid.IntRange(0, 40).Draw(t, "old"))
		old := point()
		l.grow(t, rapid.IntRange(0, 40).Draw(t, "more"))
		now := point()
		p, err := audit.ProveConsistency(old.Size, now.Size, l)
		if err != nil {
			t.Fatal(err)
		}
		if err := audit.VerifyConsistency(old, now, p); err != nil {
			t.Fatal(err)
		}
		msg, err := audit.SignCheckpoint(now, newSigner(t, origin))
		if err != nil {
			t.Fatal(err)
		}
		body := audit.EncodeConsistency(old.Size, p, msg)
		size, q, msg2, err := audit.ParseConsistency(body)
		if err != nil || size != old.Size || !bytes.Equal(msg, msg2) || !bytes.Equal(audit.EncodeConsistency(size, q, msg2), body) {
			t.Fatalf("request %q reads as %d, %v, %q, %v", body, size, q, msg2, err)
		}
		for name, try := range map[string]func() error{
			"another old root": func() error { o := old; o.Root[0] ^= 1; return audit.VerifyConsistency(o, now, p) },
			"another root":     func() error { n := now; n.Root[0] ^= 1; return audit.VerifyConsistency(old, n, p) },
			"another log":      func() error { n := now; n.Origin = "x"; return audit.VerifyConsistency(old, n, p) },
			"more proof":       func() error { return audit.VerifyConsistency(old, now, append(p[:len(p):len(p)], tlog.Hash{})) },
		} {
			if name == "another root" && old.Size == 0 && now.Size > 0 {
				continue // from nothing anything can grow
			}
			if err := try(); tenure.CodeOf(err) != tenure.Invalid {
				t.Fatalf("%s of sizes %d and %d: %v", name, old.Size, now.Size, err)
			}
		}
		if old.Size < now.Size {
			if err := audit.VerifyConsistency(now, old, p); tenure.CodeOf(err) != tenure.Invalid {
				t.Fatalf("a log that shrank from %d to %d: %v", now.Size, old.Size, err)
			}
			if _, err := audit.ProveConsistency(now.Size, old.Size, l); tenure.CodeOf(err) != tenure.Invalid {
				t.Fatalf("proved a log that shrank: %v", err)
			}
		}
	})
}

func TestParseConsistencyStrict(t *testing.T) {
	t.Parallel()
	l := &memLog{}
	l.grow(t, 3)
	good := string(audit.EncodeConsistency(0, nil, l.checkpoint(t, newSigner(t, origin))))
	for name, edit := range map[string][2]string{
		"no size":        {"old 0\n", "\n"},
		"leading zero":   {"old 0", "old 00"},
		"negative":       {"old 0", "old -1"},
		"bad hash":       {"old 0\n", "old 0\nx\n"},
		"no empty line":  {"\n\n", "\n"},
		"bad checkpoint": {origin, ""},
	} {
		bad := strings.Replace(good, edit[0], edit[1], 1)
		if _, _, _, err := audit.ParseConsistency([]byte(bad)); tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	l := &memLog{}
	l.grow(f, 5)
	signer := newSigner(f, origin)
	p, err := audit.Prove(l.checkpoint(f, signer), 2, l)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Encode())
	p.Extra = []byte("extra")
	f.Add(p.Encode())
	verifier := note.Verifier(signer.Verifier())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := audit.ParseProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatalf("%q is encoded again as %q", b, p.Encode())
		}
		if _, err := p.Verify([]byte("no entry"), origin, verifier); err == nil {
			t.Fatal("a proof of what isn't in the log")
		}
	})
}
