package tenure

import "time"

// NoticeKind is what a notice tells of. Receivers go by it, so that kinds keep their names.
type NoticeKind string

// Kinds of notices. Those of a tenant's stage are "tenant." and its state, see NoticeOf.
const (
	NoticeApprovalReminder   NoticeKind = "approval.reminder"   // a gate waits for signatures
	NoticeApprovalEscalation NoticeKind = "approval.escalation" // and nobody has answered
	NoticeRejected           NoticeKind = "operation.rejected"  // somebody has said no
	NoticeCustodian          NoticeKind = "hold.custodian"      // a hold covers what somebody keeps
	NoticeReviewDue          NoticeKind = "review.due"
	NoticeReviewFinding      NoticeKind = "review.finding"
	NoticeAgreementEnds      NoticeKind = "agreement.ends"
	NoticeBreakGlass         NoticeKind = "access.breakglass"
	NoticeAnomaly            NoticeKind = "access.anomaly"
	NoticeSweepQuestion      NoticeKind = "sweep.question" // accounts of which a person can tell whose they are
	NoticeTargetDisabled     NoticeKind = "target.disabled"
	NoticeRule               NoticeKind = "rule.notice" // a rule for events says so
	NoticeLease              NoticeKind = "lease.ends"
	NoticeTask               NoticeKind = "task.due"      // on the checklist of an operation
	NoticeLeave              NoticeKind = "leave.request" // a customer asks to leave
	NoticeVendor             NoticeKind = "vendor.erase"  // a company is told to erase what it holds of a tenant
	NoticeDateAhead          NoticeKind = "date.ahead"    // a date of a tenant's life comes near
)

// Timeline is the recipient of what is told at each stage of a tenant's life.
const Timeline = "timeline"

// NoticeLife is how long a notice is tried to be sent.
const NoticeLife = 7 * 24 * time.Hour

// NoticeOf is the kind of a notice of a tenant's stage.
func NoticeOf(s TenantState) NoticeKind { return NoticeKind("tenant." + string(s)) }

// NoticeKinds lists every kind of notice.
func NoticeKinds() []NoticeKind {
	out := []NoticeKind{
		NoticeApprovalReminder, NoticeApprovalEscalation, NoticeRejected, NoticeCustodian, NoticeReviewDue, NoticeReviewFinding, NoticeAgreementEnds,
		NoticeBreakGlass, NoticeAnomaly, NoticeSweepQuestion, NoticeTargetDisabled, NoticeRule, NoticeLease, NoticeTask, NoticeLeave, NoticeVendor, NoticeDateAhead,
	}
	for _, s := range TenantStates {
		out = append(out, NoticeOf(s))
	}
	return out
}
