package lifecycle

import (
	"context"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/internal/blueprint"
)

// SystemCheck is what a check of Tenure's rights in a system saw.
type SystemCheck struct {
	connector.Checkup
	Connector string
	Checked   bool // whether its connector has something to check
	Identity  Identity
	Stranger  string // why it isn't the recorded system
}

// Identity is whether a system is the one that was recorded.
type Identity string

const (
	Recorded Identity = "recorded"  // it is
	NotAdded Identity = "not_added" // none was recorded yet
	Stranger Identity = "stranger"  // it is another one, or doesn't show who it is
)

// identified says whether an opened system is the recorded one.
func (s *Service) identified(ctx context.Context, sys *connector.System) (Identity, string, error) {
	rows, err := s.o.DB.Systems(ctx)
	if err != nil {
		return "", "", err
	}
	for _, r := range rows {
		if r.Name != sys.Name {
			continue
		}
		sys.Fingerprint = r.Fingerprint
		if err := sys.Identify(ctx); err != nil {
			return Stranger, err.Error(), nil
		}
		return Recorded, "", nil
	}
	return NotAdded, "", nil
}

// CheckSystem says which rights Tenure's role has in a system of the systems file, which
// it lacks and which it has beyond need. The system needn't have been added. What a
// blueprint's resources ask for is checked too: that of a stored revision, or of a
// source. It changes nothing.
func (s *Service) CheckSystem(ctx context.Context, name, ref string, source []byte, file string) (out SystemCheck, err error) {
	asked, err := s.askedOf(ctx, name, ref, source, file)
	if err != nil {
		return out, err
	}
	sys, err := s.open(ctx, name, "")
	if err != nil {
		return out, err
	}
	defer sys.Close()
	out.Connector = sys.Info.Name
	if out.Checkup, out.Checked, err = sys.Check(ctx, asked); err != nil {
		return out, err
	}
	out.Identity, out.Stranger, err = s.identified(ctx, sys)
	return out, err
}

// askedOf is what the blueprint asks of the system; nil without a blueprint.
func (s *Service) askedOf(ctx context.Context, system, ref string, source []byte, file string) ([]connector.Asked, error) {
	var c *blueprint.Compiled
	var err error
	switch {
	case len(source) > 0 && ref != "":
		return nil, tenure.Errorf(tenure.Invalid, "a blueprint is named and its source is given: one of them is enough")
	case len(source) > 0:
		c, err = s.CheckBlueprint(source, file)
	case ref != "":
		c, err = s.compiled(ctx, ref, false)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := []connector.Asked{}
	for _, r := range c.Blueprint.Resources {
		if r.System == system {
			out = append(out, connector.Asked{Key: r.Key, Type: r.Type, Name: r.Name, Attributes: r.Attributes})
		}
	}
	for _, r := range c.Blueprint.Systems[system].Remnants {
		for _, kind := range r.Kinds {
			if r.Clean {
				out = append(out, connector.Asked{Clean: kind})
			}
		}
	}
	return out, nil
}
