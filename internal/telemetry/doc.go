// Package telemetry counts and traces what the program does: metrics in the
// Prometheus text format, and OpenTelemetry spans from a request over the steps of
// the operation that it started to the calls to systems. No metric's label and no
// span's attribute carries a tenant's name, a person, a parameter, an error's text
// or a secret; labels carry no tenant at all.
package telemetry
