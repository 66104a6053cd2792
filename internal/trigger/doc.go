// Package trigger turns events of other systems into requests, by rules that people
// write and review. Rules are YAML with expressions in CEL; what an event leads to is a
// pure function of the rules, the event and what is known of the customer, so that tests,
// dry runs and the server decide alike. Intake keeps what comes in and works it off.
package trigger
