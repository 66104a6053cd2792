package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// freeAll gives what the heap doesn't need back to the system.
func freeAll() {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // what finalizers and pools let go of in the first
}

// statusOf reads a field of Linux's /proc/PID/status in bytes; 0 elsewhere.
func statusOf(pid int, field string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "\n"+field+":")
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(words[0], 10, 64)
	return n << 10
}

// residentNow is this process's resident memory.
func residentNow() int64 { return statusOf(os.Getpid(), "VmRSS") }

// residentPeak is the most that a process has held since its peak was reset.
func residentPeak(pid int) int64 { return statusOf(pid, "VmHWM") }

// resetPeak begins the peak anew (proc(5), clear_refs).
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }
