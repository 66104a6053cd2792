package standin

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
)

// Make is a stand-in of Make's interface v2: teams, and their scenarios, connections and
// hooks. A team that still holds any can't be removed.
func Make(t testing.TB) *Service {
	t.Helper()
	allowed := func(r *http.Request, token string) bool { return r.Header.Get("Authorization") == "Token "+token }
	one := map[string]string{"teams": "team", "scenarios": "scenario", "connections": "connection", "hooks": "hook"}
	return start(t, allowed, func(s *Service, mux *http.ServeMux) {
		fault := func(w http.ResponseWriter, status int, message string) {
			answer(w, status, object{"code": fmt.Sprint("SC", status), "message": message})
		}
		shown := func(o object) object {
			out := object{}
			for k, v := range o {
				out[k] = v
			}
			out["id"], _ = strconv.Atoi(o["id"].(string))
			return out
		}
		mux.HandleFunc("GET /api/v2/{table}", func(w http.ResponseWriter, r *http.Request) {
			table, q := r.PathValue("table"), r.URL.Query()
			var found []object
			for _, o := range s.tables[table] {
				if team := q.Get("teamId"); team == "" && table == "teams" && fmt.Sprint(o["organizationId"]) == q.Get("organizationId") || team != "" && fmt.Sprint(o["teamId"]) == team {
					found = append(found, shown(o))
				}
			}
			offset, limit := number(r, "pg[offset]", 0), min(100, number(r, "pg[limit]", 50))
			list := append([]object{}, found[min(offset, len(found)):min(offset+limit, len(found))]...)
			answer(w, http.StatusOK, object{table: list, "pg": object{"offset": offset, "limit": limit}})
		})
		mux.HandleFunc("POST /api/v2/{table}", func(w http.ResponseWriter, r *http.Request) {
			table := r.PathValue("table")
			in := read(r)
			if table == "scenarios" {
				in["isActive"] = false
			}
			if table == "hooks" {
				in["enabled"] = true
			}
			answer(w, http.StatusOK, object{one[table]: shown(s.add(table, in))})
		})
		mux.HandleFunc("PATCH /api/v2/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			o := s.find(r.PathValue("table"), r.PathValue("id"))
			if o == nil {
				fault(w, http.StatusNotFound, "not found")
				return
			}
			for k, v := range read(r) {
				o[k] = v
			}
			answer(w, http.StatusOK, object{one[r.PathValue("table")]: shown(o)})
		})
		for verb, change := range map[string]func(o object){
			"start": func(o object) { o["isActive"] = true }, "stop": func(o object) { o["isActive"] = false },
			"enable": func(o object) { o["enabled"] = true }, "disable": func(o object) { o["enabled"] = false },
		} {
			mux.HandleFunc("POST /api/v2/{table}/{id}/"+verb, func(w http.ResponseWriter, r *http.Request) {
				o := s.find(r.PathValue("table"), r.PathValue("id"))
				if o == nil {
					fault(w, http.StatusNotFound, "not found")
					return
				}
				change(o)
				answer(w, http.StatusOK, object{one[r.PathValue("table")]: shown(o)})
			})
		}
		mux.HandleFunc("DELETE /api/v2/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			table, id := r.PathValue("table"), r.PathValue("id")
			if table != "scenarios" && r.URL.Query().Get("confirmed") != "true" {
				fault(w, http.StatusBadRequest, "confirmed is missing")
				return
			}
			if table == "teams" {
				for _, held := range []string{"scenarios", "connections", "hooks"} {
					for _, o := range s.tables[held] {
						if fmt.Sprint(o["teamId"]) == id {
							fault(w, http.StatusConflict, "the team still has "+held)
							return
						}
					}
				}
			}
			if o := s.find(table, id); o != nil && table == "scenarios" && o["isActive"] == true {
				fault(w, http.StatusConflict, "the scenario is active")
				return
			}
			if !s.drop(table, id) {
				fault(w, http.StatusNotFound, "not found")
				return
			}
			answer(w, http.StatusOK, object{one[table]: id})
		})
	})
}
