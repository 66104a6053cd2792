package site

import (
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) reviewPages() {
	s.page("GET /reviews", (*visit).reviews)
	s.page("POST /reviews", (*visit).startReview)
	s.page("GET /reviews/{campaign}", (*visit).review)
	s.page("GET /reviews/{campaign}/evidence", (*visit).evidenceFile)
	s.page("POST /reviews/{campaign}/decide", (*visit).decideReview)
	s.page("POST /reviews/{campaign}/reassign", (*visit).reassignReview)
	s.page("POST /reviews/{campaign}/close", (*visit).closeReview)
}

func reviewPath(id tenure.CampaignID) string { return "/reviews/" + url.PathEscape(string(id)) }

func (v *visit) reviews() error {
	p := client.CampaignFilter{}
	p.Cursor = v.URL.Query().Get("cursor")
	list, err := ask(v, client.ListCampaigns, p)
	if err != nil {
		return err
	}
	view := dashboard.ReviewsView{Pager: v.pager(list.Next, len(list.Items))}
	for _, c := range list.Items {
		row, err := v.campaignRow(c)
		if err != nil {
			return err
		}
		view.Rows = append(view.Rows, row)
	}
	if v.caller.May(tenure.ReviewManage) {
		covers := dashboard.Field{Kind: dashboard.FieldMany, Name: "covers", Label: "Covers"}
		covers.Options = []dashboard.Option{
			{Value: string(tenure.ReviewGrant), Label: "roles of persons and machines", On: true}, {Value: string(tenure.ReviewAccount), Label: "accounts, keys and integrations of tenants", On: true},
			{Value: string(tenure.ReviewAgreement), Label: "data sharing agreements"}, {Value: string(tenure.ReviewExport), Label: "export grants"},
			{Value: string(tenure.ReviewToken), Label: "tokens"}, {Value: string(tenure.ReviewDelegation), Label: "delegations"}, {Value: string(tenure.ReviewStanding), Label: "standing approvals"},
			{Value: string(tenure.ReviewBreakGlass), Label: "uses of break-glass"}, {Value: string(tenure.ReviewCredential), Label: "Tenure's own credentials for systems"},
		}
		fields := append([]dashboard.Field{{Name: "name", Label: "Name", Required: true, Max: 200}, covers}, scopeFields(true)...)
		view.Start = &dashboard.Action{
			Label: "Start a review", Post: "/reviews", Tone: dashboard.ToneAccent, Says: "Each reviewer answers keep, revoke or change for what they are given; nobody gets what concerns themselves.",
			Fields: append(fields,
				dashboard.Field{Name: "reviewers", Label: "Reviewers", Required: true, Max: 2000, Hint: "persons by name, with commas"},
				dashboard.Field{Kind: dashboard.FieldCheck, Name: "byowner", Label: "Items go to their owner first", Hint: "whom the tenant's label owner names, or who gave it"},
				dashboard.Field{Kind: dashboard.FieldChoice, Name: "silence", Label: "What nobody answers is", Options: []dashboard.Option{{Value: "revoke", Label: "revoked"}, {Value: "keep", Label: "kept"}}},
				dashboard.Field{Kind: dashboard.FieldDate, Name: "due", Label: "Due", Required: true},
			),
		}
	}
	return v.show(dashboard.AreaReviews, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Reviews(w, f, view) })
}

// maxMine bounds how many items are counted as the caller's own.
const maxMine = 500

func (v *visit) campaignRow(c client.Campaign) (dashboard.CampaignRow, error) {
	row := dashboard.CampaignRow{
		ID: c.ID, Title: c.Name, Scope: v.scopeText(c.Scope, v.names()), State: string(c.State), Due: c.DueAt, Items: c.Items, Kept: c.Kept, Revoked: c.Revoked, Changed: c.Narrowed,
		Unanswered: string(c.Silence), StartedBy: c.CreatedBy, Started: c.CreatedAt,
	}
	switch {
	case c.State == tenure.CampaignCarrying:
		row.State = "waiting"
	case c.State == tenure.CampaignOpen && v.s.o.Governor.Now().After(c.DueAt):
		row.State = "overdue"
	}
	if c.Evidence != "" && v.caller.May(tenure.ReviewRead) {
		row.EvidenceHref = reviewPath(c.ID) + "/evidence"
	}
	if c.State != tenure.CampaignOpen {
		return row, nil
	}
	mine, err := client.UpTo(v.ctx, v.s.api, client.ListReviewItems, client.ReviewItemFilter{CampaignID: client.CampaignID{Campaign: string(c.ID)}, Reviewer: v.caller.Name, Open: true}, maxMine)
	row.Mine = len(mine)
	return row, err
}

