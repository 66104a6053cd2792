// Package server answers the HTTP API: what package client defines, route by
// route, and the same on the network, at the installation's Unix socket and in
// this process.
//
// To add a thing that can be asked:
//
//  1. In package client, in the file of its noun, define the wire types and the
//     [client.Endpoint], with an example of its body if it has one.
//  2. Here, in the file of the same name, register it in the noun's function with
//     route, saying who may: a permission, and over what it is asked (a [Reach]).
//     Without that the server doesn't start. The handler runs after the check.
//  3. A new noun's function goes into the list in routes.go; an object that is
//     looked up by another path parameter gets a Reach and a row in lookups.
//
// The handler answers errors of type *tenure.Error; anything else reaches the
// caller as an id that the log has.
package server
