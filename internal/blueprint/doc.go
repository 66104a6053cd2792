// Package blueprint reads blueprints: from YAML to a checked tenure.Blueprint,
// and from that and one tenant's parameters to what the tenant shall have.
//
// Parse finds what is wrong with the file by itself, Check what is wrong with
// it against the connectors (this is what publishing does), and
// Compiled.Evaluate, which is pure, gives the resources of one tenant. Every
// problem that can be found is reported at once, each with its line.
//
// Expressions are CEL (https://cel.dev) in ${…}; a literal ${ is written $${.
package blueprint
