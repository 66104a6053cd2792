package s3

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Checker = (*Driver)(nil)

// Check is described at connector.Checker. S3 has no question for what a key may: reading is
// tried, and what the key sees that is no tenant's is counted.
func (d *Driver) Check(ctx context.Context, _ []connector.Asked) (c connector.Checkup, err error) {
	c.Role = "the access key of " + d.endpoint.Host
	c.Untold = "S3 has no question for what a key may do"
	try := func(name, why string, otherwise connector.RightState, look func() error) error {
		r := connector.Right{Name: name, State: connector.RightHeld, For: why}
		switch err := with(ctx, name, look); {
		case tenure.CodeOf(err) == tenure.Unavailable:
			return err
		case err != nil:
			r.State, r.Fix = otherwise, "give the key this right: "+err.Error()
		}
		c.Rights = append(c.Rights, r)
		return nil
	}
	others := 0
	err = try("list buckets", "seeing what is there, and proving what isn't", connector.RightMissing, func() error {
		all, err := d.client().ListBuckets(ctx)
		for _, b := range all {
			if b.Name != d.own && (d.names == "" || !strings.HasPrefix(b.Name, d.names)) && !d.sharedBucket(b.Name) {
				others++
			}
		}
		return err
	})
	if err != nil {
		return c, err
	}
	if d.names != "" && others > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("The key sees %d buckets that are neither tenants' nor Tenure's by their names. It may have rights in them that Tenure works without: see the server's policies.", others))
	}
	return c, try("read the bucket "+d.own, "the fingerprint and the sentinel; the bucket is made when the system is added", connector.RightOptional, func() error {
		_, err := d.sight(ctx)
		return err
	})
}

// sharedBucket says whether tenants have prefixes in a bucket.
func (d *Driver) sharedBucket(name string) bool {
	for _, b := range d.shared {
		if b.bucket == name {
			return true
		}
	}
	return false
}
