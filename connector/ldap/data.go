package ldap

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// DataMap counts the entries below a unit by their object class. Those that no data class
// covers block, and so do entries with marks of others.
func (d *Driver) DataMap(ctx context.Context, s connector.Survey) (m connector.Map, err error) {
	ref := s.Ref
	if ref.Type != unit {
		return m, tenure.Errorf(tenure.Invalid, "a %s can't be used with map", ref.Type)
	}
	err = d.with(ctx, "map "+ref.Type, func() (err error) {
		if m.Sighting, err = d.sight(ctx); err != nil || d.checkName(ref.Type, ref.Name) != nil || ref.Resource == "" {
			return err
		}
		a, err := d.parse(ref)
		if err != nil {
			return err
		}
		find := d.owned
		if s.Gone { // whoever put it there
			find = func(ctx context.Context, ref connector.Ref) (thing, error) { return d.find(ctx, ref.Type, ref.Name) }
		}
		t, err := find(ctx, ref)
		if err != nil || !t.found() || s.Brief {
			return err
		}
		if t.entry == nil {
			m.Sighting.Complete = false
			return nil
		}
		beside := map[tenure.ResourceID]bool{}
		for _, r := range s.Beside {
			beside[r.Resource] = true
		}
		places := map[string]*connector.Place{}
		whole, err := d.within(ctx, t, a, ref.Classes, func(in inside) error {
			if in.marked {
				if p := markedPlace(in, beside); p != nil {
					places["\x00"+in.dn] = p
				}
				return nil
			}
			key := in.class + "\x00" + in.kind
			p := places[key]
			if p == nil {
				p = &connector.Place{Name: in.kind, Kind: connector.PlaceTable, Class: in.class, Via: "entries below " + t.at}
				if in.class == "" {
					p.Blocks, p.Says, p.Fix = true, fmt.Sprintf("no data class covers entries of the object class %s", in.kind), "name the object class in the attribute classes"
				}
				places[key] = p
			}
			p.Rows++
			return nil
		})
		m.Sighting.Complete = m.Sighting.Complete && whole
		for _, key := range slices.Sorted(maps.Keys(places)) {
			m.Places = append(m.Places, *places[key])
		}
		slices.SortStableFunc(m.Places, func(a, b connector.Place) int { return cmp.Compare(a.Name, b.Name) })
		return err
	})
	return m, err
}

// markedPlace says what an entry with a mark is to the unit that it is below: one of the
// tenant's own resources is none of its data, and what is another's stands in the way.
func markedPlace(in inside, beside map[tenure.ResourceID]bool) *connector.Place {
	p := &connector.Place{Name: in.dn, Kind: connector.PlaceDependent, Rows: 1, Via: "it is below the unit"}
	switch {
	case in.owner == connector.Ours && beside[in.id]:
		return nil
	case in.owner == connector.Ours:
		p.Says = "it is the resource " + string(in.id) + ", which has to be deleted before the unit"
	default:
		p.Blocks, p.Says = true, "it bears a mark that isn't this installation's ("+string(in.owner)+")"
		p.Fix = "have its owner move it away, or take the mark off it"
	}
	return p
}

// manifest is the last entry of an export, manifest.json.
type manifest struct {
	Format  int              `json:"format"`
	Base    string           `json:"base"`
	File    string           `json:"file"`
	Entries int64            `json:"entries"`
	Classes map[string]int64 `json:"classes"`
	SHA256  []string         `json:"sha256"` // of each part, in their order
	Parts   []string         `json:"parts"`
}

// partBytes is how long one part of an export is, roughly.
const partBytes = 8 << 20

