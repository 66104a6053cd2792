package lowcode

import (
	"encoding/json"
	"net/http"
	"strings"
)

// app is one kind of record: its table and the columns that a caller sees. The
// names are the platform's own, never a caller's.
type app struct {
	table   string
	columns []string
}

func appNamed(name string) (app, bool) {
	switch name {
	case "customers":
		return app{"customers", []string{"name", "city", "segment"}}, true
	case "orders":
		return app{"orders", []string{"customer_id", "article", "quantity", "cents"}}, true
	case "invoices":
		return app{"invoices", []string{"order_id", "cents", "due"}}, true
	}
	return app{}, false
}

// appOf is the app that a call is about, if the workspace has it.
func (p *Platform) appOf(r *http.Request, w workspace) (app, error) {
	name := r.URL.Query().Get("app")
	a, ok := appNamed(name)
	if !ok {
		return a, refusal{404, "no such app"}
	}
	var n int
	if err := p.db.QueryRowContext(r.Context(), "select count(*) from apps where workspace = $1 and app = $2", w.name, name).Scan(&n); err != nil {
		return a, err
	}
	if n == 0 {
		return a, refusal{404, "the workspace has no such app"}
	}
	return a, nil
}

func (p *Platform) records(r *http.Request, w workspace) (any, error) {
	a, err := p.appOf(r, w)
	if err != nil {
		return nil, err
	}
	db, err := p.tenantDB(w, "ro")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(r.Context(), "select id, "+strings.Join(a.columns, ", ")+" from "+a.table+" order by id limit 100")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	records := []map[string]any{}
	for rows.Next() {
		values := make([]any, len(a.columns)+1)
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		record := map[string]any{"id": values[0]}
		for i, c := range a.columns {
			record[c] = values[i+1]
		}
		records = append(records, record)
	}
	return map[string]any{"records": records}, rows.Err()
}

func (p *Platform) addRecord(r *http.Request, w workspace) (any, error) {
	a, err := p.appOf(r, w)
	if err != nil {
		return nil, err
	}
	var given map[string]any
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 64<<10)).Decode(&given); err != nil {
		return nil, refusal{400, "the body isn't a JSON object"}
	}
	db, err := p.tenantDB(w, "rw")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	values := make([]any, len(a.columns))
	marks := make([]string, len(a.columns))
	for i, c := range a.columns {
		values[i], marks[i] = given[c], "?"
	}
	res, err := db.ExecContext(r.Context(), "insert into "+a.table+" ("+strings.Join(a.columns, ", ")+") values ("+strings.Join(marks, ", ")+")", values...)
	if err != nil {
		return nil, refusal{400, "the record doesn't fit the app"}
	}
	id, err := res.LastInsertId()
	return map[string]any{"id": id}, err
}
