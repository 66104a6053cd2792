// Package tenure holds the words and the pure rules of a tenant's life: its
// states, resources, plans, steps, verdicts, findings, holds and retention.
// It imports nothing but the standard library, reads no clock and no database:
// time and randomness come in as values.
package tenure
