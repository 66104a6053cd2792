package dashboard

import (
	"strings"

	"github.com/tenurehq/tenure"
)

// Tone is the meaning of a colour. It never stands without an icon and a word.
type Tone string

const (
	ToneIdle   Tone = "idle"   // nothing happens, and nothing should
	ToneOK     Tone = "ok"     // as it should be
	ToneInfo   Tone = "info"   // under way
	ToneWarn   Tone = "warn"   // wants to be looked at
	ToneBad    Tone = "bad"    // wrong, or it destroys
	ToneHold   Tone = "hold"   // kept by a hold or a rule
	ToneAccent Tone = "accent" // ours
)

// Status is a state for people: a tone, an icon and a word.
type Status struct {
	Tone Tone
	Icon string
	Word string
}

// StatusOf is the one table from a domain state to its look. It takes the
// domain's state types, a Status, and free words, which are shown as they are.
func StatusOf(v any) Status {
	switch v := v.(type) {
	case Status:
		return v
	case tenure.TenantState:
		return tenantStatus(v)
	case tenure.OperationState:
		return operationStatus(v)
	case tenure.ResourceState:
		return resourceStatus(v)
	case tenure.StepState:
		return stepStatus(v, "")
	case tenure.Verdict:
		return verdictStatus(v)
	case tenure.Severity:
		return severityStatus(v)
	case tenure.ClockState:
		return clockStatus(v)
	case string:
		return wordStatus(v)
	}
	return Status{ToneIdle, "dot", "unknown"}
}

func tenantStatus(s tenure.TenantState) Status {
	word := spaced(string(s))
	switch s {
	case tenure.TenantActive:
		return Status{ToneOK, "ok", word}
	case tenure.TenantRequested, tenure.TenantValidating, tenure.TenantProvisioning:
		return Status{ToneInfo, "run", word}
	case tenure.TenantSuspended:
		return Status{ToneWarn, "pause", word}
	case tenure.TenantTransition:
		return Status{ToneWarn, "leave", word}
	case tenure.TenantTerminating, tenure.TenantErasing:
		return Status{ToneBad, "erase", word}
	case tenure.TenantRetained, tenure.TenantAwaitingExpiry:
		return Status{ToneHold, "clock", word}
	}
	return Status{ToneIdle, "gone", word}
}

func operationStatus(s tenure.OperationState) Status {
	word := spaced(string(s))
	switch s {
	case tenure.OperationRunning:
		return Status{ToneInfo, "run", word}
	case tenure.OperationWaiting:
		return Status{ToneHold, "clock", word}
	case tenure.OperationPaused:
		return Status{ToneWarn, "pause", word}
	case tenure.OperationBlocked:
		return Status{ToneBad, "block", word}
	case tenure.OperationCompensating:
		return Status{ToneWarn, "undo", word}
	case tenure.OperationSucceeded:
		return Status{ToneOK, "ok", word}
	case tenure.OperationFailed:
		return Status{ToneBad, "fail", word}
	}
	return Status{ToneIdle, "gone", word}
}

// stepStatus joins where a step stands with how sure its end is.
func stepStatus(s tenure.StepState, v tenure.Verdict) Status {
	switch s {
	case tenure.StepRunning:
		return Status{ToneInfo, "run", "running"}
	case tenure.StepFailed:
		return Status{ToneBad, "fail", "failed"}
	case tenure.StepSkipped:
		return Status{ToneWarn, "skip", "skipped"}
	case tenure.StepDone:
		if v == "" {
			return Status{ToneOK, "ok", "done"}
		}
		return verdictStatus(v)
	}
	return Status{ToneIdle, "dot", "pending"}
}

func verdictStatus(v tenure.Verdict) Status {
	switch v {
	case tenure.Verified:
		return Status{ToneOK, "ok", "verified"}
	case tenure.Claimed:
		return Status{ToneWarn, "said", "claimed"}
	case tenure.Failed:
		return Status{ToneBad, "fail", "failed"}
	case "":
		return Status{ToneIdle, "dot", "not seen yet"}
	}
	return Status{ToneWarn, "ask", "unknown"}
}

func resourceStatus(s tenure.ResourceState) Status {
	word := spaced(string(s))
	switch s {
	case tenure.ResourcePresent:
		return Status{ToneOK, "ok", word}
	case tenure.ResourcePlanned:
		return Status{ToneInfo, "dot", word}
	case tenure.ResourceSuspended, tenure.ResourceRevoked:
		return Status{ToneWarn, "pause", word}
	case tenure.ResourceQuarantined, tenure.ResourceExpiring:
		return Status{ToneHold, "clock", word}
	case tenure.ResourceErasing:
		return Status{ToneBad, "erase", word}
	case tenure.ResourceUnknown:
		return Status{ToneWarn, "ask", word}
	}
	return Status{ToneIdle, "gone", word}
}

func severityStatus(s tenure.Severity) Status {
	switch s {
	case tenure.Critical:
		return Status{ToneBad, "block", "critical"}
	case tenure.High:
		return Status{ToneBad, "up", "high"}
	case tenure.Medium:
		return Status{ToneWarn, "flag", "medium"}
	}
	return Status{ToneIdle, "down", "low"}
}

func clockStatus(s tenure.ClockState) Status {
	switch s {
	case tenure.ClockKeep:
		return Status{ToneHold, "clock", "kept"}
	case tenure.ClockErase:
		return Status{ToneWarn, "erase", "may go"}
	case tenure.ClockHeld:
		return Status{ToneHold, "lock", "held"}
	case tenure.ClockConflict:
		return Status{ToneBad, "block", "conflict"}
	}
	return Status{ToneIdle, "dot", "not counting yet"}
}

// wordStatus knows the words that access, reviews, systems and blueprints use.
func wordStatus(w string) Status {
	switch strings.ToLower(w) {
	case "active", "healthy", "published", "kept", "keep", "approved", "enabled", "effective", "valid", "reviewed", "allowed":
		return Status{ToneOK, "ok", w}
	case "pending", "draft", "submitted", "requested", "open", "waiting", "claimable", "binding":
		return Status{ToneInfo, "clock", w}
	case "degraded", "expiring", "change", "changed", "overdue", "slow", "dormant", "unreviewed", "escalated", "waived":
		return Status{ToneWarn, "flag", w}
	case "down", "denied", "refused", "rejected", "failed", "unreachable", "revoke":
		return Status{ToneBad, "fail", w}
	case "held":
		return Status{ToneHold, "lock", w}
	case "revoked", "expired", "ended", "released", "closed", "disabled", "retired", "superseded":
		return Status{ToneIdle, "gone", w}
	}
	return Status{ToneIdle, "dot", w}
}

func spaced(s string) string { return strings.ReplaceAll(s, "_", " ") }
