package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

const (
	// maxWords bounds a text of a task or an artifact, in characters.
	maxWords = 500
	// maxTasks bounds how many tasks may be added to one departure.
	maxTasks = 500
	// openTaskRetry is when the closing certificate looks again whether all tasks have ended; the end of one
	// has it look at once.
	openTaskRetry = time.Hour
	// tooEarly is when a task is looked at again that can't be done yet and of which somebody is to be told.
	tooEarly = time.Minute
	// closingCertificate is the step that waits for the tasks that were added by hand.
	closingCertificate = "certificate/closing"
)

// ChecklistItem is a task of an operation as people see it.
type ChecklistItem struct {
	tenure.Task
	Item    string // what names it: the plan's step, or the task's id
	Waiting bool   // it can be done now
	Another bool   // it isn't the requester who confirms it
	To      string // who the blueprint foresees as the artifact's owner
	Archive string // where the blueprint foresees that it is put
}

// Overdue says whether it is open past its date.
func (i ChecklistItem) Overdue(now time.Time) bool {
	return i.State == tenure.TaskOpen && !i.DueAt.IsZero() && !now.Before(i.DueAt)
}

// Checklist lists the tasks of an operation: those of its plan in its order, and then those that
// were added by hand. Of a closed tenant that was forgotten there are none any more.
func (s *Service) Checklist(ctx context.Context, id tenure.OperationID) (out []ChecklistItem, err error) {
	err = s.o.DB.View(ctx, func(db *store.DB) error {
		op, err := db.Operation(ctx, id)
		if err != nil {
			return err
		}
		list, err := db.Tasks(ctx, id)
		if err != nil {
			return err
		}
		p, err := db.Plan(ctx, op.Plan)
		if tenure.CodeOf(err) == tenure.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		rows, err := db.Steps(ctx, id)
		if err != nil {
			return err
		}
		signed, err := db.Approvals(ctx, id)
		if err != nil {
			return err
		}
		left, err := db.Exceptions(ctx, id)
		if err != nil {
			return err
		}
		for i := range p.Steps {
			if st := &p.Steps[i]; st.Action == tenure.ActTask && i < len(rows) {
				out = append(out, planned(op, st, rows[i], list, signed, left))
			}
		}
		if waits, _, err := waitingGate(p, rows, "", tenure.ActTask); err == nil {
			mark(out, waits.Key)
		} else if tenure.CodeOf(err) == tenure.Invalid { // more than one
			for i := range out {
				if _, _, err := waitingGate(p, rows, out[i].Step, tenure.ActTask); err == nil {
					out[i].Waiting = true
				}
			}
		}
		for _, t := range list {
			if t.Step == "" {
				out = append(out, ChecklistItem{Task: t, Item: string(t.ID), Waiting: t.State == tenure.TaskOpen && !op.State.Ended()})
			}
		}
		return nil
	})
	return out, err
}

func mark(items []ChecklistItem, step string) {
	for i := range items {
		items[i].Waiting = items[i].Waiting || items[i].Step == step
	}
}

// planned is a task of a plan, with the owner and the date that somebody gave it.
func planned(op store.OperationRow, st *tenure.Step, row store.StepRow, list []tenure.Task, signed []tenure.Approval, left []store.Exception) ChecklistItem {
	it := ChecklistItem{Task: taskOf(op.Operation, st, op.CreatedAt), Item: st.Key, Another: st.Gate != nil && st.Gate.Another}
	if i := slices.IndexFunc(list, func(t tenure.Task) bool { return t.Step == st.Key }); i >= 0 {
		it.ID, it.Owner, it.DueAt, it.SetBy, it.SetAt = list[i].ID, list[i].Owner, list[i].DueAt, list[i].SetBy, list[i].SetAt
		if row.State == tenure.StepDone {
			it.Handed = list[i].Handed
		}
	}
	if st.Gate != nil && st.Gate.Artifact != nil {
		it.To, it.Archive = st.Gate.Artifact.To, st.Gate.Artifact.Archive
	}
	switch row.State {
	case tenure.StepDone:
		it.State, it.EndedAt = tenure.TaskDone, row.EndedAt
		if i := slices.IndexFunc(signed, func(a tenure.Approval) bool { return a.Step == st.Key }); i >= 0 {
			it.EndedBy, it.EndedAt, it.Note = signed[i].By, signed[i].At, signed[i].Note
		}
	case tenure.StepSkipped:
		it.State, it.EndedAt = tenure.TaskDropped, row.EndedAt
		if i := slices.IndexFunc(left, func(e store.Exception) bool { return e.Step == st.Key }); i >= 0 {
			it.EndedBy, it.Note = left[i].AttestedBy, left[i].Reason
		}
	}
	return it
}

