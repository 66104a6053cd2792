package s3_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure/connector"
)

// number is a variable's value, as make fuzz sets it.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	must(t, err)
	return n
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// TestRandomObjects erases a class of one tenant from a bucket that four share. Where it
// fails, something of the tenant stays behind, or a neighbour loses something, whatever
// they keep there and however large the batches are.
func TestRandomObjects(t *testing.T) {
	t.Parallel()
	w, d := planted(t)
	seed := number(t, "TENURE_RANDOM_SEED", 1)
	for round := range number(t, "TENURE_RANDOM_SCHEMAS", 20) {
		r := rand.New(rand.NewPCG(seed, round))
		name := fmt.Sprintf("seed %d, round %d", seed, round)
		var refs []connector.Ref
		for _, n := range []string{"a", "ab", "a b", "A"} {
			refs = append(refs, ensure(t, d, "prefix", fmt.Sprintf("%s%d%s", base, round, n), map[string]any{"classes": map[string]any{"": "rest", "x/": "files", "x/y": "deep"}}, "rest", "files", "deep"))
		}
		w.scatter(t, r, refs)
		leaver, class, limit := pick(r, refs), pick(r, []string{"rest", "files", "deep", ""}), 1+r.IntN(6)
		_, below := site(leaver)
		before := w.listed(t, shared)
		want := slices.DeleteFunc(slices.Clone(before), func(line string) bool {
			key, ok := strings.CutPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "upload "), `"`), below)
			of := "rest"
			if strings.HasPrefix(key, "x/y") {
				of = "deep"
			} else if strings.HasPrefix(key, "x/") {
				of = "files"
			}
			return ok && (class == "" || class == of)
		})
		// A hold on a prefix keeps what is under it, until it is released.
		hold := connector.Kept{Hold: "hld_0", Prefix: pick(r, []string{"x", "x/", "x/y", "k", "z/", "nothing"}), Class: pick(r, []string{"", "files"})}
		held := slices.DeleteFunc(slices.Clone(before), func(line string) bool {
			key, ok := strings.CutPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "upload "), `"`), below)
			files := strings.HasPrefix(key, "x/") && !strings.HasPrefix(key, "x/y")
			return slices.Contains(want, line) || !ok || !strings.HasPrefix(key, hold.Prefix) || hold.Class == "files" && !files
		})
		says, err := eraseHeld(t, d, leaver, class, limit, hold)
		left := slices.Concat(want, held)
		slices.Sort(left)
		now := w.listed(t, shared)
		slices.Sort(now)
		if err != nil || !slices.Equal(now, left) || connector.Total(says) != int64(len(held)) {
			t.Fatalf("%s: class %q of %s under hold %+v: %d said to be held, %v\nleft:\n%s\nwant:\n%s", name, class, leaver.Name, hold, connector.Total(says), err, strings.Join(now, "\n"), strings.Join(left, "\n"))
		}
		n, err := erase(t.Context(), d, leaver, class, limit)
		n += int64(len(before) - len(left))
		if after := w.listed(t, shared); err != nil || !slices.Equal(after, want) || int(n) != len(before)-len(want) {
			t.Fatalf("%s: class %q of %s: %d of %d went, %v\nleft:\n%s\nwant:\n%s", name, class, leaver.Name, n, len(before)-len(want), err, strings.Join(after, "\n"), strings.Join(want, "\n"))
		}
	}
}

// eraseHeld erases a class under a hold, and gives what stays.
func eraseHeld(t *testing.T, d connector.Driver, r connector.Ref, class string, limit int, hold connector.Kept) ([]connector.Held, error) {
	t.Helper()
	b := connector.Batch{Run: "run", Class: class, Limit: limit, Keep: []connector.Kept{hold}}
	for range 10000 {
		e, err := d.(connector.Eraser).Erase(t.Context(), r, b)
		if b.Cursor = e.Cursor; err != nil || e.Done {
			return e.Held, err
		}
	}
	return nil, fmt.Errorf("not done after 10000 batches")
}

// scatter writes, deletes and begins to upload under the keys of several tenants.
func (w world) scatter(t *testing.T, r *rand.Rand, refs []connector.Ref) {
	t.Helper()
	core := minio.Core{Client: w.root}
	for range 1 + r.IntN(25) {
		_, below := site(pick(r, refs))
		key := below + pick(r, []string{"k", "x", "x/", "x/k", "x/y", "x/yy/k", "x/z k", "z/x/k", "xx/k", "%2F", "ü"})
		switch r.IntN(5) {
		case 0:
			_ = w.root.RemoveObject(t.Context(), shared, key, minio.RemoveObjectOptions{})
		case 1:
			_, _ = core.NewMultipartUpload(t.Context(), shared, key, minio.PutObjectOptions{})
		default: // where it can: the server's file system holds no object below another
			_, _ = w.root.PutObject(t.Context(), shared, key, strings.NewReader("x"), 1, minio.PutObjectOptions{})
		}
	}
}
