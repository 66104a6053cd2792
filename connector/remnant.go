package connector

import (
	"context"

	"github.com/tenurehq/tenure"
)

// RemnantInfo says what a kind of system may physically keep of data that is logically
// deleted.
type RemnantInfo struct {
	Kind  tenure.RemnantKind
	Help  string // what it is, and what ends it
	Clean string // what Tenure does about it where a blueprint asks for that; "" if it can do nothing
}

// Remnant is something that a system physically keeps, or may keep, of what was logically
// deleted. It names no tenant.
type Remnant struct {
	Kind  tenure.RemnantKind `json:"kind"`
	Says  string             `json:"says"`            // what is left, and what ends it; no names of hosts or files
	Names []string           `json:"names,omitempty"` // for operators alone: the tables, replicas and files that it is about
	Bytes int64              `json:"bytes,omitempty"` // at the most; 0 if the system doesn't say
}

// Remnanter says what a system physically keeps of what was deleted of the resources,
// which are of one tenant's, gone or not. Each kind of its Info is in the answer unless the
// system shows that there is nothing of it. It changes nothing.
type Remnanter interface {
	Remnants(ctx context.Context, refs []Ref) ([]Remnant, error)
}

// Cleaner does what it can about one kind of remnant of what was deleted of the resources.
// It takes nothing that a session can see, and is safe to repeat. Something that stands in
// its way for now, such as an old transaction, is Unavailable and named.
type Cleaner interface {
	Clean(ctx context.Context, refs []Ref, kind tenure.RemnantKind) (Receipt, error)
}

// Remnant returns what the connector says of a kind of remnant. Snapshots may be in every
// system.
func (i Info) Remnant(kind tenure.RemnantKind) (RemnantInfo, bool) {
	for _, r := range i.Remnants {
		if r.Kind == kind {
			return r, true
		}
	}
	return RemnantInfo{Kind: kind}, kind == tenure.RemnantSnapshots
}

// Remnants is the driver's answer; of a system that can't tell, one that says so.
func (s *System) Remnants(ctx context.Context, refs []Ref) (out []Remnant, err error) {
	if !is[Remnanter](s) {
		return []Remnant{{Kind: tenure.RemnantUntold, Says: "the connector " + s.Info.Name + " can't tell what its system keeps"}}, nil
	}
	err = capable(ctx, s, "say what is physically left", func(d Remnanter) (err error) { out, err = d.Remnants(ctx, refs); return err })
	for i := range out {
		out[i].Says = s.veil().Text(out[i].Says)
		for j := range out[i].Names {
			out[i].Names[j] = s.veil().Text(out[i].Names[j])
		}
	}
	return out, err
}

// Clean does what the system can about one kind of remnant.
func (s *System) Clean(ctx context.Context, refs []Ref, kind tenure.RemnantKind) (rec Receipt, err error) {
	err = capable(ctx, s, "clean "+string(kind), func(d Cleaner) (err error) { rec, err = d.Clean(ctx, refs, kind); return err })
	return s.veil().Receipt(rec), err
}