// taskOf is a task as the plan has it.
func taskOf(op tenure.Operation, st *tenure.Step, added time.Time) tenure.Task {
	t := tenure.Task{Operation: op.ID, Tenant: op.Tenant, Step: st.Key, Text: st.Summary, AddedBy: op.RequestedBy, AddedAt: added, State: tenure.TaskOpen}
	if g := st.Gate; g != nil {
		if t.Owner = g.Owner; !g.Due.IsZero() {
			t.DueAt = g.Due.After(op.CreatedAt)
		}
		if g.Artifact != nil {
			t.Artifact, t.Text, t.Where = true, g.Artifact.Name, g.Artifact.Where
		}
	}
	return t
}

// checkTask refuses what can't be on a checklist: Invalid. A date that it has already stays, also when it has passed.
func checkTask(owner string, due, had, now time.Time) error {
	if !due.IsZero() && !due.Equal(had) && (!due.After(now) || due.After(now.AddDate(10, 0, 0))) {
		return tenure.Errorf(tenure.Invalid, "a task is due between now and ten years from now")
	}
	return tenure.CheckOwner(owner)
}

// dueAt is a date as the store keeps it.
func dueAt(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}

// AddTask puts a task on the checklist of a departure. While it is open, no closing certificate is issued.
// An operation of another kind, or one that has ended or issues its certificate, is Conflict.
func (s *Service) AddTask(ctx context.Context, id tenure.OperationID, text, owner string, due time.Time, by string) (tenure.Task, error) {
	text, err := tenure.NeedLine("the task", text, maxWords)
	if err != nil {
		return tenure.Task{}, err
	}
	return s.addTask(ctx, id, tenure.Task{Text: text, Owner: owner, DueAt: dueAt(due)}, by)
}

// AddArtifact is AddTask for something whose ownership is handed over; where it is may be blank.
func (s *Service) AddArtifact(ctx context.Context, id tenure.OperationID, name, where, owner string, due time.Time, by string) (tenure.Task, error) {
	name, err := tenure.NeedLine("the artifact's name", name, maxWords)
	if err == nil {
		where, err = tenure.Line("where the artifact is", where, maxWords)
	}
	if err != nil {
		return tenure.Task{}, err
	}
	return s.addTask(ctx, id, tenure.Task{Text: name, Artifact: true, Where: where, Owner: owner, DueAt: dueAt(due)}, by)
}

func (s *Service) addTask(ctx context.Context, id tenure.OperationID, t tenure.Task, by string) (out tenure.Task, err error) {
	now := s.Now()
	if err := cmp.Or(person(by), checkTask(t.Owner, t.DueAt, time.Time{}, now)); err != nil {
		return out, err
	}
	return out, s.changeTasks(ctx, id, "task.add", by, func(tx *store.Tx, op store.OperationRow, p *tenure.Plan, rows []store.StepRow, have []tenure.Task) (tenure.Task, error) {
		i := stepIndex(p, closingCertificate)
		switch {
		case op.Kind != tenure.Offboard || i < 0:
			return out, tenure.Errorf(tenure.Conflict, "tasks are added to departures; this is a %s", op.Kind)
		case rows[i].State != tenure.StepPending:
			return out, tenure.Errorf(tenure.Conflict, "the departure's closing certificate is issued, or about to be")
		case len(have) >= maxTasks:
			return out, tenure.Errorf(tenure.Conflict, "a departure has at most %d tasks", maxTasks)
		}
		out = t
		out.ID, out.Operation, out.Tenant, out.State = tenure.NewID[tenure.TaskID](now), id, op.Tenant, tenure.TaskOpen
		out.AddedBy, out.AddedAt, out.SetBy, out.SetAt = by, now, by, now
		return out, tx.SaveTask(out, firstTold(out, now))
	})
}

