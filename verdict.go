package tenure

// Verdict says how sure a step's result is: seen, said, not known or not so.
type Verdict string

const (
	Verified Verdict = "verified" // read back from the system itself
	Claimed  Verdict = "claimed"  // the system said yes and can't be observed
	Unknown  Verdict = "unknown"  // not to be told now
	Failed   Verdict = "failed"   // seen not to be so, or the system refused
)

// Settled says whether a tenant may close on this verdict without an exception.
func (v Verdict) Settled() bool { return v == Verified }
