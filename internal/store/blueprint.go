package store

import (
	"context"
	"time"

	"github.com/tenurehq/tenure"
)

// Blueprint is a stored revision.
type Blueprint struct {
	tenure.BlueprintRef
	Body        []byte    `json:"-"` // canonical form
	Author      string    `json:"author"`
	CreatedAt   time.Time `json:"createdAt"`
	PublishedBy string    `json:"publishedBy,omitempty"`
	PublishedAt time.Time `json:"publishedAt,omitzero"`

	// Says is what a person must know of it as it is published; it isn't stored.
	Says []string `json:"says,omitempty"`
}

// Published says whether tenants may be bound to it.
func (b Blueprint) Published() bool { return !b.PublishedAt.IsZero() }

const blueprintColumns = `digest, name, version, body, author, created_at, published_by, published_at`

func blueprints(q querier, where string, args ...any) (out []Blueprint, err error) {
	err = q.Rows(`select `+blueprintColumns+` from blueprint where `+where, args, func(r scanner) error {
		var b Blueprint
		var created, published int64
		var body string
		err := r.Scan(&b.Digest, &b.Name, &b.Version, &body, &b.Author, &created, &b.PublishedBy, &published)
		b.Body, b.CreatedAt, b.PublishedAt = []byte(body), fromMicros(created), fromMicros(published)
		out = append(out, b)
		return err
	})
	return out, err
}

// SaveBlueprint stores a revision as a draft; the same digest twice is one row.
// A second revision under a published version's name and number is Conflict.
func (tx *Tx) SaveBlueprint(b Blueprint) error {
	same, err := blueprints(tx, `name = $1 and version = $2 and digest <> $3 and published_at > 0`, b.Name, b.Version, b.Digest)
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return publishedAlready(same[0])
	}
	_, err = tx.Exec(`insert into blueprint (digest, name, version, body, author, created_at, published_by, published_at) values ($1, $2, $3, $4, $5, $6, '', 0) on conflict do nothing`,
		b.Digest, b.Name, b.Version, string(b.Body), b.Author, micros(b.CreatedAt))
	return err
}

func publishedAlready(b Blueprint) error {
	return tenure.Errorf(tenure.Conflict, "blueprint %s %s is published with another content (%s); revisions are immutable", b.Name, b.Version, b.Digest).
		WithHint("give the changed blueprint a new version")
}

// PublishBlueprint makes a draft available. The author can't do it alone. Beside
// another content that is published under its version it is Conflict.
func (tx *Tx) PublishBlueprint(digest, by string, at time.Time) error {
	same, err := blueprints(tx, `digest <> $1 and published_at > 0 and exists (select 1 from blueprint b where b.digest = $1 and b.name = blueprint.name and b.version = blueprint.version)`, digest)
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return publishedAlready(same[0])
	}
	_, err = tx.Exec(`update blueprint set published_by = $1, published_at = $2 where digest = $3 and published_at = 0`, by, micros(at), digest)
	return err
}

// Blueprint finds a revision by digest, by "name@version", or by name alone: its
// latest published revision.
func (db *DB) Blueprint(ctx context.Context, name, version, digest string) (Blueprint, error) {
	return findBlueprint(db.reader(ctx), name, version, digest)
}

// Blueprint finds a revision as the transaction sees it.
func (tx *Tx) Blueprint(name, version, digest string) (Blueprint, error) {
	return findBlueprint(tx, name, version, digest)
}

func findBlueprint(q querier, name, version, digest string) (Blueprint, error) {
	var found []Blueprint
	var err error
	switch {
	case digest != "":
		found, err = blueprints(q, `digest = $1`, digest)
	case version != "":
		found, err = blueprints(q, `name = $1 and version = $2 order by published_at desc, created_at desc limit 1`, name, version)
	default:
		found, err = blueprints(q, `name = $1 and published_at > 0 order by published_at desc, created_at desc limit 1`, name)
	}
	if err == nil && len(found) == 0 {
		err = tenure.Errorf(tenure.NotFound, "there is no published blueprint %s%s%s", name, version, digest).WithHint("list them: tenure blueprint list")
	}
	if err != nil {
		return Blueprint{}, err
	}
	return found[0], nil
}

// Drafts lists the unpublished revisions of one name and number, the oldest first.
func (tx *Tx) Drafts(name, version string) ([]Blueprint, error) {
	return blueprints(tx, `name = $1 and version = $2 and published_at = 0 order by created_at, digest`, name, version)
}

// Blueprints lists every revision by name and age.
func (db *DB) Blueprints(ctx context.Context) ([]Blueprint, error) {
	return blueprints(db.reader(ctx), `1 = 1 order by name, created_at, digest`)
}

// System is a configured system's row.
type System struct {
	Name        string    `json:"name"`
	Connector   string    `json:"connector"`
	Version     string    `json:"version"`
	Fingerprint string    `json:"fingerprint"`
	AddedBy     string    `json:"addedBy"`
	AddedAt     time.Time `json:"addedAt"`
}

// SaveSystem records who a system is. Another fingerprint under a known name is
// Conflict unless replace says that a person means it.
func (tx *Tx) SaveSystem(s System, replace bool) error {
	q := `insert into system (name, connector, version, fingerprint, added_by, added_at) values ($1, $2, $3, $4, $5, $6)`
	if replace {
		q += ` on conflict (name) do update set connector = excluded.connector, version = excluded.version, fingerprint = excluded.fingerprint, added_by = excluded.added_by, added_at = excluded.added_at`
	}
	_, err := tx.Exec(q, s.Name, s.Connector, s.Version, s.Fingerprint, s.AddedBy, micros(s.AddedAt))
	return err
}

// Systems lists the recorded systems by name.
func (db *DB) Systems(ctx context.Context) ([]System, error) {
	var out []System
	err := db.reader(ctx).Rows(`select name, connector, version, fingerprint, added_by, added_at from system order by name`, nil, func(r scanner) error {
		var s System
		var at int64
		err := r.Scan(&s.Name, &s.Connector, &s.Version, &s.Fingerprint, &s.AddedBy, &at)
		s.AddedAt = fromMicros(at)
		out = append(out, s)
		return err
	})
	return out, err
}
