// Package customer holds the test that follows one customer of a platform by what other
// systems tell of it, from a deal that is won to a subscription that is deleted: a running
// installation over real servers, signed events in, and every outcome looked at past Tenure.
package customer
