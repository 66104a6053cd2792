package lifecycle

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// InboxItem is one thing that waits for somebody's decision, or for them to do it.
type InboxItem struct {
	Kind          string               `json:"kind"` // approval, exception, hold, blueprint, standing, start, blocked, task, or what a source adds
	ID            string               `json:"id"`   // of the operation, hold, …
	Gate          string               `json:"gate,omitempty"`
	Tenant        tenure.TenantID      `json:"tenant,omitempty"`
	TenantName    string               `json:"tenantName,omitempty"`
	OperationKind tenure.OperationKind `json:"operationKind,omitempty"`
	Summary       string               `json:"summary"`
	RequestedBy   string               `json:"requestedBy"`
	Digest        string               `json:"digest,omitempty"` // what the decision signs
	Resources     int                  `json:"resources,omitempty"`
	Destructive   int                  `json:"destructive,omitempty"`
	Need          int                  `json:"need,omitempty"`
	Have          int                  `json:"have,omitempty"`
	Missing       string               `json:"missing,omitempty"`
	Rules         []string             `json:"rules,omitempty"`     // approval rules that asked
	Delegator     string               `json:"delegator,omitempty"` // the delegator on whose behalf
	OpenedAt      time.Time            `json:"openedAt"`
	ExpiresAt     time.Time            `json:"expiresAt,omitzero"`
	Escalated     bool                 `json:"escalated,omitempty"`
	EscalatedTo   string               `json:"escalatedTo,omitempty"`
	Escalation    string               `json:"escalation,omitempty"`
	Artifact      bool                 `json:"artifact,omitempty"`
}

// InboxSource lists what waits for a caller's decision beside operations: all of it,
// narrowed to what they may see and may do now.
type InboxSource func(context.Context, tenure.Caller) ([]InboxItem, error)

// AddInbox adds a source to the inbox. It is called before anybody asks.
func (s *Service) AddInbox(f InboxSource) { s.inbox = append(s.inbox, f) }

// inboxAt is a place in the inbox: items are in the order of their age.
type inboxAt struct {
	Since int64  `json:"s"`
	Kind  string `json:"k"`
	ID    string `json:"i"`
	Gate  string `json:"g"`
}

func (i InboxItem) at() inboxAt { return inboxAt{i.OpenedAt.UnixMicro(), i.Kind, i.ID, i.Gate} }

func (a inboxAt) compare(b inboxAt) int {
	return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Gate, b.Gate), cmp.Compare(a.Kind, b.Kind))
}

// maxInbox bounds how much is counted, and how much of one source is read.
const maxInbox = 1000

// Inbox lists what waits for this caller's decision, of what they may decide now, and
// the tasks that they may confirm, the oldest first, after a cursor; at most limit.
// next is "" at the end.
func (s *Service) Inbox(ctx context.Context, c tenure.Caller, cursor string, limit int) (items []InboxItem, next string, err error) {
	if items, next, err = s.inboxOf(ctx, c, cursor, limit); err != nil {
		return nil, "", err
	}
	for i := range items {
		if items[i].Kind != "task" {
			continue
		}
		p, err := s.o.DB.Plan(ctx, items[i].Digest)
		if err != nil {
			return nil, "", err
		}
		if at := stepIndex(p, items[i].Gate); at >= 0 {
			items[i].Summary += ": " + p.Steps[at].Summary
		}
	}
	return items, next, nil
}

