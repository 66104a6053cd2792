package rest

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

// At is what a JSON pointer (RFC 6901) leads to in a plain value; ok is false where it
// leads nowhere. "" is the whole.
func At(v any, pointer string) (at any, ok bool) {
	if pointer == "" {
		return v, true
	}
	if !strings.HasPrefix(pointer, "/") {
		return nil, false
	}
	for step := range strings.SplitSeq(pointer[1:], "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch in := v.(type) {
		case map[string]any:
			if v, ok = in[step]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) || strconv.Itoa(i) != step {
				return nil, false
			}
			v = in[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// Next is the path, under the base, of the page that a Link header (RFC 8288) calls next, or
// "" if it calls none. One that isn't under the base is Blocked: a credential would go there.
func (c *Client) Next(h http.Header) (string, error) {
	for _, line := range h.Values("Link") {
		for part := range strings.SplitSeq(line, ",") {
			target, params, _ := strings.Cut(part, ";")
			target = strings.TrimSpace(target)
			if !strings.HasPrefix(target, "<") || !strings.HasSuffix(target, ">") {
				continue
			}
			for p := range strings.SplitSeq(params, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
				if strings.EqualFold(name, "rel") && strings.EqualFold(strings.Trim(value, `"`), "next") {
					return c.Under(target[1 : len(target)-1])
				}
			}
		}
	}
	return "", nil
}

// Under is the path, under the base, of a URL that the system named. One that isn't under
// the base is Blocked.
func (c *Client) Under(address string) (string, error) {
	u, err := url.Parse(address)
	if err == nil && u.Host == "" && strings.HasPrefix(address, "/") {
		u = c.base.ResolveReference(u)
	}
	if err != nil || u.Scheme != c.base.Scheme || u.Host != c.base.Host || u.User != nil || u.Fragment != "" || !strings.HasPrefix(u.EscapedPath(), c.base.EscapedPath()+"/") {
		return "", tenure.Errorf(tenure.Blocked, "the system names a further page that isn't under its base").WithHint("the option base has to be the address that the system knows itself by")
	}
	path := strings.TrimPrefix(u.EscapedPath(), c.base.EscapedPath())
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path, nil
}

// Until asks done again and again until it says so. After the deadline it is Unavailable
// and worth a retry: what was accepted may still be under way.
func Until(ctx context.Context, every, deadline time.Duration, what string, done func() (bool, error)) error {
	ends := time.Now().Add(deadline)
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		if time.Now().Add(every).After(ends) {
			return tenure.Errorf(tenure.Unavailable, "%s was accepted and isn't done after %s", what, deadline).Retryable()
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return tenure.Errorf(tenure.Unavailable, "%s: %w", what, context.Cause(ctx)).Retryable()
		}
	}
}
