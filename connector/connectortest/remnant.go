package connectortest

import (
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// checkRemnants: what is physically left of a thing that was deleted is told in the words of
// the connector's page, and what is done about it changes nothing that can be seen.
func checkRemnants(a *actor) {
	told, ok := connector.As[connector.Remnanter](a.driver)
	if !ok {
		if len(a.w.Info.Remnants) > 0 {
			a.t.Error("the connector lists remnants, and its driver can't tell of any")
		}
		a.t.Skip("the driver can't tell what is physically left")
	}
	if typ, _ := a.w.Info.Type(a.c.Type); typ.Holds != tenure.HoldsData || typ.Layer == tenure.LayerBackup {
		a.t.Skip("this type holds no data, or copies with dates of their own")
	}
	d := a.made()
	a.fill(d, 3)
	other := a.made()
	a.fill(other, 2)
	if a.can("erase") && !a.lacks("erase") {
		for _, class := range d.Classes {
			for e := a.erasure(d.Ref, class, 10); !e.once(); {
			}
		}
	}
	_, err := a.delete(d.Ref)
	a.must("delete", err)
	refs := []connector.Ref{d.Ref}
	var seen []connector.Remnant
	a.untouched("a look at what is left", func() {
		var err error
		seen, err = told.Remnants(a.t.Context(), refs)
		a.must("remnants", a.checked("remnants", err))
	})
	a.says("remnants", seen)
	if !slices.ContainsFunc(seen, func(r connector.Remnant) bool { return r.Kind == tenure.RemnantSnapshots }) {
		a.t.Errorf("copies of the disk aren't told of: %+v", seen)
	}
	for _, r := range seen {
		if _, known := a.w.Info.Remnant(r.Kind); !known || r.Says == "" {
			a.t.Errorf("%+v is of no kind on the connector's page, or says nothing", r)
		}
	}
	does, ok := connector.As[connector.Cleaner](a.driver)
	for _, info := range a.w.Info.Remnants {
		if info.Clean != "" && !ok {
			a.t.Fatalf("%s can be cleaned, says the page, and the driver can't", info.Kind)
		}
		if !ok {
			continue
		}
		for range 2 {
			a.untouched("cleaning "+string(info.Kind), func() {
				rec, err := does.Clean(a.t.Context(), refs, info.Kind)
				a.says("clean", rec)
				switch err = a.checked("clean", err); {
				case info.Clean == "":
					a.refused("cleaning "+string(info.Kind), err, tenure.Invalid)
				case tenure.CodeOf(err) == tenure.Forbidden || tenure.CodeOf(err) == tenure.Blocked: // a right that the page asks for
				default:
					a.must("clean "+string(info.Kind), err)
				}
			})
		}
	}
}
