// Package notify sends what stands in the outbox: notices, which are written in
// the transaction of what they tell of, go out afterwards, at least once each, to
// a webhook and to the log.
package notify
