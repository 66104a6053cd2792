// Package departure holds the test that takes a tenant out of two whole platforms, a shop
// and a clinic, each in PostgreSQL with a support desk in SQLite, in MariaDB with
// documents in S3 and in a folder, and over all five stores at once, under a moving clock,
// while Tenure and the stores' servers are killed, and looks from outside at what is left;
// and out of a club whose data ends in every way that there is in each of the five.
package departure