// Export writes a unit and all that is below it as LDIF (RFC 2849) in a tar (POSIX.1-2001
// pax), in parts, and at the end manifest.json with sums. Passwords aren't in it, nor are
// Tenure's marks.
func (d *Driver) Export(ctx context.Context, ref connector.Ref, to io.Writer) (rec connector.Receipt, err error) {
	if ref.Type != unit {
		return rec, tenure.Errorf(tenure.Invalid, "a %s can't be used with export", ref.Type)
	}
	a, err := d.parse(ref)
	if err != nil {
		return rec, err
	}
	err = d.with(ctx, "export", func() error {
		t, err := d.owned(ctx, ref)
		if err != nil {
			return err
		}
		if !t.found() {
			return notThere(ref)
		}
		top, err := parseDN(t.at)
		if err != nil {
			return err
		}
		m := manifest{Format: 1, Base: t.at, Classes: map[string]int64{}, Parts: []string{}, SHA256: []string{}}
		w := tar.NewWriter(to)
		var part bytes.Buffer
		flush := func() error {
			if part.Len() == 0 {
				return nil
			}
			name := fmt.Sprintf("entries-%06d.ldif", len(m.Parts)+1)
			sum := sha256.Sum256(part.Bytes())
			m.Parts, m.SHA256 = append(m.Parts, name), append(m.SHA256, hex.EncodeToString(sum[:]))
			err := d.file(w, name, part.Bytes())
			part.Reset()
			return err
		}
		key := top.key()
		whole, err := d.search(ctx, t.at, "(objectClass=*)", append([]string{"*"}, insideAttributes...), func(e *ldap.Entry) error {
			in, _ := d.shape(e, a, ref.Classes)
			d.ldif(&part, e)
			if at, err := parseDN(e.DN); err != nil || at.key() != key {
				m.Entries++
				if !in.marked {
					m.Classes[in.class]++
				}
			}
			if part.Len() >= partBytes {
				return flush()
			}
			return nil
		})
		if err != nil {
			return err
		}
		if !whole {
			return tenure.Errorf(tenure.Blocked, "what is below %s isn't seen in full, so the export would lack some of it", t.at).WithHint("raise the limits and the rights of Tenure's account, as the connector's page says")
		}
		if err := flush(); err != nil {
			return err
		}
		raw, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return err
		}
		if err := d.file(w, "manifest.json", raw); err != nil {
			return err
		}
		rec.Counts = map[string]int64{counted: m.Entries}
		return writing(w.Close())
	})
	if err != nil {
		return connector.Receipt{}, err
	}
	return rec, nil
}

func (d *Driver) file(w *tar.Writer, name string, raw []byte) error {
	h := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(raw)), Format: tar.FormatPAX}
	if d.now != nil {
		h.ModTime = d.now().UTC()
	}
	if err := w.WriteHeader(h); err != nil {
		return writing(err)
	}
	_, err := w.Write(raw)
	return writing(err)
}

// writing is an error of the receiving side: nothing here is to blame, and a retry may
// help.
func writing(err error) error {
	if err == nil {
		return nil
	}
	return tenure.Errorf(tenure.Unavailable, "writing the export: %w", err).Retryable()
}

// ldif writes an entry as a record of LDIF.
func (d *Driver) ldif(to *bytes.Buffer, e *ldap.Entry) {
	if to.Len() == 0 {
		to.WriteString("version: 1\n\n")
	}
	ldifLine(to, "dn", e.DN)
	for _, a := range e.Attributes {
		if strings.EqualFold(a.Name, "userPassword") || strings.EqualFold(a.Name, "structuralObjectClass") || strings.EqualFold(a.Name, "hasSubordinates") || strings.EqualFold(a.Name, "entryUUID") {
			continue
		}
		for _, v := range a.Values {
			if !strings.EqualFold(a.Name, d.mark) || !strings.HasPrefix(v, begins) {
				ldifLine(to, a.Name, v)
			}
		}
	}
	to.WriteByte('\n')
}

// ldifLine writes one value, folded at 76 bytes: as it is if it is a SAFE-STRING, and
// otherwise in base64.
func ldifLine(to *bytes.Buffer, name, value string) {
	line := name + ": " + value
	safe := !strings.HasPrefix(value, " ") && !strings.HasPrefix(value, ":") && !strings.HasPrefix(value, "<") && !strings.HasSuffix(value, " ")
	for i := range len(value) {
		safe = safe && value[i] >= ' ' && value[i] < 0x7f
	}
	if !safe {
		line = name + ":: " + base64.StdEncoding.EncodeToString([]byte(value))
	}
	for width := 76; len(line) > width; width = 75 {
		to.WriteString(line[:width] + "\n ")
		line = line[width:]
	}
	to.WriteString(line + "\n")
}
