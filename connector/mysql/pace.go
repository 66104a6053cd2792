package mysql

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// How an erasure goes on beside others' work: in small batches, and for one part in so
// many of the time.
const (
	gentleRows  = 200
	gentleShare = 20
	othersBegin = 2.0 // statements a second by others from which on it does
)

// pace is what erasures learn of the server between two batches.
type pace struct {
	sent atomic.Int64 // statements that this driver has sent

	mu     sync.Mutex
	at     time.Time // of the last look
	asked  int64     // statements that the server had been sent by then
	own    int64     // and this driver's among them
	gentle bool
	runs   map[string]stride
}

// stride is what one batch leaves to the next of its run.
type stride struct {
	piece int     // rows at once that went well
	held  *estate // the catalog as it was at its end
	ended time.Time
}

// Of the runs so many are remembered, each for so long.
const (
	strides   = 16
	strideFor = 10 * time.Second
)

// begin bounds a batch by what the last ones saw, and takes what its run's last one left.
func (p *pace) begin(run string, b *connector.Batch) (last stride) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gentle {
		b.Limit = min(b.Limit, gentleRows)
	}
	last = p.runs[run]
	delete(p.runs, run)
	if time.Since(last.ended) > strideFor {
		last.held = nil
	}
	return last
}

// runOf names all that batches which follow one another have in common.
func runOf(r connector.Ref, b connector.Batch) (string, error) {
	raw, err := tenure.Canonical([]any{b.Run, b.Class, b.Gone, r})
	return string(raw), err
}

// keep leaves a stride to the run's next batch.
func (p *pace) keep(run string, s stride) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs == nil || len(p.runs) >= strides {
		p.runs = map[string]stride{}
	}
	s.ended = time.Now()
	p.runs[run] = s
}

// end looks at how much the server did for others since the last look, and says how long
// the next batch is to wait after one that took so long.
func (p *pace) end(ctx context.Context, s *session, took time.Duration) (time.Duration, error) {
	var name string
	var asked int64
	if err := each(ctx, s, "show global status like 'Questions'", nil, &name, &asked); err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	own, now := p.sent.Load(), time.Now()
	if since := now.Sub(p.at); !p.at.IsZero() && since > 0 {
		p.gentle = float64(asked-p.asked-(own-p.own))/since.Seconds() >= othersBegin
	}
	p.at, p.asked, p.own = now, asked, own
	if !p.gentle {
		return 0, nil
	}
	return (gentleShare - 1) * took, nil
}

// start is the look before the first batch.
func (p *pace) start(ctx context.Context, s *session) error {
	p.mu.Lock()
	old := p.at.IsZero() || time.Since(p.at) > time.Minute
	p.mu.Unlock()
	if !old {
		return nil
	}
	_, err := p.end(ctx, s, 0)
	return err
}
