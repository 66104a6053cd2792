package http

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector/rest"
)

// maxPages bounds one listing.
const maxPages = 100_000

// ahead is how many pages are fetched while earlier ones are still being read.
const ahead = 2

// each gives every item of a list, page by page, and says whether all were shown. Items that
// come twice, as pages shift while others write, are given once: id is how they are told.
// Pages are fetched while earlier ones are read.
func (d *described) each(ctx context.Context, l *listSpec, v vars, id string, yield func(item any) error) (complete bool, err error) {
	if l.Pages == nil {
		return d.pages(ctx, l, v, id, func(items []any) error {
			for _, item := range items {
				if err := yield(item); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ctx, stop := context.WithCancel(ctx)
	fetched, ended := make(chan []any, ahead), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(fetched)
		complete, err = d.pages(ctx, l, v, id, func(items []any) error {
			select {
			case fetched <- items:
				return nil
			case <-ctx.Done():
				return tenure.Errorf(tenure.Unavailable, "%s: %w", d.Name, context.Cause(ctx)).Retryable()
			}
		})
	}()
	var bad error
	for items := range fetched {
		for _, item := range items {
			if bad == nil {
				bad = yield(item)
			}
		}
		if bad != nil {
			break
		}
	}
	stop()
	<-ended
	if bad != nil {
		return false, bad
	}
	return complete, err
}

// passes bounds how often a list is read whose pages slide meanwhile.
const passes = 4

// reading is one pass over a list.
type reading struct {
	ids   map[string]bool
	pages int
	fell  bool // the total did, between two pages
	whole bool
}

// pages fetches the pages of a list one after the other, and gives the items of each that
// weren't given before. Where something goes from an earlier page meanwhile, what follows
// moves up past a page's edge. It is seen by the total, which falls; where none is told, by
// reading the list again: nothing went of what a pass has shown if the next one shows all of
// it. What comes meanwhile does no harm.
func (d *described) pages(ctx context.Context, l *listSpec, v vars, id string, yield func(items []any) error) (complete bool, err error) {
	given := map[string]bool{}
	var before map[string]bool
	for range passes {
		r := &reading{ids: map[string]bool{}}
		if err := d.readThrough(ctx, l, v, id, given, r, yield); err != nil || !r.whole {
			return false, err
		}
		slides := l.Pages != nil && (l.Pages.By == "page" || l.Pages.By == "offset") && l.Pages.Total == "" && r.pages > 2 // the last is empty
		if !r.fell && (!slides || before != nil && r.has(before)) {
			return true, nil
		}
		before = r.ids
	}
	return false, nil
}

func (r *reading) has(all map[string]bool) bool {
	for id := range all {
		if !r.ids[id] {
			return false
		}
	}
	return true
}

// readThrough makes one pass.
func (d *described) readThrough(ctx context.Context, l *listSpec, v vars, id string, given map[string]bool, to *reading, yield func(items []any) error) error {
	p, total := pager{d: d, spec: l.Pages}, int64(-1)
	if l.Pages != nil {
		p.at = l.Pages.First
	}
	for to.pages = 1; to.pages <= maxPages; to.pages++ {
		r, err := d.request(l.requestSpec, v)
		if err != nil {
			return err
		}
		if err := p.turn(&r); err != nil {
			return err
		}
		a, err := d.client.Send(ctx, r)
		if err != nil {
			return err
		}
		if len(l.Absent) > 0 && a.OK(l.Absent...) {
			to.whole = true
			return nil
		}
		if !a.OK(l.Expect...) {
			return a.Err()
		}
		body, err := a.JSON()
		if err != nil {
			return err
		}
		list, place, err := d.items(l, r, body, v)
		if err != nil {
			return err
		}
		if !place {
			return tenure.Errorf(tenure.Unavailable, "%s: the answer has nothing where the description says that the items are", d.Name).Retryable()
		}
		fresh, had := make([]any, 0, len(list)), len(to.ids)
		for _, item := range list {
			key, err := d.word(id, item, v.with("item", item, "entry", item))
			if err != nil {
				return err
			}
			if key == "" {
				return tenure.Errorf(tenure.Unavailable, "%s: an item of a list has no id", d.Name).Retryable()
			}
			to.ids[key] = true
			if !given[key] {
				given[key] = true
				fresh = append(fresh, item)
			}
		}
		wanted, err := d.where(l, fresh, v)
		if err != nil {
			return err
		}
		if err := yield(wanted); err != nil {
			return err
		}
		if l.Pages != nil && l.Pages.Total != "" {
			t, err := d.field(l.Pages.Total, body, v.with("body", body))
			if err != nil {
				return err
			}
			n, ok := t.(int64)
			if !ok || n < 0 {
				return nil // how many there are isn't told
			}
			to.fell = to.fell || n < total
			total = n
		}
		count := int64(len(to.ids))
		more, err := p.next(a, body, v, len(list), len(to.ids)-had, count, total)
		if err != nil {
			return err
		}
		if !more {
			if total >= 0 && count < total {
				return nil // some were moved between pages, or hidden
			}
			to.whole, err = d.is(l.Complete, true, v.with("body", body, "count", count))
			return err
		}
	}
	return tenure.Errorf(tenure.Unavailable, "%s: a list has more than %d pages", d.Name, maxPages)
}

// items are those of a page, and whether the page has a place for them; an expression that
// gives none has not.
func (d *described) items(l *listSpec, r rest.Request, body any, v vars) (list []any, given bool, err error) {
	found, err := d.field(l.Items, body, v.with("body", body))
	if err != nil || found == nil { // many write null for an empty list, which is an answer all the same
		_, given = rest.At(body, l.Items)
		return nil, given, err
	}
	list, ok := found.([]any)
	if !ok {
		return nil, false, tenure.Errorf(tenure.Unavailable, "%s %s: the answer has no list where the description says that the items are", r.Method, d.Name).Retryable()
	}
	return list, true, nil
}

// where are the items that the description wants of a list.
func (d *described) where(l *listSpec, items []any, v vars) ([]any, error) {
	if l.Where == "" {
		return items, nil
	}
	var out []any
	for _, item := range items {
		is, err := d.is(l.Where, true, v.with("item", item, "entry", item))
		if err != nil {
			return nil, err
		}
		if is {
			out = append(out, item)
		}
	}
	return out, nil
}

// pager knows which page comes next.
type pager struct {
	d      *described
	spec   *pageSpec
	at     int64
	cursor string
	path   string
	been   map[string]bool
}

// turn has a request ask for the page.
func (p *pager) turn(r *rest.Request) error {
	s := p.spec
	if s == nil {
		return nil
	}
	if p.path != "" {
		r.Path = p.path
		return nil
	}
	add := func(name string, value any) {
		if name == "" {
			return
		}
		sep := "?"
		if strings.Contains(r.Path, "?") {
			sep = "&"
		}
		r.Path += sep + url.QueryEscape(name) + "=" + url.QueryEscape(fmt.Sprint(value))
	}
	if s.Limit != "" {
		add(s.Limit, s.Size)
	}
	switch s.By {
	case "page", "offset":
		add(s.Param, p.at)
	case "cursor":
		if p.cursor == "" {
			return nil
		}
		if s.Param != "" {
			add(s.Param, p.cursor)
			return nil
		}
		return p.inBody(r)
	}
	return nil
}

func (p *pager) inBody(r *rest.Request) error {
	body, err := rest.Answer{Body: r.Body}.JSON()
	if err != nil {
		return err
	}
	m, _ := body.(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	m[p.spec.Body] = p.cursor
	r.Body, err = rest.Body(m)
	return err
}

// next says whether there is another page. A page of fewer than were asked for isn't the
// last: a system may give fewer than it is asked for. An empty one is, or one that has
// nothing new.
func (p *pager) next(a rest.Answer, body any, v vars, got, fresh int, count, total int64) (bool, error) {
	s := p.spec
	if s == nil {
		return false, nil
	}
	var to string
	switch s.By {
	case "page", "offset":
		if got == 0 || total >= 0 && count >= total {
			return false, nil
		}
		if fresh == 0 {
			return false, tenure.Errorf(tenure.Unavailable, "%s: a page of a list has nothing new, as if the system didn't heed which page was asked for", p.d.Name)
		}
		if s.By == "page" {
			p.at++
		} else {
			p.at += int64(got)
		}
		return true, nil
	case "link":
		next, err := p.d.client.Next(a.Header)
		if err != nil {
			return false, err
		}
		to, p.path = next, next
	case "url":
		next, err := p.d.word(s.Next, body, v.with("body", body))
		if err != nil {
			return false, err
		}
		if to = next; next != "" {
			if p.path, err = p.d.client.Under(next); err != nil {
				return false, err
			}
		}
	case "cursor":
		next, err := p.d.word(s.Next, body, v.with("body", body))
		if err != nil {
			return false, err
		}
		to, p.cursor = next, next
	}
	if to == "" {
		return false, nil
	}
	if p.been == nil {
		p.been = map[string]bool{}
	}
	if p.been[to] {
		return false, tenure.Errorf(tenure.Unavailable, "%s: a list's pages go round in a circle", p.d.Name)
	}
	p.been[to] = true
	return true, nil
}
