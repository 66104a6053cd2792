// Package audit is Tenure's append-only log as data: the encoding of an entry,
// the Merkle tree over the entries (RFC 9162 §2.1, the same tree as RFC 6962),
// signed checkpoints (C2SP tlog-checkpoint), proofs (C2SP tlog-proof), tiles
// (C2SP tlog-tiles) and the check of a whole log. It knows neither SQL nor
// HTTP: whoever stores a log hands in iterators and a tlog.HashReader.
//
// Fields that are personal data are sealed before the entry is hashed. The log
// keeps the box, so destroying the key forgets the field and leaves every hash,
// proof and checkpoint as it was.
package audit
