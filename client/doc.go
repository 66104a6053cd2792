// Package client asks a Tenure server over its HTTP API. An [Endpoint] is one
// thing that can be asked: the command line calls it, and the server answers by
// the same definition, so that neither can drift from the other. Errors are
// [*tenure.Error] with the code, hints and retry that the server gave.
//
//	c, err := client.New("https://tenure.example", client.WithToken(token))
//	page, err := client.ListTenants.Call(ctx, c, client.TenantFilter{State: "active"})
//
// One thing has one name in JSON, which a test of the server holds every type to:
//
//   - A thing's own id is id. Another thing is named by its noun (tenant, operation,
//     resource, principal), and its name beside that by the noun and Name (tenantName).
//   - A moment ends in At, after a verb's participle: createdAt. What ends by itself does
//     so at expiresAt, or at …ExpiresAt where that isn't the thing itself; startsAt is its
//     beginning. Who did it ends in By, with the same participle: createdAt, createdBy. What
//     is nothing but an event, a signature or a figure has at and by alone.
//   - A length of time is a duration, after ISO 8601.
//   - What somebody signs is named by its digest, in the body.
//   - Why something is, or is done, is its reason.
//
// A plan is shown as it was signed, name by name.
package client
