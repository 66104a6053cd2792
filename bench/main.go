// Command bench measures what the project promises, each figure with its
// baseline in the same run. It ends with one line for each:
//
//	bench NAME figure baseline ratio target met|short
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"
)

// line is one closing line.
type line struct {
	name, figure, baseline, ratio, target string
	met                                   bool
}

// bench is one measurement. It returns its closing lines.
type bench struct {
	name string
	run  func(context.Context, *env) ([]line, error)
}

// env is what measurements share.
type env struct {
	dir   string // scratch
	pg    string // DSN of a throw-away PostgreSQL, "" if there is none
	maria string // DSN of a throw-away MariaDB, "" if there is none
	quick bool   // fewer repetitions, for a look

	tenants int // in the full store of scale
}

func main() {
	only := flag.String("only", "", "measure only the benches whose name begins so")
	quick := flag.Bool("quick", false, "fewer repetitions")
	tenants := flag.Int("tenants", fullTenants, "tenants in the full store of scale; fewer for a quick look")
	profile := flag.String("cpuprofile", "", "write a CPU profile here")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	if err := run(*only, *quick, *tenants); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(only string, quick bool, tenants int) error {
	dir, err := os.MkdirTemp("", "tenure-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e := &env{dir: dir, pg: os.Getenv("TENURE_TEST_POSTGRES"), maria: os.Getenv("TENURE_TEST_MARIADB"), quick: quick, tenants: tenants}
	fmt.Printf("machine: %d cores, %s/%s, %s\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	var all []line
	for _, b := range benches {
		if !strings.HasPrefix(b.name, only) {
			continue
		}
		began := time.Now()
		lines, err := b.run(context.Background(), e)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		fmt.Printf("%s took %s\n", b.name, time.Since(began).Round(time.Millisecond))
		all = append(all, lines...)
	}
	fmt.Println()
	for _, l := range all {
		word := "short"
		if l.met {
			word = "met"
		}
		fmt.Printf("bench %s %s %s %s %s %s\n", l.name, l.figure, l.baseline, l.ratio, l.target, word)
	}
	return nil
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// median of a non-empty list.
func median[T int64 | float64 | time.Duration](in []T) T {
	s := slices.Clone(in)
	slices.Sort(s)
	return s[len(s)/2]
}
