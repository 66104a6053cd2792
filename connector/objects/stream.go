package objects

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"

	"github.com/tenurehq/tenure"
)

// Result is what a rewriting makes, by its length and its SHA-256.
type Result struct {
	Size int64
	Sum  [sha256.Size]byte
}

func digest(all map[string]Transform) [sha256.Size]byte {
	raw, _ := json.Marshal(all)
	return sha256.Sum256(raw)
}

// Measure reads a source and keeps nothing of it.
func Measure(ctx context.Context, in io.Reader) (r Result, err error) {
	h := sha256.New()
	r.Size, err = io.Copy(h, &reading{ctx, in})
	copy(r.Sum[:], h.Sum(nil))
	return r, err
}

// Foresee says what a rewriting will make, and writes nothing.
func (t Transform) Foresee(ctx context.Context, in io.Reader, how How) (Result, error) {
	return t.Into(ctx, in, io.Discard, how)
}

// counting counts what is written.
type counting struct {
	w    io.Writer
	size int64
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.size += int64(n)
	return n, err
}

// Stream is a rewriting as a reader, which ends well only if it made what was foreseen:
// its last byte comes after that is known. Close it.
func (t Transform) Stream(ctx context.Context, in io.Reader, how How, want Result) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		held := &holding{w: w}
		h := sha256.New()
		n := &counting{w: io.MultiWriter(h, held)}
		err := t.Rewrite(ctx, in, n, how)
		if got := [sha256.Size]byte(h.Sum(nil)); err == nil && (n.size != want.Size || got != want.Sum) {
			err = tenure.Errorf(tenure.Unavailable, "it changed while it was read").Retryable()
		}
		if err == nil {
			err = held.release()
		}
		_ = w.CloseWithError(err)
	}()
	return r
}

// holding keeps the last byte back until it is released.
type holding struct {
	w    io.Writer
	last []byte
}

func (h *holding) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := h.release(); err != nil {
		return 0, err
	}
	if _, err := h.w.Write(b[:len(b)-1]); err != nil {
		return 0, err
	}
	h.last = []byte{b[len(b)-1]}
	return len(b), nil
}

func (h *holding) release() error {
	if h.last == nil {
		return nil
	}
	_, err := h.w.Write(h.last)
	h.last = nil
	return err
}

// Into rewrites into a writer, and says what was made.
func (t Transform) Into(ctx context.Context, in io.Reader, out io.Writer, how How) (Result, error) {
	h := sha256.New()
	n := &counting{w: io.MultiWriter(h, out)}
	err := t.Rewrite(ctx, in, n, how)
	r := Result{Size: n.size}
	copy(r.Sum[:], h.Sum(nil))
	return r, err
}
