package http

import (
	"context"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/rest"
)

// demand is what the name of a probe's kind asks for.
type demand struct {
	auth     string // "" leaves it to the probe
	statuses func(int) bool
	usual    []int
	says     string
}

func demandOf(kind string) (demand, bool) {
	one := func(list ...int) demand {
		return demand{statuses: func(s int) bool { return slices.Contains(list, s) }, usual: list}
	}
	var d demand
	switch kind {
	case "http":
		d = demand{statuses: func(s int) bool { return s >= 100 && s < 500 }, usual: []int{200}, says: "any status below 500"}
	case "reachable":
		d = demand{statuses: func(s int) bool { return s >= 200 && s < 300 }, says: "a status of 200 to 299"}
	case "exposure":
		d = one(401, 403)
		d.auth, d.says = "none", "401 or 403 without a credential"
	case "entitlement":
		d = one(402, 403, 404)
		d.auth, d.says = "credential", "402, 403 or 404 with the credential"
	case "environment":
		d = one(401, 403)
		d.auth, d.says = "credential", "401 or 403 with the test environment's credential"
	default:
		return d, false
	}
	return d, true
}

// request is a probe's parameters, checked.
type request struct {
	rest.Request
	credential tenure.Secret
	expect     func(int) bool
	expected   string
	contains   string
}

// Probe makes one request and judges its answer by status and, if asked, by a
// text in its body.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	r, err := d.request(c)
	if err != nil {
		return connector.Outcome{}, err
	}
	client := d.client
	if !r.credential.IsZero() {
		client = client.As(rest.Bearer(r.credential))
	}
	a, err := client.Send(ctx, r.Request)
	if err != nil {
		return connector.Outcome{}, err
	}
	path, _, _ := strings.Cut(r.Path, "?")
	o := connector.Outcome{Detail: fmt.Sprintf("%s %s: status %d, expected %s", r.Method, path, a.Status, r.expected)}
	switch {
	case !r.expect(a.Status):
	case len(a.Body) > maxBody:
		o.Detail += "; the body is over 1 MiB"
	case !strings.Contains(string(a.Body), r.contains):
		o.Detail += "; the body doesn't hold the expected text"
	default:
		o.Passed = true
	}
	return o, nil
}

const maxBody = 1 << 20

// request refuses every parameter that it doesn't know or that would weaken
// what the kind's name promises.
func (d *Driver) request(c connector.Check) (r request, err error) {
	demand, ok := demandOf(c.Kind)
	if !ok {
		return r, tenure.Errorf(tenure.Invalid, "http has no probe %q", c.Kind)
	}
	if r, err = d.parse(c.Params); err != nil {
		return r, err
	}
	auth := c.Params["auth"]
	switch {
	case auth != "" && auth != "none" && auth != "credential":
		return r, tenure.Errorf(tenure.Invalid, "parameter auth is %q, neither none nor credential", auth)
	case demand.auth != "" && auth != "" && auth != demand.auth:
		return r, tenure.Errorf(tenure.Invalid, "a probe %s can't have auth %s", c.Kind, auth)
	case demand.auth != "":
		auth = demand.auth
	}
	if auth == "credential" {
		if c.Credential.IsZero() {
			return r, tenure.Errorf(tenure.Invalid, "the probe %s needs the credential of a resource", c.Kind).WithHint("name a resource that has one")
		}
		r.credential, r.Hidden = c.Credential, []tenure.Secret{c.Credential}
	}
	r.expect, r.expected, err = expectation(c.Kind, demand, c.Params["expectStatus"])
	return r, err
}

func (d *Driver) parse(params map[string]string) (r request, err error) {
	r = request{Request: rest.Request{Method: "GET", Header: http.Header{}, Body: []byte(params["body"]), Path: params["path"]}, contains: params["expectBody"]}
	if m := params["method"]; m != "" {
		r.Method = m
	}
	if !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}, r.Method) {
		return r, tenure.Errorf(tenure.Invalid, "parameter method is %q", r.Method)
	}
	if len(r.Body) > maxBody {
		return r, tenure.Errorf(tenure.Invalid, "parameter body is over 1 MiB")
	}
	if _, err = d.client.Resolve(r.Path); err != nil {
		return r, err
	}
	for name, value := range params {
		switch name {
		case "method", "path", "body", "auth", "expectStatus", "expectBody":
			continue
		}
		header, ok := strings.CutPrefix(name, "header.")
		if !ok {
			return r, tenure.Errorf(tenure.Invalid, "parameter %q is unknown", name)
		}
		if err := checkHeader(header, value); err != nil {
			return r, err
		}
		r.Header.Set(header, value)
	}
	return r, nil
}

// checkHeader refuses headers that would say who is asking, lead the request
// elsewhere or break its frame.
func checkHeader(name, value string) error {
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Authorization", "Proxy-Authorization", "Cookie", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer":
		return tenure.Errorf(tenure.Invalid, "header %s can't be set", name).WithHint("auth: credential sends the resource's own credential")
	}
	token := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	}
	if name == "" || strings.ContainsFunc(name, token) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return tenure.Errorf(tenure.Invalid, "header %q isn't one (RFC 9110 §5.5)", name)
	}
	return nil
}

// expectation reads expectStatus, which may narrow what the kind demands.
func expectation(kind string, d demand, text string) (expect func(int) bool, says string, err error) {
	list := d.usual
	if text != "" {
		list = nil
		for s := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(s))
			if err != nil || !d.statuses(n) {
				return nil, "", tenure.Errorf(tenure.Invalid, "parameter expectStatus of a probe %s has %q; it demands %s", kind, strings.TrimSpace(s), d.says)
			}
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		return d.statuses, d.says, nil
	}
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return func(s int) bool { return slices.Contains(list, s) }, strings.Join(words, " or "), nil
}
