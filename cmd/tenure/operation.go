package main

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) operation() *cobra.Command {
	return group(&cobra.Command{
		Use:   "operation",
		Short: "Follow operations, and say what they wait for",
		Long: "An operation is one execution of a plan. Approvals sign the plan's digest; the requester never approves. Commands\n" +
			"that carry an operation on end with exit code 7 when it has come to be blocked, or has failed.",
	},
		a.operationList(), a.operationShow(), a.operationStart(), a.operationApprove(), a.operationDone(),
		a.operationSteer("pause", client.PauseOperation, "Let the steps under way end, and start no more"),
		a.operationSteer("continue", client.ContinueOperation, "Go on with a paused operation"),
		a.operationSteer("cancel", client.CancelOperation, "Cancel an operation: an onboarding takes back what it made"),
		a.operationRetry(), a.operationSkip(), a.operationWatch(), a.operationWait(),
	)
}

// stay carries an operation on until it rests and shows where it stands. Strict
// makes one that is blocked or has failed the command's error.
func (a *app) stay(ctx context.Context, s *session, id tenure.OperationID, strict bool) error {
	if err := s.carryOn(ctx, id); err != nil {
		return err
	}
	v, err := client.ShowOperation.Call(ctx, s.Client, client.OperationParams{Operation: string(id)})
	if err != nil {
		return err
	}
	if err := a.show(v, func(o *page) { printOperation(o, v, false) }); err != nil || !strict {
		return err
	}
	return outcome(v.Operation)
}

// outcome is an error for an operation that didn't come through.
func outcome(op client.Operation) error {
	switch op.State {
	case tenure.OperationBlocked:
		return tenure.Errorf(tenure.Blocked, "operation %s is blocked: %s", op.ID, op.Reason).
			WithHint("see what failed: tenure operation show %s", op.ID).WithHint("try it again: tenure operation retry %s", op.ID)
	case tenure.OperationFailed:
		return tenure.Errorf(tenure.Blocked, "operation %s has failed: %s", op.ID, op.Reason).WithHint("see what failed: tenure operation show %s", op.ID)
	}
	return nil
}

func (a *app) operationList() *cobra.Command {
	var f client.OperationFilter
	var limit int
	cmd := command("list", "List operations, the latest first", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		list, err := listed(cmd.Context(), a, client.ListOperations, f, limit)
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list) == 0 {
				o.line("There is none.")
				return
			}
			printOperations(o, list)
		})
	})
	cmd.Flags().StringVar(&f.Tenant, "tenant", "", "only those of this tenant")
	cmd.Flags().BoolVar(&f.Open, "open", false, "only those that haven't ended")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most this many")
	return cmd
}

func (a *app) operationShow() *cobra.Command {
	var plan bool
	cmd := command("show OPERATION", "Show an operation with its steps", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		v, err := ask(cmd.Context(), a, client.ShowOperation, client.OperationParams{Operation: args[0]})
		if err != nil {
			return err
		}
		return a.show(v, func(o *page) {
			if plan && v.Body != nil {
				printPlan(o, v.Body, v.Plan)
				o.print("\n")
			}
			printOperation(o, v, true)
		})
	})
	cmd.Flags().BoolVar(&plan, "plan", false, "show the plan that it runs, too")
	return cmd
}

func (a *app) operationStart() *cobra.Command {
	var f intentFlags
	cmd := command("start DIGEST", "Start a stored plan, exactly as it is",
		"A plan whose ground has moved (the tenant's state, revision or inventory) is refused: plan again. A plan that was\nstarted before gives the operation that it started.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			s, err := a.writing(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return a.startPlan(cmd.Context(), s, args[0], &f, "")
		})
	cmd.Flags().StringVar(&f.in.Trigger, "trigger", "", "the requester's key for this; the same key again gives the same operation")
	return cmd
}

