package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/daemon"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/telemetry"
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
			"logs to the standard error, and ends in order on an interrupt or SIGTERM: steps in flight are finished or handed back,\n"+
			"and what heeds no end is left after half a minute and taken over later.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger(f.log)
			if err != nil {
				return err
			}
			if f.every <= 0 {
				return tenure.Errorf(tenure.Invalid, "--checkpoint-every is a length of time")
			}
			measure, err := telemetry.New(cmd.Context(), telemetry.Options{Version: programVersion(), Clock: time.Now, Now: a.now})
			if err != nil {
				return err
			}
			defer func() { _ = measure.Close(context.WithoutCancel(cmd.Context())) }()
			inst, err := a.installed(cmd.Context(), installation.Options{Dir: a.dir, Now: a.clock, Measure: measure, Log: log})
			if err != nil {
				return err
			}
			defer inst.Close()
			inst.AskMore()
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
func (a *app) installed(ctx context.Context, o installation.Options) (*installation.Installation, error) {
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
		return slog.New(slog.NewJSONHandler(cleanLines{a.err}, nil)), nil
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
	address := f.listen
	if address == "none" {
		address = ""
	}
	socket := installation.Socket(a.dir)
	return daemon.Run(ctx, inst, daemon.Options{Listen: address, Workers: f.workers, Checkpoints: f.every, Log: log, Reload: hangups(ctx), Ready: func(url string) {
		r := ready{true, inst.Installation(), socket, url, os.Getpid()}
		if err := a.show(r, func(o *page) {
			o.line("ready: %s at %s, process %d", r.Installation, strings.TrimSpace(r.URL+" "+r.Socket), r.PID)
		}); err != nil {
			log.Error("print", "error", err)
		}
	}})
}

// hangups gives a turn for each SIGHUP, which asks to read the policies and the sources of events again.
func hangups(ctx context.Context) <-chan struct{} {
	signals, out := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				select {
				case out <- struct{}{}:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}
