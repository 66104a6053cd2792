package installation

import (
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/governance"
)

// ReviewSchedule is an access review of tenure.yaml, which opens by itself again and again.
type ReviewSchedule struct {
	Name      string                `yaml:"name"`
	Every     tenure.Period         `yaml:"every"` // such as P3M
	From      string                `yaml:"from"`  // the first: a date
	Lasts     tenure.Period         `yaml:"lasts"` // until it is due; default P14D
	Covers    []tenure.ReviewKind   `yaml:"covers"`
	Tiers     []string              `yaml:"tiers"` // over which tenants; none of the two: all
	Labels    []string              `yaml:"labels"`
	Reviewers []string              `yaml:"reviewers"`
	ByOwner   bool                  `yaml:"byOwner"`
	Silence   tenure.ReviewDecision `yaml:"silence"` // default revoke
}

// reviewSchedules reads the reviews that open by themselves.
func reviewSchedules(list []ReviewSchedule) ([]governance.Schedule, error) {
	names := make(map[string]bool, len(list))
	var out []governance.Schedule
	for i, r := range list {
		s := governance.Schedule{
			Name: r.Name, Every: r.Every, Lasts: r.Lasts, Covers: r.Covers, Reviewers: r.Reviewers, ByOwner: r.ByOwner, Silence: r.Silence,
			Scope: tenure.Scope{All: len(r.Tiers)+len(r.Labels) == 0, Tiers: r.Tiers, Labels: r.Labels},
		}
		if s.Lasts.IsZero() {
			s.Lasts, _ = tenure.ParsePeriod("P14D")
		}
		if s.Silence == "" {
			s.Silence = tenure.ReviewRevoke
		}
		var err error
		if s.From, err = time.Parse(time.DateOnly, r.From); err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: reviews[%d]: from is the date of the first review, not %q", i, r.From).WithHint("write it like 2027-01-01")
		}
		if err := s.Check(); err != nil {
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: reviews[%d]: %w", i, err)
		}
		if names[s.Name] {
			return nil, tenure.Errorf(tenure.Invalid, "tenure.yaml: reviews[%d]: there are two named %q", i, s.Name)
		}
		names[s.Name] = true
		out = append(out, s)
	}
	return out, nil
}
