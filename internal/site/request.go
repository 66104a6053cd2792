package site

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) requestPages() {
	s.page("GET /new/{kind}", func(v *visit) error { return v.request(nil) })
	s.page("POST /new/{kind}", (*visit).makePlan)
	s.page("GET /plans/{digest}", (*visit).plan)
	s.page("POST /plans/{digest}/start", (*visit).start)
	s.page("GET /plans/{digest}/confirm", func(v *visit) error { return v.confirmStart("", "") })
	s.page("GET /operations/{operation}/no-return", func(v *visit) error { return v.confirmNoReturn("", "") })
}

// kindSays is what follows from a request, in a sentence.
var kindSays = map[tenure.OperationKind]string{
	tenure.Onboard:   "The next page shows the plan. Nothing exists before somebody starts it and somebody else approves it.",
	tenure.Change:    "What you leave as it is stays as it is.",
	tenure.Upgrade:   "The tenant is brought to another revision of its blueprint; the next page shows the difference.",
	tenure.Repair:    "Tenure looks again first; what differs from the desired state is brought back.",
	tenure.Suspend:   "Access goes off until somebody resumes it. Nothing is destroyed.",
	tenure.Resume:    "Access goes on again.",
	tenure.Offboard:  "Access is cut, data is handed over, retention runs, and then everything is erased. The next page shows when, and until when it can be undone.",
	tenure.Reinstate: "The tenant comes back. What was revoked isn't revived: new credentials are issued.",

	tenure.Supplement: "What stands again at this closed tenant's places is counted, confirmed by two persons and erased, with a certificate of its own. The tenant stays closed.",
}

// blueprintBody is what a form needs of a revision.
type blueprintBody struct {
	Parameters struct {
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required"`
	} `json:"parameters"`
	Features map[string]tenure.Feature `json:"features"`
}

