// Tenure is the control plane for a tenant's whole life on SaaS platforms: it
// moves a tenant in, keeps its boundaries as they should be, and moves it out so
// that nothing of it remains, with proof.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // of persons' quiet hours, where the machine knows no zones
	"unicode/utf8"

	"github.com/tenurehq/tenure"
)

func main() {
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv}
	os.Exit(a.run(os.Args[1:]))
}

// run carries one command out and gives the exit code. An interrupt ends the
// command's context; a second one ends the process.
func (a *app) run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := a.root()
	for i, arg := range args {
		if !utf8.ValidString(arg) {
			return a.fail(tenure.Errorf(tenure.Invalid, "argument %d isn't text in UTF-8: %.80q", i+1, arg))
		}
	}
	root.SetArgs(args)
	return a.fail(root.ExecuteContext(ctx))
}
