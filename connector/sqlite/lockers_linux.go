package sqlite

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockers names the processes that hold locks on a database's file or on the
// index of its write-ahead log (proc_locks(5)), this one apart; "another process"
// where none can be seen.
func lockers(path string) string {
	var wanted []string
	for _, p := range []string{path, path + "-shm"} {
		var st unix.Stat_t
		if unix.Stat(p, &st) == nil {
			wanted = append(wanted, fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino))
		}
	}
	raw, err := os.ReadFile("/proc/locks")
	if err != nil {
		return "another process"
	}
	var found []string
	for line := range strings.Lines(string(raw)) {
		f := slices.DeleteFunc(strings.Fields(line), func(s string) bool { return s == "->" })
		// The shared lock on byte 128 of the index says only that it is open.
		if len(f) < 8 || !slices.Contains(wanted, f[5]) || f[6] == "128" {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err != nil || pid <= 0 || pid == os.Getpid() {
			continue
		}
		name, _ := os.ReadFile("/proc/" + f[4] + "/comm")
		if one := strings.TrimSpace("process " + f[4] + " " + strings.TrimSpace(string(name))); !slices.Contains(found, one) {
			found = append(found, one)
		}
	}
	if len(found) == 0 {
		return "another process"
	}
	return strings.Join(found, ", ")
}
