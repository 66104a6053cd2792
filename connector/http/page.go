package http

import (
	"context"
	"fmt"
	nethttp "net/http"
	"net/url"
	"slices"
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
	ids    map[string]bool
	filled int  // pages that had something
	fell   bool // the total did, between two pages
	slid   bool // something went from a page that was read, before the next one was
	whole  bool
}

// pages fetches the pages of a list one after the other, and gives the items of each that
// weren't given before. Where something goes from an earlier page meanwhile, what follows
// moves up past a page's edge, unseen. By offset each page begins with the last item of the
// one before it, which shows that nothing moved past. Other lists of more than one page are
// read again: nothing went of what a pass has shown if the next one shows all of it. What
// comes meanwhile does no harm.
func (d *described) pages(ctx context.Context, l *listSpec, v vars, id string, yield func(items []any) error) (complete bool, err error) {
	given := map[string]bool{}
	var before map[string]bool
	for range passes {
		r := &reading{ids: map[string]bool{}}
		if err := d.readThrough(ctx, l, v, id, given, r, yield); err != nil || !r.whole {
			return false, err
		}
		if glances(ctx) {
			return true, nil
		}
		stands := r.filled < 2 || l.Pages.Stable || l.Pages.By == "offset" && !r.slid
		if !r.fell && (stands || before != nil && r.has(before)) {
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
	for range maxPages {
		r, err := d.request(l.requestSpec, v)
		if err != nil {
			return err
		}
		if err := p.turn(&r); err != nil {
			return err
		}
		a, err := d.ask(ctx, r)
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
		if a.Status == nethttp.StatusPartialContent && !slices.Contains(l.Expect, a.Status) {
			return nil // RFC 9110, 15.3.7: a part of what was asked for
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
		keys := make([]string, 0, len(list))
		for _, item := range list {
			key, err := d.word(id, item, v.with("item", item, "entry", item))
			if err != nil {
				return err
			}
			if key == "" {
				return tenure.Errorf(tenure.Unavailable, "%s: an item of a list has no id", d.Name).Retryable()
			}
			to.ids[key] = true
			keys = append(keys, key)
			if !given[key] {
				given[key] = true
				fresh = append(fresh, item)
			}
		}
		if len(list) > 0 {
			to.filled++
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
		more, err := p.next(a, body, v, keys, len(to.ids)-had, total)
		if err != nil {
			return err
		}
		to.slid = p.slid
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
	read   int64 // page: how many were given so far
	cursor string
	path   string
	been   map[string]bool

	// By offset a page begins with the last item of the one before it.
	edge  string // that item's id, "" where the next page begins past it
	alone bool   // the system doesn't heed where such a page is to begin
	slid  bool   // a page didn't have it
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

func (p *pager) unheeded() error {
	return tenure.Errorf(tenure.Unavailable, "%s: a page of a list has nothing new, as if the system didn't heed which page was asked for", p.d.Name)
}

// offset moves on by what a page gave. Nothing that stands behind the last item of a page
// has moved before it if the next page still has that item.
func (p *pager) offset(keys []string, fresh int, total int64) (bool, error) {
	end := p.at + int64(len(keys))
	lapped := p.edge != ""
	p.slid = p.slid || lapped && !slices.Contains(keys, p.edge)
	switch {
	case len(keys) == 0 || total >= 0 && end-p.spec.First >= total:
		return false, nil
	case lapped && len(keys) == 1 && keys[0] == p.edge: // it gives one at a time, or this was the last
		p.at, p.edge = end, ""
	case lapped && fresh == 0:
		p.at, p.edge, p.alone, p.slid = p.at+1, "", true, true
	case fresh == 0:
		return false, p.unheeded()
	case p.alone:
		p.at = end
	default:
		p.at, p.edge = end-1, keys[len(keys)-1]
	}
	return true, nil
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
func (p *pager) next(a rest.Answer, body any, v vars, keys []string, fresh int, total int64) (bool, error) {
	s := p.spec
	if s == nil {
		return false, nil
	}
	var to string
	switch s.By {
	case "page":
		p.read += int64(len(keys))
		if len(keys) == 0 || total >= 0 && p.read >= total {
			return false, nil
		}
		if fresh == 0 {
			return false, p.unheeded()
		}
		p.at++
		return true, nil
	case "offset":
		return p.offset(keys, fresh, total)
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
