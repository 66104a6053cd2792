package guard

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/tenurehq/tenure"
)

// Entity types of the schema.
const (
	principalType    = types.EntityType("Principal")
	actionType       = types.EntityType("Action")
	tenantType       = types.EntityType("Tenant")
	installationType = types.EntityType("Installation")
	roleType         = types.EntityType("Role")
	kindType         = types.EntityType("Kind")
	weekdayType      = types.EntityType("Weekday")
)

// thisInstallation is the resource of what isn't about a tenant.
const thisInstallation = "this"

// Permissions lists every permission that some role has, sorted: the actions
// that a policy can name.
func Permissions() []tenure.Permission {
	seen := make(map[tenure.Permission]bool)
	for _, r := range tenure.Roles {
		for _, p := range r.Permissions() {
			seen[p] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// named are the ids that entities of the closed types have.
func named() map[types.EntityType][]string {
	roles := make([]string, 0, len(tenure.Roles))
	for _, r := range tenure.Roles {
		roles = append(roles, string(r))
	}
	var days []string
	for d := time.Sunday; d <= time.Saturday; d++ {
		days = append(days, weekday(d))
	}
	return map[types.EntityType][]string{
		roleType:         roles,
		kindType:         {string(tenure.CallerPerson), string(tenure.CallerMachine)},
		weekdayType:      days,
		installationType: {thisInstallation},
	}
}

func weekday(d time.Weekday) string { return strings.ToLower(d.String()) }

// Schema is the Cedar schema that policies are checked against, as text.
func Schema() string {
	ids := named()
	quote := func(t types.EntityType) string {
		return `"` + strings.Join(ids[t], `", "`) + `"`
	}
	var actions []string
	for _, p := range Permissions() {
		actions = append(actions, fmt.Sprintf("  %q", p))
	}
	return `// What a policy can look at.

entity Role enum [` + quote(roleType) + `];
entity Kind enum [` + quote(kindType) + `];
entity Weekday enum [` + quote(weekdayType) + `];

// Who asks, by name.
entity Principal {
  kind: Kind,
  roles: Set<Role>,    // that they have over this resource
  allRoles: Set<Role>, // that they have over anything
  owner: String,       // of a machine: the person who answers for it, else ""
  strong: Bool,        // signed in with a second factor
};

// What it is about: a tenant by its id (ten_…), or Installation::"this".
entity Tenant {
  tier: String,
  labels: Set<String>, // "key=value"
};
entity Installation;

action
` + strings.Join(actions, ",\n") + `
appliesTo {
  principal: Principal,
  resource: [Tenant, Installation],
  context: {
    now: datetime,
    hour: Long,       // of the day in UTC, 0 to 23
    weekday: Weekday, // in UTC
    breakGlass: Bool, // they may only since they broke the glass
  },
};
`
}

// newValidator makes the check of policies against the schema.
func newValidator() (*validate.Validator, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(Schema())); err != nil {
		return nil, tenure.Errorf(tenure.Internal, "policy schema: %w", err)
	}
	r, err := s.Resolve()
	if err != nil {
		return nil, tenure.Errorf(tenure.Internal, "policy schema: %w", err)
	}
	return validate.New(r, validate.WithStrict()), nil
}
