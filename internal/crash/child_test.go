package crash

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/installation"
)

// childVariable makes the test binary a server of the installation in the folder
// that it names.
const childVariable = "TENURE_CRASH_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// lease is short, so that what a killed process had claimed is soon free again.
const lease = time.Second

// serve runs the engine until nothing is open. It writes a byte to its output for
// each move of a tenant that it begins, by which the parent tells the time.
func serve(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	in, err := installation.Open(ctx, installation.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer in.Close()
	in.Engine.Lease = lease
	move := in.Engine.Own[tenure.ActMove]
	in.Engine.Own[tenure.ActMove] = func(ctx context.Context, t *engine.Task) engine.Result {
		_, _ = os.Stdout.Write([]byte{'.'})
		return move(ctx, t)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- untilNoneIsOpen(ctx, in)
	}()
	if err := in.Engine.Run(ctx, 64, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		return err
	}
	return <-done
}

func untilNoneIsOpen(ctx context.Context, in *installation.Installation) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		open, err := in.Operations(ctx, "", true, 1)
		if err != nil || len(open) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
}
