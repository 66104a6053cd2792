package site

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) standingForms() {
	s.page("POST /access/standing", (*visit).proposeStanding)
	s.page("POST /access/standing/{standing}/{what}", (*visit).steerStanding)
	s.page("POST /access/standing/starts/{operation}/see", (*visit).seeStart)
}

func standingPath(id tenure.StandingID, what string) string {
	return "/access/standing/" + url.PathEscape(string(id)) + "/" + what
}

// maxStarts bounds how many starts of a standing approval a page looks at.
const maxStarts = 200

func (v *visit) standings(view *dashboard.AccessView) error {
	q := v.URL.Query()
	p := client.StandingFilter{Ended: q.Get("ended") == "true"}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListStandings, p)
	if err != nil {
		return err
	}
	view.Pager = v.pager(list.Next, len(list.Items))
	view.Filters = filters("/access/standing", q, only("ended", "Over or not", q.Get("ended"), "those that count", "those that are over too"))
	for _, s := range list.Items {
		row := dashboard.StandingRow{
			ID: s.ID, Name: s.Rule.Name, Rule: standingRule(s.Rule), Blueprint: strings.TrimSpace(s.Rule.Blueprint + " " + s.Rule.Revision), Budget: s.Rule.PerDay, Per: "day", ProposedBy: s.ProposedBy,
			Expires: s.Rule.EndsAt, State: string(s.State), Actions: v.standingActions(s),
		}
		if s.State == tenure.StandingProposed {
			row.State = "pending"
		}
		for _, r := range s.Reviews {
			row.Reviewed = append(row.Reviewed, r.By)
		}
		if err := v.startsInto(&row); err != nil {
			return err
		}
		view.Standing = append(view.Standing, row)
	}
	if v.caller.May(tenure.StandingPropose) {
		view.Actions = []dashboard.Action{{
			Label: "Propose a standing approval", Post: "/access/standing", Tone: dashboard.ToneAccent, Fields: standingFields(),
			Says: "It starts nothing until two other persons have reviewed it. It covers onboardings that only create, within a budget; never anything that destroys.",
		}}
	}
	return nil
}

func standingFields() []dashboard.Field {
	return []dashboard.Field{
		{Name: "name", Label: "Name", Required: true, Max: 100},
		{Name: "trigger", Label: "Trigger", Max: 200, Hint: "what the request's key begins with"},
		{Name: "source", Label: "Source", Max: 200, Hint: "the name of who asks"},
		{Name: "blueprint", Label: "Blueprint", Required: true, Max: 100},
		{Name: "revision", Label: "Revision", Max: 100, Hint: "blank: any"},
		{Name: "tiers", Label: "Tiers", Max: 1000, Hint: "with commas"},
		{Name: "labels", Label: "Labels", Max: 2000, Hint: "key=value, with commas"},
		{Kind: dashboard.FieldNumber, Name: "resources", Label: "Resources that one plan makes, at most", Required: true, Value: "20"},
		{Kind: dashboard.FieldNumber, Name: "perday", Label: "Starts a day, at most", Required: true, Value: "10"},
		{Kind: dashboard.FieldDate, Name: "ends", Label: "Until", Required: true, Hint: "at most a year away"},
	}
}

// standingRule is a rule in a sentence.
func standingRule(r tenure.StandingRule) string {
	say := "Onboardings"
	if r.Source != "" {
		say += " that " + r.Source + " asks for"
	}
	if r.Trigger != "" {
		say += ", with a trigger that begins with “" + r.Trigger + "”"
	}
	if len(r.Tiers) > 0 {
		say += ", of tier " + strings.Join(r.Tiers, " or ")
	}
	if len(r.Labels) > 0 {
		say += ", with label " + strings.Join(r.Labels, " or ")
	}
	return say + ": each makes at most " + plural(r.MaxResources, "resource", "resources") + "."
}