func (v *visit) review() error {
	q := v.URL.Query()
	id := client.CampaignID{Campaign: v.PathValue("campaign")}
	c, err := ask(v, client.ShowCampaign, id)
	if err != nil {
		return err
	}
	p := client.ReviewItemFilter{CampaignID: id, Reviewer: q.Get("reviewer"), Open: q.Get("open") == "true"}
	p.Cursor = q.Get("cursor")
	list, err := ask(v, client.ListReviewItems, p)
	if err != nil {
		return err
	}
	var view dashboard.ReviewView
	if view.CampaignRow, err = v.campaignRow(c); err != nil {
		return err
	}
	view.Pager = v.pager(list.Next, len(list.Items))
	view.Filters = filters(reviewPath(c.ID), q,
		dashboard.Field{Kind: dashboard.FieldSearch, Name: "reviewer", Label: "Reviewer", Value: q.Get("reviewer")},
		only("open", "Answered or not", q.Get("open"), "all", "those that wait"),
	)
	names := v.names()
	grants := false
	for _, i := range list.Items {
		row := reviewItem(i, names)
		row.Mine = tenure.SamePerson(i.Reviewer, v.caller.Name) && i.Decision == "" && c.State == tenure.CampaignOpen
		grants = grants || row.Mine && i.Kind == tenure.ReviewGrant
		view.Rows = append(view.Rows, row)
	}
	if view.Mine > 0 {
		view.Decide = reviewPath(c.ID) + "/decide"
		if grants {
			for _, r := range tenure.Roles {
				view.Roles = append(view.Roles, dashboard.Option{Value: string(r), Label: string(r)})
			}
		}
	}
	if c.State == tenure.CampaignOpen && v.caller.May(tenure.ReviewManage) {
		a := dashboard.Action{Label: "Close", Post: reviewPath(c.ID) + "/close", Says: "It takes no more answers; what was revoked or changed is carried out, and the evidence is written."}
		if c.Open > 0 {
			a.Not = plural(c.Open, "item waits", "items wait") + " for an answer. When it is due, what nobody answered is handled as its rule says."
		}
		view.Actions = []dashboard.Action{a}
	}
	if c.Open > 0 && c.State == tenure.CampaignOpen && (view.Mine > 0 || v.caller.May(tenure.ReviewManage)) {
		view.Actions = append(view.Actions, dashboard.Action{
			Label: "Give items to another reviewer", Post: reviewPath(c.ID) + "/reassign", Says: "Nobody gets what concerns themselves.",
			Fields: []dashboard.Field{{Name: "items", Label: "Items", Required: true, Max: 2000, Hint: "numbers, with commas"}, {Name: "to", Label: "To", Required: true, Max: 100, Hint: "a person by name"}, {Name: "reason", Label: "Reason", Required: true, Max: 1000}},
		})
	}
	return v.show(dashboard.AreaReviews, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Review(w, f, view) })
}

func reviewItem(i tenure.ReviewItem, names *nameTable) dashboard.ReviewItem {
	row := dashboard.ReviewItem{
		ID: strconv.Itoa(i.Seq), Subject: i.Holder, Kind: string(i.Kind), What: i.Detail, Reviewer: i.Reviewer, LastUsed: i.LastUsed, Decision: string(i.Decision), By: i.DecidedBy, At: i.DecidedAt, Note: i.Reason,
		Operation: operationRef(i.Operation, i.Outcome),
	}
	if row.Subject == "" || i.Kind != tenure.ReviewGrant { // it is the thing itself that is asked about
		row.Subject, row.What = i.Detail, i.Subject
	}
	row.Kind += " · item " + row.ID
	if i.Assigned != "" && i.Decision == "" {
		row.Flags = append(row.Flags, "from "+i.Assigned+": "+i.AssignWhy)
	}
	if i.Tenant != "" {
		row.Tenant = tenantRef(i.Tenant, names.of(i.Tenant))
	}
	if i.Decision != "" && i.DecidedBy == "" {
		row.By = "the campaign's rule, since nobody answered"
	}
	if i.Outcome != "" {
		row.Note = strings.TrimPrefix(row.Note+"; "+i.Outcome, "; ")
	}
	return row
}