// ChangeTask gives an open task of an operation another owner and date; a zero date is none. The new owner is told.
func (s *Service) ChangeTask(ctx context.Context, id tenure.OperationID, item, owner string, due time.Time, by string) (out tenure.Task, err error) {
	now := s.Now()
	if err := person(by); err != nil {
		return out, err
	}
	return out, s.changeTasks(ctx, id, "task.assign", by, func(tx *store.Tx, op store.OperationRow, p *tenure.Plan, rows []store.StepRow, have []tenure.Task) (tenure.Task, error) {
		if out, err = openTask(op, p, rows, have, item, now); err == nil {
			err = checkTask(owner, dueAt(due), out.DueAt, now)
		}
		if err != nil {
			return out, err
		}
		out.Owner, out.SetBy, out.SetAt, out.DueAt = owner, by, now, dueAt(due)
		return out, tx.SaveTask(out, firstTold(out, now))
	})
}

// EndTask says that a task which was added by hand is done or, with drop, why it needn't be.
// An artifact isn't done without its outcome: see HandOver.
func (s *Service) EndTask(ctx context.Context, id tenure.OperationID, item, note, by string, drop bool) (tenure.Task, error) {
	return s.endTask(ctx, id, item, tenure.Handed{}, note, by, drop)
}

func (s *Service) endTask(ctx context.Context, id tenure.OperationID, item string, handed tenure.Handed, note, by string, drop bool) (out tenure.Task, err error) {
	if err := person(by); err != nil {
		return out, err
	}
	kind, state := "task.end", tenure.TaskDone
	if drop {
		kind, state = "task.drop", tenure.TaskDropped
		note, err = tenure.NeedLine("the reason", note, 500)
	} else {
		note, err = tenure.Line("the note", note, tenure.MaxReason)
	}
	if err != nil {
		return out, err
	}
	now := s.Now()
	return out, s.changeTasks(ctx, id, kind, by, func(tx *store.Tx, op store.OperationRow, p *tenure.Plan, rows []store.StepRow, have []tenure.Task) (tenure.Task, error) {
		if out, err = openTask(op, p, rows, have, item, now); err != nil {
			return out, err
		}
		if out.Step != "" {
			return out, tenure.Errorf(tenure.Conflict, "%s is a task of the plan: it isn't dropped from the checklist", item).WithHint("leave it out with two persons: tenure operation skip %s %s", id, item)
		}
		if !drop {
			if handed, err = handedOver(handed, out.Artifact); err != nil {
				return out, err
			}
		}
		out.State, out.EndedBy, out.EndedAt, out.Note, out.Handed = state, by, now, note, handed
		if err := tx.EndTask(out); err != nil {
			return out, err
		}
		return out, tx.RetryWaits(op.Tenant, now) // the certificate
	})
}

