package main

import (
	"testing"

	"github.com/tenurehq/tenure/connector/connectortest"
)

// The program passes the whole suite, on the pg backend.
func TestConformance(t *testing.T) { connectortest.Run(t, world) }
