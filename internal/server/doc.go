// Package server is the table of what can be asked of an installation, and the
// two ways to ask: in this process, or over the installation's Unix socket. Both
// go through the same table and the same JSON, so a command prints the same
// whether a server is running or not.
package server
