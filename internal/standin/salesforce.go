package standin

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pageSize is how many records Salesforce's stand-in gives at once; the service gives 2,000.
const pageSize = 50

var soql = regexp.MustCompile(`(?i)^select (.+) from (\w+)(?: where (\w+) (=|!=) (?:'((?:[^'\\]|\\.)*)'|(null)))?(?: order by \w+)?$`)

// Salesforce is a stand-in of Salesforce's REST interface: records of objects, queries with
// one condition, and tokens of a connected app by client credentials.
func Salesforce(t testing.TB) *Service {
	t.Helper()
	allowed := func(r *http.Request, token string) bool {
		return bearer(r, token) || r.URL.Path == "/services/oauth2/token"
	}
	return start(t, allowed, func(s *Service, mux *http.ServeMux) {
		fault := func(w http.ResponseWriter, status int, code, message string) {
			answer(w, status, []object{{"errorCode": code, "message": message}})
		}
		mux.HandleFunc("POST /services/oauth2/token", func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			id, secret, _ := r.BasicAuth()
			if id != "client" || secret != "secret-of-the-client" || r.Form.Get("grant_type") != "client_credentials" {
				answer(w, http.StatusBadRequest, object{"error": "invalid_client_id"})
				return
			}
			answer(w, http.StatusOK, object{"access_token": s.Token, "token_type": "Bearer", "instance_url": s.URL})
		})
		records := func(table string, found []object, fields []string) []object {
			out := []object{}
			for _, o := range found {
				one := object{"attributes": object{"type": table}}
				for _, f := range fields {
					one[f] = o[f]
				}
				one["Id"] = o["id"]
				out = append(out, one)
			}
			return out
		}
		query := func(w http.ResponseWriter, q string, from int) {
			m := soql.FindStringSubmatch(strings.TrimSpace(q))
			if m == nil {
				fault(w, http.StatusBadRequest, "MALFORMED_QUERY", "unexpected token")
				return
			}
			var found []object
			for _, o := range s.tables[m[2]] {
				value, _ := o[m[3]].(string)
				is := value == strings.NewReplacer(`\'`, `'`, `\\`, `\`).Replace(m[5])
				if m[6] != "" {
					is = value == ""
				}
				if m[3] == "" || is == (m[4] == "=") {
					found = append(found, o)
				}
			}
			var fields []string
			for f := range strings.SplitSeq(m[1], ",") {
				fields = append(fields, strings.TrimSpace(f))
			}
			to := min(from+pageSize, len(found))
			body := object{"totalSize": len(found), "done": to == len(found), "records": records(m[2], found[min(from, to):to], fields)}
			if to < len(found) {
				body["nextRecordsUrl"] = "/services/data/v60.0/query/" + strconv.Itoa(to) + "?of=" + url.QueryEscape(q)
			}
			answer(w, http.StatusOK, body)
		}
		mux.HandleFunc("GET /services/data/v60.0/query", func(w http.ResponseWriter, r *http.Request) { query(w, r.URL.Query().Get("q"), 0) })
		mux.HandleFunc("GET /services/data/v60.0/query/{from}", func(w http.ResponseWriter, r *http.Request) {
			from, _ := strconv.Atoi(r.PathValue("from"))
			query(w, r.URL.Query().Get("of"), from)
		})
		mux.HandleFunc("POST /services/data/v60.0/sobjects/{table}", func(w http.ResponseWriter, r *http.Request) {
			in := read(r)
			if in["Name"] == "" && slices.Contains([]string{"Account"}, r.PathValue("table")) {
				fault(w, http.StatusBadRequest, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]")
				return
			}
			o := s.add(r.PathValue("table"), in)
			answer(w, http.StatusCreated, object{"id": o["id"], "success": true, "errors": []any{}})
		})
		mux.HandleFunc("GET /services/data/v60.0/sobjects/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			o := s.find(r.PathValue("table"), r.PathValue("id"))
			if o == nil {
				fault(w, http.StatusNotFound, "NOT_FOUND", "The requested resource does not exist")
				return
			}
			shown := object{"Id": o["id"]}
			fields := strings.Split(r.URL.Query().Get("fields"), ",")
			for k, v := range o {
				if k != "id" && (fields[0] == "" || slices.Contains(fields, k)) {
					shown[k] = v
				}
			}
			answer(w, http.StatusOK, shown)
		})
		mux.HandleFunc("PATCH /services/data/v60.0/sobjects/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			o := s.find(r.PathValue("table"), r.PathValue("id"))
			if o == nil {
				fault(w, http.StatusNotFound, "NOT_FOUND", "The requested resource does not exist")
				return
			}
			for k, v := range read(r) {
				o[k] = v
			}
			answer(w, http.StatusNoContent, nil)
		})
		mux.HandleFunc("DELETE /services/data/v60.0/sobjects/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			if !s.drop(r.PathValue("table"), r.PathValue("id")) {
				fault(w, http.StatusNotFound, "ENTITY_IS_DELETED", "entity is deleted")
				return
			}
			answer(w, http.StatusNoContent, nil)
		})
	})
}
