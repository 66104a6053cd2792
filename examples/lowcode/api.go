package lowcode

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// handler is the platform's API:
//
//	GET  /healthz                                no credential
//	GET  /{environment}/v1/apps                  the apps of the caller's workspace
//	GET  /{environment}/v1/records?app=orders    up to 100 records of an app
//	POST /{environment}/v1/records?app=orders    add one
//	GET  /{environment}/v1/features/{name}       200 if entitled, 403 if not
//
// The credential is an API key or an account's secret, as a bearer token
// (RFC 6750). It is bound to one workspace: another environment's is refused
// with 403, as is ?workspace= of somebody else.
func (p *Platform) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]any{"status": "ok"}) })
	mux.HandleFunc("GET /{environment}/v1/apps", p.authorized(p.apps))
	mux.HandleFunc("GET /{environment}/v1/records", p.authorized(p.records))
	mux.HandleFunc("POST /{environment}/v1/records", p.authorized(p.addRecord))
	mux.HandleFunc("GET /{environment}/v1/features/{name}", p.authorized(p.feature))
	return mux
}

// refusal is an answer other than 200.
type refusal struct {
	status int
	reason string
}

func (r refusal) Error() string { return r.reason }

type call func(r *http.Request, w workspace) (any, error)

// authorized lets a call through for whom a workspace's credential speaks, and
// counts it.
func (p *Platform) authorized(next call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		space, err := p.authenticate(r)
		var body any
		if err == nil {
			body, err = next(r, space)
		}
		status := 200
		if err != nil {
			status, body = 500, map[string]any{"error": "internal error"}
			var no refusal
			if errors.As(err, &no) {
				status, body = no.status, map[string]any{"error": no.reason}
			}
		}
		if space.name != "" {
			_, _ = p.db.ExecContext(r.Context(), "insert into usage_events (billed_to, at, method, path, status) values ($1, $2, $3, $4, $5)",
				space.name, time.Now().UTC().Format(time.RFC3339), r.Method, r.URL.Path, status)
		}
		if status == 401 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="lowcode"`)
		}
		answer(w, status, body)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// authenticate finds the workspace that the caller's credential belongs to.
func (p *Platform) authenticate(r *http.Request) (workspace, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return workspace{}, refusal{401, "a bearer token is needed"}
	}
	sum := sha256.Sum256([]byte(token))
	w, err := p.holder(r.Context(), hex.EncodeToString(sum[:]))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return workspace{}, refusal{401, "the token isn't known, or was revoked"}
	case err != nil:
		return workspace{}, err
	case w.environment != r.PathValue("environment"):
		return w, refusal{403, "the token is for environment " + w.environment}
	case r.URL.Query().Has("workspace") && r.URL.Query().Get("workspace") != w.name:
		return w, refusal{403, "the token is for workspace " + w.name}
	}
	return w, nil
}

func (p *Platform) holder(ctx context.Context, digest string) (w workspace, err error) {
	err = p.db.QueryRowContext(ctx, `
		select w.workspace, w.tenant, w.environment, w.database, w.bucket
		from workspaces w
		join (
			select workspace from api_keys where secret_sha256 = $1 and active = 1
			union all
			select workspace from accounts where secret_sha256 = $1 and active = 1
		) c on c.workspace = w.workspace
		limit 1`, digest).Scan(&w.name, &w.tenant, &w.environment, &w.database, &w.bucket)
	return w, err
}

func (p *Platform) apps(r *http.Request, w workspace) (any, error) {
	rows, err := p.db.QueryContext(r.Context(), "select app, title from apps where workspace = $1 order by app", w.name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	apps := []map[string]string{}
	for rows.Next() {
		var app, title string
		if err := rows.Scan(&app, &title); err != nil {
			return nil, err
		}
		apps = append(apps, map[string]string{"app": app, "title": title})
	}
	return map[string]any{"workspace": w.name, "apps": apps}, rows.Err()
}

func (p *Platform) feature(r *http.Request, w workspace) (any, error) {
	var enabled bool
	err := p.db.QueryRowContext(r.Context(), "select enabled from entitlements where workspace = $1 and feature = $2", w.name, r.PathValue("name")).Scan(&enabled)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !enabled {
		return nil, refusal{403, "the workspace isn't entitled to it"}
	}
	return map[string]any{"feature": r.PathValue("name"), "enabled": true}, err
}
