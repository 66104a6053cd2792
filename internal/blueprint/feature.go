package blueprint

import (
	"slices"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// Features decides what a tenant of a tier is entitled to: what is asked for,
// and what is on by default where the tier has it. The answer names every
// declared feature. Asking for one that isn't declared is Invalid, for one
// that the tier doesn't have Blocked.
func (c *Compiled) Features(tier string, requested map[string]bool) (map[string]bool, error) {
	declared := c.Blueprint.Features
	for _, name := range source.Keys(requested) {
		f, ok := declared[name]
		switch {
		case !ok:
			return nil, invalid("unknown feature "+source.Quote(name), source.DidYouMean(name, source.Keys(declared)))
		case requested[name] && !inTier(f, tier):
			return nil, tenure.Errorf(tenure.Blocked, "feature %s isn't part of tier %q", name, source.Clip(tier)).WithHint("tiers that have it: %s", listed(f.Tiers))
		}
	}
	out := make(map[string]bool, len(declared))
	for name, f := range declared {
		on, asked := requested[name]
		out[name] = inTier(f, tier) && (on || !asked && f.Default)
	}
	return out, nil
}

func inTier(f tenure.Feature, tier string) bool {
	return len(f.Tiers) == 0 || slices.Contains(f.Tiers, tier)
}

// Retiered are the features that a tenant has as it goes from one tier to another: what only
// one of the two has isn't carried over, unless it was asked for.
func (c *Compiled) Retiered(from, to string, has, asked map[string]bool) map[string]bool {
	out := map[string]bool{}
	for name, on := range has {
		f, declared := c.Blueprint.Features[name]
		if _, is := asked[name]; is || !declared || inTier(f, from) == inTier(f, to) {
			out[name] = on
		}
	}
	return out
}
