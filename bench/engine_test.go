package main

import (
	"context"
	"path/filepath"
	"testing"
)

// The chain that the benchmark measures does what it says: every step has its
// entry in the log. It is small here; make bench measures.
func BenchmarkChain(b *testing.B) {
	for b.Loop() {
		rate, cost, err := steps(context.Background(), filepath.Join(b.TempDir(), "tenure.db"), 0, 400)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(rate, "steps/s")
		b.ReportMetric(float64(cost.Nanoseconds()), "ns-cpu/step")
	}
}
