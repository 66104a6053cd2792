// Package guard holds the policies that deny further: Cedar policies in files
// (docs.cedarpolicy.com), checked against a schema as they are loaded. A policy
// can only forbid, so whatever is written here never lets anybody do more than
// their grants do. One that can't be evaluated denies as well.
package guard