// inboxOf is Inbox without what the tasks are, which their plans say.
func (s *Service) inboxOf(ctx context.Context, c tenure.Caller, cursor string, limit int) (items []InboxItem, next string, err error) {
	var after inboxAt
	if cursor != "" {
		b, err := base64.RawURLEncoding.DecodeString(cursor)
		if err == nil {
			err = json.Unmarshal(b, &after)
		}
		if err != nil {
			return nil, "", tenure.Errorf(tenure.Invalid, "the cursor isn't one of this list")
		}
	}
	if limit <= 0 {
		limit = 50
	}
	if c.Kind == tenure.CallerMachine {
		return nil, "", nil
	}
	for _, source := range append([]InboxSource{s.inboxExceptions, s.inboxHolds, s.inboxBlueprints, s.inboxStandings, s.inboxStarts, s.inboxBlocked, s.inboxTasks}, s.inbox...) {
		found, err := source(ctx, c)
		if err != nil {
			return nil, "", err
		}
		for _, i := range found {
			if i.at().compare(after) > 0 {
				items = append(items, i)
			}
		}
	}
	gates, err := s.inboxGates(ctx, c, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	items = append(items, gates...)
	slices.SortFunc(items, func(a, b InboxItem) int { return a.at().compare(b.at()) })
	if len(items) > limit {
		items = items[:limit]
		b, _ := json.Marshal(items[limit-1].at())
		next = base64.RawURLEncoding.EncodeToString(b)
	}
	return items, next, nil
}

// InboxCount counts what waits for this caller's decision, up to 1,000; more says that
// there is more.
func (s *Service) InboxCount(ctx context.Context, c tenure.Caller) (n int, more bool, err error) {
	items, next, err := s.inboxOf(ctx, c, "", maxInbox)
	return len(items), next != "", err
}

// oneOf says whether one of the names is the caller's, or of a machine that they
// answer for.
func (s *Service) oneOf(ctx context.Context, c tenure.Caller, names ...string) (bool, error) {
	for _, name := range names {
		if tenure.SamePerson(name, c.Name) {
			return true, nil
		}
		p, err := s.o.DB.Principal(ctx, name)
		if notThere(err) != nil {
			return false, err
		}
		if tenure.SamePerson(p.Owner, c.Name) {
			return true, nil
		}
	}
	return false, nil
}

func visible(c tenure.Caller, p tenure.Permission) store.Visible {
	reach, limit := c.Reach(p)
	return store.Visible{Reach: reach, Limit: limit}
}

// inboxGates lists the gates that the caller's signature would bring nearer to
// being open.
func (s *Service) inboxGates(ctx context.Context, c tenure.Caller, after inboxAt, limit int) ([]InboxItem, error) {
	v := visible(c, tenure.OperationApprove)
	if v.Nothing() {
		return nil, nil
	}
	var out []InboxItem
	delegations, err := s.o.DB.DelegationsOf(ctx, c.Name, s.Now())
	if err != nil {
		return nil, err
	}
	answers := make(map[string]string) // by who requested
	asked := make(map[string]more)
	var since time.Time // the store sorts texts its own way, so the place within a moment is found here
	if after.Since > 0 {
		since = time.UnixMicro(after.Since - 1).UTC()
	}
	op, step := tenure.OperationID(""), ""
	for len(out) < limit {
		page, err := s.o.DB.WaitingGates(ctx, v, since, op, step, 200)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for i := range page {
			by := page[i].Op.RequestedBy
			if _, ok := answers[by]; !ok {
				p, err := s.o.DB.Principal(ctx, by)
				if notThere(err) != nil {
					return nil, err
				}
				answers[by] = p.Owner
			}
			item, ok, err := s.inboxGate(ctx, c, &page[i], linked{answers[by], delegations}, asked)
			if err != nil {
				return nil, err
			}
			if ok && item.at().compare(after) > 0 {
				out = append(out, item)
			}
		}
		last := page[len(page)-1]
		since, op, step = last.Since, last.Operation, last.Step
		if len(page) < 200 {
			break
		}
	}
	return out, nil
}

func (s *Service) inboxGate(ctx context.Context, c tenure.Caller, g *store.WaitingGate, couples linked, asked map[string]more) (item InboxItem, ok bool, err error) {
	now := s.Now()
	target := tenure.Target{Tenant: g.Tenant, Tier: g.Tier, Labels: g.Labels}
	ways := s.waysOver(ctx, c, target)
	if g.Op.State.Ended() || len(ways) == 0 {
		return item, false, nil
	}
	couples.delegations = covering(couples.delegations, target)
	signed := g.Words(g.Signed, now)
	gate := g.Gate
	if g.Action == tenure.ActRetention {
		gate.Approvals = retentionDeciders
	}
	sign := tenure.Signing{Approval: tenure.Approval{Operation: g.Operation, Step: g.Step, Digest: g.Op.Plan, By: c.Name, At: now}, Gate: &gate, Earlier: signed, Since: g.Since}
	sign, refused := counts(g.Op, sign, ways, couples)
	if refused != nil { // why they can't is for who asks at the gate itself
		return item, false, nil
	}
	m, err := s.more(ctx, g.Op, g.Signed, asked)
	if err != nil {
		return item, false, err
	}
	count, m := standsAt(g.ApprovalWait, g.Op, signed, m)
	if count.Open() { // it opens at any moment
		return item, false, nil
	}
	return InboxItem{
		Kind: "approval", ID: string(g.Operation), Gate: g.Step, Tenant: g.Tenant, TenantName: g.Name, OperationKind: g.Op.Kind,
		Summary: gateSummary(g), RequestedBy: g.Op.RequestedBy, Digest: g.Op.Plan, Resources: g.Radius.Resources, Destructive: g.Radius.Destructive,
		Need: count.Need, Have: count.Have, Missing: m.says(count.Missing()), Rules: gate.Rules, Delegator: sign.For,
		OpenedAt: g.Since, ExpiresAt: g.ExpiresAt, Escalated: !g.EscalatedAt.IsZero(), EscalatedTo: g.EscalatedTo, Escalation: g.ApprovalWait.Escalated,
	}, true, nil
}

// more is how many more persons than its plan says an operation asks for, and why.
type more struct {
	n   int
	why string
}

// says is what a gate still needs, with why that is more than its plan says.
func (m more) says(missing string) string {
	if m.n == 0 {
		return missing
	}
	return fmt.Sprintf("%s; %d more than the plan says, because %s", missing, m.n, m.why)
}

// more asks once for gates with the same requester and signers: it is about them.
func (s *Service) more(ctx context.Context, op tenure.Operation, signed []tenure.Approval, asked map[string]more) (more, error) {
	persons := []string{op.RequestedBy}
	for _, a := range signed {
		persons = append(persons, a.By)
	}
	key := strings.Join(persons, "\n")
	if m, ok := asked[key]; ok {
		return m, nil
	}
	n, why, err := s.extra(ctx, op)
	if err == nil {
		asked[key] = more{n, why}
	}
	return more{n, why}, err
}

// extra is how many more persons than its plan says must approve an operation.
func (s *Service) extra(ctx context.Context, op tenure.Operation) (n int, why string, err error) {
	if s.Engine.Extra == nil {
		return 0, "", nil
	}
	n, why, _, err = s.Engine.Extra(ctx, op)
	return n, why, err
}

func gateSummary(g *store.WaitingGate) string {
	what := fmt.Sprintf("%s %s: touches %s", g.Op.Kind, g.Name, plural(g.Radius.Resources, "resource", "resources"))
	if g.Radius.Destructive > 0 {
		what += ", destroys in " + plural(g.Radius.Destructive, "step", "steps")
	} else {
		what += ", destroys nothing"
	}
	switch g.Action {
	case tenure.ActNoReturn:
		return "point of no return of the " + what
	case tenure.ActRetention:
		return "conflict of retention rules in the " + what
	}
	return what
}

func (s *Service) inboxExceptions(ctx context.Context, c tenure.Caller) (out []InboxItem, err error) {
	v := visible(c, tenure.OperationApprove)
	if v.Nothing() {
		return nil, nil
	}
	list, ops, err := s.o.DB.OpenExceptions(ctx, v, maxInbox)
	for i, e := range list {
		if one, err := s.oneOf(ctx, c, e.RequestedBy); err != nil || one {
			if err != nil {
				return nil, err
			}
			continue
		}
		t, err := s.o.DB.Tenant(ctx, string(ops[i].Tenant))
		if err != nil {
			return nil, err
		}
		if !s.decide(ctx, c, tenure.OperationApprove, targetOf(t)).Allowed {
			continue
		}
		out = append(out, InboxItem{
			Kind: "exception", ID: string(e.Operation), Gate: e.Step, Tenant: t.ID, TenantName: t.Name, OperationKind: ops[i].Kind, Digest: ops[i].Plan,
			Summary: fmt.Sprintf("leave out %s of the %s of %s: %s", e.Step, ops[i].Kind, t.Name, e.Reason), RequestedBy: e.RequestedBy, Need: 1, OpenedAt: e.RequestedAt,
		})
	}
	return out, err
}

func (s *Service) inboxHolds(ctx context.Context, c tenure.Caller) (out []InboxItem, err error) {
	v := visible(c, tenure.HoldRelease)
	if v.Nothing() {
		return nil, nil
	}
	list, err := s.o.DB.ReleasingHolds(ctx, v)
	for _, h := range list {
		target, name := tenure.Target{}, "every tenant"
		if h.Scope.Tenant != "" {
			t, err := s.o.DB.Tenant(ctx, string(h.Scope.Tenant))
			if err != nil {
				return nil, err
			}
			target, name = targetOf(t), t.Name
		}
		one, err := s.oneOf(ctx, c, h.ReleaseBy...)
		if err != nil {
			return nil, err
		}
		if one || !s.decide(ctx, c, tenure.HoldRelease, target).Allowed {
			continue
		}
		out = append(out, InboxItem{
			Kind: "hold", ID: string(h.ID), Tenant: h.Scope.Tenant, TenantName: name, Summary: fmt.Sprintf("release the hold of matter %s on %s", h.Matter, name),
			RequestedBy: strings.Join(h.ReleaseBy, ", "), Need: 2, Have: len(h.ReleaseBy), OpenedAt: h.PlacedAt,
		})
	}
	return out, err
}

func (s *Service) inboxBlueprints(ctx context.Context, c tenure.Caller) (out []InboxItem, err error) {
	if !c.May(tenure.BlueprintPublish) {
		return nil, nil
	}
	list, err := s.o.DB.UnpublishedBlueprints(ctx, maxInbox)
	for _, b := range list {
		one, err := s.oneOf(ctx, c, b.Author)
		if err != nil {
			return nil, err
		}
		if !one {
			out = append(out, InboxItem{Kind: "blueprint", ID: b.Name + "@" + b.Version, Summary: fmt.Sprintf("publish blueprint %s %s", b.Name, b.Version), RequestedBy: b.Author, Digest: b.Digest, Need: 1, OpenedAt: b.CreatedAt})
		}
	}
	return out, err
}

func (s *Service) inboxStandings(ctx context.Context, c tenure.Caller) (out []InboxItem, err error) {
	if !c.May(tenure.StandingApprove) {
		return nil, nil
	}
	list, err := s.o.DB.Standings(ctx, false)
	for _, st := range list {
		mine := tenure.SamePerson(st.ProposedBy, c.Name) || slices.ContainsFunc(st.Reviews, func(r tenure.StandingReview) bool { return tenure.SamePerson(r.By, c.Name) })
		if st.State != tenure.StandingProposed || mine || !s.Now().Before(st.Rule.EndsAt) || s.speaksFor(c, tenure.StandingApprove, st.Rule) != nil {
			continue
		}
		out = append(out, InboxItem{
			Kind: "standing", ID: string(st.ID), RequestedBy: st.ProposedBy, Digest: st.Digest, Need: tenure.StandingReviewers, Have: len(st.Reviews), OpenedAt: st.ProposedAt, ExpiresAt: st.Rule.EndsAt,
			Summary: fmt.Sprintf("let %s start up to %d onboardings a day from %s without a person", st.Rule.Name, st.Rule.PerDay, st.Rule.Blueprint),
		})
	}
	return out, err
}

// inboxTasks lists the tasks that operations wait for and that the caller may say are
// done.
func (s *Service) inboxTasks(ctx context.Context, c tenure.Caller) (out []InboxItem, err error) {
	v := visible(c, tenure.OperationSteer)
	if v.Nothing() {
		return nil, nil
	}
	list, err := s.o.DB.WaitingTasks(ctx, v, maxInbox)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	delegations, err := s.o.DB.DelegationsOf(ctx, c.Name, s.Now())
	if err != nil {
		return nil, err
	}
	answers := make(map[string]string) // by who requested
	for _, g := range list {
		target := tenure.Target{Tenant: g.Tenant, Tier: g.Tier, Labels: g.Labels}
		destroys := g.Op.Kind == tenure.Offboard || g.Radius.Destructive > 0
		if g.Op.State.Ended() || !s.decide(ctx, c, tenure.OperationSteer, target).Allowed || destroys && c.OnlyBreakGlass(tenure.OperationSteer, target) {
			continue
		}
		if g.Gate.Another {
			by := g.Op.RequestedBy
			if _, ok := answers[by]; !ok {
				p, err := s.o.DB.Principal(ctx, by)
				if notThere(err) != nil {
					return nil, err
				}
				answers[by] = p.Owner
			}
			if (tenure.TaskWord{By: c.Name, Answers: answers[by], Delegations: covering(delegations, target)}).Check(g.Op, &g.Gate) != nil {
				continue
			}
		}
		what, artifact := "a task", g.Gate.Artifact != nil
		if artifact {
			what = "an artifact to hand over"
		}
		out = append(out, InboxItem{
			Kind: "task", Artifact: artifact, ID: string(g.Operation), Gate: g.Step, Tenant: g.Tenant, TenantName: g.Name, OperationKind: g.Op.Kind,
			Summary: fmt.Sprintf("%s of the %s of %s", what, g.Op.Kind, g.Name), RequestedBy: g.Op.RequestedBy, Digest: g.Op.Plan, Need: 1, OpenedAt: g.Since,
		})
	}
	return out, nil
}

// inboxBlocked lists the blocked operations that the caller may let go on.
func (s *Service) inboxBlocked(ctx context.Context, c tenure.Caller) (out []InboxItem, err error) {
	v := visible(c, tenure.OperationSteer)
	if v.Nothing() {
		return nil, nil
	}
	list, err := s.o.DB.Operations(ctx, store.OperationFilter{State: tenure.OperationBlocked, Limit: maxInbox, Visible: &v})
	for _, op := range list {
		t, err := s.o.DB.Tenant(ctx, string(op.Tenant))
		if notThere(err) != nil {
			return nil, err
		}
		if !s.decide(ctx, c, tenure.OperationSteer, targetOf(t)).Allowed {
			continue
		}
		if c.OnlyBreakGlass(tenure.OperationSteer, targetOf(t)) {
			p, err := s.o.DB.Plan(ctx, op.Plan)
			if err != nil {
				return nil, err
			}
			if c.CheckDestructive(tenure.OperationSteer, p, targetOf(t)) != nil {
				continue
			}
		}
		out = append(out, InboxItem{
			Kind: "blocked", ID: string(op.ID), Tenant: op.Tenant, TenantName: t.Name, OperationKind: op.Kind, RequestedBy: op.RequestedBy, Digest: op.Plan,
			Summary: fmt.Sprintf("%s of %s is blocked: %s", op.Kind, t.Name, op.Reason), OpenedAt: op.UpdatedAt,
		})
	}
	return out, err
}

// inboxStarts lists what was started without a person and nobody has looked at.
func (s *Service) inboxStarts(ctx context.Context, c tenure.Caller) (out []InboxItem, err error) {
	v := visible(c, tenure.StandingApprove)
	if v.Nothing() {
		return nil, nil
	}
	list, err := s.o.DB.StandingStarts(ctx, store.StartFilter{Unseen: true, Limit: maxInbox, Visible: v})
	if err != nil {
		return nil, err
	}
	for _, st := range list {
		op, err := s.o.DB.Operation(ctx, st.Operation)
		if err != nil {
			return nil, err
		}
		t, err := s.o.DB.Tenant(ctx, string(st.Tenant))
		if err != nil {
			return nil, err
		}
		one, err := s.oneOf(ctx, c, op.RequestedBy)
		if err != nil {
			return nil, err
		}
		if one || !s.decide(ctx, c, tenure.StandingApprove, targetOf(t)).Allowed {
			continue
		}
		out = append(out, InboxItem{
			Kind: "start", ID: string(st.Operation), Tenant: t.ID, TenantName: t.Name, OperationKind: op.Kind, Resources: st.Resources, RequestedBy: op.RequestedBy, Digest: op.Plan, Need: 1,
			Summary: fmt.Sprintf("look at the onboarding of %s, which standing approval %s started", t.Name, st.Standing), OpenedAt: st.At, ExpiresAt: st.At.Add(tenure.StandingLookWithin),
		})
	}
	return out, nil
}
