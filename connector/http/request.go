package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
	"github.com/tenurehq/tenure/internal/source"
)

// vars are what a request's expressions read.
type vars map[string]any

func (v vars) with(pairs ...any) vars {
	out := make(vars, len(v)+len(pairs)/2)
	for k, e := range v {
		out[k] = e
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// described is an opened system that a description describes.
type described struct {
	*Description
	client  *rest.Client
	marker  connector.Marker
	options vars
	now     func() time.Time
	turns   map[string]chan struct{} // by type, of those of which one is changed at a time
	sent    sync.Map                 // resources whose making was asked for, and not answered yet
}

// asked says whether the making of a resource was asked for and not answered: it may have
// been made, and what finds things quickly may not have it yet.
func (d *described) asked(id tenure.ResourceID) bool {
	_, is := d.sent.Load(id)
	return is
}

// errSegment is of an id or a name that servers on the way may take for more than one segment
// of a path, or for none, also when it is escaped.
var errSegment = errors.New("can't stand in a path")

// turn waits until no other thing of a type that is changed one at a time is being changed.
func (d *described) turn(ctx context.Context, t *typeSpec) (end func(), err error) {
	turn, ok := d.turns[t.Name]
	if !ok {
		return func() {}, nil
	}
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, tenure.Errorf(tenure.Unavailable, "another %s is being changed: %v", t.Name, ctx.Err())
	}
}

// Close lets go of idle connections.
func (d *described) Close() error {
	d.client.Close()
	return nil
}

// request puts a described request together.
func (d *described) request(s requestSpec, v vars) (r rest.Request, err error) {
	r = rest.Request{Method: s.Method, Again: s.Again, Header: http.Header{}}
	if secret, _ := v["credential"].(string); secret != "" {
		r.Hidden = []tenure.Secret{tenure.NewSecret(secret)}
	}
	if r.Path, err = d.path(s.Path, v); err != nil {
		return r, err
	}
	query := url.Values{}
	for key, from := range s.Query {
		value, err := d.tree(from, v)
		if err != nil {
			return r, err
		}
		addTo(query, key, value)
	}
	if len(query) > 0 {
		sep := "?"
		if strings.Contains(r.Path, "?") {
			sep = "&"
		}
		r.Path += sep + query.Encode()
	}
	for name, from := range s.Header {
		value, err := d.eval(from, v)
		if err != nil {
			return r, err
		}
		if value == omitted {
			continue
		}
		r.Header.Set(name, fmt.Sprint(value))
	}
	switch {
	case s.Form != nil:
		form := url.Values{}
		for key, from := range s.Form {
			value, err := d.tree(from, v)
			if err != nil {
				return r, err
			}
			addTo(form, key, value)
		}
		r.Body, r.Type = []byte(form.Encode()), "application/x-www-form-urlencoded"
	case s.Body != nil:
		value, err := d.tree(s.Body, v)
		if err != nil {
			return r, err
		}
		if r.Body, err = rest.Body(value); err != nil {
			return r, err
		}
		r.Type = r.Header.Get("Content-Type")
	}
	return r, nil
}

func addTo(to url.Values, key string, value any) {
	switch value := value.(type) {
	case nil:
	case []any:
		for _, e := range value {
			addTo(to, key, e)
		}
	default:
		if value != omitted {
			to.Add(key, fmt.Sprint(value))
		}
	}
}

// path evaluates a path. Each expression stands for one segment or a part of one: a value
// that would be more, or another, is Invalid.
func (d *described) path(from string, v vars) (string, error) {
	t := d.texts[from]
	if t == nil {
		return "", tenure.Errorf(tenure.Internal, "a path of %s wasn't compiled", d.Name)
	}
	var b strings.Builder
	for _, p := range t.Parts {
		if !p.IsExpression() {
			b.WriteString(p.Literal)
			continue
		}
		value, err := dialect().Run(p, v)
		if err != nil {
			return "", tenure.Errorf(tenure.Invalid, "%s: ${%s} %w", d.Name, source.Clip(p.Source), err)
		}
		var segment string
		switch value := value.(type) {
		case string, int64:
			segment = fmt.Sprint(value)
		default:
			return "", tenure.Errorf(tenure.Invalid, "%s: ${%s} gives what can't stand in a path", d.Name, source.Clip(p.Source))
		}
		if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, "/\\\x00") {
			return "", tenure.Errorf(tenure.Invalid, "%q %w: nothing can be asked of what has this id or name", source.Clip(segment), errSegment).
				WithHint("if the system gave it to something that was just made, remove that there by hand")
		}
		b.WriteString(url.PathEscape(segment))
	}
	return b.String(), nil
}

