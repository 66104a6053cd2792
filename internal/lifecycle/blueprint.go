package lifecycle

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/blueprint"
	"github.com/tenurehq/tenure/internal/store"
)

// SubmitBlueprint checks a blueprint's source and stores its revision as a draft.
// The same content twice is the same revision.
func (s *Service) SubmitBlueprint(ctx context.Context, src []byte, file, by string) (store.Blueprint, error) {
	if err := person(by); err != nil {
		return store.Blueprint{}, err
	}
	c, err := s.CheckBlueprint(src, file)
	if err != nil {
		return store.Blueprint{}, err
	}
	b := store.Blueprint{BlueprintRef: c.Ref(), Body: c.Encode(), Author: by, CreatedAt: s.Now()}
	e, err := s.entry(ctx, "blueprint.submit", by, "", "", b.Digest, map[string]string{"name": b.Name, "version": b.Version})
	if err != nil {
		return b, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveBlueprintSource(b.Digest, file, src); err != nil {
			return err
		}
		if have, err := tx.Blueprint("", "", b.Digest); err == nil {
			b = have
			return nil
		}
		if err := tx.SaveBlueprint(b); err != nil {
			return err
		}
		return tx.Log(e)
	})
	return b, err
}

// CheckBlueprint says what is wrong with a blueprint, and stores nothing.
func (s *Service) CheckBlueprint(src []byte, file string) (*blueprint.Compiled, error) {
	parsed, err := blueprint.Parse(src, file)
	if err != nil {
		return nil, err
	}
	return blueprint.Check(parsed, s.o.Catalog)
}

// PublishBlueprint makes a draft available. It takes another person than the
// author. The draft is compared with the systems that were added: what would be in
// the way of a departure refuses it, what else a person must know is in Says.
func (s *Service) PublishBlueprint(ctx context.Context, ref, by string) (store.Blueprint, error) {
	var b store.Blueprint
	if err := person(by); err != nil {
		return b, err
	}
	looked, says, err := s.fitting(ctx, ref)
	if err != nil {
		return b, err
	}
	err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
		name, version, digest := splitRef(ref)
		if version == "" && digest == "" {
			return tenure.Errorf(tenure.Invalid, "%q names no revision", ref).WithHint("write name@version or its digest")
		}
		var err error
		if b, err = tx.Blueprint(name, version, digest); err != nil {
			return err
		}
		if digest == "" && !b.Published() { // a draft that came since the reviewer looked isn't what they read
			drafts, err := tx.Drafts(name, version)
			if err != nil {
				return err
			}
			if len(drafts) > 1 {
				return tenure.Errorf(tenure.Conflict, "%d drafts are called %s %s", len(drafts), name, version).WithHint("publish the one that you read, by its digest")
			}
		}
		same, err := onePerson(tx, b.Author, by)
		switch {
		case err != nil:
			return err
		case b.Published():
			return nil
		case b.Digest != looked:
			return tenure.Errorf(tenure.Conflict, "%s names another draft than a moment ago", ref).Retryable()
		case same && b.Author != by:
			return tenure.Errorf(tenure.Forbidden, "%s wrote %s %s, with whom %s is one person, and so can't publish it alone", b.Author, b.Name, b.Version, by).WithHint("another person reviews and publishes it: --as NAME")
		case same:
			return tenure.Errorf(tenure.Forbidden, "%s wrote %s %s and can't publish it alone", by, b.Name, b.Version).WithHint("another person reviews and publishes it: --as NAME")
		}
		// A draft of the same number that was published meanwhile bars this one.
		if err := tx.SaveBlueprint(b); err != nil {
			return err
		}
		b.PublishedBy, b.PublishedAt = by, s.Now()
		if err := tx.PublishBlueprint(b.Digest, by, b.PublishedAt); err != nil {
			return err
		}
		e, err := s.entry(ctx, "blueprint.publish", by, "", "", b.Digest, map[string]string{"name": b.Name, "version": b.Version})
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
	b.Says = says
	return b, err
}

// fitting is fits for a draft by name, and its digest. What there isn't, or is
// published already, the publication itself refuses or accepts.
func (s *Service) fitting(ctx context.Context, ref string) (looked string, says []string, err error) {
	name, version, digest := splitRef(ref)
	if version == "" && digest == "" {
		return "", nil, nil
	}
	b, err := s.o.DB.Blueprint(ctx, name, version, digest)
	switch {
	case tenure.CodeOf(err) == tenure.NotFound:
		return "", nil, nil
	case err != nil || b.Published():
		return b.Digest, nil, err
	}
	c, err := s.compiled(ctx, b.Digest, false)
	if err != nil {
		return b.Digest, nil, err
	}
	if err := bound(c); err != nil {
		return b.Digest, nil, err
	}
	says, err = s.fits(ctx, c)
	return b.Digest, says, err
}

func splitRef(ref string) (name, version, digest string) {
	if strings.HasPrefix(ref, "sha256:") {
		return "", "", ref
	}
	name, version, _ = strings.Cut(ref, "@")
	return name, version, ""
}

// Blueprint finds a published revision by digest, name@version, or name alone.
func (s *Service) Blueprint(ctx context.Context, ref string) (store.Blueprint, error) {
	name, version, digest := splitRef(ref)
	return s.o.DB.Blueprint(ctx, name, version, digest)
}

// DiffBlueprints says in what two revisions differ.
func (s *Service) DiffBlueprints(ctx context.Context, a, b string) ([]tenure.Difference, error) {
	x, err := s.compiled(ctx, a, false)
	if err != nil {
		return nil, err
	}
	y, err := s.compiled(ctx, b, false)
	if err != nil {
		return nil, err
	}
	return blueprint.Diff(&x.Blueprint, &y.Blueprint), nil
}

// Blueprints lists every revision.
func (s *Service) Blueprints(ctx context.Context) ([]store.Blueprint, error) {
	return s.o.DB.Blueprints(ctx)
}

// BlueprintTakes lists the parameters of a published blueprint, by name. A draft is Blocked.
func (s *Service) BlueprintTakes(ctx context.Context, ref string) ([]string, error) {
	c, err := s.compiled(ctx, ref, true)
	if err != nil {
		return nil, err
	}
	of, _ := c.Blueprint.Parameters["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(of)), nil
}

// plannable loads a revision that plans may be made by: another person has published it,
// as the log says too.
func (s *Service) plannable(ctx context.Context, ref string) (*blueprint.Compiled, error) {
	c, err := s.compiled(ctx, ref, true)
	if err != nil {
		return nil, err
	}
	return c, s.o.DB.VouchedRow(ctx, "blueprint", c.Digest)
}

// compiled loads a revision, ready to be evaluated.
func (s *Service) compiled(ctx context.Context, ref string, published bool) (*blueprint.Compiled, error) {
	b, err := s.Blueprint(ctx, ref)
	if err != nil {
		return nil, err
	}
	if published && !b.Published() {
		return nil, tenure.Errorf(tenure.Blocked, "blueprint %s %s is a draft", b.Name, b.Version).WithHint("another person publishes it: tenure blueprint publish %s@%s", b.Name, b.Version)
	}
	s.mu.Lock()
	c := s.revisions[b.Digest]
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	if c, err = blueprint.Decode(b.Body, b.Digest, s.o.Catalog); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revisions == nil || len(s.revisions) >= maxRevisions {
		s.revisions = make(map[string]*blueprint.Compiled)
	}
	s.revisions[b.Digest] = c
	return c, nil
}

// maxRevisions bounds how many compiled revisions are kept; a revision never
// changes, so a kept one is as good as a new one.
const maxRevisions = 32
