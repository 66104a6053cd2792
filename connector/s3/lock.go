package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
)

// hold is what Object Lock says of a version.
type hold struct {
	mode  string    // GOVERNANCE or COMPLIANCE; "" is none
	until time.Time // when that ends
	legal bool      // a legal hold, which has no end
}

func (h hold) binds(now time.Time) bool { return h.legal || h.mode != "" && h.until.After(now) }

func (h hold) String() string {
	var out []string
	if h.mode != "" {
		out = append(out, "is locked in mode "+h.mode+" until "+h.until.UTC().Format(time.RFC3339))
	}
	if h.legal {
		out = append(out, "is under a legal hold")
	}
	return strings.Join(out, ", and ")
}

// held reads the lock of a version. One that isn't there any more isn't there. Servers
// leave the lock of an earlier version out of its headers, and differ in how they name
// the answer's root, so it is asked for and read here.
func (d *Driver) held(ctx context.Context, bucket string, e entry) (h hold, there bool, err error) {
	var retention struct {
		Mode            string
		RetainUntilDate time.Time
	}
	var legal struct{ Status string }
	for query, into := range map[string]any{"retention": &retention, "legal-hold": &legal} {
		raw, err := d.plain(ctx, d.endpoint, http.MethodGet, "/"+bucket+"/"+e.key, query+"=&"+versionQuery(e), nil, nil)
		switch {
		case missing(err):
			return h, false, nil
		case is(err, "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest"), unable(err):
			continue
		case err != nil:
			return h, true, err
		}
		if err := xml.Unmarshal(raw, into); err != nil {
			return h, true, tenure.Errorf(tenure.Unavailable, "the lock of %s can't be read: %w", e, err).Retryable()
		}
	}
	h.mode, h.until = strings.ToUpper(retention.Mode), retention.RetainUntilDate
	if h.mode != "" && h.until.IsZero() {
		h.until = forever
	}
	h.legal = strings.EqualFold(legal.Status, "ON")
	return h, true, nil
}

// forever is the end of a lock that tells none.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// keeps says why an entry doesn't go, if it is still there.
func (d *Driver) keeps(ctx context.Context, bucket string, f failure) (says string, there bool, err error) {
	said := code(f.err)
	if said == "" {
		said = "nothing of it"
	}
	says = "doesn't go: the server says " + said
	if f.entry.kind != isVersion {
		if f.err == errSilent {
			return says, d.still(ctx, bucket, f.entry), nil
		}
		return says, true, nil
	}
	h, there, err := d.held(ctx, bucket, f.entry)
	if err != nil && (denied(err) || minio.ToErrorResponse(err).StatusCode == http.StatusMethodNotAllowed) {
		return says, true, nil
	}
	if err == nil && h.binds(d.now()) {
		says = h.String()
	}
	return says, there, err
}

// still looks an entry up in the listing of its own key.
func (d *Driver) still(ctx context.Context, bucket string, want entry) bool {
	for e, err := range d.stock(ctx, bucket, want.key, "") {
		if err != nil || e.key == want.key && e.id == want.id {
			return true
		}
	}
	return false
}

// locked is a version with its lock.
type locked struct {
	entry entry
	hold  hold
}

// holds reads the locks of versions, several at a time, and gives those that bind.
func (d *Driver) holds(ctx context.Context, bucket string, all []entry) (out []locked, err error) {
	var mu sync.Mutex
	err = each(ctx, all, func(ctx context.Context, e entry) error {
		h, there, err := d.held(ctx, bucket, e)
		if err != nil || !there || !h.binds(d.now()) {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		out = append(out, locked{e, h})
		return nil
	})
	return out, err
}
