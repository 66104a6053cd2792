package tenure

import (
	"slices"
	"strings"
	"time"
)

// ApprovalRule says what approval a plan needs that it matches. All rules that
// match apply, and the strictest word wins in each aspect: the most persons, every
// role that any of them asks for, the shortest expiry, the earliest reminder and
// escalation. A rule can only raise what the program and the blueprint ask for.
type ApprovalRule struct {
	Name     string        `json:"name" yaml:"name"`
	When     ApprovalMatch `json:"when,omitzero" yaml:"when"`
	Count    int           `json:"count,omitempty" yaml:"count"`       // distinct persons, none the requester; 0 to 9
	From     []Quorum      `json:"from,omitempty" yaml:"from"`         // among them so many of a role, each a person of their own
	Expires  Period        `json:"expires,omitzero" yaml:"expires"`    // unanswered for so long, the operation is cancelled
	Remind   Period        `json:"remind,omitzero" yaml:"remind"`      // unanswered for so long, those who may sign are reminded once
	Escalate *Escalation   `json:"escalate,omitempty" yaml:"escalate"` // unanswered for so long, a role is told once
}

// ApprovalMatch narrows a rule to some plans. A blank field takes every plan; of a
// list, one entry must fit.
type ApprovalMatch struct {
	Kinds        []OperationKind `json:"kinds,omitempty" yaml:"kinds"`
	Tiers        []string        `json:"tiers,omitempty" yaml:"tiers"`
	Blueprints   []string        `json:"blueprints,omitempty" yaml:"blueprints"`     // by name
	Labels       []string        `json:"labels,omitempty" yaml:"labels"`             // "key=value"
	Environments []string        `json:"environments,omitempty" yaml:"environments"` // by name or kind ("production", "test"), of what a step touches
	BlastRadius  BlastRadius     `json:"blastRadius,omitzero" yaml:"blastRadius"`    // at least so much
	Gates        []Action        `json:"gates,omitempty" yaml:"gates"`               // gate.approval, gate.noreturn; none means the former
}

// BlastRadius is how much a plan can do at once.
type BlastRadius struct {
	Resources   int `json:"resources,omitempty" yaml:"resources"`     // things that the plan touches
	Destructive int `json:"destructive,omitempty" yaml:"destructive"` // steps that destroy
}

// Quorum asks for so many distinct persons of one role.
type Quorum struct {
	Role  Role `json:"role" yaml:"role"`
	Count int  `json:"count" yaml:"count"` // 1 to 9
}

// Escalation says after how long who is told that a gate still waits: a role, or a
// group of persons that the settings name. Of them those are told whom the reminder
// didn't go to.
type Escalation struct {
	After Period `json:"after" yaml:"after"`
	Role  Role   `json:"role,omitempty" yaml:"role"`
	Group string `json:"group,omitempty" yaml:"group"`
}

// Recipient is whom a notice is addressed to: "role:…" or "group:…".
func (e Escalation) Recipient() string {
	if e.Group != "" {
		return "group:" + e.Group
	}
	return "role:" + string(e.Role)
}

// String names them in words.
func (e Escalation) String() string { return strings.Replace(e.Recipient(), ":", " ", 1) }

// CheckGroups refuses groups of persons that can't be right.
func CheckGroups(groups map[string][]string) error {
	for name, persons := range groups {
		if CheckLabel(name, "") != nil {
			return Errorf(Invalid, "groups: %q is no name for a group", clip(name))
		}
		if len(persons) == 0 || len(persons) > MaxReviewers {
			return Errorf(Invalid, "groups: %s has 1 to %d persons", name, MaxReviewers)
		}
		for i, p := range persons {
			if strings.TrimSpace(p) == "" || NamesPerson(persons[:i], p) {
				return Errorf(Invalid, "groups: %s names %q twice, or nobody", name, clip(p))
			}
		}
	}
	return nil
}

// maxSigners bounds how many persons a gate can ask for: more than nine is a gate
// that never opens.
const maxSigners = 9