// changeTasks has one task of an operation changed, and notes it in the log without its words.
func (s *Service) changeTasks(ctx context.Context, id tenure.OperationID, kind, by string, do func(*store.Tx, store.OperationRow, *tenure.Plan, []store.StepRow, []tenure.Task) (tenure.Task, error)) error {
	of, err := s.o.DB.Operation(ctx, id)
	if err != nil {
		return err
	}
	ended := tenure.Errorf(tenure.Conflict, "the %s has ended: its checklist doesn't change any more", of.Kind)
	if of.State.Ended() {
		return ended
	}
	if err := s.o.DB.Vouched(ctx, id, of.Tenant, nil); err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, p, rows, err := s.operation(tx, id)
		if err != nil {
			return err
		}
		if op.State.Ended() {
			return ended
		}
		have, err := tx.Tasks(id)
		if err != nil {
			return err
		}
		t, err := do(tx, op, p, rows, have)
		if err != nil {
			return err
		}
		facts := map[string]string{"task": string(t.ID)}
		if t.Step != "" {
			facts["gate"] = t.Step
		}
		if !t.DueAt.IsZero() {
			facts["due"] = t.DueAt.Format(time.RFC3339)
		}
		if t.Artifact {
			facts["artifact"] = cmp.Or(string(t.Handed.Outcome), string(t.State))
		}
		e, err := s.entry(ctx, kind, by, op.Tenant, id, string(id), facts)
		if err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// openTask finds the task that is meant: by its id, or by the plan's step. One that has ended is Conflict.
func openTask(op store.OperationRow, p *tenure.Plan, rows []store.StepRow, have []tenure.Task, item string, now time.Time) (tenure.Task, error) {
	if i := slices.IndexFunc(have, func(t tenure.Task) bool { return string(t.ID) == item || t.Step != "" && t.Step == item }); i >= 0 {
		t := have[i]
		if t.Step != "" {
			item = t.Step
		} else if t.State != tenure.TaskOpen {
			return t, tenure.Errorf(tenure.Conflict, "the task is %s already", t.State)
		}
		if at := stepIndex(p, t.Step); at < 0 || rows[at].State == tenure.StepPending {
			t.State, t.EndedBy, t.EndedAt, t.Note, t.Handed = tenure.TaskOpen, "", time.Time{}, "", tenure.Handed{}
			return t, nil
		}
	}
	i := stepIndex(p, item)
	switch {
	case i < 0 || p.Steps[i].Action != tenure.ActTask:
		return tenure.Task{}, tenure.Errorf(tenure.NotFound, "there is no task %q on the checklist", item).WithHint("list it: tenure checklist list %s", op.ID)
	case rows[i].State != tenure.StepPending:
		return tenure.Task{}, tenure.Errorf(tenure.Conflict, "the task has ended already")
	}
	t := taskOf(op.Operation, &p.Steps[i], now)
	t.ID = tenure.NewID[tenure.TaskID](now)
	return t, nil
}

// unfinishedTasks says which tasks keep the closing certificate waiting; "" if none does.
func (s *Service) unfinishedTasks(ctx context.Context, t *engine.Task) (string, error) {
	if t.Step.Key != closingCertificate {
		return "", nil
	}
	list, err := s.o.DB.Tasks(ctx, t.Operation.ID)
	if err != nil {
		return "", err
	}
	list = slices.DeleteFunc(list, func(t tenure.Task) bool { return t.Step != "" || t.State != tenure.TaskOpen })
	if len(list) == 0 {
		return "", nil
	}
	return fmt.Sprintf("%s on the checklist, first: %s; see tenure checklist list %s", plural(len(list), "open task", "open tasks"), list[0].Text, t.Operation.ID), nil
}

// firstTold is when a task's owner first hears of it: at once, where there is one.
func firstTold(t tenure.Task, now time.Time) time.Time {
	if t.Owner != "" {
		return now
	}
	return nextTold(t, now)
}

// nextTold is when a task is told of after now: a day before its date, at it, and then each week.
func nextTold(t tenure.Task, now time.Time) time.Time {
	switch {
	case t.DueAt.IsZero():
		return time.Time{}
	case now.Before(t.DueAt.Add(-tenure.TaskAhead)):
		return t.DueAt.Add(-tenure.TaskAhead)
	case now.Before(t.DueAt):
		return t.DueAt
	}
	return now.Add(tenure.TaskAgain)
}

// TickChecklist puts the tasks of plans that wait for a person on the checklist, and tells the owners of
// open tasks: at once, a day before their date, at it and each week after it. Each is told once.
func (s *Service) TickChecklist(ctx context.Context, now time.Time) error {
	waits, err := s.o.DB.UnlistedTasks(ctx, tickBatch)
	if err != nil {
		return err
	}
	for _, w := range waits {
		if err := unlessStuck(s.listTask(ctx, w, now)); err != nil {
			return err
		}
	}
	due, err := s.o.DB.DueTasks(ctx, now, tickBatch)
	if err != nil {
		return err
	}
	var doubts error // of rows that aren't as the log says: they are told to nobody, and looked at again in an hour
	checked := make(map[tenure.OperationID]error)
	for _, t := range due {
		doubt, is := checked[t.Operation]
		if !is {
			doubt = s.doubtful(ctx, t)
			checked[t.Operation] = doubt
			doubts = errors.Join(doubts, doubt)
		}
		if doubt != nil {
			err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
				_, err := tx.RemindTask(t, now.Add(openTaskRetry), now)
				return err
			})
		} else {
			err = unlessStuck(s.remindTask(ctx, t, now))
		}
		if err != nil {
			return err
		}
	}
	return doubts
}

// doubtful says what of an open operation isn't as the log says.
func (s *Service) doubtful(ctx context.Context, t tenure.Task) error {
	op, err := s.o.DB.Operation(ctx, t.Operation)
	if err != nil || op.State.Ended() { // nobody is told of its tasks any more
		return nil
	}
	if err := s.o.DB.Vouched(ctx, t.Operation, t.Tenant, nil); err != nil {
		return fmt.Errorf("the tasks of %s: %w", t.Operation, err)
	}
	return nil
}

