package server

import (
	"net"
	"net/http"
	"net/netip"
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

	// What somebody who isn't known can cause, such as a row of a sign-in that begins.
	strangerRate  = 5 // a second from one address
	strangerBurst = 40
	strangersRate = 50 // a second of one kind, from all addresses
	strangersMost = 200

	// Requests of a source of events that are verified from an address which has sent too many wrong ones.
	verifyRate  = 20 // a second
	verifyBurst = 100
)

// limits bound how often one principal asks, how often one address shows a wrong
// credential, and what those who aren't known can cause, by address and in all. Who
// opened the installation's folder isn't bounded.
type limits struct {
	now   func() time.Time
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	asks  map[string]*rate.Limiter // by principal
	wrong map[string]*rate.Limiter // by address
	from  map[string]*rate.Limiter // by address: of who isn't known
	all   map[string]*rate.Limiter // by what they ask for
	tried map[string]*rate.Limiter // by source of events and address: of who has failed there
}

func newLimits(now func() time.Time, perSecond float64, burst int) *limits {
	if perSecond <= 0 {
		perSecond = defaultRate
	}
	if burst <= 0 {
		burst = defaultBurst
	}
	return &limits{now: now, rate: rate.Limit(perSecond), burst: burst, asks: map[string]*rate.Limiter{}, wrong: map[string]*rate.Limiter{}, from: map[string]*rate.Limiter{}, all: map[string]*rate.Limiter{}, tried: map[string]*rate.Limiter{}}
}

// take counts a request of a caller.
func (l *limits) take(c tenure.Caller) error {
	if c.Kind == tenure.CallerLocal {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !limiter(l.asks, string(c.Principal), l.rate, l.burst).AllowN(l.now(), 1) {
		return tooMany("that is more than %d requests at once", l.burst)
	}
	return nil
}

// stranger counts a request of somebody who isn't known: by their address, and for
// what is asked from all addresses together, so that a flood of one kind leaves room
// for the others. At the installation's own socket nothing is counted.
func (l *limits) stranger(r *http.Request, what string) error {
	if isLocal(r) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if !limiter(l.from, AddressOf(r), strangerRate, strangerBurst).AllowN(now, 1) {
		return tooMany("that is more than %d requests at once from one address by who isn't signed in", strangerBurst)
	}
	if !limiter(l.all, what, strangersRate, strangersMost).AllowN(now, 1) {
		return tooMany("that is more than %d requests at once by who isn't signed in", strangersMost)
	}
	return nil
}

// tries refuses an address that has shown too many wrong credentials.
func (l *limits) tries(r *http.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.wrong[AddressOf(r)]; w != nil && w.TokensAt(l.now()) < 1 {
		return tooMany("that is more than %d wrong credentials", wrongBurst)
	}
	return nil
}

// failed counts a wrong credential.
func (l *limits) failed(r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter(l.wrong, AddressOf(r), wrongRate, wrongBurst).AllowN(l.now(), 1)
}

// verifies refuses a request for a source of events where too many wrong ones have come from this
// address, and more than are verified all the same.
func (l *limits) verifies(r *http.Request, source string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := source + " " + AddressOf(r)
	if w := l.wrong[key]; w == nil || w.TokensAt(l.now()) >= 1 || limiter(l.tried, key, verifyRate, verifyBurst).AllowN(l.now(), 1) {
		return nil
	}
	return tooMany("that is more than %d wrong requests of the source %s", wrongBurst, source)
}

// wrongEvent counts a request that a source of events hasn't sent, and says whether that is too many
// from this address.
func (l *limits) wrongEvent(r *http.Request, source string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !limiter(l.wrong, source+" "+AddressOf(r), wrongRate, wrongBurst).AllowN(l.now(), 1)
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

// AddressOf is where a request comes from: of an IPv6 address the network of 64 bits,
// in which one subscriber has as many addresses as they like (RFC 6177).
func AddressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}
