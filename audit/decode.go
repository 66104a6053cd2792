package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

type wireEntry struct {
	At        int64                 `json:"at"`
	Data      json.RawMessage       `json:"data"`
	Format    int                   `json:"format"`
	Kind      string                `json:"kind"`
	Operation tenure.OperationID    `json:"operation"`
	Sealed    map[string]wireSealed `json:"sealed"`
	Subject   string                `json:"subject"`
	Tenant    tenure.TenantID       `json:"tenant"`
}

type wireSealed struct {
	Box string `json:"box"`
	Key string `json:"key"`
}

// Decode reads what Encode wrote, byte for byte: anything that Encode would
// have written differently (order, white space, a field twice or unknown, an
// escape, base64 bits, what follows) is Invalid. At comes back in UTC.
func Decode(b []byte) (*Entry, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var w wireEntry
	if err := d.Decode(&w); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "audit entry: %w", err)
	}
	if w.Format != Format {
		return nil, tenure.Errorf(tenure.Invalid, "audit entry of format %d; this program knows format %d", w.Format, Format).
			WithHint("a newer tenure may have written it")
	}
	e := &Entry{
		Format: w.Format, At: time.UnixMicro(w.At).UTC(), Kind: w.Kind, Tenant: w.Tenant,
		Operation: w.Operation, Subject: w.Subject, Data: w.Data,
	}
	if len(w.Sealed) > 0 {
		e.Sealed = make(map[string]Sealed, len(w.Sealed))
	}
	for field, s := range w.Sealed {
		box, err := base64.StdEncoding.DecodeString(s.Box)
		if err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "audit entry %q: the box of %q is not base64", w.Kind, field)
		}
		e.Sealed[field] = Sealed{Key: s.Key, Box: box}
	}
	again, err := e.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, tenure.Errorf(tenure.Invalid, "audit entry %q is not in its canonical form", w.Kind)
	}
	return e, nil
}
