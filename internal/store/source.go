package store

import "context"

// SaveBlueprintSource keeps the file that a revision was submitted as; the latest one
// counts. Nothing is decided by it: it only says where in the file something stands.
func (tx *Tx) SaveBlueprintSource(digest, file string, source []byte) error {
	_, err := tx.Exec(`insert into blueprint_source (digest, file, source) values ($1, $2, $3) on conflict (digest) do update set file = excluded.file, source = excluded.source`, digest, file, string(source))
	return err
}

// BlueprintSource is the file that a revision was submitted as; nil if none was kept.
func (db *DB) BlueprintSource(ctx context.Context, digest string) (file string, source []byte, err error) {
	err = db.reader(ctx).Rows(`select file, source from blueprint_source where digest = $1`, []any{digest}, func(r scanner) error {
		var text string
		err := r.Scan(&file, &text)
		source = []byte(text)
		return err
	})
	return file, source, err
}
