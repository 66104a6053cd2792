package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

// standing shows where the store stands. It asks at most every ten seconds,
// however often it is scraped.
type standing struct {
	db         *store.DB
	clock, now func() time.Time

	up, writable, operations, waiting, findings, unsent, entries, checkpoint *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	last store.Gauges
	err  error
}

const askEvery = 10 * time.Second

func newStanding(db *store.DB, clock, now func() time.Time) *standing {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &standing{
		db: db, clock: clock, now: now,
		up:         desc("tenure_store_up", "Whether the store can be read."),
		writable:   desc("tenure_store_writable", "Whether the store can be written, as far as is known."),
		operations: desc("tenure_operations", "Operations that haven't ended.", "kind", "state"),
		waiting:    desc("tenure_approvals_waiting", "Gates that wait for persons."),
		findings:   desc("tenure_findings", "Findings that want attention.", "severity"),
		unsent:     desc("tenure_notices_unsent", "Notices of the last seven days that weren't sent."),
		entries:    desc("tenure_log_entries", "Entries of the audit log."),
		checkpoint: desc("tenure_checkpoint_age_seconds", "Age of the latest checkpoint of the log; absent if there is none."),
	}
}

// Describe is prometheus.Collector's.
func (s *standing) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.up, s.writable, s.operations, s.waiting, s.findings, s.unsent, s.entries, s.checkpoint} {
		out <- d
	}
}

// Collect is prometheus.Collector's.
func (s *standing) Collect(out chan<- prometheus.Metric) {
	g, err := s.gauges()
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if s.db.Outage() == nil {
		set(s.writable, 1)
	} else {
		set(s.writable, 0)
	}
	if err != nil {
		set(s.up, 0)
		return
	}
	set(s.up, 1)
	for _, o := range g.Operations {
		set(s.operations, float64(o.N), string(o.Kind), string(o.State))
	}
	for _, severity := range []tenure.Severity{tenure.Critical, tenure.High, tenure.Medium, tenure.Low} {
		set(s.findings, float64(g.Findings[severity]), string(severity))
	}
	set(s.waiting, float64(g.Waiting))
	set(s.unsent, float64(g.Unsent))
	set(s.entries, float64(g.LogSize))
	if !g.CheckpointAt.IsZero() {
		set(s.checkpoint, s.now().Sub(g.CheckpointAt).Seconds())
	}
}

func (s *standing) gauges() (store.Gauges, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.clock(); s.at.IsZero() || at.Sub(s.at) >= askEvery {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // a collector is given none
		defer cancel()
		s.last, s.err = s.db.Gauges(ctx, s.now())
		s.at = at
	}
	return s.last, s.err
}
