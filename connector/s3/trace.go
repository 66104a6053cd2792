package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Tracer = (*Driver)(nil)

// How many buckets are looked at before what they hold is handed on, and how many objects
// are told that lie under no prefix.
const (
	tracedTogether = 64
	tracedLoose    = 10_000
)

// tracing is one look at a server that Tenure may never have seen. It reads settings and
// lists keys; no object but Tenure's own is read.
type tracing struct {
	*Driver
	calls *connector.Budget
	users map[string]listedUser

	mu      sync.Mutex
	unread  map[notRead][]string // buckets, by what of them wasn't read
	reaches map[string][]string  // IDs, by the user who may reach them
}

// notRead is what wasn't read, and why.
type notRead struct{ what, why string }

// What isn't the server's own error: that no call is left, and that a bucket holds too much.
var (
	errSpent = errors.New("no call is left")
	errMany  = errors.New("there are more than are listed")
)

const usedUp = "the allowed calls were used up: "

// Trace is described at connector.Tracer: buckets, the prefixes in them, backups by their
// names, earlier versions, and users where the server tells them.
func (d *Driver) Trace(ctx context.Context, ask connector.Tracing, yield func(connector.Trace) error) (out connector.Traced, err error) {
	t := &tracing{Driver: d, calls: ask.Calls, unread: map[notRead][]string{}, reaches: map[string][]string{}}
	var stop error
	hand := func(all []connector.Trace) error {
		for _, one := range all {
			if stop = yield(one); stop != nil {
				return stop
			}
		}
		return nil
	}
	err = with(ctx, "trace", func() error {
		buckets, says, err := t.buckets(ctx)
		if out.Says = says; err != nil {
			return err
		}
		if slices.ContainsFunc(buckets, func(b listedBucket) bool { return b.Name == d.own }) && t.calls.Spend() {
			if s, since, err := d.system(ctx); err == nil {
				out.Fingerprint = d.fingerprint(s, since)
			}
		}
		buckets = slices.DeleteFunc(buckets, func(b listedBucket) bool { return b.Name == d.own })
		out.Says = append(out.Says, t.readUsers(ctx)...)
		looked, loose, untold := 0, 0, 0
		for part := range slices.Chunk(buckets, tracedTogether) {
			found := make([]lookedAt, len(part))
			places := make([]int, len(part))
			for i := range places {
				places[i] = i
			}
			err := each(ctx, places, func(ctx context.Context, i int) error {
				found[i] = t.bucket(ctx, part[i])
				return ctx.Err()
			})
			if err != nil {
				return err
			}
			for _, f := range found {
				if f.ok {
					looked++
				}
				some := f.loose[:min(len(f.loose), tracedLoose-loose)]
				loose, untold = loose+len(some), untold+len(f.loose)-len(some)
				if err := hand(append(f.all, some...)); err != nil {
					return err
				}
			}
		}
		if untold > 0 {
			out.Says = append(out.Says, fmt.Sprintf("more than %d objects lie under no prefix: %d of them aren't told", tracedLoose, untold))
		}
		if n := len(buckets) - looked; n > 0 {
			out.Says = append(out.Says, fmt.Sprintf(usedUp+"%d of %d buckets weren't looked at", n, len(buckets)))
		}
		return hand(t.accounts(buckets))
	})
	if stop != nil {
		return connector.Traced{}, stop
	}
	for u, names := range t.unread {
		out.Says = append(out.Says, u.what+" of "+few(names)+" wasn't read: "+u.why)
	}
	slices.Sort(out.Says)
	return out, err
}

// namedFew is how many names a sentence has.
const namedFew = 5

func few(names []string) string {
	slices.Sort(names)
	text := fmt.Sprintf("%q", names[:min(len(names), namedFew)])
	if n := len(names) - namedFew; n > 0 {
		return fmt.Sprintf("buckets %s and %d more", text, n)
	}
	return "buckets " + text
}

// note writes down what of a bucket wasn't read.
func (t *tracing) note(bucket, what string, err error) {
	u := notRead{what, "the server says " + code(err)}
	switch coded := (*tenure.Error)(nil); {
	case errors.Is(err, errSpent):
		u = notRead{"a part", "the allowed calls were used up"}
	case errors.Is(err, errMany):
		u.why = err.Error()
	case denied(err):
		u.why = "this key may not (" + cmp.Or(code(err), "forbidden") + ")"
	case code(err) == "" && errors.As(classify("it", err), &coded):
		u.why = coded.Error()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.unread[u], bucket) {
		t.unread[u] = append(t.unread[u], bucket)
	}
}