// listTask puts a task of a plan that has begun to wait on the checklist.
func (s *Service) listTask(ctx context.Context, w store.ApprovalWait, now time.Time) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.ApprovalWait(w.Operation, w.Step); err != nil {
			return notThere(err)
		}
		op, p, rows, err := s.operation(tx, w.Operation)
		if err != nil {
			return err
		}
		have, err := tx.Tasks(w.Operation)
		if err != nil || slices.ContainsFunc(have, func(t tenure.Task) bool { return t.Step == w.Step && t.State == tenure.TaskOpen }) {
			return err
		}
		signed, err := tx.Approvals(w.Operation)
		if err != nil || slices.ContainsFunc(signed, func(a tenure.Approval) bool { return a.Step == w.Step }) {
			return err // it is done, and the gate hasn't been looked at since
		}
		t, err := openTask(op, p, rows, have, w.Step, now)
		if err != nil {
			return notThere(err)
		}
		return tx.SaveTask(t, firstTold(t, now))
	})
}

// unlistTask notes that a task of a plan has ended, so that nobody is reminded of it, and what became of its
// artifact.
func unlistTask(tx *store.Tx, op tenure.Operation, st *tenure.Step, state tenure.TaskState, handed tenure.Handed, by string, now time.Time) error {
	have, err := tx.Tasks(op.ID)
	if err != nil {
		return err
	}
	artifact := handed != tenure.Handed{}
	i := slices.IndexFunc(have, func(t tenure.Task) bool { return t.Step == st.Key && (artifact || t.State == tenure.TaskOpen) })
	if i < 0 && !artifact {
		return nil
	}
	t := taskOf(op, st, now)
	if i >= 0 {
		t = have[i]
	} else {
		t.ID = tenure.NewID[tenure.TaskID](now)
		if err := tx.SaveTask(t, time.Time{}); err != nil {
			return err
		}
	}
	t.State, t.EndedBy, t.EndedAt, t.Handed = state, by, now, handed
	return tx.EndTask(t)
}

// remindTask tells the owner of an open task of it, once; nobody where it can't be done yet.
func (s *Service) remindTask(ctx context.Context, t tenure.Task, now time.Time) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		op, p, _, err := s.operation(tx, t.Operation)
		if err != nil {
			return err
		}
		item, text, next := string(t.ID), t.Text, nextTold(t, now)
		if t.Artifact {
			text = tenure.ArtifactSpec{Name: t.Text, Where: t.Where}.Summary()
		}
		if t.Step != "" {
			if item = t.Step; stepIndex(p, item) >= 0 {
				text = p.Steps[stepIndex(p, item)].Summary
			}
			_, err = tx.ApprovalWait(t.Operation, t.Step)
		}
		early := tenure.CodeOf(err) == tenure.NotFound // nobody waits for it yet, or it was left out
		over := op.State.Ended() || early
		switch {
		case err != nil && !early:
			return err
		case op.State.Ended():
			next = time.Time{}
		case early:
			next = now.Add(tooEarly)
		}
		if mine, err := tx.RemindTask(t, next, now); err != nil || !mine || over {
			return err
		}
		row, err := tx.Tenant(string(op.Tenant))
		if err != nil {
			return err
		}
		return tellTask(tx, op, p.Name, s.LanguageOf(row), t, item, text, now)
	})
}

func tellTask(tx *store.Tx, op store.OperationRow, name string, lang words.Language, t tenure.Task, item, text string, now time.Time) error {
	date, key := "", words.Key("task.open")
	if !t.DueAt.IsZero() {
		date, key = ", due on "+t.DueAt.UTC().Format("2006-01-02 15:04 MST"), "task.due"
	}
	what, done := "There is a task", ""
	if t.Artifact {
		done = " --reassigned-to WHOM, or --archived-at WHERE"
	}
	to := []string{t.Owner}
	if late := !t.DueAt.IsZero() && !now.Before(t.DueAt); late {
		what, key, to = "A task is overdue", "task.overdue", append(to, "platform")
	}
	for _, r := range slices.Compact(slices.DeleteFunc(to, func(r string) bool { return r == "" })) {
		text := strings.TrimSuffix(text, ".")
		n := store.Notice{
			ID: fmt.Sprintf("%s/%s/%d/%s", op.ID, t.ID, now.UnixMicro(), r), Kind: tenure.NoticeTask, Tenant: op.Tenant, Operation: op.ID, Recipient: r, CreatedAt: now,
			Body: fmt.Sprintf("%s in the %s of %s%s: %s. Once it is done: tenure operation done %s --gate %s%s", what, op.Kind, name, date, text, op.ID, item, done),
		}
		if r == "contact" {
			n = written(n, lang, words.Of(key, words.Key("operation."+string(op.Kind)), name, words.Plain(text), words.Moment(t.DueAt)))
		}
		if err := tx.AddNotice(n); err != nil {
			return err
		}
	}
	return nil
}
