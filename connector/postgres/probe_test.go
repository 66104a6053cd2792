package postgres

import "github.com/tenurehq/tenure/connector/connectortest"

func (w *world) probes() []connectortest.ProbeCase { return nil }
