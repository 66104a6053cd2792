package postgres

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// TestSuperuserInATenantsDatabase: whom Tenure may not send away is named, with a way on,
// and everybody else is sent away.
func TestSuperuserInATenantsDatabase(t *testing.T) {
	t.Parallel()
	d, w, system := opened(t)
	w.least(t)
	own := desired("database", w.token+"acme", map[string]any{})
	ensured(t, system, own)
	super, plain := connect(t, dsnOf(t, w, own.Name)), connect(t, postgrestest.With(t, w.proxy.DSN, func(u *url.URL) { u.Path = "/" + own.Name }))
	_, err := d.Quarantine(t.Context(), own.Ref)
	if tenure.CodeOf(err) != tenure.Blocked || !strings.Contains(err.Error(), "in use by a superuser") {
		t.Fatalf("quarantine beside a superuser's session: %v", err)
	}
	if _, err := plain.Exec(t.Context(), "select 1"); err == nil {
		t.Error("another's session was left")
	}
	_ = super.Close(t.Context())
	if _, err := d.Quarantine(t.Context(), own.Ref); err != nil {
		t.Errorf("quarantine when the superuser has left: %v", err)
	}
}