// ApprovingRoles are the roles that may sign a plan, and so the only ones that a
// rule can ask for.
func ApprovingRoles() []Role {
	return slices.DeleteFunc(slices.Clone(Roles), func(r Role) bool { return !r.May(OperationApprove) })
}

// Check refuses a rule that says nothing, asks for what nobody can give, or would
// expire before it reminds.
func (r ApprovalRule) Check() error {
	bad := func(format string, args ...any) *Error {
		return Errorf(Invalid, "approval rule %q: "+format, append([]any{clip(r.Name)}, args...)...)
	}
	if strings.TrimSpace(r.Name) == "" || len(r.Name) > 100 {
		return Errorf(Invalid, "an approval rule has a name of 1 to 100 bytes")
	}
	if r.Count < 0 || r.Count > maxSigners {
		return bad("count is 0 to %d, not %d", maxSigners, r.Count)
	}
	sum := 0
	for i, q := range r.From {
		switch {
		case !slices.Contains(Roles, q.Role):
			return bad("there is no role %q", clip(string(q.Role))).WithHint("roles that may approve: %s", joinWords(ApprovingRoles()))
		case !q.Role.May(OperationApprove):
			return bad("the role %s can't approve", q.Role).WithHint("roles that may approve: %s", joinWords(ApprovingRoles()))
		case q.Count < 1 || q.Count > maxSigners:
			return bad("the count of role %s is 1 to %d, not %d", q.Role, maxSigners, q.Count)
		case slices.ContainsFunc(r.From[:i], func(o Quorum) bool { return o.Role == q.Role }):
			return bad("the role %s stands there twice", q.Role)
		}
		sum += q.Count
	}
	if sum > maxSigners {
		return bad("it asks for %d persons; a gate takes at most %d", sum, maxSigners)
	}
	if r.Count == 0 && sum == 0 && r.Expires.IsZero() && r.Remind.IsZero() && r.Escalate == nil {
		return bad("it asks for nothing").WithHint("give count, from, expires, remind or escalate")
	}
	return r.checkDates(bad)
}

func (r ApprovalRule) checkDates(bad func(string, ...any) *Error) error {
	for name, p := range map[string]Period{"expires": r.Expires, "remind": r.Remind} {
		if !p.IsZero() && !p.longer(Period{}) {
			return bad("%s is longer than nothing, not %s", name, p)
		}
	}
	if !r.Remind.IsZero() && !r.Expires.IsZero() && !r.Expires.longer(r.Remind) {
		return bad("it would expire (%s) before it reminds (%s)", r.Expires, r.Remind)
	}
	if e := r.Escalate; e != nil {
		switch {
		case (e.Role == "") == (e.Group == ""):
			return bad("it escalates to a role or to a group, one of the two")
		case e.Group == "" && !slices.Contains(Roles, e.Role):
			return bad("there is no role %q to escalate to", clip(string(e.Role))).WithHint("roles: %s", joinRoles())
		case !e.After.longer(Period{}):
			return bad("escalate.after is longer than nothing")
		case !r.Expires.IsZero() && !r.Expires.longer(e.After):
			return bad("it would expire (%s) before it escalates (%s)", r.Expires, e.After)
		}
	}
	return r.When.check(bad)
}

func (m ApprovalMatch) check(bad func(string, ...any) *Error) error {
	for _, k := range m.Kinds {
		if _, ok := OperationKinds[k]; !ok {
			return bad("there is no operation %q", clip(string(k)))
		}
	}
	for _, l := range m.Labels {
		k, v, ok := strings.Cut(l, "=")
		if !ok {
			return bad("the label %q is not key=value", clip(l))
		}
		if err := CheckLabel(k, v); err != nil {
			return err
		}
	}
	for _, g := range m.Gates {
		if g != ActApproval && g != ActNoReturn {
			return bad("there is no gate %q for persons", clip(string(g))).WithHint("gates: %s, %s", ActApproval, ActNoReturn)
		}
	}
	if m.BlastRadius.Resources < 0 || m.BlastRadius.Destructive < 0 {
		return bad("a blast radius isn't negative")
	}
	return nil
}

