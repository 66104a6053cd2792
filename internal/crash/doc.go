// Package crash holds the test that kills Tenure at random moments. It runs the
// real engine in a process of its own, over a real folder, and ends that process
// with SIGKILL until every operation has come to its end.
package crash
