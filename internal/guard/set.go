package guard

import (
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/tenurehq/tenure"
)

// Policy is where one policy stands.
type Policy struct {
	ID    string `json:"id"`
	File  string `json:"file"`
	Line  int    `json:"line"`
	About string `json:"about,omitempty"` // its @about annotation
}

// Set is a folder's policies. It doesn't change; its methods may be called from
// any goroutine. The zero Set denies nothing.
type Set struct{ policies []entry }

type entry struct {
	Policy
	id     cedar.PolicyID
	policy *cedar.Policy
}

// Policies lists the policies in the order of their files.
func (s *Set) Policies() []Policy {
	out := make([]Policy, 0, len(s.policies))
	for _, e := range s.policies {
		out = append(out, e.Policy)
	}
	return out
}

// all are the policies as Cedar walks over them.
type all []entry

func (a all) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for i := range a {
			if !yield(a[i].id, a[i].policy) {
				return
			}
		}
	}
}

// Denies names, in the order of their files, the policies that forbid a caller to
// do something to a target at now: "policy ID (FILE)". One that can't be evaluated
// is among them, with the reason. Nil is no objection; whether the caller may at
// all is for their grants to say.
func (s *Set) Denies(c tenure.Caller, p tenure.Permission, t tenure.Target, now time.Time) []string {
	if len(s.policies) == 0 {
		return nil
	}
	req, entities := request(c, p, t, now)
	_, diag := cedar.Authorize(all(s.policies), entities, req)
	if len(diag.Reasons) == 0 && len(diag.Errors) == 0 {
		return nil
	}
	said := make(map[cedar.PolicyID]string, len(diag.Reasons)+len(diag.Errors))
	for _, r := range diag.Reasons {
		said[r.PolicyID] = ""
	}
	for _, e := range diag.Errors {
		said[e.PolicyID] = ", which couldn't be evaluated: " + e.Message
	}
	var out []string
	for _, e := range s.policies {
		if why, ok := said[e.id]; ok {
			out = append(out, "policy "+e.ID+" ("+e.File+")"+why)
		}
	}
	return out
}

// request puts a question to Cedar.
func request(c tenure.Caller, p tenure.Permission, t tenure.Target, now time.Time) (cedar.Request, *facts) {
	now = now.UTC()
	who := types.NewEntityUID(principalType, types.String(c.Name))
	about := types.NewEntityUID(installationType, thisInstallation)
	f := &facts{principal: types.Entity{UID: who, Attributes: attributes(c, t)}}
	if t.Tenant != "" {
		about = types.NewEntityUID(tenantType, types.String(t.Tenant))
		labels := make([]types.Value, 0, len(t.Labels))
		for k, v := range t.Labels {
			labels = append(labels, types.String(k+"="+v))
		}
		f.resource.Attributes = types.NewRecord(types.RecordMap{"tier": types.String(t.Tier), "labels": types.NewSet(labels...)})
	}
	f.resource.UID = about
	return cedar.Request{
		Principal: who, Action: types.NewEntityUID(actionType, types.String(p)), Resource: about,
		Context: types.NewRecord(types.RecordMap{
			"now":        types.NewDatetime(now),
			"hour":       types.Long(now.Hour()),
			"weekday":    types.NewEntityUID(weekdayType, types.String(weekday(now.Weekday()))),
			"breakGlass": types.Boolean(c.OnlyBreakGlass(p, t)),
		}),
	}, f
}

func attributes(c tenure.Caller, t tenure.Target) types.Record {
	var here, anywhere []tenure.Role
	for _, g := range c.Grants {
		if !slices.Contains(anywhere, g.Role) {
			anywhere = append(anywhere, g.Role)
		}
		if g.Scope.Covers(t) && !slices.Contains(here, g.Role) {
			here = append(here, g.Role)
		}
	}
	return types.NewRecord(types.RecordMap{
		"kind":     types.NewEntityUID(kindType, types.String(c.Kind)),
		"roles":    roleSet(here),
		"allRoles": roleSet(anywhere),
		"owner":    types.String(c.Owner),
		"strong":   types.Boolean(c.Strong),
	})
}

func roleSet(roles []tenure.Role) types.Set {
	out := make([]types.Value, 0, len(roles))
	for _, r := range roles {
		out = append(out, types.NewEntityUID(roleType, types.String(r)))
	}
	return types.NewSet(out...)
}

// facts are the two entities that a question is about.
type facts struct{ principal, resource types.Entity }

// Get is Cedar's look-up.
func (f *facts) Get(id types.EntityUID) (types.Entity, bool) {
	switch id {
	case f.principal.UID:
		return f.principal, true
	case f.resource.UID:
		return f.resource, true
	}
	return types.Entity{}, false
}

// Live is a folder's policies in use: they can be read again while they are
// asked. Its methods may be called from any goroutine.
type Live struct {
	dir string
	set atomic.Pointer[Set]
}

// Watch loads a folder's policies, as Load does.
func Watch(dir string) (*Live, error) {
	l := &Live{dir: dir}
	return l, l.Reload()
}

// Reload reads the folder again. A set with anything wrong in it isn't taken: the
// error says what, and the one before stays in force.
func (l *Live) Reload() error {
	set, err := Load(l.dir)
	if err != nil {
		if l.set.Load() == nil {
			return err
		}
		return tenure.Errorf(tenure.CodeOf(err), "the policies in use stay: %w", err)
	}
	l.set.Store(set)
	return nil
}

// Denies is the set's in use. Before one was loaded everything is denied.
func (l *Live) Denies(c tenure.Caller, p tenure.Permission, t tenure.Target, now time.Time) []string {
	set := l.set.Load()
	if set == nil {
		return []string{"policies that couldn't be loaded"}
	}
	return set.Denies(c, p, t, now)
}

// Policies lists the set in use.
func (l *Live) Policies() []Policy {
	if set := l.set.Load(); set != nil {
		return set.Policies()
	}
	return nil
}