// startPlan starts a stored plan, if it is of the tenant and kind that the
// command names.
func (a *app) startPlan(ctx context.Context, s *session, digest string, f *intentFlags, tenant string) error {
	stored, err := client.ShowPlan.Call(ctx, s.Client, client.DigestParams{Digest: digest})
	if err != nil {
		return err
	}
	p, err := stored.Read()
	switch {
	case err != nil:
		return err
	case f.in.Kind != "" && p.Kind != f.in.Kind:
		return tenure.Errorf(tenure.Invalid, "plan %s is of kind %s, not %s", short(stored.Digest), p.Kind, f.in.Kind)
	case tenant != "" && tenant != p.Name && tenant != string(p.Tenant):
		return tenure.Errorf(tenure.Invalid, "plan %s is for %s, not for %s", short(stored.Digest), p.Name, tenant)
	}
	req := client.OperationRequest{}
	req.Body.Plan, req.Body.Trigger = stored.Digest, f.in.Trigger
	op, err := client.RequestOperation.Call(ctx, s.Client, req)
	if err != nil {
		return err
	}
	return a.stay(ctx, s, op.ID, true)
}

// word sends a person's word to an operation and carries it on.
func word[R any](a *app, cmd *cobra.Command, id string, send func(ctx context.Context, s *session) (R, error), strict bool) error {
	s, err := a.writing(cmd.Context())
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := send(cmd.Context(), s); err != nil {
		return err
	}
	return a.stay(cmd.Context(), s, tenure.OperationID(id), strict)
}

func (a *app) operationApprove() *cobra.Command {
	var p client.GateParams
	cmd := command("approve OPERATION --digest DIGEST", "Sign an operation's plan at a gate",
		"The digest is that of the plan that was read; at a point of no return two persons sign, over counts that are at most\n72 hours old. The requester can't sign.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			p.Operation = args[0]
			return word(a, cmd, args[0], func(ctx context.Context, s *session) (client.GateAnswer, error) {
				if err := a.showCounts(ctx, s, p); err != nil {
					return client.GateAnswer{}, err
				}
				return client.ApproveOperation.Call(ctx, s.Client, p)
			}, false)
		})
	cmd.Flags().StringVar(&p.Body.Digest, "digest", "", "digest of the plan that was read")
	cmd.Flags().StringVar(&p.Body.Gate, "gate", "", "the gate, where more than one waits")
	cmd.Flags().StringVar(&p.Body.Note, "note", "", "a remark that is kept with the approval")
	return cmd
}

// showCounts shows what a person is about to confirm at a point of no return.
func (a *app) showCounts(ctx context.Context, s *session, p client.GateParams) error {
	if a.output == "json" {
		return nil
	}
	v, err := client.ShowOperation.Call(ctx, s.Client, p.OperationParams)
	if err != nil || v.Body == nil || len(v.Rows) < len(v.Body.Steps) {
		return err
	}
	return a.show(nil, func(o *page) {
		for _, i := range waitingGates(v) {
			if st := &v.Body.Steps[i]; st.Action == tenure.ActNoReturn && (p.Body.Gate == "" || p.Body.Gate == st.Key) {
				printCounts(o, v, st.Key)
			}
		}
	})
}

func (a *app) operationDone() *cobra.Command {
	var p client.TaskParams
	var to, at string
	cmd := command("done OPERATION", "Say that a person's task is done", "An artifact is done once it has another owner or was put away: --reassigned-to or --archived-at. A task takes neither.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Operation = args[0]
		if p.Body.Destination = cmp.Or(to, at); to != "" {
			p.Body.Outcome = tenure.ArtifactReassigned
		} else if at != "" {
			p.Body.Outcome = tenure.ArtifactArchived
		}
		return word(a, cmd, args[0], func(ctx context.Context, s *session) (client.GateAnswer, error) {
			return client.FinishTask.Call(ctx, s.Client, p)
		}, false)
	})
	cmd.Flags().StringVar(&p.Body.Gate, "gate", "", "the task, where more than one waits")
	cmd.Flags().StringVar(&p.Body.Note, "note", "", "a remark that is kept with it")
	cmd.Flags().StringVar(&to, "reassigned-to", "", "of an artifact: who owns it now, in words")
	cmd.Flags().StringVar(&at, "archived-at", "", "of an artifact: where it was put")
	cmd.MarkFlagsMutuallyExclusive("reassigned-to", "archived-at")
	return cmd
}

