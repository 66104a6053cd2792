package main

import (
	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

func (a *app) checklist() *cobra.Command {
	return group(&cobra.Command{
		Use:   "checklist",
		Short: "See and keep the tasks of an operation that people see to",
		Long: "An operation's checklist has the tasks of its plan, which a blueprint declares, and those that people added to a departure.\n" +
			"Each may have an owner, who is reminded, and a date. Artifacts are tasks, too: they are done once they are reassigned or archived.",
	}, a.checklistList(), a.checklistAdd(), a.checklistChange(), a.checklistDrop())
}

func (a *app) checklistList() *cobra.Command {
	return command("list OPERATION", "List an operation's tasks, with owners and dates", "One is done with: tenure operation done OPERATION --gate ITEM; an artifact also with --reassigned-to or --archived-at.", cobra.ExactArgs(1), func(cmd *cobra.Command, args []string) error {
		list, err := ask(cmd.Context(), a, client.ListChecklist, client.OperationParams{Operation: args[0]})
		if err != nil {
			return err
		}
		return a.show(list, func(o *page) {
			if len(list.Items) == 0 {
				o.line("There are no tasks.")
				return
			}
			rows := [][]string{}
			for _, it := range list.Items {
				state := string(it.State)
				switch {
				case it.Overdue:
					state = "overdue"
				case it.State == tenure.TaskOpen && !it.Waiting:
					state = "not yet"
				}
				by := it.EndedBy
				if it.Note != "" {
					by += ": " + it.Note
				}
				went := tenure.Handed{Outcome: it.Outcome, Destination: it.Destination}.Says()
				rows = append(rows, []string{it.Item, state, taskWords(it), it.Owner, o.when(it.DueAt), went, by})
			}
			o.table([]string{"item", "state", "task", "owner", "due", "went", "ended by"}, rows)
		})
	})
}

// taskWords says what is to be done, of an artifact with where it is and what is foreseen.
func taskWords(it client.ChecklistItem) string {
	if !it.Artifact {
		return it.Task
	}
	return tenure.ArtifactSpec{Name: it.Task, Where: it.Where, To: it.To, Archive: it.Archive}.Summary()
}

func (a *app) checklistAdd() *cobra.Command {
	var p client.AddTaskParams
	var due string
	cmd := command("add OPERATION TASK", "Add a task to a departure",
		"The departure's closing certificate waits while the task is open. Its owner is told at once, a day before its date, at it, and\neach week after it.\nWith --artifact TASK names something that gets another owner or is put away: a report, a template, a domain.",
		cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) (err error) {
			p.Operation, p.Body.Task = args[0], args[1]
			if due != "" {
				if p.Body.DueAt, err = parseDate(due); err != nil {
					return err
				}
			}
			return tasked(cmd, a, client.AddTask, p)
		})
	ownerAndDue(cmd, &p.Body.Owner, &due)
	cmd.Flags().BoolVar(&p.Body.Artifact, "artifact", false, "it is something whose ownership is handed over: done once it is reassigned or archived")
	cmd.Flags().StringVar(&p.Body.Where, "where", "", "where the artifact is: the system, and the place in it")
	return cmd
}

func (a *app) checklistChange() *cobra.Command {
	var p client.ChangeTaskParams
	var due string
	cmd := command("change OPERATION ITEM", "Give a task another owner and date", "What isn't given stays as it is; --due none takes the date away.", cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) error {
		p.Operation, p.Body.Item = args[0], args[1]
		list, err := ask(cmd.Context(), a, client.ListChecklist, client.OperationParams{Operation: args[0]})
		if err != nil {
			return err
		}
		for _, it := range list.Items {
			if it.Item != args[1] {
				continue
			}
			if !cmd.Flags().Changed("owner") {
				p.Body.Owner = it.Owner
			}
			if due == "" {
				p.Body.DueAt = it.DueAt
			}
		}
		if due != "" && due != "none" {
			if p.Body.DueAt, err = parseDate(due); err != nil {
				return err
			}
		}
		return tasked(cmd, a, client.ChangeTask, p)
	})
	ownerAndDue(cmd, &p.Body.Owner, &due)
	return cmd
}

func (a *app) checklistDrop() *cobra.Command {
	var p client.DropTaskParams
	cmd := command("drop OPERATION ITEM --reason TEXT", "Say why a task that was added needn't be done", "A task of the plan is left out by two persons: tenure operation skip", cobra.ExactArgs(2), func(cmd *cobra.Command, args []string) error {
		p.Operation, p.Body.Item = args[0], args[1]
		return tasked(cmd, a, client.DropTask, p)
	})
	cmd.Flags().StringVar(&p.Body.Reason, "reason", "", "why")
	return cmd
}

func ownerAndDue(cmd *cobra.Command, owner, due *string) {
	cmd.Flags().StringVar(owner, "owner", "", "whom it is reminded of: person:NAME, group:NAME, role:NAME, platform, security or contact")
	cmd.Flags().StringVar(due, "due", "", "by when it should be done: a date, or RFC 3339")
}

// tasked asks for a change of a checklist, and says of which task.
func tasked[P any](cmd *cobra.Command, a *app, e client.Endpoint[P, client.ChecklistAnswer], p P) error {
	answer, err := ask(cmd.Context(), a, e, p)
	if err != nil {
		return err
	}
	return a.show(answer, func(o *page) { o.fields("item", answer.Item) })
}
