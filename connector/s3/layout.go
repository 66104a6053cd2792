package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// What is in Tenure's own bucket.
const (
	systemKey      = "system.json"
	sentinelKey    = "sentinel"
	marksPrefix    = "marks/"  // marks/TYPE/HASH.json, a record
	makingPrefix   = "making/" // making/BUCKET, while a bucket is being made
	sentinelPrefix = "tenure sentinel "
	maxOwn         = 1 << 20 // bytes of one of Tenure's own objects
)

// system is what system.json holds.
type system struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
}

// Plant makes Tenure's own bucket, and in it the system's name and the sentinel.
func (d *Driver) Plant(ctx context.Context) (fingerprint string, err error) {
	err = with(ctx, "plant", func() error {
		if err := d.plant(ctx); err != nil {
			return err
		}
		g, err := d.sight(ctx)
		fingerprint = g.Fingerprint
		return err
	})
	return fingerprint, err
}

func (d *Driver) plant(ctx context.Context) error {
	err := d.client().MakeBucket(ctx, d.own, minio.MakeBucketOptions{Region: d.region})
	if err != nil && !is(err, "BucketAlreadyOwnedByYou") {
		if is(err, "BucketAlreadyExists") {
			return tenure.Errorf(tenure.Conflict, "the bucket %s is somebody else's", d.own).WithHint("name another one in the option own")
		}
		return err
	}
	s, _, err := d.system(ctx)
	if missing(err) {
		if err := d.empty(ctx, d.own); err != nil {
			return err
		}
		s = system{Format: 1, ID: rand.Text()}
		raw, _ := json.Marshal(s)
		err = d.put(ctx, systemKey, raw, true)
	}
	if err != nil {
		return err
	}
	v, err := d.client().GetBucketVersioning(ctx, d.own)
	if err != nil {
		return err
	}
	if v.Enabled() {
		return tenure.Errorf(tenure.Conflict, "the bucket %s keeps earlier versions, and Tenure's own records mustn't outlive what they are about", d.own).
			WithHint("suspend its versioning, or name another bucket in the option own")
	}
	if ok, err := d.hasSentinel(ctx, s); ok || err != nil {
		return err
	}
	return d.put(ctx, sentinelKey, []byte(sentinelPrefix+s.ID+"\n"), false)
}

// empty refuses a bucket that was there and holds something.
func (d *Driver) empty(ctx context.Context, name string) error {
	for e, err := range d.stock(ctx, name, "", "") {
		if err != nil {
			return err
		}
		return tenure.Errorf(tenure.Conflict, "the bucket %s holds %q and isn't Tenure's own", name, e.key).WithHint("name another one in the option own")
	}
	return nil
}

// ready is Blocked if the system wasn't added.
func (d *Driver) ready(ctx context.Context) error {
	_, _, err := d.system(ctx)
	if missing(err) {
		return tenure.Errorf(tenure.Blocked, "Tenure's own bucket %s isn't set up", d.own).WithHint("add the system first")
	}
	return err
}

// system reads who the system is, and since when.
func (d *Driver) system(ctx context.Context) (s system, since string, err error) {
	raw, info, err := d.get(ctx, systemKey)
	if err != nil {
		return s, "", err
	}
	if err := json.Unmarshal(raw, &s); err != nil || s.Format != 1 || s.ID == "" {
		return s, "", tenure.Errorf(tenure.Blocked, "%s can't be read as a system of format 1", systemKey)
	}
	return s, info.LastModified.UTC().Format("20060102T150405Z"), nil
}

func (d *Driver) hasSentinel(ctx context.Context, s system) (bool, error) {
	raw, _, err := d.get(ctx, sentinelKey)
	if missing(err) {
		return false, nil
	}
	return err == nil && bytes.Equal(raw, []byte(sentinelPrefix+s.ID+"\n")), err
}

// sight says who the system is. The fingerprint holds the moment at which the server
// says that the name was written: in a copy on another server it is a later one.
func (d *Driver) sight(ctx context.Context) (connector.Sighting, error) {
	s, since, err := d.system(ctx)
	if missing(err) {
		return connector.Sighting{}, nil
	}
	if err != nil {
		return connector.Sighting{}, err
	}
	sentinel, err := d.hasSentinel(ctx, s)
	return connector.Sighting{Fingerprint: d.fingerprint(s, since), Sentinel: sentinel, Complete: true}, err
}

func (d *Driver) fingerprint(s system, since string) string {
	return fmt.Sprintf("s3 %s %s %s", d.own, s.ID, since)
}

// get reads one of Tenure's own objects.
func (d *Driver) get(ctx context.Context, key string) ([]byte, minio.ObjectInfo, error) {
	core := minio.Core{Client: d.client()}
	body, info, _, err := core.GetObject(ctx, d.own, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, info, err
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxOwn))
	if err == nil && int64(len(raw)) != info.Size {
		err = tenure.Errorf(tenure.Unavailable, "%s broke off after %d of %d bytes", key, len(raw), info.Size).Retryable()
	}
	_ = body.Close()
	return raw, info, err
}

// put writes one of Tenure's own objects; a fresh one must not be there yet, where the
// server heeds that (If-None-Match, RFC 9110 §13.1.2).
func (d *Driver) put(ctx context.Context, key string, raw []byte, fresh bool) error {
	o := minio.PutObjectOptions{ContentType: "application/json", DisableMultipart: true}
	if fresh {
		o.SetMatchETagExcept("*")
	}
	_, err := d.client().PutObject(ctx, d.own, key, bytes.NewReader(raw), int64(len(raw)), o)
	return err
}

func (d *Driver) drop(ctx context.Context, key string) error {
	if err := d.client().RemoveObject(ctx, d.own, key, minio.RemoveObjectOptions{}); err != nil && !missing(err) {
		return err
	}
	return nil
}

// ownKeys lists Tenure's own objects below a prefix.
func (d *Driver) ownKeys(ctx context.Context, below string) (keys []string, err error) {
	for e, err := range d.versions(ctx, d.own, below, "") {
		if err != nil {
			return nil, err
		}
		if e.kind == isVersion && e.latest {
			keys = append(keys, e.key)
		}
	}
	return keys, nil
}

// Exposed is described at connector.Secluder.
func (d *Driver) Exposed(ctx context.Context) (out []string, err error) {
	err = with(ctx, "exposed", func() error {
		live, err := d.client().GetBucketPolicy(ctx, d.own)
		if err != nil && !is(err, "NoSuchBucketPolicy", "NoSuchBucket") {
			return err
		}
		if live != "" {
			out = append(out, fmt.Sprintf("bucket %s has a policy, and it needs none: whoever the policy lets in may forge what Tenure keeps", d.own))
		}
		grants, err := d.grants(ctx, d.own)
		for _, g := range grants {
			out = append(out, fmt.Sprintf("bucket %s has a grant in its access list: %s", d.own, g))
		}
		return err
	})
	return out, err
}
