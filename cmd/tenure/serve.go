package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
)

// defaultListen is where serve answers HTTP unless it is told otherwise.
const defaultListen = "127.0.0.1:8420"

// serveFlags say how to serve.
type serveFlags struct {
	listen  string
	workers int
	log     string
	every   time.Duration
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := command("serve", "Run what is due, and answer the other commands and the API",
		"Runs operations, answers HTTP at an address and at the folder's Unix socket, and hands a checkpoint of the log to the\n"+
			"witness when it grew. Without an installation in the default folder it makes one. It prints one line when it is ready,\n"+
			"logs to the standard error, and ends in order on an interrupt or SIGTERM: steps in flight are finished or handed back.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger(f.log)
			if err != nil {
				return err
			}
			if f.every <= 0 {
				return tenure.Errorf(tenure.Invalid, "--checkpoint-every is a length of time")
			}
			inst, err := a.installed(cmd.Context())
			if err != nil {
				return err
			}
			defer inst.Close()
			return a.serve(cmd.Context(), inst, log, f)
		})
	cmd.Flags().StringVar(&f.listen, "listen", defaultListen, "where to answer HTTP: host:port, or none for the socket alone")
	cmd.Flags().IntVar(&f.workers, "workers", 64, "operations that run at once")
	cmd.Flags().StringVar(&f.log, "log", "text", "how to log: text or json")
	cmd.Flags().DurationVar(&f.every, "checkpoint-every", time.Minute, "how often a log that grew is checkpointed")
	return cmd
}

// installed opens the installation. Where the folder is the default one and holds
// none, it is made first: serve needs no flag on one machine.
func (a *app) installed(ctx context.Context) (*installation.Installation, error) {
	o := installation.Options{Dir: a.dir, Now: a.now}
	inst, err := installation.Open(ctx, o)
	if a.dirGiven || tenure.CodeOf(err) != tenure.NotFound {
		return inst, err
	}
	made, err := a.initialise(ctx, installation.Settings{})
	if err != nil {
		return nil, err
	}
	(&page{w: a.err, now: a.now()}).line("made installation %s in %s; its first admin's code is %s, good once, for 24 hours", made.Installation, made.Dir, made.Bootstrap)
	return installation.Open(ctx, o)
}

func (a *app) logger(format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, nil)), nil
	}
	return nil, tenure.Errorf(tenure.Invalid, "there is no log format %q", format).WithHint("--log text or --log json")
}

// ready is what serve says once it answers.
type ready struct {
	Ready        bool                  `json:"ready"`
	Installation tenure.InstallationID `json:"installation"`
	Socket       string                `json:"socket"`
	URL          string                `json:"url,omitempty"`
	PID          int                   `json:"pid"`
}

func (a *app) serve(ctx context.Context, inst *installation.Installation, log *slog.Logger, f serveFlags) error {
	at := server.Listen{Socket: installation.Socket(a.dir), Address: f.listen}
	if f.listen == "none" {
		at.Address = ""
	}
	var running atomic.Bool
	srv, err := server.New(server.Options{Service: inst.Service, Governor: inst.Governor, Log: log, Ready: func(context.Context) error {
		if !running.Load() {
			return tenure.Errorf(tenure.Unavailable, "the engine doesn't run")
		}
		return nil
	}})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		running.Store(true)
		defer running.Store(false)
		return inst.Engine.Run(ctx, f.workers, log)
	})
	g.Go(func() error { checkpoints(ctx, inst, log, f.every); return nil })
	g.Go(func() error {
		return srv.Serve(ctx, at, func(url string) {
			r := ready{true, inst.Installation(), at.Socket, url, os.Getpid()}
			if err := a.show(r, func(o *page) {
				o.line("ready: %s at %s, process %d", r.Installation, strings.TrimSpace(r.URL+" "+r.Socket), r.PID)
			}); err != nil {
				log.Error("print", "error", err)
			}
			log.Info("serving", "installation", r.Installation, "socket", at.Socket, "url", url)
		})
	})
	err = g.Wait()
	log.Info("stopped", "installation", inst.Installation())
	return err
}

// checkpoints signs the log's head whenever it grew, and a last time at the end.
// A witness that doesn't answer is logged and asked again the next time.
func checkpoints(ctx context.Context, inst *installation.Installation, log *slog.Logger, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := int64(-1)
	sign := func(ctx context.Context) {
		size, err := inst.DB.LogSize(ctx)
		if err == nil && size == last {
			return
		}
		if err == nil {
			_, size, err = inst.Checkpoint(ctx)
		}
		if err != nil {
			log.Error("checkpoint", "code", tenure.CodeOf(err), "error", err)
			return
		}
		last = size
	}
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			sign(end)
			return
		case <-tick.C:
			sign(ctx)
		}
	}
}
