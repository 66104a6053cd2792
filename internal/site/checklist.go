package site

import (
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/dashboard"
)

// checklist is what people see to, with what the one who looks can do about it.
func (v *visit) checklist(view *dashboard.OperationView, o client.OperationDetail, t tenure.Target) {
	list, err := ask(v, client.ListChecklist, client.OperationParams{Operation: string(o.ID)})
	if err != nil {
		return // the page stands without it
	}
	at, may := dashboard.OperationPath(o.ID), !o.State.Ended() && v.may(tenure.OperationSteer, t)
	for _, it := range list.Items {
		row := dashboard.TaskRow{DepartureTask: dashboard.DepartureTask{What: it.Task, Owner: it.Owner, State: string(it.State), Due: it.DueAt}, By: it.EndedBy, Note: it.Note}
		if it.Artifact {
			handedInto(&row.DepartureTask, it.Where, it.To, it.Archive, it.State, tenure.Handed{Outcome: it.Outcome, Destination: it.Destination})
		}
		if it.Overdue {
			row.State = "overdue"
		}
		if may && it.State == tenure.TaskOpen {
			if it.Waiting && !it.Planned { // the plan's are said to be done at their steps
				done := taskDone(o.ID, it.Item)
				if it.Artifact {
					done = handOver(o.ID, it.Item, "", "")
				}
				row.Actions = append(row.Actions, done)
			}
			row.Actions = append(row.Actions, dashboard.Action{Label: "Give it an owner and a date", Post: at + "/assign", Hidden: hiddenPairs("item", it.Item, "was", it.DueAt.UTC().Format(time.RFC3339Nano)), Fields: ownerAndDue(it.Owner, it.DueAt)})
			if !it.Planned {
				row.Actions = append(row.Actions, dashboard.Action{Label: "It needn’t be done", Post: at + "/drop", Hidden: hiddenPairs("item", it.Item), Says: "Your name and the reason stay on the checklist.",
					Fields: []dashboard.Field{{Name: "reason", Label: "Reason", Max: 500, Required: true}}})
			}
		}
		view.Tasks = append(view.Tasks, row)
	}
	if may && o.Kind == tenure.Offboard {
		view.AddTask = &dashboard.Action{Label: "Add a task", Post: at + "/add-task", Says: "The closing certificate waits while it is open. Its owner is told at once, a day before its date, at it, and each week after it.",
			Fields: append([]dashboard.Field{
				{Name: "task", Label: "What is to be done", Max: 500, Required: true},
				{Kind: dashboard.FieldCheck, Name: "artifact", Label: "It is an artifact that is reassigned or archived, and this is its name"},
				{Name: "where", Label: "Where the artifact is", Max: 500},
			}, ownerAndDue("", time.Time{})...)}
	}
}

// handedInto says where an artifact is, and where it went or is to go.
func handedInto(row *dashboard.DepartureTask, where, to, archive string, state tenure.TaskState, h tenure.Handed) {
	row.Where, row.Went = where, h.Says()
	switch {
	case state != tenure.TaskOpen:
	case to != "":
		row.Went = "to be handed over to " + to
	case archive != "":
		row.Went = "to be archived at " + archive
	default:
		row.Went = "to be handed over or archived"
	}
}

// handOver is what says that an artifact was reassigned or archived; to and archive are what was foreseen.
func handOver(op tenure.OperationID, gate, to, archive string) dashboard.Action {
	return dashboard.Action{Label: "It is handed over", Post: dashboard.OperationPath(op) + "/done", Says: "You say what became of it; your name stands in the log.", Hidden: hiddenPairs("gate", gate),
		Fields: []dashboard.Field{
			{Kind: dashboard.FieldChoice, Name: "outcome", Label: "What became of it", Required: true, Options: []dashboard.Option{
				{Value: string(tenure.ArtifactReassigned), Label: "reassigned: it has another owner", On: archive == ""}, {Value: string(tenure.ArtifactArchived), Label: "archived: it was put away", On: archive != ""}}},
			{Name: "destination", Label: "Who owns it now, or where it was put", Max: 500, Required: true, Value: to + archive},
			{Name: "note", Label: "Note", Max: 1000},
		}}
}

func ownerAndDue(owner string, due time.Time) []dashboard.Field {
	date := ""
	if !due.IsZero() {
		date = due.UTC().Format(time.DateOnly)
	}
	return []dashboard.Field{
		{Name: "owner", Label: "Owner", Max: 200, Value: owner, Hint: "person:NAME, group:NAME, role:NAME, platform, security or contact"},
		{Kind: dashboard.FieldDate, Name: "due", Label: "Due", Value: date},
	}
}