// tree evaluates a value with all its texts.
func (d *described) tree(from any, v vars) (any, error) {
	switch from := from.(type) {
	case string:
		return d.eval(from, v)
	case []any:
		out := make([]any, 0, len(from))
		for _, e := range from {
			value, err := d.tree(e, v)
			if err != nil {
				return nil, err
			}
			if value != omitted {
				out = append(out, value)
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(from))
		for k, e := range from {
			value, err := d.tree(e, v)
			if err != nil {
				return nil, err
			}
			if value != omitted {
				out[k] = value
			}
		}
		return out, nil
	}
	return from, nil
}

// send makes a described request and reads its answer. A status that isn't expected is an
// error, unless it is among also.
func (d *described) send(ctx context.Context, s requestSpec, v vars, also ...int) (a rest.Answer, body any, err error) {
	r, err := d.request(s, v)
	if err != nil {
		return a, nil, err
	}
	if a, err = d.ask(ctx, r); err != nil {
		return a, nil, err
	}
	if !a.OK(s.Expect...) && !(len(also) > 0 && a.OK(also...)) {
		return a, nil, a.Err()
	}
	if !a.OK() {
		return a, nil, nil
	}
	body, err = a.JSON()
	if err != nil && a.Header.Get("Content-Type") != "" && !strings.Contains(a.Header.Get("Content-Type"), "json") {
		return a, string(a.Body), nil // a text, for those who ask for no more than a status
	}
	return a, body, err
}

// field reads a pointer or an expression.
func (d *described) field(from string, at any, v vars) (any, error) {
	if from == "" || strings.HasPrefix(from, "/") {
		value, _ := rest.At(at, from)
		return value, nil
	}
	return d.eval(from, v)
}

// word is a field as a text: an id or a name may be a number.
func (d *described) word(from string, at any, v vars) (string, error) {
	value, err := d.field(from, at, v)
	switch value := value.(type) {
	case string:
		return value, err
	case int64:
		return fmt.Sprint(value), err
	}
	return "", err
}

// act carries out the steps of a change. It gives the last answer's body and whether
// anything was asked for.
func (d *described) act(ctx context.Context, all steps, v vars) (last any, changed bool, err error) {
	v = v.with("status", int64(0), "body", nil)
	for _, s := range all {
		if s.Each != nil {
			did, err := d.actEach(ctx, s, v)
			changed = changed || did
			if err != nil {
				return last, changed, err
			}
			continue
		}
		if do, err := d.is(s.When, true, v); err != nil || !do {
			if err != nil {
				return last, changed, err
			}
			continue
		}
		a, body, err := d.send(ctx, s.requestSpec, v, s.Gone...)
		if err != nil {
			return last, changed, err
		}
		last = body
		if len(s.Gone) > 0 && a.OK(s.Gone...) && !a.OK(s.Expect...) {
			continue
		}
		changed = true
		v = v.with("status", int64(a.Status), "body", body)
		if s.Wait != nil {
			if err := d.wait(ctx, s.Wait, v); err != nil {
				return last, changed, err
			}
		}
	}
	return last, changed, nil
}

// actEach carries a step out for each entry of a list, which is read whole before.
func (d *described) actEach(ctx context.Context, s actionSpec, v vars) (changed bool, err error) {
	var entries []any
	complete, err := d.each(ctx, &s.Each.listSpec, v, s.Each.ID, func(entry any) error { entries = append(entries, entry); return nil })
	if err != nil {
		return false, err
	}
	if !complete {
		return false, tenure.Errorf(tenure.Blocked, "%s didn't show all that a step is to be done for", d.Name)
	}
	one := s
	one.Each = nil
	for _, entry := range entries {
		_, did, err := d.act(ctx, steps{one}, v.with("entry", entry))
		changed = changed || did
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

const (
	waitEvery    = 2 * time.Second
	waitDeadline = 2 * time.Minute
)

// wait asks until what the system accepted is done.
func (d *described) wait(ctx context.Context, w *waitSpec, v vars) error {
	every, deadline := span(w.Every, waitEvery), span(w.Deadline, waitDeadline)
	return rest.Until(ctx, every, deadline, "what "+d.Name+" was asked for", func() (bool, error) {
		r, err := d.request(w.requestSpec, v)
		if err != nil {
			return false, err
		}
		a, err := d.client.Send(ctx, r)
		if err != nil {
			return false, err
		}
		body, _ := a.JSON()
		now := v.with("status", int64(a.Status), "body", body)
		if failed, err := d.is(w.Fails, false, now); err != nil || failed {
			if err == nil {
				err = tenure.Errorf(tenure.Blocked, "the system accepted it, and says that it failed: %w", a.Err())
			}
			return false, err
		}
		return d.is(w.Until, a.OK(), now)
	})
}

// span is a period of days, hours and seconds as a duration.
func span(p tenure.Period, none time.Duration) time.Duration {
	if p.IsZero() {
		return none
	}
	from := time.Unix(0, 0).UTC()
	return p.After(from).Sub(from)
}
