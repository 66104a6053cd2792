package connector

import "context"

type adoptingKey struct{}

// Adopting says, to calls of a system that are made with the context, what is about to be
// adopted there together. What a connector tells of a thing from the marks of others, it
// then tells as if these bore theirs already.
func Adopting(ctx context.Context, refs []Ref) context.Context {
	return context.WithValue(ctx, adoptingKey{}, refs)
}

// BeingAdopted are those of a type of things that are about to be adopted.
func BeingAdopted(ctx context.Context, typ string) (out []Ref) {
	refs, _ := ctx.Value(adoptingKey{}).([]Ref)
	for i := range refs {
		if refs[i].Type == typ {
			out = append(out, refs[i])
		}
	}
	return out
}
