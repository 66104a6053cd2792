package hygiene

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/store"
)

// unmarked says that nothing tells whose a thing is: its mark was lost or overwritten.
func unmarked(o connector.Ownership) bool {
	return o == connector.Unmarked || o == connector.Forged || o == connector.Malformed
}

// lost is the finding of a thing that stands in the place of one of the inventory's and
// bears no mark that counts. Nothing is done to it, so that its tenant can't leave.
func lost(row store.InventoryRow, system string, owner connector.Ownership) tenure.Finding {
	bears := "bears no owner mark"
	if owner != connector.Unmarked {
		bears = "bears a mark that can't be authenticated (" + string(owner) + ")"
	}
	return tenure.Finding{
		Kind: tenure.FindingLostMark, Severity: tenure.Critical, Tenant: row.Tenant, Resource: row.ID, Type: row.Type, Name: row.Name,
		Field: "mark", Want: string(row.ID), Got: string(owner),
		Detail: fmt.Sprintf("%s %s stands in %s and %s: its own was lost, or something else has taken its place. Nothing is done to it until two persons have let a repair mark it again", row.Type, row.Name, system, bears),
	}
}

// without looks by name, in bulk, for what no mark has told of, and yields what stands
// there without one, or under another. It gives back what isn't there either.
func (e *exposer) without(ctx context.Context, missing []store.InventoryRow, found func(tenure.Finding) error) (gone []store.InventoryRow, err error) {
	for part := range slices.Chunk(missing, lotSize) {
		refs := make([]connector.Ref, 0, len(part))
		for i, row := range part {
			r, err := e.look.DB.Resource(ctx, row.ID)
			if err != nil {
				return nil, err
			}
			part[i].Normal = r.Normal
			refs = append(refs, connector.RefOf(r.Resource))
		}
		seen, _, err := e.sys.Observe(ctx, refs)
		if err != nil {
			return nil, err
		}
		for i, o := range seen {
			if !o.Found {
				gone = append(gone, part[i])
			} else if err := e.differs(ctx, pair{&part[i], &o}, found); err != nil {
				return nil, err
			}
		}
	}
	return gone, nil
}
