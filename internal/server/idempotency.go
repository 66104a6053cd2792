package server

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// replayFor is how long an answer is given again under its Idempotency-Key.
const replayFor = 24 * time.Hour

// takeover is when a request that is still under way was surely left by a process
// that has ended.
const takeover = callLimit + time.Minute

// replays keep the answers of requests that bring an Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header), in the store: a restart forgets
// none.
type replays struct {
	now func() time.Time
	db  *store.DB

	mu    sync.Mutex
	under map[[2]string]chan struct{} // requests under way, by caller and key; closed when they end
}

// alone waits until no other request of this process is under way under a caller's key,
// and says when this one has ended. It doesn't wait for longer than a read takes.
func (k *replays) alone(ctx context.Context, caller, key string) (ended func(), err error) {
	at, mine, late := [2]string{caller, key}, make(chan struct{}), time.After(readLimit)
	for {
		k.mu.Lock()
		under := k.under[at]
		if under == nil {
			if k.under == nil {
				k.under = make(map[[2]string]chan struct{})
			}
			k.under[at] = mine
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				defer k.mu.Unlock()
				delete(k.under, at)
				close(mine)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-under:
		case <-late:
			return nil, underWay()
		case <-ctx.Done():
			return nil, underWay()
		}
	}
}

func underWay() error {
	return tenure.Errorf(tenure.Conflict, "the first request under this Idempotency-Key is still under way").Retryable()
}

// start forgets what is too old and, where one process alone has the store, what a
// former one left under way.
func (k *replays) start(ctx context.Context) error {
	if !k.db.Writable() {
		return nil
	}
	return k.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.DropReplays(k.now().Add(-replayFor), k.db.Dialect == store.SQLite)
		return err
	})
}

// forget drops the answers that are too old. Without any it writes nothing.
func (k *replays) forget(ctx context.Context, now time.Time) error {
	old, err := k.db.HasReplays(ctx, now.Add(-replayFor))
	if err != nil || !old {
		return err
	}
	return k.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.DropReplays(now.Add(-replayFor), false)
		return err
	})
}

// begin gives the answer of an earlier request again, or makes room for this one's:
// finish keeps it. Another request under the same key is Conflict. One whose first is
// still under way gets that one's answer if it comes within the time of a read, and is
// Conflict otherwise.
func (k *replays) begin(ctx context.Context, x *exchange, rt Route) (finish func(), replayed bool, err error) {
	key := x.r.Header.Get("Idempotency-Key")
	if rt.Verb != http.MethodPost || key == "" || !k.db.Writable() {
		return func() {}, false, nil
	}
	if len(x.r.Header.Values("Idempotency-Key")) > 1 {
		return nil, false, tenure.Errorf(tenure.Invalid, "a request has one Idempotency-Key")
	}
	if len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, false, tenure.Errorf(tenure.Invalid, "an Idempotency-Key has at most 200 printable bytes")
	}
	ended, err := k.alone(ctx, callerOf(x.call.Caller), key)
	if err != nil {
		return nil, false, err
	}
	keep, replayed, err := k.claim(ctx, x, rt, key)
	if keep == nil {
		ended()
		return nil, replayed, err
	}
	return func() {
		defer ended()
		keep()
	}, false, nil
}

