package standin

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Stripe is a stand-in of Stripe's interface: customers, their subscriptions and invoices, and
// jobs that redact a customer. Bodies are forms; what is asked for twice under one idempotency
// key is done once.
func Stripe(t testing.TB) *Service {
	t.Helper()
	done := map[string]object{} // by idempotency key
	return start(t, bearer, func(s *Service, mux *http.ServeMux) {
		fault := func(w http.ResponseWriter, status int, message string) {
			answer(w, status, object{"error": object{"type": "invalid_request_error", "message": message}})
		}
		page := func(w http.ResponseWriter, r *http.Request, all []object) {
			from := 0
			if after := r.URL.Query().Get("starting_after"); after != "" {
				from = 1 + slices.IndexFunc(all, func(o object) bool { return o["id"] == after })
			}
			to := min(from+min(100, number(r, "limit", 10)), len(all))
			answer(w, http.StatusOK, object{"object": "list", "data": append([]object{}, all[min(from, len(all)):to]...), "has_more": to < len(all)})
		}
		once := func(w http.ResponseWriter, r *http.Request, make func(form url.Values) (object, string)) {
			_ = r.ParseForm()
			key := r.Header.Get("Idempotency-Key")
			if had, ok := done[key]; ok && key != "" {
				answer(w, http.StatusOK, had)
				return
			}
			o, refused := make(r.PostForm)
			if refused != "" {
				fault(w, http.StatusBadRequest, refused)
				return
			}
			if key != "" {
				done[key] = o
			}
			answer(w, http.StatusOK, o)
		}
		change := func(w http.ResponseWriter, r *http.Request, table string) {
			_ = r.ParseForm()
			o := s.find(table, r.PathValue("id"))
			if o == nil {
				fault(w, http.StatusNotFound, "No such "+table)
				return
			}
			fill(o, r.PostForm)
			answer(w, http.StatusOK, o)
		}
		mux.HandleFunc("GET /v1/{table}/{id}", func(w http.ResponseWriter, r *http.Request) {
			if o := s.find(r.PathValue("table"), r.PathValue("id")); o != nil {
				answer(w, http.StatusOK, o)
				return
			}
			fault(w, http.StatusNotFound, "No such object")
		})
		mux.HandleFunc("GET /v1/customers", func(w http.ResponseWriter, r *http.Request) { page(w, r, s.tables["customers"]) })
		mux.HandleFunc("POST /v1/customers", func(w http.ResponseWriter, r *http.Request) {
			once(w, r, func(form url.Values) (object, string) {
				return s.add("customers", fill(object{"object": "customer"}, form)), ""
			})
		})
		mux.HandleFunc("POST /v1/customers/{id}", func(w http.ResponseWriter, r *http.Request) { change(w, r, "customers") })
		mux.HandleFunc("DELETE /v1/customers/{id}", func(w http.ResponseWriter, r *http.Request) {
			if !s.drop("customers", r.PathValue("id")) {
				fault(w, http.StatusNotFound, "No such customer")
				return
			}
			s.tables["subscriptions"] = slices.DeleteFunc(s.tables["subscriptions"], func(o object) bool { return o["customer"] == r.PathValue("id") })
			answer(w, http.StatusOK, object{"id": r.PathValue("id"), "deleted": true})
		})
		mux.HandleFunc("GET /v1/subscriptions", func(w http.ResponseWriter, r *http.Request) {
			var of []object
			for _, o := range s.tables["subscriptions"] {
				if c := r.URL.Query().Get("customer"); c == "" || o["customer"] == c {
					of = append(of, o)
				}
			}
			page(w, r, of)
		})
		mux.HandleFunc("POST /v1/subscriptions", func(w http.ResponseWriter, r *http.Request) {
			once(w, r, func(form url.Values) (object, string) {
				if s.find("customers", form.Get("customer")) == nil {
					return nil, "No such customer"
				}
				o := fill(object{"object": "subscription", "status": "active", "pause_collection": nil}, form)
				o["items"] = object{"data": []object{{"id": "si_1", "price": object{"id": form.Get("items[0][price]")}, "quantity": amount(form.Get("items[0][quantity]"))}}}
				return s.add("subscriptions", o), ""
			})
		})
		mux.HandleFunc("POST /v1/subscriptions/{id}", func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			if o := s.find("subscriptions", r.PathValue("id")); o != nil && r.PostForm.Has("items[0][price]") {
				o["items"] = object{"data": []object{{"id": "si_1", "price": object{"id": r.PostForm.Get("items[0][price]")}, "quantity": amount(r.PostForm.Get("items[0][quantity]"))}}}
			}
			change(w, r, "subscriptions")
		})
		mux.HandleFunc("DELETE /v1/subscriptions/{id}", func(w http.ResponseWriter, r *http.Request) {
			if !s.drop("subscriptions", r.PathValue("id")) {
				fault(w, http.StatusNotFound, "No such subscription")
				return
			}
			answer(w, http.StatusOK, object{"id": r.PathValue("id"), "status": "canceled"})
		})
		mux.HandleFunc("GET /v1/invoices", func(w http.ResponseWriter, r *http.Request) {
			var of []object
			for _, o := range s.tables["invoices"] {
				if o["customer"] == r.URL.Query().Get("customer") && o["status"] == r.URL.Query().Get("status") {
					of = append(of, o)
				}
			}
			page(w, r, of)
		})
		mux.HandleFunc("POST /v1/invoices/{id}/void", func(w http.ResponseWriter, r *http.Request) {
			o := s.find("invoices", r.PathValue("id"))
			if o == nil || o["status"] != "open" {
				fault(w, http.StatusBadRequest, "You can only void open invoices")
				return
			}
			o["status"] = "void"
			answer(w, http.StatusOK, o)
		})
		mux.HandleFunc("POST /v1/privacy/redaction_jobs", func(w http.ResponseWriter, r *http.Request) {
			once(w, r, func(form url.Values) (object, string) {
				return s.add("jobs", object{"object": "privacy.redaction_job", "status": "validating", "customers": form["objects[customers][]"]}), ""
			})
		})
		mux.HandleFunc("GET /v1/privacy/redaction_jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
			o := s.find("jobs", r.PathValue("id"))
			if o == nil {
				fault(w, http.StatusNotFound, "No such job")
				return
			}
			next := map[any]string{"validating": "ready", "redacting": "succeeded"} // on the next look
			seen := object{"id": o["id"], "status": o["status"]}
			if to := next[o["status"]]; to != "" {
				o["status"] = to
			}
			answer(w, http.StatusOK, seen)
		})
		mux.HandleFunc("POST /v1/privacy/redaction_jobs/{id}/run", func(w http.ResponseWriter, r *http.Request) {
			o := s.find("jobs", r.PathValue("id"))
			if o == nil || o["status"] != "ready" {
				fault(w, http.StatusBadRequest, "the job isn't ready")
				return
			}
			o["status"] = "redacting"
			answer(w, http.StatusOK, o)
		})
	})
}

// fill puts a form's fields into an object; name[key] is a field of a mapping, and an empty
// value takes one away, as Stripe has it.
func fill(o object, form url.Values) object {
	for name := range form {
		value := form.Get(name)
		if strings.HasPrefix(name, "items[") || strings.HasSuffix(name, "[]") {
			continue
		}
		outer, inner, nested := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		switch {
		case !nested && value == "":
			o[outer] = nil
		case !nested:
			o[outer] = value
		default:
			m, _ := o[outer].(object)
			m = maps.Clone(m)
			if m == nil {
				m = object{}
			}
			if m[inner] = value; value == "" {
				delete(m, inner)
			}
			o[outer] = m
		}
	}
	return o
}

func amount(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 1
	}
	return n
}
