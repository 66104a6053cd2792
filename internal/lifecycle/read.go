package lifecycle

import (
	"context"
	"encoding/json"
)

// Read looks something up in a system by its id, as connector.Reader says. A system that wasn't
// added is Blocked, and one that can't look such a thing up Invalid.
func (s *Service) Read(ctx context.Context, system, kind, id string, fields []string) (json.RawMessage, error) {
	sys, err := s.System(ctx, system)
	if err != nil {
		return nil, err
	}
	return sys.Read(ctx, kind, id, fields)
}

// Reads lists the kinds of things that can be looked up in a system; one that wasn't added is Blocked.
func (s *Service) Reads(ctx context.Context, system string) (kinds []string, err error) {
	sys, err := s.System(ctx, system)
	if err != nil {
		return nil, err
	}
	for _, r := range sys.Info.Reads {
		kinds = append(kinds, r.Name)
	}
	return kinds, nil
}
