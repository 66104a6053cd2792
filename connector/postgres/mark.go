package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/relational"
)

// placeSQL is what a note in tenure.mark is on, as place writes it; it is
// indexed, so that notes on one object are found among many.
const placeSQL = `substring(note from ' on=([0-9a-f]+)')`

func place(object string) string {
	sum := sha256.Sum256([]byte(object))
	return hex.EncodeToString(sum[:12])
}

// note is what r bears in tenure.mark: with it the resource can be read without
// its blueprint.
func (d *Driver) note(r connector.Ref, spec []byte, object string) relational.Note {
	return relational.NewNote(d.marker, r).With("spec", string(spec)).With("on", place(object))
}

func putNote(n relational.Note) string {
	return "insert into tenure.mark (type, name, note) values (" + literals([]string{n.Type, n.Name, n.String()}) +
		") on conflict (type, name) do update set note = excluded.note"
}

func dropNote(r connector.Ref) string {
	return "delete from tenure.mark where type = " + literal(r.Type) + " and name = " + literal(r.Name)
}

// noteOf reads the note of r: nil if there is none, Conflict if it isn't ours.
func (d *Driver) noteOf(ctx context.Context, s *session, r connector.Ref) (found *relational.Note, err error) {
	if err := relational.CheckName(r.Type, r.Name, 200); err != nil {
		return nil, err
	}
	err = s.simple(ctx, "select note from tenure.mark where type = "+literal(r.Type)+" and name = "+literal(r.Name), func(_ int, v [][]byte) error {
		n := relational.ParseNote(string(v[0]))
		found = &n
		return nil
	})
	if err != nil || found == nil {
		return nil, err
	}
	return found, relational.Claim(d.marker, *found, r)
}
