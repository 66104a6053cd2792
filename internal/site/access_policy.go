package site

import (
	"strconv"

	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

func (v *visit) policies(view *dashboard.AccessView) error {
	list, err := ask(v, client.ListPolicies, client.None{})
	for _, p := range list {
		view.Policies = append(view.Policies, dashboard.PolicyRow{ID: p.ID, File: p.File + ":" + strconv.Itoa(p.Line), Effect: "forbid", Says: p.About})
	}
	return err
}
