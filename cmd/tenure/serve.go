package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/server"
)

func (a *app) serveCommand() *cobra.Command {
	var workers int
	var format string
	var every time.Duration
	cmd := command("serve", "Run what is due, and answer the other commands",
		"Runs operations, listens at the folder's Unix socket, and hands a checkpoint of the log to the witness when it grew.\n"+
			"It prints one line when it is ready, logs to the standard error, and ends in order on an interrupt or SIGTERM.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger(format)
			if err != nil {
				return err
			}
			inst, err := installation.Open(cmd.Context(), installation.Options{Dir: a.dir, Now: a.now})
			if err != nil {
				return err
			}
			defer inst.Close()
			return a.serve(cmd.Context(), inst, log, workers, every)
		})
	cmd.Flags().IntVar(&workers, "workers", 64, "operations that run at once")
	cmd.Flags().StringVar(&format, "log", "text", "how to log: text or json")
	cmd.Flags().DurationVar(&every, "checkpoint-every", time.Minute, "how often a log that grew is checkpointed")
	return cmd
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
	PID          int                   `json:"pid"`
}

func (a *app) serve(ctx context.Context, inst *installation.Installation, log *slog.Logger, workers int, every time.Duration) error {
	if every <= 0 {
		return tenure.Errorf(tenure.Invalid, "--checkpoint-every is a length of time")
	}
	socket := installation.Socket(a.dir)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return inst.Engine.Run(ctx, workers, log) })
	g.Go(func() error { checkpoints(ctx, inst, log, every); return nil })
	g.Go(func() error {
		return server.Serve(ctx, inst.Service, socket, log, func() {
			r := ready{true, inst.Installation(), socket, os.Getpid()}
			if err := a.show(r, func(o *page) {
				o.line("ready: %s at %s, process %d", r.Installation, r.Socket, r.PID)
			}); err != nil {
				log.Error("print", "error", err)
			}
			log.Info("serving", "installation", r.Installation, "socket", socket)
		})
	})
	err := g.Wait()
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
