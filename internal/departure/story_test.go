package departure

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/lifecycle"
	"github.com/tenurehq/tenure/internal/store"
)

// lease is short, so that what a killed process had claimed is soon free again.
const lease = time.Second

// story is an installation whose clock stands in a file, so that it goes on where
// it was when the process is killed.
type story struct {
	dir     string
	keepers []keeper
	days    string // how many a child carries on, "" to the end
	inst    *installation.Installation
	at      time.Time
}

func (s *story) now() time.Time { return s.at }

func (s *story) clock() string { return filepath.Join(s.dir, "clock") }

// jump sets the clock, in the file first.
func (s *story) jump(to time.Time) error {
	next := s.clock() + ".next"
	if err := os.WriteFile(next, strconv.AppendInt(nil, to.UnixMicro(), 10), 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, s.clock()); err != nil {
		return err
	}
	s.at = to
	return nil
}

func openStory(ctx context.Context, dir string) (*story, error) {
	s := &story{dir: dir}
	b, err := os.ReadFile(s.clock())
	if err != nil {
		return nil, err
	}
	micros, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return nil, err
	}
	s.at = time.UnixMicro(micros).UTC()
	if s.inst, err = installation.Open(ctx, installation.Options{Dir: dir, Now: s.now}); err == nil {
		s.inst.Engine.Lease = lease
	}
	return s, err
}

// drive lets the clock jump to whatever is due until the moment, and lets persons
// sign what waits for them. It ends when the operation has.
func (s *story) drive(ctx context.Context, id tenure.OperationID, until time.Time) (*lifecycle.OperationView, error) {
	for range 3000 {
		next, err := s.inst.Engine.Settle(ctx)
		if err != nil {
			return nil, err
		}
		v, err := s.inst.Operation(ctx, id)
		if err != nil || v.State.Ended() || v.State == tenure.OperationBlocked {
			return v, err
		}
		acted, err := s.sign(ctx, v)
		switch {
		case err != nil:
			return v, err
		case acted:
		case !next.IsZero() && !next.After(s.at) || slices.ContainsFunc(v.Steps, func(r store.StepRow) bool { return r.State == tenure.StepRunning }):
			time.Sleep(20 * time.Millisecond) // a killed process's lease lapses by the store's own clock
		case next.IsZero() || next.After(until):
			if !until.After(s.at) {
				return v, nil
			}
			err = s.jump(until)
		default:
			if err = s.answers(ctx); err == nil {
				err = s.jump(next)
			}
		}
		if err != nil {
			return v, err
		}
	}
	return nil, fmt.Errorf("operation %s doesn't come to an end", id)
}

func (s *story) doors() string { return filepath.Join(s.dir, "doors") }

// answers waits until every server does: a backoff is over in no time here, and a
// server that recovers takes its own.
func (s *story) answers(ctx context.Context) error {
	doors, err := os.ReadFile(s.doors())
	for door := range strings.FieldsFuncSeq(string(doors), func(r rune) bool { return r == '\n' }) { // none where nothing is killed
		kind, at, _ := strings.Cut(door, " ")
		for err == nil && ctx.Err() == nil && !open(ctx, kind, at) {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return err
}

// open says whether a server answers.
func open(ctx context.Context, kind, at string) bool {
	if kind == "postgres" {
		conn, err := pgx.Connect(ctx, at)
		return err == nil && conn.Close(ctx) == nil
	}
	conn, err := net.DialTimeout("tcp", at, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if kind == "http" {
		_, _ = conn.Write([]byte("GET /health HTTP/1.0\r\n\r\n"))
	}
	n, _ := conn.Read(make([]byte, 1))
	return n == 1
}

func (s *story) sign(ctx context.Context, v *lifecycle.OperationView) (acted bool, err error) {
	if v.Body == nil {
		return false, nil
	}
	done := map[string]bool{}
	for i, st := range v.Body.Steps {
		r := v.Steps[i]
		done[st.Key] = r.State == tenure.StepDone || r.State == tenure.StepSkipped || r.State == tenure.StepFailed && st.Optional
	}
	for i, st := range v.Body.Steps {
		if v.Steps[i].State != tenure.StepPending || slices.ContainsFunc(st.Needs, func(n string) bool { return !done[n] }) {
			continue
		}
		switch st.Action {
		case tenure.ActTask:
			_, err = s.inst.FinishTask(ctx, v.ID, st.Key, "operator", "done")
		case tenure.ActApproval, tenure.ActNoReturn:
			for _, by := range []string{"reviewer", "officer"}[:st.Gate.Approvals] {
				if _, err = s.inst.Approve(ctx, v.ID, st.Key, v.Plan, by, ""); tenure.CodeOf(err) == tenure.Conflict { // it has signed before it was killed, or the counts are taken again
					_, err = s.inst.Engine.Settle(ctx)
				}
				if err != nil {
					break
				}
			}
		default:
			continue
		}
		if err != nil {
			return acted, err
		}
		acted = true
	}
	return acted, nil
}

// why says where an operation stands.
func why(v *lifecycle.OperationView) string {
	text := fmt.Sprintf("operation %s is %s: %s", v.Kind, v.State, v.Reason)
	for _, st := range v.Steps {
		if st.Error != "" {
			text += fmt.Sprintf("\n  %s (%s): %s", st.Key, st.State, st.Error)
		}
	}
	return text
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
