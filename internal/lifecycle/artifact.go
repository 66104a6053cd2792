package lifecycle

import "github.com/tenurehq/tenure"

// checkHanded refuses an artifact that is done without saying what became of it, and a task that has an outcome: Invalid.
func checkHanded(h tenure.Handed, artifact bool) error {
	switch {
	case h == tenure.Handed{} && !artifact:
		return nil
	case !artifact:
		return tenure.Errorf(tenure.Invalid, "this is a task, and no artifact that is reassigned or archived").WithHint("leave the outcome out")
	case h == tenure.Handed{}:
		return tenure.Errorf(tenure.Invalid, "an artifact is done once it is reassigned or archived").WithHint("say which: --reassigned-to WHOM, or --archived-at WHERE")
	case h.Outcome == tenure.ArtifactReassigned:
		return checkWords("who owns an artifact now", h.Destination, maxWords)
	case h.Outcome == tenure.ArtifactArchived:
		return checkWords("where an artifact was put", h.Destination, maxWords)
	}
	return tenure.Errorf(tenure.Invalid, "an artifact is reassigned or archived, and not %q", h.Outcome)
}
