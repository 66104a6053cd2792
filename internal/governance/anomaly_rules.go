package governance

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
)

const aDay = 24 * time.Hour

// What the rules go by.
const (
	learning       = 14 * aDay // nothing is a first time before
	minHours       = 5         // elevations from which somebody's hours are known
	hourSlack      = 2         // hours to both sides of what is usual
	rateFloor      = 3         // elevations a day that are never too many
	rateFactor     = 3         // times their daily average
	destroyFloor   = 5         // destructive plans an hour that are never too few to look at
	destroyFactor  = 2         // times their busiest hour
	tooQuick       = 10 * time.Second
	manyApprovals  = 5  // within a minute
	failedOverall  = 20 // within ten minutes
	probedOften    = 30 // likewise
	probedRoutes   = 5
	dormantAfter   = 60 * aDay
	releaseToErase = aDay
	baselineSpan   = 30 * aDay
)

const (
	sprayed = "signin.sprayed"
	probed  = "access.probed"
)

func isElevation(kind string) bool {
	return kind == tenure.EventElevation || kind == tenure.EventBreakGlass
}

func (c Case) elevations(span time.Duration) []store.AccessEvent {
	return c.before(span, tenure.EventElevation, tenure.EventBreakGlass)
}

// firstElevation: somebody who never asked for more than they have does.
func firstElevation(c Case) *Anomaly {
	known := c.Event.At.Sub(c.KnownSince)
	if !isElevation(c.Event.Kind) || len(c.elevations(0)) > 0 || c.KnownSince.IsZero() || known < learning {
		return nil
	}
	a := tenure.ParseElevationAsked(c.Event.Detail)
	return &Anomaly{
		Rule: "elevation.first", Severity: tenure.Low,
		Baseline:    fmt.Sprintf("no elevation by %s in the %d days that are known", c.Event.Principal, int(known/aDay)),
		Seen:        fmt.Sprintf("one as %s over %s", a.Role, a.Scope),
		Explanation: c.Event.Principal + " asks for an elevation for the first time",
	}
}

// elevationHour: at an hour at which this person never did.
func elevationHour(c Case) *Anomaly {
	past := c.elevations(0)
	if !isElevation(c.Event.Kind) || len(past) < minHours {
		return nil
	}
	at := c.Event.At.UTC().Hour()
	var hours []int
	for _, e := range past {
		h := e.At.UTC().Hour()
		if d := (at - h + 24) % 24; min(d, 24-d) <= hourSlack {
			return nil
		}
		hours = append(hours, h)
	}
	slices.Sort(hours)
	return &Anomaly{
		Rule: "elevation.hour", Severity: tenure.Medium,
		Baseline:    fmt.Sprintf("%d earlier ones, at the hours %v UTC", len(past), slices.Compact(hours)),
		Seen:        "one at " + c.Event.At.UTC().Format("15:04") + " UTC",
		Explanation: c.Event.Principal + " asks for an elevation at an hour at which they never did",
	}
}

// width ranks a scope: everything, then groups of tenants, then tenants by name.
func width(s tenure.Scope) (rank, n int) {
	switch {
	case s.All:
		return 3, 1
	case len(s.Tiers)+len(s.Labels) > 0:
		return 2, len(s.Tiers) + len(s.Labels)
	}
	return 1, len(s.Tenants)
}

// elevationScope: over more than this person ever asked for: another kind of
// scope, or more than twice as many names, and three at least.
func elevationScope(c Case) *Anomaly {
	past := c.elevations(0)
	if !isElevation(c.Event.Kind) || len(past) == 0 {
		return nil
	}
	var rank, n int
	var widest tenure.Scope
	for _, e := range past {
		s := tenure.ParseElevationAsked(e.Detail).Scope
		if r, m := width(s); r > rank || r == rank && m > n {
			rank, n, widest = r, m, s
		}
	}
	now := tenure.ParseElevationAsked(c.Event.Detail).Scope
	if r, m := width(now); r < rank || r == rank && (m < 3 || m <= 2*n) {
		return nil
	}
	return &Anomaly{
		Rule: "elevation.scope", Severity: tenure.High,
		Baseline:    fmt.Sprintf("the widest of %d earlier ones was over %s", len(past), widest),
		Seen:        "one over " + now.String(),
		Explanation: c.Event.Principal + " asks for an elevation over more than they ever did",
	}
}