type property struct {
	Type        any    `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Enum        []any  `json:"enum"`
	Default     any    `json:"default"`
	Format      string `json:"format"`
}

// request shows the form; err is what was wrong with what was sent.
func (v *visit) request(err error) error {
	kind := tenure.OperationKind(v.PathValue("kind"))
	if _, known := kindSays[kind]; !known {
		return tenure.Errorf(tenure.NotFound, "there is no form for %q", kind)
	}
	if !v.caller.May(tenure.OperationRequest) {
		return tenure.Errorf(tenure.Forbidden, "%s may not %s: no role of theirs has it", v.caller.Name, tenure.OperationRequest)
	}
	view := dashboard.RequestView{Kind: kind, Title: title(kind), Says: kindSays[kind], Post: v.URL.RequestURI(), Button: "Show the plan", Cancel: "/tenants"}
	if err != nil {
		view.Error, view.Hints = err.Error(), tenure.HintsOf(err)
	}
	var bp string
	var t client.TenantDetail
	if kind != tenure.Onboard {
		var terr error
		if t, terr = ask(v, client.ShowTenant, client.TenantParams{Tenant: v.URL.Query().Get("tenant")}); terr != nil {
			return terr
		}
		view.Tenant, view.Cancel, bp = tenantRef(t.ID, t.Name), dashboard.TenantPath(t.ID), t.Blueprint.Digest
		view.Title += " " + t.Name
		if !slices.Contains(tenure.OperationKinds[kind], t.State) {
			view.Blocked = t.Name + " is " + strings.ReplaceAll(string(t.State), "_", " ") + "; it can't be done in this state."
		}
	} else if bp = v.URL.Query().Get("blueprint"); bp == "" {
		return v.chooseBlueprint(view)
	}
	if ferr := v.fields(&view, kind, bp, t); ferr != nil {
		return ferr
	}
	area := dashboard.AreaTenants
	if err != nil {
		v.w.WriteHeader(tenure.CodeOf(err).Status())
	}
	return v.show(area, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Request(w, f, view) })
}

func title(k tenure.OperationKind) string {
	if k == tenure.Onboard {
		return "Onboard a tenant"
	}
	s := string(k)
	return strings.ToUpper(s[:1]) + s[1:]
}

// chooseBlueprint asks first what the tenant is to be made from: its parameters
// are the next form's fields.
func (v *visit) chooseBlueprint(view dashboard.RequestView) error {
	list, err := ask(v, client.ListBlueprints, client.BlueprintFilter{})
	if err != nil {
		return err
	}
	f := dashboard.Field{Kind: dashboard.FieldChoice, Name: "blueprint", Label: "Blueprint", Required: true}
	for _, b := range list.Items {
		if !b.PublishedAt.IsZero() {
			f.Options = append(f.Options, dashboard.Option{Value: b.Name + "@" + b.Version, Label: revision(b.BlueprintRef)})
		}
	}
	if len(f.Options) == 0 {
		view.Blocked = "No blueprint is published yet. An author submits one, and somebody else publishes it."
	} else {
		choose := filters(v.URL.Path, v.URL.Query(), f)
		view.Choose = &choose
	}
	return v.show(dashboard.AreaTenants, "", func(w io.Writer, fr dashboard.Frame) error { return v.s.pages.Request(w, fr, view) })
}

func (v *visit) fields(view *dashboard.RequestView, kind tenure.OperationKind, bp string, t client.TenantDetail) error {
	value := func(name, other string) string {
		if v.PostForm.Has(name) {
			return v.PostForm.Get(name)
		}
		return other
	}
	why := dashboard.Field{Name: "reason", Label: "Reason", Hint: "it stands in the plan and in the log", Value: value("reason", ""), Max: 1000}
	switch kind {
	case tenure.Onboard:
		view.Groups = append(view.Groups, dashboard.FieldGroup{Title: "The tenant", Fields: []dashboard.Field{
			{Name: "tenant", Label: "Name", Hint: "lower-case letters, digits and hyphens; it becomes part of hosts and schemas", Value: value("tenant", ""), Required: true, Max: tenure.MaxTenantName, Pattern: "[a-z]([a-z0-9\\-]*[a-z0-9])?"},
			{Name: "organization", Label: "Organization", Hint: "the customer's legal entity", Value: value("organization", ""), Max: 200},
			{Name: "contact", Label: "Contact", Value: value("contact", ""), Max: 200},
			{Name: "tier", Label: "Tier", Value: value("tier", ""), Max: 60},
			{Name: "labels", Label: "Labels", Hint: "key=value, separated by commas", Value: value("labels", ""), Max: 2000},
		}})
		view.Hidden = hiddenPairs("blueprint", bp)
	case tenure.Upgrade:
		view.Groups = append(view.Groups, dashboard.FieldGroup{Title: "The revision", Fields: []dashboard.Field{
			{Name: "blueprint", Label: "Revision", Hint: "name@version; the latest published one if you leave it blank", Value: value("blueprint", "")},
		}})
	case tenure.Offboard:
		view.Groups = append(view.Groups, dashboard.FieldGroup{Title: "The departure", Fields: []dashboard.Field{
			{Kind: dashboard.FieldDate, Name: "contractEnd", Label: "The contract ends on", Value: value("contractEnd", "")},
			{Name: "recipient", Label: "The customer's age recipient", Hint: "age1…: the export is encrypted to it", Value: value("recipient", ""), Max: 200},
			{Kind: dashboard.FieldCheck, Name: "atOnce", Label: "Cut access at once, without the grace (fraud, security)", Value: value("atOnce", "")},
			{Kind: dashboard.FieldCheck, Name: "eraseOnly", Label: "Export nothing: the customer chose erasing over switching", Value: value("eraseOnly", "")},
		}})
	case tenure.Repair:
		view.Groups = append(view.Groups, dashboard.FieldGroup{Title: "The repair", Fields: []dashboard.Field{
			{Kind: dashboard.FieldCheck, Name: "reissue", Label: "Issue new credentials too", Value: value("reissue", "")},
		}})
	}
	if kind == tenure.Onboard || kind == tenure.Change || kind == tenure.Upgrade {
		if err := v.parameterFields(view, bp, t, value); err != nil {
			return err
		}
	}
	view.Groups = append(view.Groups, dashboard.FieldGroup{Title: "Why", Fields: []dashboard.Field{why}})
	return nil
}

func (v *visit) parameterFields(view *dashboard.RequestView, bp string, t client.TenantDetail, value func(name, other string) string) error {
	body, err := v.blueprintBody(bp)
	if err != nil {
		return err
	}
	now := map[string]any{}
	_ = json.Unmarshal(t.Parameters, &now)
	var fields []dashboard.Field
	for _, name := range slices.Sorted(maps.Keys(body.Parameters.Properties)) {
		p := body.Parameters.Properties[name]
		have := ""
		if d, ok := now[name]; ok {
			have = valueText(d)
		} else if p.Default != nil {
			have = valueText(p.Default)
		}
		fields = append(fields, parameterField(name, p, value("param."+name, have), slices.Contains(body.Parameters.Required, name)))
	}
	if len(fields) > 0 {
		view.Groups = append(view.Groups, dashboard.FieldGroup{Title: "Parameters", Says: "What this blueprint asks for.", Fields: fields})
	}
	f := dashboard.Field{Kind: dashboard.FieldMany, Name: "features", Label: "Features"}
	for _, name := range slices.Sorted(maps.Keys(body.Features)) {
		on := body.Features[name].Default
		if x, ok := t.Features[name]; ok {
			on = x
		}
		if v.PostForm.Has("features.asked") {
			on = slices.Contains(v.PostForm["features"], name)
		}
		label := body.Features[name].Title
		if label == "" {
			label = name
		}
		f.Options = append(f.Options, dashboard.Option{Value: name, Label: label, On: on})
	}
	if len(f.Options) > 0 {
		view.Hidden = append(view.Hidden, dashboard.Pair{Name: "features.asked", Value: "true"})
		view.Groups = append(view.Groups, dashboard.FieldGroup{Title: "Features", Fields: []dashboard.Field{f}})
	}
	return nil
}

func parameterField(name string, p property, value string, required bool) dashboard.Field {
	label := p.Title
	if label == "" {
		label = name
	}
	f := dashboard.Field{Name: "param." + name, Label: label, Hint: p.Description, Value: value, Required: required, Max: 4000}
	switch {
	case len(p.Enum) > 0:
		f.Kind = dashboard.FieldChoice
		if !required {
			f.Options = append(f.Options, dashboard.Option{Label: "not set", On: value == ""})
		}
		for _, e := range p.Enum {
			f.Options = append(f.Options, dashboard.Option{Value: valueText(e), Label: valueText(e), On: valueText(e) == value})
		}
	case p.Type == "boolean":
		f.Kind = dashboard.FieldCheck
	case p.Type == "object" || p.Type == "array":
		f.Kind, f.Hint = dashboard.FieldLong, strings.TrimSpace(f.Hint+" (JSON)")
	case p.Format == "email":
		f.Kind = dashboard.FieldEmail
	}
	return f
}

func (v *visit) blueprintBody(ref string) (body blueprintBody, err error) {
	b, err := ask(v, client.ShowBlueprint, client.BlueprintParams{Blueprint: ref})
	if err != nil {
		return body, err
	}
	if err := json.Unmarshal(b.Body, &body); err != nil {
		return body, tenure.Errorf(tenure.Internal, "blueprint %s: %w", ref, err)
	}
	return body, nil
}

// intent reads the form.
func (v *visit) intent() (client.Intent, error) {
	f := v.PostForm
	in := client.Intent{
		Kind: tenure.OperationKind(v.PathValue("kind")), Tenant: strings.TrimSpace(f.Get("tenant")), Blueprint: f.Get("blueprint"), Tier: f.Get("tier"),
		Organization: f.Get("organization"), Contact: f.Get("contact"), Reason: f.Get("reason"), ContractEnd: day(f.Get("contractEnd")), Recipient: strings.TrimSpace(f.Get("recipient")),
		AtOnce: f.Get("atOnce") == "true", EraseOnly: f.Get("eraseOnly") == "true", Reissue: f.Get("reissue") == "true",
	}
	bp := in.Blueprint
	if in.Kind != tenure.Onboard {
		in.Tenant = v.URL.Query().Get("tenant")
		t, err := ask(v, client.ShowTenant, client.TenantParams{Tenant: in.Tenant})
		if err != nil {
			return in, err
		}
		if bp == "" {
			bp = t.Blueprint.Digest
		}
	}
	for _, l := range strings.FieldsFunc(f.Get("labels"), func(r rune) bool { return r == ',' || r == '\n' }) {
		key, value, ok := strings.Cut(strings.TrimSpace(l), "=")
		if !ok {
			return in, tenure.Errorf(tenure.Invalid, "the label %q is not key=value", l)
		}
		if in.Labels == nil {
			in.Labels = map[string]string{}
		}
		in.Labels[key] = value
	}
	if in.Kind != tenure.Onboard && in.Kind != tenure.Change && in.Kind != tenure.Upgrade {
		return in, nil
	}
	body, err := v.blueprintBody(bp)
	if err != nil {
		return in, err
	}
	return in, readParameters(&in, body, f)
}

// readParameters gives the form's texts the types that the schema wants.
func readParameters(in *client.Intent, body blueprintBody, f url.Values) error {
	in.Parameters = map[string]any{}
	for name, p := range body.Parameters.Properties {
		raw := strings.TrimSpace(f.Get("param." + name))
		switch {
		case len(f["param."+name]) > 1:
			return tenure.Errorf(tenure.Invalid, "the parameter %s is given twice", name)
		case !utf8.ValidString(raw):
			return tenure.Errorf(tenure.Invalid, "the parameter %s isn't text in UTF-8", name)
		case p.Type == "boolean" && raw != "" && raw != "true" && raw != "false":
			return tenure.Errorf(tenure.Invalid, "the parameter %s is true or false, and not %.40q", name, raw)
		case p.Type == "boolean":
			in.Parameters[name] = raw == "true"
		case raw == "":
		case p.Type == "string" || p.Type == nil && len(p.Enum) > 0 && !json.Valid([]byte(raw)):
			in.Parameters[name] = raw
		default:
			value, err := tenure.ReadJSON([]byte(raw))
			if err != nil {
				return tenure.Errorf(tenure.Invalid, "the parameter %s isn't a JSON value of its type: %w", name, err)
			}
			in.Parameters[name] = value
		}
	}
	if f.Has("features.asked") {
		in.Features = map[string]bool{}
		for name := range body.Features {
			in.Features[name] = slices.Contains(f["features"], name)
		}
	}
	return nil
}

// makePlan compiles what was asked for and shows the plan; nothing runs.
func (v *visit) makePlan() error {
	in, err := v.intent()
	if err == nil {
		var p client.Plan
		if p, err = ask(v, client.MakePlan, client.PlanIntent{Body: in}); err == nil {
			http.Redirect(v.w, v.Request, planPath(p.Digest), http.StatusSeeOther)
			return nil
		}
	}
	if c := tenure.CodeOf(err); c == tenure.Internal || c == tenure.Unauthorized {
		return err
	}
	return v.request(err)
}

func planPath(digest string) string {
	return "/plans/" + url.PathEscape(strings.TrimPrefix(digest, "sha256:"))
}

func (v *visit) readPlan() (*tenure.Plan, string, error) {
	p, err := ask(v, client.ShowPlan, client.DigestParams{Digest: v.PathValue("digest")})
	if err != nil {
		return nil, "", err
	}
	plan, err := p.Read()
	return plan, p.Digest, err
}

func (v *visit) plan() error {
	p, digest, err := v.readPlan()
	if err != nil {
		return err
	}
	view := dashboard.PlanView{Back: "/tenants", Gone: goneItems(p)}
	view.OperationRow = dashboard.OperationRow{Kind: p.Kind, Tenant: dashboard.Ref{Label: p.Name}, Steps: len(p.Steps), Created: p.At}
	view.Plan = digest
	planInto(&view.OperationView, p)
	keys := make(map[tenure.ResourceID]string)
	for _, r := range p.Resources {
		keys[r.ID] = tenure.ResourcePath(r.Environment, r.Key)
	}
	for i := range p.Steps {
		view.StepRows = append(view.StepRows, stepRow(&p.Steps[i], tenure.StepStatus{State: tenure.StepPending}, keys))
	}
	start := dashboard.Action{Label: "Start it", Post: planPath(digest) + "/start", Tone: dashboard.ToneAccent, Says: startSays(p), Digest: digest}
	if p.Destructive > 0 {
		start = dashboard.Action{Label: "Start it…", Href: planPath(digest) + "/confirm", Tone: dashboard.ToneBad}
		view.Warnings = append(view.Warnings, plural(p.Destructive, "step destroys", "steps destroy")+" data. You type the tenant's name before it starts, and every point of no return asks two persons again.")
	}
	for i := range p.Losses {
		if p.Losses[i].Data() {
			lost, becomes := p.Losses[i].Says()
			view.Warnings = append(view.Warnings, p.Losses[i].Resource+" loses "+lost+". They are "+becomes+".")
		}
	}
	if p.Kind != tenure.Onboard {
		view.Back = dashboard.TenantPath(p.Tenant)
		view.Tenant.Href = view.Back
	}
	view.Start = &start
	return v.show(dashboard.AreaOperations, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.NewPlan(w, f, view) })
}

func startSays(p *tenure.Plan) string {
	for i := range p.Steps {
		if p.Steps[i].Action == tenure.ActApproval {
			return "It begins, and waits at once for the approval of somebody else, who signs this digest."
		}
	}
	return "It begins at once; this blueprint asks for no approval."
}

// goneItems are what a plan destroys, with its dates.
func goneItems(p *tenure.Plan) []dashboard.GoneItem {
	at := make(map[string]tenure.Projection)
	for _, d := range p.Dates {
		at[d.Step] = d
	}
	var out []dashboard.GoneItem
	for i := range p.Steps {
		st := &p.Steps[i]
		if !st.Destructive {
			continue
		}
		d := at[st.Key]
		out = append(out, dashboard.GoneItem{What: st.Summary, Where: strings.Trim(st.System+" "+st.Environment, " "), At: d.At, Undo: d.Undo})
	}
	return out
}

func (v *visit) start() error {
	p, digest, err := v.readPlan()
	if err != nil {
		return err
	}
	if p.Destructive > 0 && v.PostFormValue("confirm") != p.Name {
		return v.confirmStart("The name isn't "+p.Name+". Nothing was started.", v.PostFormValue("confirm"))
	}
	if d := v.PostFormValue("digest"); d != digest {
		return tenure.Errorf(tenure.Conflict, "the plan that was read is another one").WithHint("read it again")
	}
	req := client.OperationRequest{}
	req.Body.Plan = digest
	o, err := ask(v, client.RequestOperation, req)
	if err != nil {
		return v.tried(planPath(digest), "", err)
	}
	return v.done(dashboard.OperationPath(o.ID), "It has begun.")
}

// confirmStart asks for the tenant's name before what destroys is started.
func (v *visit) confirmStart(wrong, typed string) error {
	p, digest, err := v.readPlan()
	if err != nil {
		return err
	}
	view := dashboard.ConfirmView{
		Title: title(p.Kind) + " " + p.Name, Name: p.Name, Says: "Read what follows. Starting it destroys nothing yet; it sets the dates below going.",
		Gone: goneItems(p), Digest: digest, PlanHref: planPath(digest), Who: "Somebody else must approve this plan, and two persons each point of no return.",
		Post: planPath(digest) + "/start", Button: title(p.Kind) + " " + p.Name, Cancel: planPath(digest), Error: wrong, Typed: typed,
	}
	for _, d := range p.Dates {
		if !d.At.IsZero() {
			view.Dates = append(view.Dates, dashboard.DepartureDate{At: d.At, What: d.What})
		}
		if !d.Undo.IsZero() && (view.NoReturn.IsZero() || d.Undo.Before(view.NoReturn)) {
			view.NoReturn = d.Undo
		}
	}
	if wrong != "" {
		v.w.WriteHeader(http.StatusBadRequest)
	}
	return v.show(dashboard.AreaOperations, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Confirm(w, f, view) })
}

// gate finds a gate of an operation's plan.
func gateOf(o client.OperationDetail, key string) *tenure.Step {
	if o.Body == nil {
		return nil
	}
	for i := range o.Body.Steps {
		if o.Body.Steps[i].Key == key && o.Body.Steps[i].Action == tenure.ActNoReturn {
			return &o.Body.Steps[i]
		}
	}
	return nil
}

// confirmNoReturn asks for the tenant's name at a point of no return, with the
// fresh counts of what goes.
func (v *visit) confirmNoReturn(wrong, typed string) error {
	o, err := ask(v, client.ShowOperation, client.OperationParams{Operation: v.PathValue("operation")})
	if err != nil {
		return err
	}
	st := gateOf(o, v.FormValue("gate"))
	if st == nil {
		return tenure.Errorf(tenure.NotFound, "this operation has no such point of no return")
	}
	name, at := v.names().of(o.Tenant), dashboard.OperationPath(o.ID)
	view := dashboard.ConfirmView{
		Title: "Point of no return for " + name, Name: name, Says: st.Summary, NoUndo: "After this nobody can bring it back.", Digest: o.Plan, PlanHref: at,
		Who: v.whoConfirms(o, st), Hidden: hiddenPairs("gate", st.Key), Post: at + "/no-return", Button: "Confirm for " + name, Cancel: at, Error: wrong, Typed: typed,
	}
	for _, c := range o.Counts(st.Key) {
		for _, p := range c.Places {
			view.Gone = append(view.Gone, dashboard.GoneItem{What: placeWords(p), Where: c.System + " " + c.Resource, Count: p.Rows})
		}
		if len(c.Places) == 0 {
			view.Gone = append(view.Gone, dashboard.GoneItem{What: c.Resource, Where: c.System, Count: c.Rows})
		}
		if c.Partial != "" {
			view.Stays = append(view.Stays, "Not looked at in "+c.Resource+": "+c.Partial)
		}
	}
	if wrong != "" {
		v.w.WriteHeader(http.StatusBadRequest)
	}
	return v.show(dashboard.AreaOperations, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Confirm(w, f, view) })
}

// whoConfirms says how many persons a point of no return takes, and who is still needed.
func (v *visit) whoConfirms(o client.OperationDetail, st *tenure.Step) string {
	need, still := 2, ""
	if st.Gate != nil {
		need = max(need, st.Gate.Approvals)
	}
	if w, ok := v.inboxed(o.ID, st.Key); ok {
		need = w.Need
		still = " " + plural(w.Have, "person has", "persons have") + " confirmed. Still needed: " + w.Missing + "."
	}
	return "It takes " + strconv.Itoa(need) + " persons, who confirm within 72 hours of the counts." + still
}

// placeWords say what a counted place is, how it is reached and what becomes of it.
func placeWords(p client.CountedPlace) string {
	out := p.Name
	if p.Class != "" {
		out += " (" + p.Class + ")"
	}
	if p.Via != "" {
		out += ", " + p.Via
	}
	if becomes := p.Becomes(); becomes != client.Goes && becomes != "" {
		out += ": " + becomes
	}
	return out
}

// noReturn takes the answer at a point of no return.
func (v *visit) noReturn(id string) error {
	o, err := ask(v, client.ShowOperation, client.OperationParams{Operation: id})
	if err != nil {
		return err
	}
	if name := v.names().of(o.Tenant); v.PostFormValue("confirm") != name {
		return v.confirmNoReturn("The name isn't "+name+". Nothing was confirmed.", v.PostFormValue("confirm"))
	}
	p := client.GateParams{OperationChange: client.OperationChange{OperationParams: client.OperationParams{Operation: id}}}
	p.Body.Gate, p.Body.Digest = v.PostFormValue("gate"), v.PostFormValue("digest")
	_, err = ask(v, client.ApproveOperation, p)
	return v.tried(dashboard.OperationPath(o.ID), "Your confirmation is noted. What it is about goes once everybody who is needed has confirmed.", err)
}
