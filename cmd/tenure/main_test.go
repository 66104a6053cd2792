package main

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run the command in a process of its own. Its clock is the
// file that $TENURE_TEST_CLOCK names, so that a script lives through years.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tenure": func() {
		a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv}
		if path := os.Getenv("TENURE_TEST_CLOCK"); path != "" {
			a.clock = func() time.Time { return readClock(path) }
		}
		os.Exit(a.run(os.Args[1:]))
	}})
}

func readClock(path string) time.Time {
	b, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	t, err := time.Parse(time.RFC3339, string(bytes.TrimSpace(b)))
	if err != nil {
		panic(err)
	}
	return t
}
