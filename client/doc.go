// Package client asks a Tenure server over its HTTP API. An [Endpoint] is one
// thing that can be asked: the command line calls it, and the server answers by
// the same definition, so that neither can drift from the other. Errors are
// [*tenure.Error] with the code, hints and retry that the server gave.
//
//	c, err := client.New("https://tenure.example", client.WithToken(token))
//	page, err := client.ListTenants.Call(ctx, c, client.TenantFilter{State: "active"})
package client
