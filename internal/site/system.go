package site

import (
	"io"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (s *Site) systemPages() {
	s.page("GET /systems", (*visit).systems)
	s.page("POST /systems", (*visit).addSystem)
}

func (v *visit) systems() error {
	list, err := ask(v, client.ListSystems, client.None{})
	if err != nil {
		return err
	}
	var view dashboard.SystemsView
	for _, s := range list.Items {
		row := dashboard.SystemRow{
			Name: s.Name, Connector: strings.TrimSpace(s.Connector + " " + s.Version), State: "healthy", Fingerprint: s.Fingerprint, Limit: s.Limit, Checked: v.s.o.Governor.Now(),
		}
		if !s.Well {
			row.State, row.LastError = "down", s.Reason
		}
		view.Rows = append(view.Rows, row)
	}
	if v.caller.May(tenure.SystemManage) {
		view.Actions = []dashboard.Action{{
			Label: "Add a system", Post: "/systems", Tone: dashboard.ToneAccent, Says: "Tenure plants a sentinel in it and records who it is, so that it later knows whether it looks at the same system.",
			Fields: []dashboard.Field{
				{Name: "name", Label: "Name", Required: true, Max: 100, Hint: "as it stands in the systems file"},
				{Kind: dashboard.FieldCheck, Name: "replace", Label: "It replaces the one that was there: accept another fingerprint"},
			},
		}}
	}
	return v.show(dashboard.AreaSystems, "", func(w io.Writer, f dashboard.Frame) error { return v.s.pages.Systems(w, f, view) })
}

func (v *visit) addSystem() error {
	p := client.AddSystemParams{}
	p.Body.Name, p.Body.Replace = strings.TrimSpace(v.PostFormValue("name")), v.PostFormValue("replace") == "true"
	s, err := ask(v, client.AddSystem, p)
	return v.tried("/systems", s.Name+" is added.", err)
}