func (v *visit) startReview() error {
	scope, err := v.scopeOf()
	if err != nil {
		return v.tried("/reviews", "", err)
	}
	n := client.NewCampaign{Name: strings.TrimSpace(v.PostFormValue("name")), Scope: scope, Reviewers: listOf(v.PostFormValue("reviewers")), ByOwner: v.PostFormValue("byowner") == "true", Silence: tenure.ReviewDecision(v.PostFormValue("silence")), DueAt: day(v.PostFormValue("due"))}
	for _, k := range v.PostForm["covers"] {
		n.Covers = append(n.Covers, tenure.ReviewKind(k))
	}
	if !n.DueAt.IsZero() {
		n.DueAt = n.DueAt.Add(24*time.Hour - time.Second) // due on a day is by its end
	}
	c, err := ask(v, client.StartCampaign, client.NewCampaignParams{Body: n})
	if err != nil {
		if tenure.CodeOf(err) == tenure.NotFound {
			err = tenure.Errorf(tenure.Invalid, "%w", err)
		}
		return v.tried("/reviews", "", err)
	}
	return v.done(reviewPath(c.ID), "The review has begun, with "+plural(c.Items, "item", "items")+".")
}

func (v *visit) decideReview() error {
	id := v.PathValue("campaign")
	back := "/reviews/" + url.PathEscape(id)
	p := client.DecideParams{CampaignID: client.CampaignID{Campaign: id}}
	for _, text := range v.PostForm["item"] {
		seq, err := strconv.Atoi(text)
		if err != nil {
			return tenure.Errorf(tenure.Invalid, "%q is no item", text)
		}
		a := client.ReviewAnswer{Item: seq, Decision: tenure.ReviewDecision(v.PostFormValue("decision")), Reason: v.PostFormValue("note")}
		if a.Decision == tenure.ReviewChange {
			a.ChangeTo = &tenure.ReviewTo{Role: tenure.Role(v.PostFormValue("role"))}
		}
		p.Body.Answers = append(p.Body.Answers, a)
	}
	if len(p.Body.Answers) == 0 {
		return v.back(back, string(dashboard.FlashNote), "Nothing was ticked.")
	}
	_, err := ask(v, client.DecideReview, p)
	return v.tried(back, plural(len(p.Body.Answers), "item is", "items are")+" answered.", err)
}

func (v *visit) reassignReview() error {
	id := v.PathValue("campaign")
	p := client.ReassignParams{CampaignID: client.CampaignID{Campaign: id}}
	p.Body.To, p.Body.Reason = strings.TrimSpace(v.PostFormValue("to")), v.PostFormValue("reason")
	for _, text := range listOf(v.PostFormValue("items")) {
		seq, err := strconv.Atoi(text)
		if err != nil {
			return tenure.Errorf(tenure.Invalid, "%q is no item", text)
		}
		p.Body.Items = append(p.Body.Items, seq)
	}
	_, err := ask(v, client.ReassignReview, p)
	return v.tried("/reviews/"+url.PathEscape(id), plural(len(p.Body.Items), "item is", "items are")+" for "+p.Body.To+" to review now.", err)
}

func (v *visit) closeReview() error {
	id := v.PathValue("campaign")
	_, err := ask(v, client.CloseCampaign, client.CampaignID{Campaign: id})
	return v.tried("/reviews/"+url.PathEscape(id), "The review is closed.", err)
}

func (v *visit) evidenceFile() error {
	e, err := ask(v, client.ShowEvidence, client.CampaignID{Campaign: v.PathValue("campaign")})
	if err != nil {
		return err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return sendFile(v.w, "review-evidence.json", b)
}
