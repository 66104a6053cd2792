// Package departure holds the test that takes a tenant out of two whole platforms,
// a shop and a clinic, each in PostgreSQL with a support desk in SQLite, under a
// moving clock, while Tenure and its database are killed, and looks from outside at
// what is left.
package departure