func (a *app) operationSteer(what string, e client.Endpoint[client.OperationChange, client.Operation], short string) *cobra.Command {
	return command(what+" OPERATION", short, "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		return word(a, cmd, args[0], func(ctx context.Context, s *session) (client.Operation, error) {
			return e.Call(ctx, s.Client, client.OperationChange{OperationParams: client.OperationParams{Operation: args[0]}})
		}, what == "continue")
	})
}

func (a *app) operationRetry() *cobra.Command {
	var p client.RetryParams
	cmd := command("retry OPERATION", "Try failed steps again, with all their attempts", "", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		p.Operation = args[0]
		return word(a, cmd, args[0], func(ctx context.Context, s *session) (client.Retried, error) {
			return client.RetryOperation.Call(ctx, s.Client, p)
		}, true)
	})
	cmd.Flags().StringVar(&p.Body.Step, "step", "", "only this step")
	return cmd
}

func (a *app) operationSkip() *cobra.Command {
	var p client.SkipParams
	cmd := command("skip OPERATION STEP", "Leave a failed step out, with a reason and a second person",
		"The first person asks with --reason; a second person, by the same command, attests. The certificate lists it.",
		cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) error {
			p.Operation, p.Body.Step = args[0], args[1]
			return word(a, cmd, args[0], func(ctx context.Context, s *session) (client.Skipped, error) {
				return client.SkipStep.Call(ctx, s.Client, p)
			}, false)
		})
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why it can be left out")
	return cmd
}

func (a *app) operationWatch() *cobra.Command {
	return command("watch OPERATION", "Follow an operation until it ends or waits",
		"Where no server runs, the command itself carries the operation on.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			return a.follow(cmd.Context(), args[0], 0, func(op client.Operation, rests bool) bool {
				return rests && !atWork(op)
			})
		})
}

func (a *app) operationWait() *cobra.Command {
	var limit time.Duration
	cmd := command("wait OPERATION", "Wait until an operation has ended or is blocked",
		"Where no server runs, the command itself carries the operation on. Exit code 8 when --timeout has passed.",
		cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
			return a.follow(cmd.Context(), args[0], limit, func(op client.Operation, rests bool) bool {
				return op.State.Ended() || rests && op.State == tenure.OperationBlocked
			})
		})
	cmd.Flags().DurationVar(&limit, "timeout", 0, "give up after this long; 0 waits for ever")
	return cmd
}

// follow follows an operation until done says so or, with a limit, for that long;
// it drives it where no server does.
func (a *app) follow(ctx context.Context, text string, limit time.Duration, done func(op client.Operation, rests bool) bool) error {
	id, err := tenure.ParseID[tenure.OperationID](text)
	if err != nil {
		return err
	}
	s, err := a.writing(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	s.tells = true
	stop := s.drive(ctx)
	within, cancel := ctx, func() {}
	if limit > 0 {
		within, cancel = context.WithTimeout(ctx, limit)
	}
	_, err = s.follow(within, id, func(op client.Operation) bool { return done(op, s.rests(op)) })
	cancel()
	stop()
	if err != nil {
		return err
	}
	v, err := client.ShowOperation.Call(ctx, s.Client, client.OperationParams{Operation: text})
	if err != nil {
		return err
	}
	if err := a.show(v, func(o *page) { printOperation(o, v, false) }); err != nil {
		return err
	}
	return outcome(v.Operation)
}
