// Command serve runs the sample low-code platform until it is interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/tenurehq/tenure/examples/lowcode"
)

func main() {
	dir := flag.String("dir", "examples/lowcode/data", "the folder with the platform's data")
	addr := flag.String("addr", "127.0.0.1:8088", "the address to listen on")
	flag.Parse()
	if err := run(*dir, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(dir, addr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p, err := lowcode.StartAt(dir, addr)
	if err != nil {
		return err
	}
	fmt.Println("the low-code platform listens on http://" + p.Addr())
	<-ctx.Done()
	return p.Close()
}
