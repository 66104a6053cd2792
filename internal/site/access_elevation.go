package site

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) elevationForms() {
	s.page("POST /access/elevations", (*visit).requestElevation)
	s.page("POST /access/elevations/{elevation}/{what}", (*visit).steerElevation)
	s.page("POST /access/break-glass", (*visit).breakGlass)
	s.page("POST /access/break-glass/{elevation}/review", (*visit).reviewBreakGlass)
}

func elevationPath(id tenure.ElevationID, what string) string {
	return "/access/elevations/" + url.PathEscape(string(id)) + "/" + what
}

func (v *visit) elevations(view *dashboard.AccessView) error {
	q := v.URL.Query()
	p := client.ElevationFilter{Kind: tenure.Elevated, State: tenure.ElevationState(q.Get("state")), Principal: q.Get("principal")}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListElevations, p)
	if err != nil {
		return err
	}
	view.Filters = filters("/access/elevations", q,
		choice("state", "State", q.Get("state"), "any state", "requested", "approved", "active", "ended", "revoked", "rejected", "lapsed"),
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "principal", Label: "Who", Value: q.Get("principal")},
	)
	view.Pager = v.pager(list.Next, len(list.Items))
	names, now := v.names(), v.s.o.Governor.Now()
	for _, e := range list.Items {
		row := dashboard.ElevationRow{
			ID: e.ID, Principal: e.Principal, Role: e.Role, Scope: v.scopeText(e.Scope, names), Reason: e.Reason, State: elevationWord(e.State), Asked: e.RequestedAt, ClaimUntil: e.ClaimExpiresAt, Ends: e.ExpiresAt,
			Ephemeral: e.Login, Actions: v.elevationActions(e),
		}
		if e.State != tenure.ElevationRejected {
			row.Approved = e.DecidedBy
		}
		if length, err := tenure.ParsePeriod(e.Duration); err == nil {
			row.Duration = length.After(now).Sub(now)
		}
		view.Elevations = append(view.Elevations, row)
	}
	if v.caller.May(tenure.ElevationRequest) {
		view.Actions = []dashboard.Action{{
			Label: "Ask for an elevation", Post: "/access/elevations", Tone: dashboard.ToneAccent, Fields: elevationFields(true),
			Says: "Another person approves it. Then you claim it, and only then its clock starts; it ends by itself, or at once by revoke.",
		}}
	}
	return nil
}

func elevationWord(s tenure.ElevationState) string {
	switch s {
	case tenure.ElevationApproved:
		return "claimable"
	case tenure.ElevationLapsed:
		return "expired"
	}
	return string(s)
}

func elevationFields(approved bool) []dashboard.Field {
	length := dashboard.Field{Kind: dashboard.FieldChoice, Name: "for", Label: "For how long", Options: []dashboard.Option{{Value: "PT1H", Label: "1 hour"}, {Value: "PT2H", Label: "2 hours"}, {Value: "PT4H", Label: "4 hours"}}}
	role := roleField(tenure.Operator)
	system := dashboard.Field{Name: "system", Label: "A login of its own in the system", Max: 100, Hint: "blank: none; it is only to tenants by name, and only to read"}
	if !approved {
		role.Options = nil
		for _, r := range []tenure.Role{tenure.Operator, tenure.Viewer, tenure.SecurityOfficer} {
			role.Options = append(role.Options, dashboard.Option{Value: string(r), Label: string(r)})
		}
		return append(append([]dashboard.Field{role}, scopeFields(true)...), reasonField(), length, system)
	}
	length.Options = append(length.Options, dashboard.Option{Value: "PT8H", Label: "8 hours"})
	system.Hint = "blank: none; it is only to tenants by name"
	access := dashboard.Field{Kind: dashboard.FieldChoice, Name: "access", Label: "The login may", Options: []dashboard.Option{{Label: "–"}, {Value: "read", Label: "read"}, {Value: "write", Label: "insert and update"}}}
	return append(append([]dashboard.Field{role}, scopeFields(true)...), reasonField(), length, system, access)
}

