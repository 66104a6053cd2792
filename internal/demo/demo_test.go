package demo_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/tenurehq/tenure/internal/demo"
	"github.com/tenurehq/tenure/internal/postgrestest"
)

// What a newcomer sees first must hold: the demo checks its own claims on the
// real files and tables, and fails if one isn't so.
func TestOnSQLiteAndFiles(t *testing.T) {
	t.Parallel()
	play(t, demo.Options{Dir: t.TempDir(), Exit: true})
}

func TestOnPostgres(t *testing.T) {
	t.Parallel()
	play(t, demo.Options{Dir: t.TempDir(), Postgres: postgrestest.DSN(t), Exit: true})
}

func play(t *testing.T, o demo.Options) {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	if err := demo.Run(context.Background(), o); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
}
