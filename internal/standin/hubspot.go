package standin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// HubSpot is a stand-in of HubSpot's CRM: objects (companies, contacts, deals) of the
// interface v3, with search, and the deletion of a contact for good.
func HubSpot(t testing.TB) *Service {
	t.Helper()
	return start(t, bearer, func(s *Service, mux *http.ServeMux) {
		properties := func(o object) object {
			p, _ := o["properties"].(object)
			if p == nil {
				p = object{}
				o["properties"] = p
			}
			return p
		}
		page := func(w http.ResponseWriter, all []object, limit, after int, more object) {
			body := object{"results": slices.Clip(all[min(after, len(all)):min(after+limit, len(all))])}
			for k, v := range more {
				body[k] = v
			}
			if after+limit < len(all) {
				body["paging"] = object{"next": object{"after": strconv.Itoa(after + limit)}}
			}
			answer(w, http.StatusOK, body)
		}
		mux.HandleFunc("GET /crm/v3/objects/{table}", func(w http.ResponseWriter, r *http.Request) {
			page(w, s.tables[r.PathValue("table")], min(100, number(r, "limit", 10)), number(r, "after", 0), nil)
		})
		mux.HandleFunc("POST /crm/v3/objects/{table}", func(w http.ResponseWriter, r *http.Request) {
			in := read(r)
			answer(w, http.StatusCreated, s.add(r.PathValue("table"), object{"properties": properties(in)}))
		})
		mux.HandleFunc("GET /crm/v3/objects/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			if o := s.find(r.PathValue("table"), r.PathValue("id")); o != nil {
				shown, some := object{}, properties(o)
				for _, name := range strings.Split(r.URL.Query().Get("properties"), ",") {
					if v, has := some[name]; has {
						shown[name] = v
					}
				}
				answer(w, http.StatusOK, object{"id": o["id"], "properties": shown})
				return
			}
			answer(w, http.StatusNotFound, object{"message": "resource not found"})
		})
		mux.HandleFunc("PATCH /crm/v3/objects/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			o := s.find(r.PathValue("table"), r.PathValue("id"))
			if o == nil {
				answer(w, http.StatusNotFound, object{"message": "resource not found"})
				return
			}
			for k, v := range properties(read(r)) {
				if v == "" || v == nil { // which clears it
					delete(properties(o), k)
					continue
				}
				properties(o)[k] = v
			}
			answer(w, http.StatusOK, o)
		})
		mux.HandleFunc("DELETE /crm/v3/objects/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			s.drop(r.PathValue("table"), r.PathValue("id"))
			answer(w, http.StatusNoContent, nil)
		})
		mux.HandleFunc("POST /crm/v3/objects/contacts/gdpr-delete", func(w http.ResponseWriter, r *http.Request) {
			s.drop("contacts", fmt.Sprint(read(r)["objectId"]))
			answer(w, http.StatusNoContent, nil)
		})
		mux.HandleFunc("POST /crm/v3/objects/{table}/search", func(w http.ResponseWriter, r *http.Request) {
			in := read(r)
			groups, _ := in["filterGroups"].([]any)
			var out []object
			for _, o := range s.tables[r.PathValue("table")] {
				if len(groups) == 0 || slices.ContainsFunc(groups, func(g any) bool { return matches(g, properties(o)) }) {
					out = append(out, o)
				}
			}
			limit, after := 10, 0
			if n, err := strconv.Atoi(fmt.Sprint(in["limit"])); err == nil {
				limit = min(200, n)
			}
			if a, ok := in["after"].(string); ok {
				after, _ = strconv.Atoi(a)
			}
			page(w, out, limit, after, object{"total": len(out)})
		})
	})
}

func matches(group any, properties object) bool {
	g, _ := group.(map[string]any)
	filters, _ := g["filters"].([]any)
	for _, f := range filters {
		f, _ := f.(map[string]any)
		name, _ := f["propertyName"].(string)
		value, has := properties[name]
		switch f["operator"] {
		case "EQ":
			if !has || fmt.Sprint(value) != fmt.Sprint(f["value"]) {
				return false
			}
		case "HAS_PROPERTY":
			if !has {
				return false
			}
		}
	}
	return true
}
