package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/store"
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

// patience is when a process that doesn't come to its end says what keeps it.
const patience = 120 * time.Second

// serve runs the engine until nothing is open. It writes a byte to its output for
// each move of a tenant that it begins, by which the parent tells the time.
func serve(dir string) error {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	go func() { // the parent is gone, so nobody waits for this
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
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
	defer cancel()
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
			return stuck(in, open[0])
		case <-look.C:
		}
	}
}

// stuck says where an operation stands that hasn't ended.
func stuck(in *installation.Installation, op store.OperationRow) error {
	v, err := in.Operation(context.Background(), op.ID)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("not ended after %s: operation %s is %s (%s), due %s, locked %t, version %d", patience, op.ID, v.State, v.Reason, v.DueAt, v.Locked, v.Version)
	for _, s := range v.Steps {
		text += fmt.Sprintf("\n  %3d %-8s %-9s %-32s attempt %d due %s %s", s.Seq, s.State, s.Verdict, s.Key, s.Attempt, s.DueAt, s.Error)
	}
	return errors.New(text)
}