// elevationRate: more in a day than three times the average.
func elevationRate(c Case) *Anomaly {
	if !isElevation(c.Event.Kind) {
		return nil
	}
	today := len(c.elevations(aDay)) + 1
	month := len(c.elevations(baselineSpan)) - (today - 1)
	average := float64(month) / float64(baselineSpan/aDay)
	if today <= rateFloor || float64(today) <= rateFactor*average {
		return nil
	}
	return &Anomaly{
		Rule: "elevation.rate", Severity: tenure.High, Occurrence: c.day(),
		Baseline:    fmt.Sprintf("%.1f a day over the 30 days before", average),
		Seen:        fmt.Sprintf("%d within 24 hours", today),
		Explanation: c.Event.Principal + " asks for elevations more often than they do",
	}
}

// destructiveRate: many destructive plans started by one person within an hour.
func destructiveRate(c Case) *Anomaly {
	if c.Event.Kind != tenure.EventDestructive {
		return nil
	}
	past := c.before(baselineSpan, tenure.EventDestructive)
	first := len(past)
	for first > 0 && past[first-1].At.After(c.Event.At.Add(-time.Hour)) {
		first--
	}
	n := len(past) - first + 1
	busiest, from := 0, 0
	for i := range first {
		for past[from].At.Before(past[i].At.Add(-time.Hour)) {
			from++
		}
		busiest = max(busiest, i-from+1)
	}
	if n < destroyFloor || n <= destroyFactor*busiest {
		return nil
	}
	return &Anomaly{
		Rule: "destructive.rate", Severity: tenure.High, Occurrence: c.day(),
		Baseline:    fmt.Sprintf("at most %d in any hour of the 30 days before", busiest),
		Seen:        fmt.Sprintf("%d destructive plans started within an hour", n),
		Explanation: c.Event.Principal + " starts far more destructive plans than they do",
	}
}

// quickApproval: nobody reads a plan in that time.
func quickApproval(c Case) *Anomaly {
	g, ok := tenure.ParseApprovalGiven(c.Event.Detail)
	if c.Event.Kind != tenure.EventApproval || !ok || g.Seconds >= tooQuick.Seconds() {
		return nil
	}
	return &Anomaly{
		Rule: "approval.quick", Severity: tenure.Low, Tenant: tenure.TenantID(c.Event.Tenant),
		Baseline:    usualApproval(c),
		Seen:        fmt.Sprintf("approved %.0f seconds after the gate had opened", g.Seconds),
		Explanation: c.Event.Principal + " approved a plan sooner than it can be read",
	}
}

// usualApproval is the middle of how long a person's approvals took.
func usualApproval(c Case) string {
	var took []float64
	for _, e := range c.before(0, tenure.EventApproval) {
		if g, ok := tenure.ParseApprovalGiven(e.Detail); ok {
			took = append(took, g.Seconds)
		}
	}
	if len(took) == 0 {
		return "no earlier approval of theirs; below 10 seconds nobody reads a plan"
	}
	slices.Sort(took)
	return fmt.Sprintf("half of their %d earlier ones took %s or more", len(took), time.Duration(took[len(took)/2]*float64(time.Second)).Round(time.Second))
}

// quickApprovals: one after the other, without a look.
func quickApprovals(c Case) *Anomaly {
	if c.Event.Kind != tenure.EventApproval {
		return nil
	}
	n := len(c.before(time.Minute, tenure.EventApproval)) + 1
	if n < manyApprovals {
		return nil
	}
	return &Anomaly{
		Rule: "approvals.quick", Severity: tenure.High, Occurrence: c.day(),
		Baseline:    fmt.Sprintf("%d approvals in the 30 days before; %s", len(c.before(baselineSpan, tenure.EventApproval))-(n-1), usualApproval(c)),
		Seen:        fmt.Sprintf("%d approvals within a minute", n),
		Explanation: c.Event.Principal + " approves one plan after the other without time to read them",
	}
}

// spraying: somebody who isn't known tries many credentials or names. Who gives a name
// there may be anybody, so it is about nobody in particular.
func spraying(c Case) *Anomaly {
	if c.Event.Kind != tenure.EventRefused {
		return nil
	}
	n, from, routes := refused(append(c.Around, c.Event))
	if n < failedOverall {
		return nil
	}
	return &Anomaly{
		Rule: sprayed, Severity: tenure.High, Occurrence: c.day(),
		Baseline:    fmt.Sprintf("fewer than %d refused in ten minutes", failedOverall),
		Seen:        fmt.Sprintf("%d refused within ten minutes, from %s, at %s", n, named(from, "address", "addresses"), named(routes, "route", "routes")),
		Explanation: "somebody who isn't known tries credentials and is refused",
	}
}

