package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

const (
	defaultPage = 50
	maxPage     = 500
)

func limitOf(p client.Paging) int {
	if p.Limit < 1 {
		return defaultPage
	}
	return min(p.Limit, maxPage)
}

// cursorSum is how many bytes of a cursor bind it.
const cursorSum = 12

// cursor is where a page ended, in the words of the list's own order: opaque to who
// gets it, good whatever is added or removed meanwhile, and good for this list, this
// filter and this caller alone.
func (c *Call) cursor(at any) string {
	b, _ := json.Marshal(at)
	return base64.RawURLEncoding.EncodeToString(append(c.bind(b), b...))
}

// bind is what a cursor begins with: a digest of whose it is, of which list under
// which filter, and of its place. It keeps no secret: what somebody may see is asked
// with each page.
func (c *Call) bind(place []byte) []byte {
	filter := c.x.r.URL.Query()
	filter.Del("cursor")
	filter.Del("limit")
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", callerOf(c.Caller), c.x.r.URL.Path, filter.Encode(), place))
	return sum[:cursorSum]
}

// after reads a cursor; a blank one leaves at as it is.
func (c *Call) after(cursor string, at any) error {
	if cursor == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < cursorSum || !bytes.Equal(b[:cursorSum], c.bind(b[cursorSum:])) || json.Unmarshal(b[cursorSum:], at) != nil {
		return tenure.Errorf(tenure.Invalid, "the cursor isn't of this list, under this filter, for %s", c.By()).WithHint("take it from the next of the page before, and change nothing but the limit")
	}
	return nil
}

// pageInOrder cuts a page out of a list that stands in an order of its own: what
// comes after the item of the cursor's key. An item that has gone meanwhile makes the
// cursor Invalid, since nobody knows what came after it.
func pageInOrder[T any](c *Call, all []T, p client.Paging, key func(T) string) (client.Page[T], error) {
	out := client.Page[T]{Items: []T{}}
	var from string
	if err := c.after(p.Cursor, &from); err != nil {
		return out, err
	}
	begin := 0
	if p.Cursor != "" {
		at := slices.IndexFunc(all, func(v T) bool { return key(v) == from })
		if at < 0 {
			return out, tenure.Errorf(tenure.Invalid, "the cursor is stale: what the page before ended with has gone from the list").WithHint("begin with the first page again")
		}
		begin = at + 1
	}
	end := min(len(all), begin+limitOf(p))
	out.Items = append(out.Items, all[begin:end]...)
	if end < len(all) {
		out.Next = c.cursor(key(all[end-1]))
	}
	return out, nil
}

// whole is a list that comes in one page.
func whole[T any](items []T) client.Page[T] {
	if items == nil {
		items = []T{}
	}
	return client.Page[T]{Items: items}
}

// each converts a list's items.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}
