package s3

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure/connector"
)

var _ connector.Cataloguer = (*Driver)(nil)

// How much is listed: a draft needs the shape of buckets alone.
const (
	mostBuckets = 50
	mostListed  = 1000
)

// Catalogue is described at connector.Cataloguer: the buckets with what keys in them
// begin with, up to the first "/", and where tenants' prefixes are. No object is read.
func (d *Driver) Catalogue(ctx context.Context) (c connector.Catalogue, err error) {
	err = with(ctx, "catalogue", func() error {
		names, err := d.listBuckets(ctx)
		if err != nil {
			return err
		}
		for i, name := range names {
			if i == mostBuckets {
				c.Says = append(c.Says, "only the first buckets were looked at")
				break
			}
			below, err := d.beginnings(ctx, name)
			if is(err, "AccessDenied") {
				c.Says = append(c.Says, "bucket "+name+" can't be listed with Tenure's key")
				continue
			}
			if err != nil && !missing(err) {
				return err
			}
			c.Stores = append(c.Stores, connector.StoreInfo{Type: bucket, Name: name, Prefixes: below, Classes: true})
		}
		for _, b := range d.shared {
			c.Stores = append(c.Stores, connector.StoreInfo{Type: prefix, Name: b.bucket, Base: b.String()})
		}
		return nil
	})
	return c, err
}

// beginnings are what keys begin with, each with its "/". Keys that aren't plain text are
// left out.
func (d *Driver) beginnings(ctx context.Context, bucket string) (out []string, err error) {
	n := 0
	ctx, cancel := context.WithCancel(ctx) // ends the listing where it is left
	defer cancel()
	for o := range d.client().ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{}) {
		if o.Err != nil {
			return nil, o.Err
		}
		if n++; n > mostListed {
			break
		}
		if strings.HasSuffix(o.Key, "/") && utf8.ValidString(o.Key) && !strings.ContainsFunc(o.Key, unicode.IsControl) && !slices.Contains(out, o.Key) {
			out = append(out, o.Key)
		}
	}
	return out, nil
}
