package blueprint

import (
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/source"
)

// Compiled is a blueprint that was checked against the connectors. It never
// changes and may be used by several goroutines at once.
type Compiled struct {
	// Blueprint holds the inferred needs beside the explicit ones.
	Blueprint tenure.Blueprint
	// Digest names the revision: the SHA-256 of its canonical JSON. Comments,
	// the order of keys and how the YAML was written don't change it.
	Digest string
	// Unbound is what a revision that was published by an older release writes into SQL
	// texts where no value can be bound. Its tenants go on, with values that do no harm
	// there; no other tenant may have it.
	Unbound []Unbound

	body   []byte
	infos  map[string]connector.Info   // by system
	shapes map[[2]string]*source.Shape // by connector and type
	params *source.Shape
	texts  map[scope]map[string]*text
	sqls   map[[2]string]*text // by connector and source: SQL texts
	whens  map[string]*text
	order  []int // indexes of resources, what is needed first
}

// Ref names the revision.
func (c *Compiled) Ref() tenure.BlueprintRef {
	return tenure.BlueprintRef{Name: c.Blueprint.Name, Version: c.Blueprint.Version, Digest: c.Digest}
}

// Type is what the connector declares of a resource's type.
func (c *Compiled) Type(r tenure.ResourceSpec) tenure.ResourceType {
	t, _ := c.infos[r.System].Type(r.Type)
	return t
}

// Check does what publishing does: it holds the blueprint against the catalog
// of connectors, type-checks every expression, infers what needs what, and
// refuses what isn't safe to make: types whose deletion, verification or
// recovery is undeclared, exposed or unscoped attributes, environments that
// aren't kept apart, data without a class or a retention. The error is Invalid
// and wraps Problems, all that were found.
func Check(src *Source, catalog []connector.Info) (*Compiled, error) {
	return check(src.Blueprint, src, catalog)
}

// Encode is the canonical JSON that the store keeps; Digest is over it.
func (c *Compiled) Encode() []byte { return c.body }

// Decode reads what Encode wrote, and checks it again as Check does: a
// connector that no longer offers what the revision uses makes it Invalid.
// A body that isn't the digest's is Conflict.
func Decode(body []byte, digest string, catalog []connector.Info) (*Compiled, error) {
	if got := tenure.Digest(body); got != digest {
		return nil, tenure.Errorf(tenure.Conflict, "blueprint %s doesn't match its digest (it hashes to %s): it was changed", digest, got)
	}
	bp, err := fromJSON(body)
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "blueprint %s: %w", digest, err)
	}
	c, err := check(bp, nil, catalog)
	if err != nil {
		return nil, tenure.Errorf(tenure.CodeOf(err), "blueprint %s %s, %s: %w", bp.Name, bp.Version, digest, err)
	}
	if c.Digest != digest {
		return nil, tenure.Errorf(tenure.Conflict, "blueprint %s isn't in its canonical form", digest)
	}
	return c, nil
}

// seal fixes the canonical form and the digest.
func (c *Compiled) seal() error {
	body, err := tenure.Canonical(c.Blueprint)
	if err != nil {
		return err
	}
	c.body, c.Digest = body, tenure.Digest(body)
	return nil
}
