package connector

import (
	"context"
	"encoding/json"

	"github.com/tenurehq/tenure"
)

// Declared is what the inventory says of one resource: a look at rights goes by it,
// and by nothing that stands where a tenant can write.
type Declared struct {
	Resource tenure.ResourceID
	Tenant   tenure.TenantID
	Type     string
	Name     string
	State    tenure.ResourceState
	Normal   json.RawMessage // as Normalise gave the attributes, or those desired while it is being made
}

// Way is a right that nothing declares: a way to a tenant's things, or from a tenant
// to what isn't its own.
type Way struct {
	// At is the resource of whose making it is, or that a repair mends; nil where it
	// is the platform's.
	At *Declared

	Severity tenure.Severity // Critical if it can leak across tenants
	Setting  bool            // it is a setting and gives nobody access by itself
	Field    string          // what it is a right of, and on what: unique for At
	Got      string          // the right itself
	Holder   string          // the role that has it, PUBLIC for everybody; blank where a thing is set so and nobody has a right
	Outside  bool            // Holder, or who gave it the right, is no tenant's by the inventory: an application's role, or everybody
	Says     string          // in words
	Fix      string          // what takes it back, or what to do; blank if that can't be said
	Mends    bool            // Confine takes it back
}

// Reacher looks for rights that nothing declares: who may use what is a tenant's, and
// what a tenant's roles may use. It reads the system's own catalog once, however many
// are declared, and evaluates nothing of a tenant's.
type Reacher interface {
	Reach(ctx context.Context, all []Declared, yield func(Way) error) (Sighting, error)
}

// Right is the way as a plan lists it.
func (w *Way) Right() tenure.Right {
	return tenure.Right{Field: w.Field, Got: w.Got, Holder: w.Holder, Outside: w.Outside, Setting: w.Setting}
}

// Confiner takes back those rights of a list that Reach finds at one resource, and no
// other. What it can't take back is Blocked, with what to do, and so is what Reach finds
// there beside the list.
type Confiner interface {
	Confine(ctx context.Context, r Ref, all []Declared, rights []tenure.Right) (Receipt, error)
}

// Reach looks for rights that nothing declares, and says whether the pass can be
// trusted.
func (s *System) Reach(ctx context.Context, all []Declared, yield func(Way) error) (trusted error, err error) {
	var sight Sighting
	handed := false
	err = delivers(ctx, s, "look at rights", &handed, func(d Reacher) (err error) {
		sight, err = d.Reach(ctx, all, func(w Way) error {
			handed = true
			w.Got, w.Says, w.Fix = s.veil().Text(w.Got), s.veil().Text(w.Says), s.veil().Text(w.Fix)
			return yield(w)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if trusted = s.trust(sight); trusted == nil && !sight.Complete {
		trusted = tenure.Errorf(tenure.Blocked, "system %s hid some of its rights", s.Name)
	}
	return trusted, nil
}

// Confine takes back those rights of a list that stand at a resource undeclared.
func (s *System) Confine(ctx context.Context, r Ref, all []Declared, rights []tenure.Right) (rec Receipt, err error) {
	err = capable(ctx, s, "confine "+r.Type+" "+r.Name, func(d Confiner) (err error) { rec, err = d.Confine(ctx, r, all, rights); return err })
	return s.veil().Receipt(rec), err
}
