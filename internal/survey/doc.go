// Package survey says which tenants exist in systems that Tenure doesn't manage, and what
// belongs to each: it reads, plants nothing, and changes nothing. Look asks the connectors;
// Map is pure, and joins what they saw.
//
// Whose a thing is, is told by evidence, the strongest first: the key that its rows bear or
// an external id, the mail domain, the name. What could be two tenants' is nobody's, and is
// said. A tenant is what a list of customers names; what is made as a tenant's things are,
// and is in no list, is a tenant in no customer list.
package survey
