package store

import (
	"io/fs"

	"github.com/tenurehq/tenure/audit"
)

// MigrationsOf are the migrations in a dialect's own words, so that a test can
// make a store of an earlier format.
func MigrationsOf(d Dialect) fs.FS {
	sub, _ := fs.Sub(migrations, "migrations")
	return dialectText{sub, d}
}

// FirstParts and PartsNow are the parts that the first logs of rows cover, and that this
// program's do.
var (
	FirstParts = func() map[string]string { return partsOf(firstParts) }
	PartsNow   = func() map[string]string { return partsOf(partsNow()) }
)

// SayParts has the log say that it covers these parts, as another program would have it.
func SayParts(tx *Tx, parts map[string]string) error {
	if err := tx.Log(audit.Entry{Format: audit.Format, At: tx.at(), Kind: partsEntry, Data: audit.Facts(parts)}); err != nil {
		return err
	}
	return UnmarkParts(tx)
}

// UnmarkParts takes the mark away by which a start knows what the log covers.
func UnmarkParts(tx *Tx) error {
	_, err := tx.Exec(`update meta set value = 'another' where key = $1`, rowsParts)
	return err
}

// OfTrigger is the condition by which operations are found by their triggers.
const OfTrigger = ofTrigger
