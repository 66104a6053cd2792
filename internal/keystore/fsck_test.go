package keystore_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/keystore"
)

// What another process makes and destroys meanwhile is nothing wrong.
func TestFsckBesideAnotherProcess(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "keys")
	o := keystore.Options{Origin: "tenure-test", Now: time.Now}
	mine, err := keystore.Init(ctx, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	other, err := keystore.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		for range 300 {
			id, err := other.Create(ctx, keystore.PlannedKey(tenure.NewID[tenure.TenantID](time.Now()), string(keystore.Credential)))
			if err == nil {
				_, err = other.Destroy(ctx, id)
			}
			if err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	for {
		problems, err := mine.Fsck(ctx)
		if err != nil || len(problems) > 0 {
			t.Fatalf("%+v, %v", problems, err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}