// claim is begin among the store's processes: finish is nil where an earlier request has
// the answer, or will have it.
func (k *replays) claim(ctx context.Context, x *exchange, rt Route, key string) (finish func(), replayed bool, err error) {
	c := x.call.Caller
	mine := store.Replay{
		Caller: callerOf(c), Key: key, Path: x.r.URL.Path,
		Digest: tenure.Digest(append([]byte(x.r.URL.RequestURI()+"\n"), x.body...)), At: k.now(),
	}
	var have store.Replay
	err = k.db.Write(ctx, func(tx *store.Tx) error {
		var err error
		have, err = tx.Replay(mine.Caller, key)
		switch {
		case tenure.CodeOf(err) == tenure.NotFound:
			have = store.Replay{}
			return tx.BeginReplay(mine)
		case err != nil:
			return err
		case mine.At.Sub(have.At) >= replayFor, have.Status == 0 && mine.At.Sub(have.At) >= takeover:
			if err := tx.DropReplay(mine.Caller, key); err != nil {
				return err
			}
			have = store.Replay{}
			return tx.BeginReplay(mine)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, false, err
	case have.Key == "":
		return func() { k.finish(context.WithoutCancel(ctx), mine, x, rt) }, false, nil
	case have.Path != mine.Path || have.Digest != mine.Digest:
		return nil, false, tenure.Errorf(tenure.Conflict, "another request was sent under this Idempotency-Key").WithHint("a new request takes a new key")
	case have.Status == 0:
		return nil, false, underWay()
	}
	return nil, true, replay(have, x, c)
}

// finish keeps an answer. A fault of ours isn't kept: the next try does the work.
func (k *replays) finish(ctx context.Context, mine store.Replay, x *exchange, rt Route) {
	err := k.db.Write(ctx, func(tx *store.Tx) error {
		if x.status == 0 || x.status >= 500 || x.failed && retryable(x.answer.Bytes()) { // 0: a panic
			return tx.DropReplay(mine.Caller, mine.Key)
		}
		header := x.header
		mine.Status, mine.Answer = x.status, x.answer.Bytes()
		if rt.Once && !x.failed {
			p, _ := x.s.problem(x.r, tenure.Errorf(tenure.Conflict, "the answer to this request held a secret and was given once"))
			mine.Status, header = p.Status, http.Header{"Content-Type": {"application/problem+json"}}
			var err error
			if mine.Answer, err = json.Marshal(p); err != nil {
				return err
			}
		}
		text, err := json.Marshal(keptAnswer{header, rightsOf(x.call.Caller)})
		if err != nil {
			return err
		}
		mine.Header = string(text)
		if mine.Tenants, err = tx.TenantsOf(named(mine.Path, x.body, mine.Answer)); err != nil {
			return err
		}
		return tx.EndReplay(mine)
	})
	if err != nil { // the answer goes out all the same; a repeated request finds it under way, and later makes it again
		x.s.o.Log.Error("keep an answer under its Idempotency-Key", "error", err)
	}
}

// anID is an id of a tenant or an operation, or a digest such as a plan's.
var anID = regexp.MustCompile(`\b((ten|op)_[0-9a-f]{8}-[0-9a-f-]{27}|sha256:[0-9a-f]{64})`)

// namedAtMost bounds how many of the ids in an answer are looked up.
const namedAtMost = 100

// named are the words of a request and its answer that may name a tenant.
func named(path string, body, answer []byte) []string {
	out := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	var asked struct {
		Tenant string `json:"tenant"`
	}
	if json.Unmarshal(body, &asked) == nil && asked.Tenant != "" {
		out = append(out, asked.Tenant)
	}
	for _, id := range anID.FindAllString(string(answer), namedAtMost) {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// callerOf names a caller for what is theirs alone.
func callerOf(c tenure.Caller) string {
	return string(c.Kind) + " " + string(c.Principal) + " " + c.Name
}

func retryable(problem []byte) bool {
	var p struct {
		Retry bool `json:"retry"`
	}
	return json.Unmarshal(problem, &p) == nil && p.Retry
}

// keptAnswer is what is kept of an answer beside its body.
type keptAnswer struct {
	Header http.Header `json:"header"`
	Rights rights      `json:"rights"` // of who got it
}

// rights are what an answer could tell of.
type rights struct {
	Grants []right             `json:"grants,omitempty"`
	Limit  tenure.Scope        `json:"limit"`
	Only   []tenure.Permission `json:"only,omitempty"`
}

type right struct {
	Role  tenure.Role  `json:"role"`
	Scope tenure.Scope `json:"scope"`
}

func rightsOf(c tenure.Caller) rights {
	return rights{each(c.Grants, func(g tenure.Grant) right { return right{g.Role, g.Scope} }), c.Limit, c.Only}
}

// within says whether o has all of these rights.
func (r rights) within(o rights) bool {
	return !slices.ContainsFunc(r.Grants, func(had right) bool {
		return !slices.ContainsFunc(o.Grants, func(has right) bool { return has.Role == had.Role && had.Scope.Within(has.Scope) })
	}) && (o.Limit.IsZero() || !r.Limit.IsZero() && r.Limit.Within(o.Limit)) &&
		(len(o.Only) == 0 || len(r.Only) > 0 && !slices.ContainsFunc(r.Only, func(p tenure.Permission) bool { return !slices.Contains(o.Only, p) }))
}

// replay gives a kept answer again, unless the caller may less than when they got
// it: it may tell of what they may not see any more.
func replay(have store.Replay, x *exchange, c tenure.Caller) error {
	var kept keptAnswer
	if err := json.Unmarshal([]byte(have.Header), &kept); err != nil {
		return tenure.Errorf(tenure.Internal, "an answer that was kept: %w", err)
	}
	if !kept.Rights.within(rightsOf(c)) {
		return tenure.Errorf(tenure.Forbidden, "the request under this Idempotency-Key was answered, and what %s may do has narrowed since", c.Name)
	}
	for name, v := range kept.Header {
		x.header[name] = v
	}
	x.header.Set("Idempotency-Replayed", "true")
	x.status = have.Status
	x.answer.Write(have.Answer)
	return nil
}
