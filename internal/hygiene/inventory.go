package hygiene

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// lotSize is how many rows of the inventory are handed over at once.
const lotSize = 512

// inventory is a system's inventory, read ahead of the merge by a few lots, so
// that the store and the system are read at the same time.
type inventory struct {
	lots   chan []store.InventoryRow
	lot    []store.InventoryRow
	failed error // before lots is closed
	cancel context.CancelFunc
}

func (l *Looker) inventory(ctx context.Context, system string, tenant tenure.TenantID) *inventory {
	ctx, cancel := context.WithCancel(ctx)
	v := &inventory{lots: make(chan []store.InventoryRow, 2), cancel: cancel}
	go func() {
		defer close(v.lots)
		v.failed = v.read(ctx, l.DB, system, tenant)
	}()
	return v
}

func (v *inventory) read(ctx context.Context, db *store.DB, system string, tenant tenure.TenantID) error {
	var lot []store.InventoryRow
	var normals []byte
	hand := func() error {
		select {
		case v.lots <- lot:
			lot, normals = nil, nil
			return nil
		case <-ctx.Done():
			return tenure.Errorf(tenure.Unavailable, "inventory of %s: %w", system, context.Cause(ctx)).Retryable()
		}
	}
	err := db.Inventory(ctx, system, tenant, func(r store.InventoryRow) error {
		if lot == nil {
			lot = make([]store.InventoryRow, 0, lotSize)
		}
		from := len(normals)
		normals = append(normals, r.Normal...)
		r.Normal = normals[from:len(normals):len(normals)]
		if lot = append(lot, r); len(lot) < lotSize {
			return nil
		}
		return hand()
	})
	if err == nil && len(lot) > 0 {
		err = hand()
	}
	return err
}

// next is the row after the last one; nil after the end.
func (v *inventory) next() (*store.InventoryRow, error) {
	if len(v.lot) == 0 {
		lot, more := <-v.lots
		if !more {
			return nil, v.failed
		}
		v.lot = lot
	}
	row := &v.lot[0]
	v.lot = v.lot[1:]
	return row, nil
}

// end stops the reading and waits for it.
func (v *inventory) end() {
	v.cancel()
	for range v.lots { // until it is closed
	}
}
