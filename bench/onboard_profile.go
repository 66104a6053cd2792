package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/store"
)

// stepTimes says how long each step of the onboardings took from its claim to its
// commit, on average, the longest first.
func stepTimes(ctx context.Context, inst *installation.Installation, prefix string) (string, error) {
	sums := make(map[string]time.Duration)
	for i := range onboarded {
		t, err := inst.DB.Tenant(ctx, fmt.Sprintf("%s-%03d", prefix, i))
		if err != nil {
			return "", err
		}
		ops, err := inst.DB.Operations(ctx, store.OperationFilter{Tenant: t.ID})
		if err != nil || len(ops) != 1 {
			return "", fmt.Errorf("tenant %s has %d operations: %w", t.Name, len(ops), err)
		}
		rows, err := inst.DB.Steps(ctx, ops[0].ID)
		if err != nil {
			return "", err
		}
		for _, r := range rows {
			sums[r.Key] += r.EndedAt.Sub(r.StartedAt)
		}
	}
	keys := make([]string, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return int(sums[b] - sums[a]) })
	for i, k := range keys {
		keys[i] = k + " " + (sums[k] / onboarded).Round(100*time.Microsecond).String()
	}
	return strings.Join(keys, ", "), nil
}

// serverCPU is the processor time of the server and of its sessions that have
// ended; 0 if it runs elsewhere or the system can't say (Linux, proc(5)).
func serverCPU(ctx context.Context, dsn string) time.Duration {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0
	}
	defer conn.Close(ctx)
	session := statOf(int(conn.PgConn().PID()))
	if len(session) < 15 || !strings.Contains(dsn, "127.0.0.1") {
		return 0
	}
	parent, _ := strconv.Atoi(session[1])
	var ticks int64
	if server := statOf(parent); len(server) >= 15 {
		for _, field := range server[11:15] { // utime, stime, cutime, cstime
			n, _ := strconv.ParseInt(field, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// statOf are the fields of /proc/PID/stat after the command's name.
func statOf(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.Fields(rest)
}
