package daemon_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/daemon"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/keystore"
)

// A server that starts beside a keystore that doesn't fit its log says so.
func TestServerNamesKeysThatTheLogDoesNotKnow(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	home := filepath.Join(t.TempDir(), "tenure")
	inst, err := installation.Init(ctx, installation.Options{Dir: home}, installation.Settings{})
	check(t, err)
	keys, err := keystore.Open(filepath.Join(home, "keys"), keystore.Options{Now: time.Now})
	check(t, err)
	_, err = keys.Create(ctx, keystore.PlannedKey(tenure.NewID[tenure.TenantID](time.Now()), string(keystore.Credential)))
	check(t, err)
	log := &lines{}
	ended := make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, inst, daemon.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	}()
	until(t, func() bool {
		log.mu.Lock()
		defer log.mu.Unlock()
		return strings.Contains(log.b.String(), "is unknown: the log has never heard of it")
	})
	stop()
	check(t, <-ended)
	check(t, inst.Close())
}
