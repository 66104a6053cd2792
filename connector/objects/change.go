package objects

import (
	"context"
	"fmt"
	"io"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Store is where the objects of a class are while a batch changes them. O is an object as
// it was listed.
type Store[O any] interface {
	// Name is the object in errors, such as: file "a/b".
	Name(o O) string
	// ID names an object as it stands: with another content it has another.
	ID(o O) string
	// Under says whether an object is under a prefix of transforms.
	Under(prefix string, o O) bool
	// Each calls f with every object of the class that may be yet to be changed.
	Each(ctx context.Context, f func(o O) error) error
	// Done says whether an object is the result of a pseudonymisation, by its whole content.
	Done(ctx context.Context, o O) (bool, error)
	// Open opens an object as it was listed, and says what stays beside its records. nil
	// is one that went. It is Blocked for one that can't be changed where it is.
	Open(ctx context.Context, o O, t Transform) (content io.ReadCloser, beside []string, err error)
	// Rewrite changes an object.
	Rewrite(ctx context.Context, o O, t Transform) error
	// Save keeps the list of those that were found fit.
	Save(ctx context.Context, list string) error
}

// Changer changes the objects of a class one by one. Before the first one is changed it
// reads all that are yet to be.
type Changer[O any] struct {
	store      Store[O]
	batch      connector.Batch
	transforms map[string]Transform
	seal       func(string) string
	passed     passedList
	inspected  bool
}

// NewChanger goes on with the list that an earlier batch of the run has saved; "" is none.
func NewChanger[O any](store Store[O], batch connector.Batch, transforms map[string]Transform, seal func(string) string, list string) *Changer[O] {
	c := &Changer[O]{store: store, batch: batch, transforms: transforms, seal: seal}
	c.passed = parsePassed(list, c.head(), seal)
	return c
}

func (c *Changer[O]) head() string { return headOf(c.batch.Run, c.batch.Class, c.transforms) }

// Fit says whether an object was found fit as it stands.
func (c *Changer[O]) Fit(o O) bool { return c.passed.Has(c.store.ID(o)) }

// Change has an object rewritten, unless it is a result. It is Blocked as Inspect is, and
// Unavailable for an object that came since.
func (c *Changer[O]) Change(ctx context.Context, o O) error {
	if done, err := c.done(ctx, o); done || err != nil {
		return err
	}
	if !c.Fit(o) {
		if err := c.Prepare(ctx); err != nil {
			return err
		}
		if !c.Fit(o) {
			return fmt.Errorf("%s: %w", c.store.Name(o), cameMeanwhile())
		}
	}
	_, t, err := c.transformOf(o)
	if err == nil {
		err = c.store.Rewrite(ctx, o, t)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.store.Name(o), err)
	}
	return nil
}

// Prepare inspects what is yet to be changed, once in a batch, and saves what was found fit.
func (c *Changer[O]) Prepare(ctx context.Context) error {
	if c.inspected {
		return nil
	}
	c.inspected = true
	passed := passedList{}
	if err := c.Inspect(ctx, func(o O) error { return passed.Add(c.store.ID(o)) }); err != nil {
		return err
	}
	c.passed = passed
	return c.store.Save(ctx, passed.Text(c.head(), c.seal))
}

// Inspect reads every object that is yet to be changed, and calls fit with it. It is
// Blocked by what can't be changed, and by groups that are too small.
func (c *Changer[O]) Inspect(ctx context.Context, fit func(o O) error) error {
	all := newInspection(c.transforms)
	err := c.store.Each(ctx, func(o O) error {
		if err := c.inspect(ctx, all, o); err != nil {
			return fmt.Errorf("%s: %w", c.store.Name(o), err)
		}
		return fit(o)
	})
	if err != nil {
		return err
	}
	return all.Short()
}

func (c *Changer[O]) inspect(ctx context.Context, all *inspection, o O) error {
	prefix, t, err := c.transformOf(o)
	if err != nil {
		return err
	}
	if done, err := c.done(ctx, o); done || err != nil {
		return err
	}
	content, beside, err := c.store.Open(ctx, o, t)
	if content == nil || err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	return all.Read(ctx, prefix, content, beside, c.Fit(o))
}

func (c *Changer[O]) done(ctx context.Context, o O) (bool, error) {
	if c.batch.Disposition != tenure.Pseudonymise {
		return false, nil
	}
	return c.store.Done(ctx, o)
}

func (c *Changer[O]) transformOf(o O) (prefix string, t Transform, err error) {
	return transformOf(c.transforms, func(prefix string) bool { return c.store.Under(prefix, o) })
}