// elevationActions are what whose it is can do with it, and what another person can.
func (v *visit) elevationActions(e client.Elevation) []dashboard.Action {
	var out []dashboard.Action
	mine := tenure.SamePerson(e.Principal, v.caller.Name)
	end := dashboard.Action{Label: "Revoke", Post: elevationPath(e.ID, "revoke"), Tone: dashboard.ToneBad, Says: "It ends at once, with the sessions of its login.", Fields: []dashboard.Field{{Name: "reason", Label: "Reason", Max: 1000}}}
	switch e.State {
	case tenure.ElevationRequested:
		end.Label, end.Says = "Take it back", "Nobody can approve it any more."
		if !mine && v.caller.May(tenure.ElevationApprove) {
			say := "You agree that " + e.Principal + " is " + string(e.Role) + " over " + v.scopeText(e.Scope, v.names()) + " for " + e.Duration + ", from when it is claimed"
			if e.System != "" {
				say += ", with a login of its own in " + e.System + " that may " + string(e.Access)
			}
			out = append(out,
				dashboard.Action{Label: "Approve", Post: elevationPath(e.ID, "approve"), Tone: dashboard.ToneAccent, Says: say + ".", Digest: e.Digest},
				dashboard.Action{Label: "Reject", Post: elevationPath(e.ID, "reject"), Tone: dashboard.ToneBad, Fields: []dashboard.Field{{Name: "reason", Label: "Reason", Required: true, Max: 1000}}})
			return out
		}
	case tenure.ElevationApproved:
		if mine {
			out = append(out, dashboard.Action{Label: "Claim", Post: elevationPath(e.ID, "claim"), Tone: dashboard.ToneAccent, Says: "Its clock starts now. If it opens a login, its password is shown once, on the next page."})
		}
	case tenure.ElevationActive:
	default:
		return nil
	}
	if mine || v.caller.May(tenure.ElevationApprove) {
		out = append(out, end)
	}
	return out
}

func (v *visit) requestElevation() error {
	p := client.ElevationParams{}
	scope, err := v.scopeOf()
	if err == nil {
		p.Body = client.NewElevation{
			Role: tenure.Role(v.PostFormValue("role")), Scope: scope, Reason: v.PostFormValue("reason"), Duration: v.PostFormValue("for"),
			System: strings.TrimSpace(v.PostFormValue("system")), Access: tenure.DirectAccess(v.PostFormValue("access")),
		}
		_, err = ask(v, client.RequestElevation, p)
	}
	return v.tried("/access/elevations", "It is asked for. Another person approves it.", err)
}

func (v *visit) steerElevation() error {
	id := client.ElevationID{Elevation: v.PathValue("elevation")}
	because := client.ElevationReason{ElevationID: id}
	because.Body.Reason = v.PostFormValue("reason")
	var err error
	say := ""
	switch v.PathValue("what") {
	case "approve":
		p := client.ElevationApproval{ElevationID: id}
		p.Body.Digest = v.PostFormValue("digest")
		_, err = ask(v, client.ApproveElevation, p)
		say = "You have approved it; it can be claimed now."
	case "reject":
		_, err = ask(v, client.RejectElevation, because)
		say = "You have rejected it."
	case "revoke":
		_, err = ask(v, client.RevokeElevation, because)
		say = "It is over."
	case "claim":
		var e client.ClaimedElevation
		if e, err = ask(v, client.ClaimElevation, id); err == nil && e.Secret != "" {
			return v.once(dashboard.AccessElevations, "The clock runs. This is the password of "+e.Login+"; it is shown this once.", e.Secret)
		}
		say = "The clock runs until " + e.ExpiresAt.Format("15:04") + " UTC."
	default:
		return tenure.Errorf(tenure.NotFound, "an elevation can't be asked to %q", v.PathValue("what"))
	}
	return v.tried("/access/elevations", say, err)
}

func (v *visit) breakGlasses(view *dashboard.AccessView) error {
	p := client.ElevationFilter{Kind: tenure.BreakGlass}
	p.Cursor = v.URL.Query().Get("cursor")
	list, err := ask(v, client.ListElevations, p)
	if err != nil {
		return err
	}
	view.Pager = v.pager(list.Next, len(list.Items))
	names, now := v.names(), v.s.o.Governor.Now()
	for _, e := range list.Items {
		row := dashboard.BreakGlassRow{
			Principal: e.Principal, Reason: e.Reason, Scope: v.scopeText(e.Scope, names) + ", as " + string(e.Role), Started: e.StartedAt, Ends: e.ExpiresAt, ReviewBy: e.ReviewDueAt,
			Reviewed: e.ReviewedBy, Outcome: e.ReviewNote, State: glassState(e, now), Actions: v.breakGlassActions(e),
		}
		if !e.EndedAt.IsZero() {
			row.Ends = e.EndedAt
		}
		row.Did = v.doneUnder(e)
		view.BreakGlass = append(view.BreakGlass, row)
	}
	if v.caller.May(tenure.BreakGlassUse) {
		a := dashboard.Action{
			Label: "Break the glass", Post: "/access/break-glass", Tone: dashboard.ToneBad, Fields: elevationFields(false),
			Says: "You have the role at once, without approval. Everybody hears of it, and another person reviews it within 24 hours of its end. It never destroys data and never releases a hold.",
		}
		if v.caller.Kind == tenure.CallerPerson && !v.caller.Strong {
			a.Not = "It takes a stronger sign-in than this one."
		}
		view.Actions = []dashboard.Action{a}
	}
	return nil
}

