package client

import (
	"context"
	"iter"
)

// Page is a part of a list. Next, where there is more, is the cursor of the
// following page; it stays good when something is added or removed meanwhile.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Paging says which part of a list is wanted.
type Paging struct {
	Cursor string `query:"cursor" doc:"next of the previous page; opaque" maxLength:"512"`
	Limit  int    `query:"limit" doc:"at most this many; the default is 50" minimum:"1" maximum:"500"`
}

// Page gives the part that is wanted, to be changed.
func (p *Paging) Page() *Paging { return p }

// Paged is a pointer to a struct of parameters that embeds Paging.
type Paged interface{ Page() *Paging }

type paged[P any] interface {
	*P
	Paged
}

// All walks a list from p on, page by page. After an error it ends.
func All[P, T any, Q paged[P]](ctx context.Context, c *Client, e Endpoint[P, Page[T]], p P) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			page, err := e.Call(ctx, c, p)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			Q(&p).Page().Cursor = page.Next
		}
	}
}

// UpTo collects at most n items of a list; n under 1 is all of it.
func UpTo[P, T any, Q paged[P]](ctx context.Context, c *Client, e Endpoint[P, Page[T]], p P, n int) ([]T, error) {
	part := Q(&p).Page()
	part.Limit = 500
	if n > 0 {
		part.Limit = min(n, 500)
	}
	out := []T{}
	for {
		page, err := e.Call(ctx, c, p)
		if err != nil {
			return nil, err
		}
		if out = append(out, page.Items...); n > 0 && len(out) >= n {
			return out[:n], nil
		}
		if part.Cursor = page.Next; page.Next == "" {
			return out, nil
		}
	}
}
