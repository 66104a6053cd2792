package lifecycle

import "github.com/tenurehq/tenure"

// handedOver checks what became of an artifact. One that is done without saying so, and a task that has an outcome, are Invalid.
func handedOver(h tenure.Handed, artifact bool) (_ tenure.Handed, err error) {
	switch {
	case h == tenure.Handed{} && !artifact:
		return h, nil
	case !artifact:
		return h, tenure.Errorf(tenure.Invalid, "this is a task, and no artifact that is reassigned or archived").WithHint("leave the outcome out")
	case h == tenure.Handed{}:
		return h, tenure.Errorf(tenure.Invalid, "an artifact is done once it is reassigned or archived").WithHint("say which: --reassigned-to WHOM, or --archived-at WHERE")
	case h.Outcome == tenure.ArtifactReassigned:
		h.Destination, err = tenure.NeedLine("who owns the artifact now", h.Destination, maxWords)
		return h, err
	case h.Outcome == tenure.ArtifactArchived:
		h.Destination, err = tenure.NeedLine("where the artifact was put", h.Destination, maxWords)
		return h, err
	}
	return h, tenure.Errorf(tenure.Invalid, "an artifact is reassigned or archived, and not %q", h.Outcome)
}