// ask reads one document of a bucket's, "" being the server's own. One that the server is
// too busy for is asked for once more.
func (t *tracing) ask(ctx context.Context, bucket string, query url.Values) (raw []byte, err error) {
	for range 2 {
		if !t.calls.Spend() {
			return nil, cmp.Or(err, errSpent)
		}
		raw, err = t.plain(ctx, t.endpoint, http.MethodGet, "/"+bucket, query.Encode(), nil, nil)
		if err == nil || !tenure.CanRetry(classify("", err)) || missing(err) || ctx.Err() != nil {
			break
		}
	}
	return raw, err
}

// setting reads a bucket's document, such as its policy; nil if the server says that there
// is none. Known is false where the server doesn't do such a thing, or doesn't tell it.
func (t *tracing) setting(ctx context.Context, bucket, query, what string, none ...string) (raw []byte, known bool) {
	raw, err := t.ask(ctx, bucket, url.Values{query: {""}})
	return t.settled(bucket, what, raw, err, none...)
}

func (t *tracing) settled(bucket, what string, raw []byte, err error, none ...string) ([]byte, bool) {
	switch {
	case err == nil:
		return raw, true
	case is(err, none...):
		return nil, true
	case !unable(err):
		t.note(bucket, what, err)
	}
	return nil, false
}

type listedBucket struct {
	Name         string
	CreationDate time.Time
}

// lookedAt is what is told of one bucket. Not ok: no call was left for it.
type lookedAt struct {
	all   []connector.Trace
	loose []connector.Trace // objects under no prefix
	ok    bool
}

// buckets are all that the key is told of, and those of the option shared.
func (t *tracing) buckets(ctx context.Context) (out []listedBucket, says []string, err error) {
	for from := ""; ; {
		query := url.Values{}
		if from != "" {
			query.Set("continuation-token", from)
		}
		raw, err := t.ask(ctx, "", query)
		if errors.Is(err, errSpent) {
			says = append(says, usedUp+"not all buckets were listed")
			break
		}
		if denied(err) && len(t.shared) > 0 {
			says = append(says, "this key may not list buckets: only those of the option shared were looked at")
			break
		}
		if err != nil {
			return nil, says, err
		}
		var list struct {
			XMLName           xml.Name       `xml:"ListAllMyBucketsResult"`
			Buckets           []listedBucket `xml:"Buckets>Bucket"`
			ContinuationToken string
		}
		if err := xml.Unmarshal(raw, &list); err != nil {
			return nil, says, tenure.Errorf(tenure.Unavailable, "what answers isn't a list of buckets").Retryable().
				WithHint("see whether the option endpoint names the S3 server, or a page or a proxy before it")
		}
		out = append(out, list.Buckets...)
		if list.ContinuationToken == "" || list.ContinuationToken == from {
			break
		}
		from = list.ContinuationToken
	}
	for _, b := range t.shared { // a key may reach one that it doesn't own, and isn't told of it
		if !slices.ContainsFunc(out, func(l listedBucket) bool { return l.Name == b.bucket }) {
			out = append(out, listedBucket{Name: b.bucket})
		}
	}
	slices.SortFunc(out, func(a, b listedBucket) int { return cmp.Compare(a.Name, b.Name) })
	return out, says, nil
}

// readUsers reads the server's users, where it has a way to.
func (t *tracing) readUsers(ctx context.Context) (says []string) {
	if !t.Driver.users {
		return []string{"users weren't looked at: S3 tells none, and the option users names no administration API"}
	}
	if !t.calls.Spend() {
		return []string{usedUp + "users weren't looked at"}
	}
	var err error
	if t.users, err = t.roles(ctx); err != nil {
		return []string{"users can't be read: " + cmp.Or(code(err), "the answer can't be read")}
	}
	delete(t.users, t.access)
	return nil
}

// accounts are the users with what the buckets' policies and access lists let them reach;
// an administrator reaches all buckets.
func (t *tracing) accounts(buckets []listedBucket) (out []connector.Trace) {
	for _, name := range slices.Sorted(maps.Keys(t.users)) {
		one := connector.Trace{Kind: connector.TraceAccount, Type: user, Word: "user", Name: name, ID: userID(name), Rows: -1, Bytes: -1, Reaches: t.reaches[name]}
		if t.users[name].role == "admin" {
			one.Reaches = nil
			for _, b := range buckets {
				one.Reaches = append(one.Reaches, bucketID(b.Name))
			}
		}
		slices.Sort(one.Reaches)
		one.Reaches = slices.Compact(one.Reaches)
		if _, aside := t.openSecret(name, t.users[name].secret); aside {
			one.Disabled = true
		}
		out = append(out, one)
	}
	return out
}

func userID(name string) string            { return "user:" + name }
func bucketID(name string) string          { return "bucket:" + name }
func prefixID(bucket, below string) string { return "prefix:" + bucket + "/" + below }
