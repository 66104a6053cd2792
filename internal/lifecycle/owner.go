package lifecycle

import (
	"context"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// OwnsTask says whether a person owns a task of an operation's checklist: by name, in a group of the
// settings, or by a role over the tenant that is granted to them. An item that there isn't is nobody's.
func (s *Service) OwnsTask(ctx context.Context, id tenure.OperationID, item, who string) (owns bool, err error) {
	list, err := s.Checklist(ctx, id)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(list, func(it ChecklistItem) bool { return it.Item == item || string(it.ID) == item })
	if i < 0 || item == "" {
		return false, nil
	}
	same := func(name string) bool { return tenure.SamePerson(name, who) }
	owner, role := list[i].Owner, tenure.Role("")
	switch what, name, _ := strings.Cut(owner, ":"); {
	case what == "person":
		return same(name), nil
	case what == "group":
		return slices.ContainsFunc(s.o.Groups[name], same), nil
	case what == "role":
		role = tenure.Role(name)
	case s.o.Groups[owner] != nil: // as notices go to it
		return slices.ContainsFunc(s.o.Groups[owner], same), nil
	case owner == "platform":
		role = tenure.Operator
	case owner == "security":
		role = tenure.SecurityOfficer
	default:
		return false, nil
	}
	op, err := s.o.DB.Operation(ctx, id)
	if err != nil {
		return false, err
	}
	t, err := s.o.DB.Tenant(ctx, string(op.Tenant))
	if err != nil {
		return false, err
	}
	return owns, s.o.DB.Write(ctx, func(tx *store.Tx) error {
		held, err := tx.RoleHolders(role, s.Now())
		owns = slices.ContainsFunc(held, func(h store.RoleHolder) bool {
			return same(h.Name) && h.Scope.Covers(tenure.Target{Tenant: t.ID, Tier: t.Tier, Labels: t.Labels})
		})
		return err
	})
}