// PlanFacts are what rules look at: the plan, and what it doesn't say itself.
type PlanFacts struct {
	Plan    *Plan
	Labels  map[string]string // of the tenant
	WasTier string            // its tier until now, where the plan changes it; either fits
	Kinds   map[string]string // of environments: "production" or "test", by name
}

func (m ApprovalMatch) matches(gate Action, f PlanFacts) bool {
	p := f.Plan
	gates := m.Gates
	if len(gates) == 0 {
		gates = []Action{ActApproval}
	}
	if !slices.Contains(gates, gate) || !fits(m.Kinds, p.Kind) || !fits(m.Tiers, p.Tier) && (f.WasTier == "" || !fits(m.Tiers, f.WasTier)) || !fits(m.Blueprints, p.Blueprint.Name) {
		return false
	}
	if len(m.Labels) > 0 && !slices.ContainsFunc(m.Labels, func(l string) bool { k, v, _ := strings.Cut(l, "="); got, ok := f.Labels[k]; return ok && got == v }) {
		return false
	}
	if len(m.Environments) > 0 && !slices.ContainsFunc(p.Steps, func(s Step) bool {
		return s.Environment != "" && (slices.Contains(m.Environments, s.Environment) || slices.Contains(m.Environments, f.Kinds[s.Environment]))
	}) {
		return false
	}
	return p.touched() >= m.BlastRadius.Resources && p.Destructive >= m.BlastRadius.Destructive
}

func fits[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// touched counts the resources that some step of the plan acts on.
func (p *Plan) touched() int {
	seen := make(map[ResourceID]bool)
	for i := range p.Steps {
		if id := p.Steps[i].Resource; id != "" {
			seen[id] = true
		}
	}
	return len(seen)
}

// Radius is how much the plan can do: what blast-radius rules compare, and what
// the inbox shows.
func (p *Plan) Radius() BlastRadius {
	return BlastRadius{Resources: p.touched(), Destructive: p.Destructive}
}

// RaiseGate is a gate of a kind with what the matching rules ask for on top: never
// less than before. A gate that isn't there is the zero Gate.
func RaiseGate(rules []ApprovalRule, kind Action, g Gate, f PlanFacts) Gate {
	for _, r := range rules {
		if !r.When.matches(kind, f) {
			continue
		}
		g.Rules = append(slices.Clone(g.Rules), r.Name)
		g.Approvals = max(g.Approvals, r.Count)
		for _, q := range r.From {
			g.From = raiseQuorum(g.From, q)
		}
		if kind == ActApproval { // a point of no return has a validity of its own, and can't be cancelled for silence
			g.Expires = shorter(g.Expires, r.Expires)
		}
		g.Remind = shorter(g.Remind, r.Remind)
		if e := r.Escalate; e != nil && (g.Escalate == nil || g.Escalate.After.longer(e.After)) {
			g.Escalate = e
		}
	}
	sum := 0
	for _, q := range g.From {
		sum += q.Count
	}
	g.Approvals = max(g.Approvals, sum)
	return g
}

func raiseQuorum(have []Quorum, q Quorum) []Quorum {
	have = slices.Clone(have)
	i := slices.IndexFunc(have, func(h Quorum) bool { return h.Role == q.Role })
	if i < 0 {
		have = append(have, q)
	} else {
		have[i].Count = max(have[i].Count, q.Count)
	}
	slices.SortFunc(have, func(a, b Quorum) int { return strings.Compare(string(a.Role), string(b.Role)) })
	return have
}

// shorter is the shorter of two periods; an unset one says nothing.
func shorter(a, b Period) Period {
	if a.IsZero() || !b.IsZero() && a.longer(b) {
		return b
	}
	return a
}

// longer compares two periods by how far they reach from one day, since months have
// no length of their own; an unset one is nothing.
func (p Period) longer(o Period) bool {
	from := time.Date(2024, 7, 15, 0, 0, 0, 0, time.UTC)
	return p.After(from).After(o.After(from))
}

func joinWords[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return strings.Join(out, ", ")
}
