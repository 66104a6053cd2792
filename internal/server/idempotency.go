package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
)

// replayFor is how long an answer is given again under its Idempotency-Key.
const replayFor = 24 * time.Hour

// maxReplays bounds how many answers are kept; the oldest go first.
const maxReplays = 100_000

// kept is a request's key with its answer; a zero status is under way.
type kept struct {
	path, digest string
	status       int
	header       http.Header
	answer       []byte
	at           time.Time
}

// replays keep the answers of requests that bring an Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header).
type replays struct {
	now func() time.Time

	mu  sync.Mutex
	all map[[2]string]*kept // by caller and key
	old [][2]string         // in the order of their making
}

// begin gives the answer of an earlier request again, or makes room for this one's:
// finish keeps it. Another request under the same key is Conflict, and so is one
// whose first is still under way.
func (k *replays) begin(_ context.Context, x *exchange, rt Route) (finish func(), replayed bool, err error) {
	key := x.r.Header.Get("Idempotency-Key")
	if rt.Verb != http.MethodPost || key == "" {
		return func() {}, false, nil
	}
	if len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, false, tenure.Errorf(tenure.Invalid, "an Idempotency-Key has at most 200 printable bytes")
	}
	c := x.call.Caller
	id := [2]string{string(c.Kind) + " " + string(c.Principal) + " " + c.Name, key}
	digest := tenure.Digest(append([]byte(x.r.URL.RequestURI()+"\n"), x.body...))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget()
	have := k.all[id]
	switch {
	case have == nil:
	case have.path != x.r.URL.Path || have.digest != digest:
		return nil, false, tenure.Errorf(tenure.Conflict, "another request was sent under this Idempotency-Key").WithHint("a new request takes a new key")
	case have.status == 0:
		return nil, false, tenure.Errorf(tenure.Conflict, "the first request under this Idempotency-Key is still under way").Retryable()
	default:
		have.replay(x)
		return nil, true, nil
	}
	mine := &kept{path: x.r.URL.Path, digest: digest, at: k.now()}
	k.all[id] = mine
	k.old = append(k.old, id)
	return func() { k.finish(id, mine, x, rt) }, false, nil
}

// finish keeps an answer. A fault of ours isn't kept: the next try does the work.
func (k *replays) finish(id [2]string, mine *kept, x *exchange, rt Route) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if x.status == 0 || x.status >= 500 || x.failed && retryable(x.answer.Bytes()) { // 0: a panic
		delete(k.all, id)
		return
	}
	mine.status, mine.header, mine.answer = x.status, x.header.Clone(), append([]byte(nil), x.answer.Bytes()...)
	if rt.Once && !x.failed {
		p, _ := x.s.problem(x.r, tenure.Errorf(tenure.Conflict, "the answer to this request held a secret and was given once"))
		body, _ := json.Marshal(p)
		mine.status, mine.answer = p.Status, body
		mine.header = http.Header{"Content-Type": {"application/problem+json"}}
	}
}

func retryable(problem []byte) bool {
	var p struct {
		Retry bool `json:"retry"`
	}
	return json.Unmarshal(problem, &p) == nil && p.Retry
}

// forget drops what is too old, or too much.
func (k *replays) forget() {
	for len(k.old) > 0 {
		have := k.all[k.old[0]]
		if have != nil && len(k.old) < maxReplays && k.now().Sub(have.at) < replayFor {
			return
		}
		delete(k.all, k.old[0])
		k.old = k.old[1:]
	}
}

func (k *kept) replay(x *exchange) {
	for name, v := range k.header {
		x.header[name] = v
	}
	x.header.Set("Idempotency-Replayed", "true")
	x.status = k.status
	x.answer.Write(k.answer)
}
