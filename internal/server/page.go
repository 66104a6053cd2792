package server

import (
	"encoding/base64"
	"encoding/json"
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

// cursor is where a page ended, in the words of the list's own order: opaque to who
// gets it, and good whatever is added or removed meanwhile.
func cursor(at any) string {
	b, _ := json.Marshal(at)
	return base64.RawURLEncoding.EncodeToString(b)
}

// after reads a cursor; a blank one leaves at as it is.
func after(c string, at any) error {
	if c == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err == nil {
		err = json.Unmarshal(b, at)
	}
	if err != nil {
		return tenure.Errorf(tenure.Invalid, "the cursor is none of ours").WithHint("take it from the next of the page before")
	}
	return nil
}

// pageInOrder cuts a page out of a list that stands in an order of its own: what
// comes after the item of the cursor's key. An item that has gone meanwhile ends
// the list with Conflict, since nobody knows what came after it.
func pageInOrder[T any](all []T, p client.Paging, key func(T) string) (client.Page[T], error) {
	out := client.Page[T]{Items: []T{}}
	var from string
	if err := after(p.Cursor, &from); err != nil {
		return out, err
	}
	begin := 0
	if p.Cursor != "" {
		at := slices.IndexFunc(all, func(v T) bool { return key(v) == from })
		if at < 0 {
			return out, tenure.Errorf(tenure.Conflict, "what the page before ended with has gone from the list").WithHint("begin with the first page again")
		}
		begin = at + 1
	}
	end := min(len(all), begin+limitOf(p))
	out.Items = append(out.Items, all[begin:end]...)
	if end < len(all) {
		out.Next = cursor(key(all[end-1]))
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
