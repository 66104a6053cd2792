package s3

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
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

// held reads the lock of a version. One that isn't there any more isn't there.
func (d *Driver) held(ctx context.Context, bucket string, e entry) (h hold, there bool, err error) {
	o, err := d.client.StatObject(ctx, bucket, e.key, minio.StatObjectOptions{VersionID: e.id})
	if missing(err) {
		return h, false, nil
	}
	if err != nil {
		return h, true, err
	}
	h.mode = strings.ToUpper(o.Metadata.Get("X-Amz-Object-Lock-Mode"))
	h.legal = strings.EqualFold(o.Metadata.Get("X-Amz-Object-Lock-Legal-Hold"), "ON")
	if h.mode != "" {
		if h.until, err = time.Parse(time.RFC3339, o.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date")); err != nil {
			h.until, err = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), nil // a date that can't be read binds
		}
	}
	return h, true, nil
}

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
