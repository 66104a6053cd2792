// Package policy holds the rules that the code of this module keeps beside what
// the compiler sees, as data with a reason for each, and the tests that read
// them: who may import whom, which module may be used where, what must have a
// doc comment, how long a file may be. Where a rule stands in the way of
// something good, change its row and say why there.
package policy