// probing: somebody who is known tries what they may not, at one place after the
// other or again and again.
func probing(c Case) *Anomaly {
	if c.Event.Kind != tenure.EventDenied {
		return nil
	}
	n, _, routes := refused(append(c.before(10*time.Minute, tenure.EventDenied), c.Event))
	if n < probedOften && len(routes) < probedRoutes {
		return nil
	}
	return &Anomaly{
		Rule: probed, Severity: tenure.Medium, Occurrence: c.day(),
		Baseline:    fmt.Sprintf("fewer than %d refused in ten minutes, at fewer than %d routes", probedOften, probedRoutes),
		Seen:        fmt.Sprintf("%d refused within ten minutes, at %s", n, named(routes, "route", "routes")),
		Explanation: c.Event.Principal + " tries what they may not do",
	}
}

// refused sums what events count, with the addresses and routes that they name. An
// event that is there twice counts as the later one.
func refused(events []store.AccessEvent) (n int, addresses, routes []string) {
	latest := make(map[string]tenure.RefusalsCounted)
	for i, e := range events {
		latest[cmp.Or(e.ID, fmt.Sprint(i))] = tenure.ParseRefusalsCounted(e.Detail)
	}
	for _, r := range latest {
		n += r.Count
		addresses, routes = append(addresses, r.Address), append(routes, r.Route)
	}
	return n, distinct(addresses), distinct(routes)
}

func distinct(list []string) []string { slices.Sort(list); return slices.Compact(list) }

// named lists a few of some names, or says how many there are.
func named(list []string, one, many string) string {
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	switch {
	case len(list) == 1:
		return "the " + one + " " + list[0]
	case len(list) <= 3:
		return "the " + many + " " + joinWords(list)
	}
	return fmt.Sprintf("%d %s", len(list), many)
}

// dormantWakes: who may give access out, or look after it, and had been away.
func dormantWakes(c Case) *Anomaly {
	powerful := slices.Contains(c.Roles, tenure.Admin) || slices.Contains(c.Roles, tenure.SecurityOfficer)
	if c.Event.Kind != tenure.EventSignIn || !powerful {
		return nil
	}
	last := time.Time{}
	for _, e := range c.Past {
		if e.Kind != tenure.EventRefused { // of an earlier build: somebody else's try is no sign of theirs
			last = e.At
		}
	}
	if last.IsZero() || c.Event.At.Sub(last) < dormantAfter {
		return nil
	}
	return &Anomaly{
		Rule: "dormant.wakes", Severity: tenure.High,
		Baseline:    "last seen " + last.UTC().Format("2006-01-02") + fmt.Sprintf(", %d days before", int(c.Event.At.Sub(last)/aDay)),
		Seen:        "a sign-in with " + roleWords(c.Roles),
		Explanation: c.Event.Principal + ", who gives out or reviews access, signs in after a long time",
	}
}

func roleWords(roles []tenure.Role) string {
	words := make([]string, 0, len(roles))
	for _, r := range roles {
		words = append(words, "the role "+string(r))
	}
	return joinWords(words)
}

// releasedAndErased: a hold is released, and on the same day what it kept is
// erased, or the way to it is opened.
func releasedAndErased(c Case) *Anomaly {
	g, _ := tenure.ParseApprovalGiven(c.Event.Detail)
	begins := c.Event.Kind == tenure.EventErase || c.Event.Kind == tenure.EventApproval && g.Gate == tenure.ActNoReturn
	if !begins || c.Event.Tenant == "" {
		return nil
	}
	for _, e := range c.Around {
		after := c.Event.At.Sub(e.At)
		if e.Kind != tenure.EventHoldRelease || e.Tenant != "" && e.Tenant != c.Event.Tenant || after < 0 || after > releaseToErase {
			continue
		}
		return &Anomaly{
			Rule: "hold.erased", Principal: e.Principal, Severity: tenure.High, Tenant: tenure.TenantID(c.Event.Tenant), Occurrence: e.At.UTC().Format(time.RFC3339Nano),
			Baseline:    "data that a hold kept stays for more than a day after its release",
			Seen:        fmt.Sprintf("hold released by %s at %s, erasure %s later", e.Principal, e.At.UTC().Format("2006-01-02 15:04 MST"), after.Round(time.Second)),
			Explanation: "what a hold kept is erased on the day of its release",
		}
	}
	return nil
}
