package server

import (
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenurehq/tenure"
)

const (
	defaultRate  = 300 // requests a second of one principal
	defaultBurst = 600
	wrongRate    = 5 // wrong credentials a second from one address
	wrongBurst   = 20
	maxLimiters  = 10_000
)

// limits bound how often one principal asks, and how often one address shows a
// wrong credential. Who opened the installation's folder isn't bounded.
type limits struct {
	now   func() time.Time
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	asks  map[string]*rate.Limiter
	wrong map[string]*rate.Limiter
}

func newLimits(now func() time.Time, perSecond float64, burst int) *limits {
	if perSecond <= 0 {
		perSecond = defaultRate
	}
	if burst <= 0 {
		burst = defaultBurst
	}
	return &limits{now: now, rate: rate.Limit(perSecond), burst: burst, asks: map[string]*rate.Limiter{}, wrong: map[string]*rate.Limiter{}}
}

// take counts a request of a caller, or of an address where nobody is known.
func (l *limits) take(r *http.Request, c tenure.Caller) error {
	if c.Kind == tenure.CallerLocal {
		return nil
	}
	key := "principal " + string(c.Principal)
	if c.Principal == "" {
		key = "address " + addressOf(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !limiter(l.asks, key, l.rate, l.burst).AllowN(l.now(), 1) {
		return tooMany("that is more than %d requests at once", l.burst)
	}
	return nil
}

// tries refuses an address that has shown too many wrong credentials.
func (l *limits) tries(r *http.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.wrong[addressOf(r)]; w != nil && w.TokensAt(l.now()) < 1 {
		return tooMany("that is more than %d wrong credentials", wrongBurst)
	}
	return nil
}

// failed counts a wrong credential.
func (l *limits) failed(r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter(l.wrong, addressOf(r), wrongRate, wrongBurst).AllowN(l.now(), 1)
}

func limiter(of map[string]*rate.Limiter, key string, perSecond rate.Limit, burst int) *rate.Limiter {
	if have := of[key]; have != nil {
		return have
	}
	if len(of) >= maxLimiters { // forgetting all is kinder than keeping a list of everybody
		clear(of)
	}
	of[key] = rate.NewLimiter(perSecond, burst)
	return of[key]
}

func tooMany(format string, args ...any) error {
	return &statusError{http.StatusTooManyRequests, tenure.Errorf(tenure.Unavailable, format, args...).Retryable().WithHint("ask again in a second, and less often")}
}

func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
