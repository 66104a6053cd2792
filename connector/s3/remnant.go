package s3

import (
	"context"
	"fmt"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var _ connector.Remnanter = (*Driver)(nil)

// remnants are what an object store physically keeps.
var remnants = []connector.RemnantInfo{
	{Kind: tenure.RemnantVersions, Help: "versions, delete markers and unfinished uploads that are there still. An erasure ends when none is left; what comes later, or is kept for a hold, shows here"},
	{Kind: tenure.RemnantReplicas, Help: "copies in other buckets that a replication rule made before it was taken off; a rule that is on blocks the erasure"},
	{Kind: tenure.RemnantAccessLog, Help: "names of objects in access logs and inventories that the server writes, in other buckets or files. Tenure can't see them"},
	{Kind: tenure.RemnantSpace, Help: "the server's media, which nobody writes over"},
	{Kind: tenure.RemnantSnapshots, Help: "copies of the server's disks and volumes. The server can't see them"},
}

// counted is how many entries a look at what is left lists at the most.
const counted = 1000

// Remnants is described at connector.Remnanter.
func (d *Driver) Remnants(ctx context.Context, refs []connector.Ref) (out []connector.Remnant, err error) {
	err = with(ctx, "see what is left", func() error {
		var left, bytes int64
		var names []string
		cut := false // there may be more, or a size isn't known
		for _, ref := range refs {
			if ref.Type != bucket && ref.Type != prefix {
				continue
			}
			at, err := d.siteOf(ref)
			if err != nil {
				return err
			}
			before := left
			for e, err := range d.stock(ctx, at.bucket, at.below, "") {
				if missing(err) {
					break
				}
				if err != nil {
					return err
				}
				cut = cut || e.kind == isUpload
				if left, bytes = left+1, bytes+e.size; left >= counted {
					cut = true
					break
				}
			}
			if left > before {
				names = append(names, at.bucket+"/"+at.below)
			}
		}
		if left > 0 {
			many := fmt.Sprint(left)
			if left >= counted {
				many = "at least " + many
			}
			if cut {
				bytes = 0
			}
			out = append(out, connector.Remnant{Kind: tenure.RemnantVersions, Names: names, Bytes: bytes, Says: many + " versions and uploads are there still"})
		}
		out = append(out,
			connector.Remnant{Kind: tenure.RemnantReplicas, Says: "copies that replication made earlier in other buckets can't be seen from here"},
			connector.Remnant{Kind: tenure.RemnantAccessLog, Says: "access logs and inventories may have names of objects; they can't be seen from here"},
			connector.Remnant{Kind: tenure.RemnantSpace, Says: "the server's media aren't written over"},
			connector.Remnant{Kind: tenure.RemnantSnapshots, Says: "copies of the server's disks can't be seen from here"})
		return nil
	})
	return out, err
}
