package standin

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Vault is a stand-in of OpenBao and Vault, whose HTTP interfaces are the same there: the
// key-value stores secret/ (version 2) and plain/ (version 1), tokens that end and are
// renewed, and the auth methods approle and kubernetes. Its Token is root's.
type Vault struct {
	*Service
	RoleID, SecretID string // of approle
	Role, JWT        string // of kubernetes

	sealed bool
	tokens map[string]*vaultToken
	v2     map[string][]vaultVersion
	v1     map[string]object
	now    func() time.Time
	lives  time.Duration // of tokens that are handed out
	asked  map[string]int
}

type vaultToken struct {
	ends  time.Time // zero: never
	lives time.Duration
	may   func(path string) bool
}

type vaultVersion struct {
	data    object
	created time.Time
	gone    bool
}

// StartVault starts one, with a clock of its own.
func StartVault(t testing.TB, now func() time.Time) *Vault {
	t.Helper()
	v := &Vault{
		now: now, RoleID: "role-" + rand.Text(), SecretID: "secret-" + rand.Text(), Role: "tenure", JWT: "jwt." + rand.Text() + ".signed",
		tokens: map[string]*vaultToken{}, v2: map[string][]vaultVersion{}, v1: map[string]object{}, lives: time.Hour, asked: map[string]int{},
	}
	anyone := func(*http.Request, string) bool { return true } // the routes ask themselves
	v.Service = start(t, anyone, func(_ *Service, mux *http.ServeMux) {
		mux.HandleFunc("/v1/", v.serve)
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tokens[v.Token] = &vaultToken{may: func(string) bool { return true }}
	return v
}

func (v *Vault) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	v.asked[path]++
	refuse := func(status int, why string) { answer(w, status, object{"errors": []string{why}}) }
	if v.sealed {
		refuse(http.StatusServiceUnavailable, "Vault is sealed")
		return
	}
	in := object{}
	if r.Method == http.MethodPost {
		in = read(r)
	}
	switch path {
	case "auth/approle/login":
		if in["role_id"] != v.RoleID || in["secret_id"] != v.SecretID {
			refuse(http.StatusBadRequest, "invalid role or secret ID")
			return
		}
		v.grant(w, "token-"+rand.Text())
		return
	case "auth/kubernetes/login":
		if in["role"] != v.Role || in["jwt"] != v.JWT {
			refuse(http.StatusForbidden, "permission denied")
			return
		}
		v.grant(w, "token-"+rand.Text())
		return
	}
	name := r.Header.Get("X-Vault-Token")
	token := v.tokens[name]
	if token == nil || !token.ends.IsZero() && !v.now().Before(token.ends) {
		refuse(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
		return
	}
	if !token.may(path) {
		refuse(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
		return
	}
	switch {
	case path == "auth/token/lookup-self":
		ttl := 0
		if !token.ends.IsZero() {
			ttl = int(token.ends.Sub(v.now()).Seconds())
		}
		answer(w, http.StatusOK, object{"data": object{"ttl": ttl, "renewable": ttl > 0}})
	case path == "auth/token/renew-self":
		v.grant(w, name)
	case strings.HasPrefix(path, "sys/internal/ui/mounts/secret/"):
		answer(w, http.StatusOK, object{"data": object{"path": "secret/", "type": "kv", "options": object{"version": "2"}}})
	case strings.HasPrefix(path, "sys/internal/ui/mounts/plain/"):
		answer(w, http.StatusOK, object{"data": object{"path": "plain/", "type": "kv", "options": nil}})
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		refuse(http.StatusForbidden, "preflight capability check returned 403, please ensure client's policies grant access to path")
	case strings.HasPrefix(path, "secret/data/") && r.Method == http.MethodGet:
		v.readSecond(w, strings.TrimPrefix(path, "secret/data/"))
	case strings.HasPrefix(path, "plain/") && r.Method == http.MethodGet && v.v1[strings.TrimPrefix(path, "plain/")] != nil:
		answer(w, http.StatusOK, object{"data": v.v1[strings.TrimPrefix(path, "plain/")], "lease_duration": 2764800})
	default:
		answer(w, http.StatusNotFound, object{"errors": []string{}})
	}
}

func (v *Vault) readSecond(w http.ResponseWriter, path string) {
	all := v.v2[path]
	if len(all) == 0 {
		answer(w, http.StatusNotFound, object{"errors": []string{}})
		return
	}
	last := all[len(all)-1]
	meta := object{"created_time": last.created.UTC().Format(time.RFC3339Nano), "deletion_time": "", "destroyed": false, "version": len(all), "custom_metadata": nil}
	if last.gone {
		meta["deletion_time"] = last.created.UTC().Format(time.RFC3339Nano)
		answer(w, http.StatusNotFound, object{"data": object{"data": nil, "metadata": meta}})
		return
	}
	answer(w, http.StatusOK, object{"data": object{"data": last.data, "metadata": meta}})
}

// grant hands a token out that lives as long as is set.
func (v *Vault) grant(w http.ResponseWriter, name string) {
	t := v.tokens[name]
	if t == nil {
		t = &vaultToken{may: func(string) bool { return true }}
		v.tokens[name] = t
	}
	t.lives, t.ends = v.lives, v.now().Add(v.lives)
	answer(w, http.StatusOK, object{"auth": object{"client_token": name, "lease_duration": int(v.lives.Seconds()), "renewable": true}})
}

// Put writes a version of a secret of secret/ or plain/, as somebody with its command line
// does.
func (v *Vault) Put(t testing.TB, path string, fields map[string]string) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	data := object{}
	for k, f := range fields {
		data[k] = f
	}
	if at, ok := strings.CutPrefix(path, "plain/"); ok {
		v.v1[at] = data
		return
	}
	at := strings.TrimPrefix(path, "secret/")
	v.v2[at] = append(v.v2[at], vaultVersion{data: data, created: v.now()})
}

// Delete deletes the latest version of a secret of secret/.
func (v *Vault) Delete(t testing.TB, path string) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.v2[strings.TrimPrefix(path, "secret/")]
	all[len(all)-1].gone = true
}

// Seal seals it, or ends that.
func (v *Vault) Seal(t testing.TB, sealed bool) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sealed = sealed
}

// NewToken makes a token that may read what is below a path, and has the policy default.
func (v *Vault) NewToken(t testing.TB, below string, lives time.Duration) string {
	t.Helper()
	return v.newToken(below, lives, true)
}

// NewBareToken makes one without the policy default: it can't look itself up.
func (v *Vault) NewBareToken(t testing.TB, below string) string {
	t.Helper()
	return v.newToken(below, 0, false)
}

func (v *Vault) newToken(below string, lives time.Duration, self bool) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := "token-" + rand.Text()
	v.tokens[name] = &vaultToken{lives: lives, may: func(path string) bool {
		return self && strings.HasPrefix(path, "auth/token/") || strings.HasPrefix(path, "sys/internal/ui/mounts/"+below) || strings.HasPrefix(path, strings.Replace(below, "secret/", "secret/data/", 1))
	}}
	if lives > 0 {
		v.tokens[name].ends = v.now().Add(lives)
	}
	return name
}

// Lives sets how long tokens live that are handed out from now on.
func (v *Vault) Lives(lives time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lives = lives
}

// Revoke ends every token but root's.
func (v *Vault) Revoke() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range v.tokens {
		if name != v.Token {
			delete(v.tokens, name)
		}
	}
}

// Asked counts the requests for a path.
func (v *Vault) Asked(path string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked[path]
}
