package store

import "io/fs"

// MigrationsOf are the migrations in a dialect's own words, so that a test can
// make a store of an earlier format.
func MigrationsOf(d Dialect) fs.FS {
	sub, _ := fs.Sub(migrations, "migrations")
	return dialectText{sub, d}
}
