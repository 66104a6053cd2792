package store

import (
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

func labelsOf(text string) map[string]string {
	if text == "" {
		return nil
	}
	var out map[string]string
	_ = json.Unmarshal([]byte(text), &out)
	return out
}

func refOf(text string) (ref tenure.BlueprintRef) {
	if text != "" {
		_ = json.Unmarshal([]byte(text), &ref)
	}
	return ref
}

// SetLabels replaces a tenant's labels. A version that has moved on is Conflict;
// 0 doesn't look at it.
func (tx *Tx) SetLabels(id tenure.TenantID, labels map[string]string, version int64, at time.Time) error {
	return tx.recount(id, func() error {
		n, err := tx.Exec(`update tenant set labels = $1, updated_at = $2, version = version + 1 where id = $3 and ($4 = 0 or version = $4)`, text(labels), micros(at), string(id), version)
		if err == nil && n != 1 {
			err = tenure.Errorf(tenure.Conflict, "tenant %s has changed since it was read", id).WithHint("read it again")
		}
		if err == nil {
			err = tx.indexLabels(id, labels)
		}
		return err
	})
}

func (tx *Tx) indexLabels(id tenure.TenantID, labels map[string]string) error {
	if _, err := tx.Exec(`delete from tenant_label where tenant = $1`, string(id)); err != nil {
		return err
	}
	for _, l := range tenure.LabelsText(labels) {
		if _, err := tx.Exec(`insert into tenant_label (label, tenant) values ($1, $2)`, l, string(id)); err != nil {
			return err
		}
	}
	return nil
}
