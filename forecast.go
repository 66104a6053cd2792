package tenure

import "time"

// Forecast gives the plan's dates as things stand at now: none before what its step waits for can
// have ended. Ended says by key when steps ended; anchors and holds are the tenant's. People's
// words are taken to come at once. A date that nobody can know, as where a hold stands before it,
// is zero. That of a step which has ended is when it did.
func (p *Plan) Forecast(now time.Time, ended map[string]time.Time, anchors map[Anchor]time.Time, holds []Hold) []Projection {
	f := forecast{plan: p, now: now, ended: ended, anchors: anchors, holds: holds, steps: make(map[string]*Step, len(p.Steps)), ends: make(map[string]time.Time)}
	for i := range p.Steps {
		f.steps[p.Steps[i].Key] = &p.Steps[i]
	}
	out := make([]Projection, len(p.Dates))
	for i, d := range p.Dates {
		if s := f.steps[d.Step]; s != nil && !d.At.IsZero() {
			if d.At = f.begin(s); s.Action == ActDate {
				d.At = f.end(d.Step)
			}
			if at := ended[d.Step]; !at.IsZero() {
				d.At = at
			}
			if !d.Undo.IsZero() {
				d.Undo = d.At
			}
		}
		out[i] = d
	}
	return out
}

type forecast struct {
	plan    *Plan
	now     time.Time
	ended   map[string]time.Time
	anchors map[Anchor]time.Time
	holds   []Hold
	steps   map[string]*Step
	ends    map[string]time.Time // by key, once known; zero is that nobody knows
}

// begin is when a step's turn comes, and at the earliest now; zero if nobody knows.
func (f *forecast) begin(s *Step) time.Time {
	at := f.now
	for _, need := range s.Needs {
		if f.steps[need] == nil {
			continue
		}
		end := f.end(need)
		if end.IsZero() {
			return end
		}
		if end.After(at) {
			at = end
		}
	}
	return at
}

// end is when a step ended, or can at the earliest.
func (f *forecast) end(key string) time.Time {
	if at, did := f.ended[key]; did && !at.IsZero() {
		return at
	}
	if at, known := f.ends[key]; known {
		return at
	}
	f.ends[key] = time.Time{} // what waits for itself never ends
	s := f.steps[key]
	at := f.begin(s)
	switch {
	case at.IsZero():
	case s.Action == ActDate && s.Gate != nil:
		from := at
		if f.steps[s.Gate.After] != nil {
			from = f.end(s.Gate.After)
		}
		switch to := s.Gate.Period.After(from); {
		case from.IsZero():
			at = from
		case to.After(at):
			at = to
		}
	case s.Action == ActRetention:
		class, is := f.plan.Retention(s)
		if !is {
			break
		}
		switch c := SolveRetention(class, f.dated(), f.plan.Keeping(f.holds, s), f.plan.Destroys(s)[0], at); c.State {
		case ClockErase:
		case ClockKeep:
			at = c.KeepUntil
		default:
			at = time.Time{}
		}
	}
	f.ends[key] = at
	return at
}

// dated are the tenant's anchors, with those that the plan itself will set.
func (f *forecast) dated() map[Anchor]time.Time {
	out := map[Anchor]time.Time{FromNotice: f.plan.At}
	if s := f.steps["terminating"]; s != nil {
		out[FromTermination] = f.begin(s)
	}
	for k, at := range f.anchors {
		if !at.IsZero() {
			out[k] = at
		}
	}
	return out
}
