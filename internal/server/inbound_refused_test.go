package server_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/event"
)

// TestEventsWrongSecretOfAnother: one sender with a wrong secret behind the proxy of all others
// keeps none of them out, nor itself once its secret is right; and who watches reads its name.
func TestEventsWrongSecretOfAnother(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	got := map[int]int{}
	for range 40 {
		got[f.post("crm", "X-Signature", hmacOf("another", "{}"), "{}")]++
	}
	if got[http.StatusUnauthorized] < 20 || got[http.StatusTooManyRequests] == 0 {
		t.Errorf("wrong signatures get %v", got)
	}
	f.bill("paid", "invoice.paid", "cus_1", f.now())
	f.won("won", 1, f.now())
	for range 200 {
		f.post("crm", "X-Signature", hmacOf("another", "{}"), "{}")
	}
	if code := f.post("crm", "X-Signature", hmacOf(crmSecret, "{}"), "{}"); code != http.StatusTooManyRequests {
		t.Errorf("without bound wrong requests are verified: the next gets %d", code)
	}
	f.bill("paid2", "invoice.paid", "cus_1", f.now())
	list, err := client.ListAccessEvents.Call(t.Context(), f.rita, client.AccessEventFilter{Kind: tenure.EventRefused, Limit: 10})
	f.must(err)
	if len(list) == 0 || list[0].Route != "POST /v1/events/crm" {
		t.Errorf("refusals are told as %+v", list)
	}
}

// TestEventsRefusalsAreTold: what is refused is counted by its source and a reason of a few.
func TestEventsRefusalsAreTold(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	big := strings.Repeat("x", event.MaxBody+1)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(`"` + big + `"`))
	f.must(err)
	f.must(z.Close())
	send := func(body string, encoding string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.at.URL+"/v1/events/crm", strings.NewReader(body))
		f.must(err)
		r.Header.Set("X-Signature", hmacOf(crmSecret, body))
		if encoding != "" {
			r.Header.Set("Content-Encoding", encoding)
		}
		res, err := http.DefaultClient.Do(r)
		f.must(err)
		f.must(res.Body.Close())
		return res.StatusCode
	}
	for _, c := range []struct {
		body, encoding string
		want           int
	}{{"[", "", 400}, {big, "", 413}, {packed.String(), "gzip", 413}} {
		if code := send(c.body, c.encoding); code != c.want {
			t.Errorf("%d bytes %s get %d, want %d", len(c.body), c.encoding, code, c.want)
		}
	}
	f.post("crm", "X-Signature", "no", "{}")
	f.bill("paid", "invoice.paid", "cus_1", f.now())
	f.work()
	f.mu.Lock()
	defer f.mu.Unlock()
	if want := []string{"invalid", "too_large", "too_large", "unproven"}; !slices.Equal(f.refused, want) {
		t.Errorf("the reasons are %v, want %v", f.refused, want)
	}
	if want := []string{"pay received", "pay noted"}; !slices.Equal(f.counted, want) {
		t.Errorf("counted are %v, want %v", f.counted, want)
	}
}
