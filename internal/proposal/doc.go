// Package proposal says how tenants that a survey found could come under Tenure: Draft drafts a blueprint of
// what most of them have, and Bind says for each tenant which parameters of a blueprint its things tell, what
// would be adopted, and what is missing. Both are pure, and what they give is for people to review.
package proposal
