package audit

import (
	"iter"
)

// marks holds the checkpoints against the tree as it grows through their sizes.
type marks struct {
	report  *Report
	log     Log
	next    func() ([]byte, error, bool)
	stop    func()
	stored  *Checkpoint // the next of the stored ones
	witness *Checkpoint
	last    int64
}

func newMarks(log Log, report *Report) (*marks, error) {
	m := &marks{report: report, log: log, stop: func() {}}
	m.next = func() ([]byte, error, bool) { return nil, nil, false }
	if log.Checkpoints != nil {
		m.next, m.stop = iter.Pull2(log.Checkpoints)
	}
	if log.Witnessed != nil {
		m.witness = m.open("the witness's checkpoint", log.Witnessed)
	}
	if err := m.advance(); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

func (m *marks) open(what string, msg []byte) *Checkpoint {
	c, err := VerifyCheckpoint(msg, m.log.Origin, m.log.Verifiers...)
	if err != nil {
		m.report.add(CheckpointWrong, m.last, "%s can't be verified: %v", what, err)
		return nil
	}
	return &c
}

// advance takes up the next stored checkpoint that can be used.
func (m *marks) advance() error {
	for m.stored = nil; m.stored == nil; {
		msg, err, ok := m.next()
		if err != nil || !ok {
			return err
		}
		c := m.open("a stored checkpoint", msg)
		if c != nil && c.Size < m.last {
			m.report.add(CheckpointWrong, c.Size, "the checkpoint of size %d comes after one of size %d", c.Size, m.last)
			continue
		}
		if m.stored = c; c != nil {
			m.last = c.Size
		}
	}
	return nil
}

// reached compares the checkpoints of the tree's present size.
func (m *marks) reached(t *checker) error {
	if m.witness != nil && m.witness.Size == t.size {
		m.compare("the witness's checkpoint", m.witness, t)
		m.witness = nil
	}
	for m.stored != nil && m.stored.Size == t.size {
		m.compare("checkpoint", m.stored, t)
		if err := m.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (m *marks) compare(what string, c *Checkpoint, t *checker) {
	if _, ok := t.matches(c.Root); !ok {
		m.report.add(CheckpointWrong, c.Size, "%s of size %d isn't a prefix of this log: another root was signed", what, c.Size)
		return
	}
	m.report.Checkpoints++
}

// finish reports the checkpoints that the log doesn't reach.
func (m *marks) finish(t *checker) error {
	if err := m.reached(t); err != nil {
		return err
	}
	if m.witness != nil {
		m.report.add(CheckpointWrong, m.witness.Size, "the witness's checkpoint has size %d, the log only %d: entries were cut off", m.witness.Size, t.size)
	}
	for m.stored != nil {
		m.report.add(CheckpointWrong, m.stored.Size, "checkpoint of size %d isn't a prefix of this log: it has only %d entries", m.stored.Size, t.size)
		if err := m.advance(); err != nil {
			return err
		}
	}
	return nil
}