// doneUnder is what was done while a break-glass lasted, for who may know: the last
// things of one that wait for a review, and a way to the log of the others.
func (v *visit) doneUnder(e client.Elevation) (out []dashboard.Ref) {
	if e.ReviewedAt.IsZero() {
		did, err := ask(v, client.ElevationLog, client.ElevationEntries{ElevationID: client.ElevationID{Elevation: string(e.ID)}, Limit: shownDone})
		if err != nil {
			return nil
		}
		for _, l := range did.Items {
			what := l.Kind
			if l.Subject != "" {
				what += " " + l.Subject
			}
			r := dashboard.Ref{Label: l.At[11:16] + " " + what}
			if v.caller.May(tenure.AuditRead) {
				r.Href = "/audit/" + strconv.FormatInt(l.Index, 10)
			}
			out = append(out, r)
		}
	}
	if v.caller.May(tenure.AuditRead) {
		out = append(out, dashboard.Ref{Label: "the log of that day", Href: pathWith("/audit", url.Values{"since": {e.RequestedAt.Format(time.DateOnly)}, "until": {e.RequestedAt.AddDate(0, 0, 2).Format(time.DateOnly)}})})
	}
	return out
}

// shownDone is how much of what was done under a break-glass a page shows.
const shownDone = 20

func glassState(e client.Elevation, now time.Time) string {
	switch {
	case !e.ReviewedAt.IsZero():
		return "reviewed"
	case e.State == tenure.ElevationActive && now.Before(e.ExpiresAt):
		return "active"
	case now.After(e.ReviewDueAt):
		return "overdue"
	}
	return "unreviewed"
}

func (v *visit) breakGlassActions(e client.Elevation) []dashboard.Action {
	var out []dashboard.Action
	if e.State == tenure.ElevationActive && (tenure.SamePerson(e.Principal, v.caller.Name) || v.caller.May(tenure.ElevationApprove)) {
		out = append(out, dashboard.Action{Label: "End it now", Post: elevationPath(e.ID, "revoke"), Tone: dashboard.ToneBad})
	}
	if e.ReviewedAt.IsZero() && e.State.Over() && v.caller.May(tenure.BreakGlassReview) {
		a := dashboard.Action{
			Label: "Review", Post: "/access/break-glass/" + url.PathEscape(string(e.ID)) + "/review", Tone: dashboard.ToneAccent, Says: "You say what you found when you looked at what was done under it.",
			Fields: []dashboard.Field{{Kind: dashboard.FieldLong, Name: "note", Label: "What you found", Required: true, Max: 2000}},
		}
		if tenure.SamePerson(e.Principal, v.caller.Name) {
			a.Not = "It was you; another person must review it."
		}
		out = append(out, a)
	}
	return out
}

func (v *visit) breakGlass() error {
	p := client.BreakGlassParams{}
	scope, err := v.scopeOf()
	if err != nil {
		return v.tried("/access/break-glass", "", err)
	}
	p.Body = client.NewBreakGlass{Role: tenure.Role(v.PostFormValue("role")), Scope: scope, Reason: v.PostFormValue("reason"), Duration: v.PostFormValue("for"), System: strings.TrimSpace(v.PostFormValue("system"))}
	e, err := ask(v, client.BreakGlass, p)
	if err == nil && e.Secret != "" {
		return v.once(dashboard.AccessBreakGlass, "You have it until "+e.ExpiresAt.Format("15:04")+" UTC. This is the password of "+e.Login+"; it is shown this once.", e.Secret)
	}
	return v.tried("/access/break-glass", "You are "+string(e.Role)+" until "+e.ExpiresAt.Format("15:04")+" UTC. Everybody has heard of it.", err)
}

func (v *visit) reviewBreakGlass() error {
	p := client.BreakGlassReview{ElevationID: client.ElevationID{Elevation: v.PathValue("elevation")}}
	p.Body.Note = v.PostFormValue("note")
	_, err := ask(v, client.ReviewBreakGlass, p)
	return v.tried("/access/break-glass", "You have reviewed it.", err)
}
