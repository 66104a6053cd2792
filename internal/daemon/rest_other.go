//go:build !linux

package daemon

// forgetProgram is Linux's alone.
func forgetProgram() {}
