package audit

import "strings"

// Kinds lists the kinds of entries that Tenure writes, sorted.
func Kinds() []string { return strings.Fields(kinds) }

// What a kind is about comes first, and what happened to it last.
const kinds = `
agreement.add agreement.end agreement.narrow
anomaly
approval approval.escalation approval.expire approval.reject approval.reminder approval.standing
blueprint.publish blueprint.submit
bootstrap.code bootstrap.redeem
breakglass breakglass.overdue breakglass.review
campaign.close campaign.missed campaign.start
certificate.issued
clock.confirm
coverage.ask coverage.review
delegation.give delegation.revoke
departure.link departure.revoke
device.confirm
elevation.approve elevation.claim elevation.end elevation.lapse elevation.login.end elevation.login.sweep elevation.reject elevation.request elevation.revoke elevation.withdraw
exception.ask exception.attest
finding.waive
grant.give grant.revoke
hold.acknowledge hold.place hold.release hold.reminder
incident.report
key.copy key.copy_gone
lease.answer lease.ask lease.lapse lease.over lease.set
leave.ask leave.confirm leave.lapse leave.refuse leave.request leave.verify leave.withdraw
move.approve move.reject move.request
notice.acknowledge notice.enable notice.replay notice.settings
operation.cancel operation.continue operation.pause operation.retry operation.start operation.state
plan.made
principal.add principal.disable principal.enable
review.carry review.decide review.reassign
secret.claim
session.begin session.revoke
sought.end
standing.end standing.propose standing.review standing.seen
step.reopened step.result step.retry
store.confirm store.parts store.rows
system.add system.rotate
task.add task.assign task.done task.drop task.end
tenant.forget tenant.known tenant.labels tenant.move tenant.request
token.make token.revoke
vendor.answer vendor.ask vendor.ask_again vendor.record vendor.reminder vendor.withdraw
`