// startsInto puts in what a standing approval started, as far as the caller sees
// those tenants, and counts the last day's.
func (v *visit) startsInto(row *dashboard.StandingRow) error {
	starts, err := client.UpTo(v.ctx, v.s.api, client.ListStarts, client.StartFilter{Standing: string(row.ID)}, maxStarts)
	if err != nil {
		return err
	}
	slices.SortFunc(starts, func(a, b client.StandingStart) int { return b.At.Compare(a.At) })
	names, targets, now := v.names(), v.targets(), v.s.o.Governor.Now()
	for _, s := range starts {
		if now.Sub(s.At) < 24*time.Hour {
			row.Used++
		}
		name := names.of(s.Tenant)
		ref := operationRef(s.Operation, name+", "+s.At.Format("2 January 2006"))
		if s.ReviewedBy == "" {
			ref.Label += ", nobody has looked at it"
			if v.may(tenure.StandingApprove, targets.of(s.Tenant)) && len(row.Actions) < 8 {
				row.Actions = append(row.Actions, dashboard.Action{Label: "I have looked at " + name, Post: "/access/standing/starts/" + url.PathEscape(string(s.Operation)) + "/see"})
			}
		}
		row.Started = append(row.Started, ref)
	}
	return nil
}

func (v *visit) standingActions(s tenure.Standing) []dashboard.Action {
	if s.State == tenure.StandingEnded || !v.caller.May(tenure.StandingApprove) {
		return nil
	}
	var out []dashboard.Action
	if s.State == tenure.StandingProposed {
		a := dashboard.Action{Label: "Review", Post: standingPath(s.ID, "review"), Tone: dashboard.ToneAccent, Digest: s.Digest, Says: "You sign this rule. The second signature makes it active: from then on it starts plans without a person."}
		switch {
		case tenure.SamePerson(s.ProposedBy, v.caller.Name):
			a.Not = "You proposed it; two other persons review it."
		case slices.ContainsFunc(s.Reviews, func(r tenure.StandingReview) bool { return tenure.SamePerson(r.By, v.caller.Name) }):
			a.Not = "You have reviewed it already."
		}
		out = append(out, a)
	}
	return append(out, dashboard.Action{Label: "End it", Post: standingPath(s.ID, "end"), Tone: dashboard.ToneBad, Says: "It starts nothing from now on. What it started goes on."})
}

func (v *visit) proposeStanding() error {
	number := func(name string) int {
		n, _ := strconv.Atoi(v.PostFormValue(name))
		return n
	}
	text := func(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }
	_, err := ask(v, client.ProposeStanding, client.StandingProposal{Body: tenure.StandingRule{
		Name: text("name"), Trigger: text("trigger"), Source: text("source"), Blueprint: text("blueprint"), Revision: text("revision"),
		Tiers: listOf(text("tiers")), Labels: listOf(text("labels")), MaxResources: number("resources"), PerDay: number("perday"), EndsAt: day(text("ends")),
	}})
	if tenure.CodeOf(err) == tenure.NotFound {
		err = tenure.Errorf(tenure.Invalid, "%w", err)
	}
	return v.tried("/access/standing", "It is proposed. Two other persons review it.", err)
}

func (v *visit) steerStanding() error {
	id := client.StandingParams{Standing: v.PathValue("standing")}
	var err error
	say := "It is over; it starts nothing any more."
	switch v.PathValue("what") {
	case "review":
		p := client.StandingReviewParams{StandingParams: id}
		p.Body.Digest = v.PostFormValue("digest")
		var s tenure.Standing
		s, err = ask(v, client.ReviewStanding, p)
		say = "You have signed the rule."
		if s.State == tenure.StandingActive {
			say += " It is active now."
		}
	case "end":
		_, err = ask(v, client.EndStanding, id)
	default:
		return tenure.Errorf(tenure.NotFound, "a standing approval can't be asked to %q", v.PathValue("what"))
	}
	return v.tried("/access/standing", say, err)
}

func (v *visit) seeStart() error {
	_, err := ask(v, client.SeeStart, client.OperationParams{Operation: v.PathValue("operation")})
	return v.tried("/access/standing", "Noted: you have looked at it.", err)
}
