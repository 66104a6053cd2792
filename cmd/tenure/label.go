package main

import (
	"maps"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) tenantLabel() *cobra.Command {
	var version int64
	cmd := command("label TENANT [KEY=VALUE...] [KEY-...]", "Set a tenant's labels, and remove those that end in -",
		"Labels that aren't named stay. Scopes of grants go by labels, so that a change may need the reach over the tenant as it\nwill be, too. Without a change the labels are printed. Nothing is changed if somebody else did so meanwhile.",
		cobra.MinimumNArgs(1), func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.connect(ctx, len(args) == 1)
			if err != nil {
				return err
			}
			defer s.close()
			p := client.LabelParams{TenantParams: client.TenantParams{Tenant: args[0]}}
			have, err := client.ShowTenant.Call(ctx, s.Client, p.TenantParams)
			if err != nil {
				return orClosed(err, args[0])
			}
			t := have.Tenant
			if len(args) > 1 {
				if p.Body.Labels, err = relabelled(t.Labels, args[1:]); err != nil {
					return err
				}
				if version == 0 {
					version = t.Version
				}
				p.IfMatch = strconv.Quote(strconv.FormatInt(version, 10))
				if t, err = client.SetLabels.Call(ctx, s.Client, p); err != nil {
					return err
				}
				if err := s.carryOn(ctx, ""); err != nil {
					return err
				}
			}
			return a.show(t, func(o *page) {
				o.fields("tenant", t.Name+" ("+string(t.ID)+")", "labels", orElse(strings.Join(tenure.LabelsText(t.Labels), ", "), "none"), "version", strconv.FormatInt(t.Version, 10))
			})
		})
	cmd.Flags().Int64Var(&version, "if-version", 0, "only if the tenant still has this version (default that of now)")
	return cmd
}

// relabelled are labels with changes: key=value sets one, key- removes one that is
// there. A key that is named twice is Invalid.
func relabelled(have map[string]string, changes []string) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	named := map[string]bool{}
	for _, c := range changes {
		key, value, set := strings.Cut(c, "=")
		if !set {
			var ok bool
			if key, ok = strings.CutSuffix(c, "-"); !ok {
				return nil, tenure.Errorf(tenure.Invalid, "%q is no label", clip(c, 80)).WithHint("key=value sets one, key- removes one")
			}
		}
		if named[key] {
			return nil, tenure.Errorf(tenure.Invalid, "the label %q is named twice", clip(key, 80))
		}
		named[key] = true
		if set {
			out[key] = value
			continue
		}
		if _, ok := out[key]; !ok {
			return nil, tenure.Errorf(tenure.NotFound, "there is no label %q to remove", clip(key, 80))
		}
		delete(out, key)
	}
	return out, nil
}
