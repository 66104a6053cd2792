package filesystem

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Driver is one root.
type Driver struct {
	root   string
	marker connector.Marker
	now    func() time.Time
	turns  connector.Turns // by type and name, against two calls on one thing
}

var (
	_ connector.Driver      = (*Driver)(nil)
	_ connector.Quarantiner = (*Driver)(nil)
	_ connector.Exporter    = (*Driver)(nil)
	_ connector.Eraser      = (*Driver)(nil)
	_ connector.Mapper      = (*Driver)(nil)
	_ connector.Expirer     = (*Driver)(nil)
	_ connector.Prober      = (*Driver)(nil)
)

// Close has nothing to let go of: each call opens the root anew, so one that
// was mounted again is seen as it is.
func (d *Driver) Close() error { return nil }

// with runs a call on the opened root and gives its error a code.
func (d *Driver) with(ctx context.Context, call string, f func(*os.Root) error) error {
	if ctx.Err() != nil {
		return classify(call, context.Cause(ctx))
	}
	r, err := os.OpenRoot(d.root)
	if errors.Is(err, fs.ErrNotExist) {
		return tenure.Errorf(tenure.Unavailable, "%s: the root isn't there", call).Retryable().WithHint("mount it, or correct the option root")
	}
	if err != nil {
		return classify(call, err)
	}
	return classify(call, errors.Join(f(r), r.Close()))
}

// Plant makes the root, if its parent is there, and Tenure's own folder in it.
func (d *Driver) Plant(ctx context.Context) (fingerprint string, err error) {
	if err := os.Mkdir(d.root, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", classify("plant", err)
	}
	err = d.with(ctx, "plant", func(r *os.Root) error {
		if err := plant(r); err != nil {
			return err
		}
		g, err := sight(r)
		fingerprint = g.Fingerprint
		return err
	})
	return fingerprint, err
}

// Normalise gives the attributes as they will be observed.
func (d *Driver) Normalise(want connector.Desired) (json.RawMessage, error) {
	a, err := parse(want.Ref)
	if err != nil {
		return nil, err
	}
	return a.shown(mode(want.Type, a.Public), a.Text, "")
}

// Observe looks each thing up; the file system has no bulk query.
func (d *Driver) Observe(ctx context.Context, refs []connector.Ref, yield func(connector.Observed) error) (g connector.Sighting, err error) {
	var stop error
	err = d.with(ctx, "observe", func(r *os.Root) error {
		if g, err = sight(r); err != nil {
			return err
		}
		for _, ref := range refs {
			o, err := d.observe(ctx, r, ref)
			if errors.Is(err, fs.ErrPermission) {
				g.Complete = false
			} else if err != nil {
				return err
			}
			if stop = yield(o); stop != nil {
				return nil
			}
		}
		return nil
	})
	if stop != nil {
		return connector.Sighting{}, stop
	}
	return g, err
}

// observe is one thing as it is. A name that can't be one of ours is absent.
func (d *Driver) observe(ctx context.Context, r *os.Root, ref connector.Ref) (connector.Observed, error) {
	o := connector.Observed{Type: ref.Type, Name: ref.Name}
	if fieldsOf(ref.Type) == "" || checkName(ref.Name) != nil {
		return o, nil
	}
	if ctx.Err() != nil {
		return o, context.Cause(ctx)
	}
	p, err := d.find(r, ref.Type, ref.Name)
	if err != nil || !p.found() {
		return o, err
	}
	return d.describe(ctx, r, ref, p)
}

// unmarked tells of what bears no mark the attributes that the file system has of it. A text
// that isn't the wanted one may be anybody's, and is told by its sum.
func (d *Driver) unmarked(r *os.Root, o connector.Observed, p place, wanted any) (connector.Observed, error) {
	o.Attributes = json.RawMessage("{}")
	if p.quarantined {
		o.Detail = "it stands in " + path.Dir(p.path) + ", and no record says why"
		return o, nil
	}
	if o.Type == document && !p.info.Mode().IsRegular() || o.Type != document && !p.info.IsDir() {
		o.Detail = "what is there is no " + o.Type
		return o, nil
	}
	var text *string
	var err error
	if o.Type == document {
		if text, err = readText(r, p); err != nil {
			return o, err
		}
		if *text != wanted {
			*text = fmt.Sprintf("(a text with the SHA-256 %x)", sha256.Sum256([]byte(*text)))
		}
	}
	o.Untold = recordedOf(o.Type)
	o.Attributes, err = attributes{}.shown(p.info.Mode(), text, stranger(p.info))
	return o, err
}

// describe reads the live attributes of what was found.
func (d *Driver) describe(ctx context.Context, r *os.Root, ref connector.Ref, p place) (connector.Observed, error) {
	typ := ref.Type
	o := connector.Observed{Type: typ, Name: ref.Name, Found: true, Owner: p.owner, Resource: p.resource, State: tenure.ResourcePresent}
	if p.rec == nil {
		return d.unmarked(r, o, p, ref.Attributes["text"])
	}
	a, m := p.rec.Attributes, p.info.Mode()
	if p.quarantined {
		o.State = tenure.ResourceQuarantined
		o.Detail = "set aside in " + p.path
		m = mode(typ, false) // as it was recorded; the live bits are all off
		if q := p.rec.Quarantine; q != nil {
			o.Metrics = map[string]int64{"objects": q.Objects, "bytes": q.Bytes}
		}
	}
	var text *string
	var err error
	switch {
	case p.quarantined:
	case typ == document:
		if text, err = readText(r, p); err == nil {
			o.Metrics = map[string]int64{"bytes": p.info.Size()}
		}
	default:
		o.Metrics, o.Copies, err = measure(ctx, r, p, a)
	}
	if err != nil {
		return o, err
	}
	o.Attributes, err = a.shown(m, text, stranger(p.info))
	return o, err
}
