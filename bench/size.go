package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
	"github.com/tenurehq/tenure/internal/installation"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	keptTenants  = 100_000
	binaryLimit  = 61e6
	idleLimit    = 48 << 20
	readyLimit   = 60 * time.Millisecond
	restAfter    = 3 * time.Second // how long a server is left alone before it counts as idle
	serverStarts = 7
)

// sizeBench measures the program as it is released: its file, how soon a server
// over a full store answers, and what it holds at rest. The baseline is the same
// server over an empty store.
func sizeBench(ctx context.Context, e *env) ([]line, error) {
	bin, err := buildTenure(ctx, e)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(bin)
	if err != nil {
		return nil, err
	}
	out := []line{{"binary", fmt.Sprintf("%.1fMB", float64(info.Size())/1e6), "-", "-", "<=61MB", info.Size() <= binaryLimit}}
	if runtime.GOOS == "windows" {
		return out, nil
	}
	empty, full := filepath.Join(e.dir, "empty"), filepath.Join(e.dir, "full")
	for dir, n := range map[string]int{empty: 0, full: keptTenants} {
		if err := keepTenants(ctx, dir, n); err != nil {
			return nil, err
		}
	}
	var took, base []time.Duration
	starts := serverStarts
	if e.quick {
		starts = 3
	}
	for range starts {
		for _, dir := range []string{empty, full} {
			d, _, err := serveOnce(ctx, bin, dir, 0)
			if err != nil {
				return nil, err
			}
			if dir == full {
				took = append(took, d)
			} else {
				base = append(base, d)
			}
		}
	}
	_, idleEmpty, err := serveOnce(ctx, bin, empty, restAfter)
	if err != nil {
		return nil, err
	}
	_, idle, err := serveOnce(ctx, bin, full, restAfter)
	if err != nil {
		return nil, err
	}
	ready, bare := median(took), median(base)
	fmt.Printf("a server over %d tenants: ready after %s (%s over an empty store), %.1f MiB at rest (%.1f)\n", keptTenants, round(ready), round(bare), mib(idle), mib(idleEmpty))
	out = append(out, line{"ready", round(ready), round(bare), times(ready.Seconds() / bare.Seconds()), "<60ms", ready < readyLimit})
	if idle > 0 {
		out = append(out, line{"idle-memory", fmt.Sprintf("%.1fMiB", mib(idle)), fmt.Sprintf("%.1fMiB", mib(idleEmpty)), times(float64(idle) / float64(idleEmpty)), "<=48MiB", idle <= idleLimit})
	}
	return out, nil
}

// buildTenure builds the program as it is released.
func buildTenure(ctx context.Context, e *env) (string, error) {
	bin := filepath.Join(e.dir, "tenure")
	build := exec.CommandContext(ctx, "make", "-s", "build", "BIN="+bin)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build cmd/tenure from the module's folder: %w", err)
	}
	return bin, nil
}

// keepTenants makes an installation with n tenants, each with two resources.
func keepTenants(ctx context.Context, dir string, n int) error {
	inst, err := installation.Init(ctx, installation.Options{Dir: dir}, installation.Settings{})
	if err != nil {
		return err
	}
	defer inst.Close()
	const lot = 5000
	for first := 0; first < n; first += lot {
		err := inst.DB.Write(ctx, func(tx *store.Tx) error {
			for i := first; i < first+lot; i++ {
				refs := driftRefs(i)
				t := tenure.Tenant{ID: refs[0].Tenant, Name: fmt.Sprintf("tenant-%06d", i), Organization: "an organization", Parameters: []byte("{}"), CreatedAt: time.Now()}
				if err := tx.CreateTenant(store.TenantRow{Tenant: t}); err != nil {
					return err
				}
				for _, r := range refs {
					if err := tx.SaveResource(tenure.Resource{ID: r.Resource, Tenant: r.Tenant, Key: r.Type, System: systemName, Type: r.Type, Name: r.Name, Desired: []byte("{}"), UpdatedAt: t.CreatedAt}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// serveOnce starts a server and says how long it took to answer a call, and what
// it held after a rest.
func serveOnce(ctx context.Context, bin, dir string, rest time.Duration) (ready time.Duration, resident int64, err error) {
	cmd := exec.CommandContext(ctx, bin, "serve", "--dir", dir, "--listen", "none")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var log bytes.Buffer
	cmd.Stderr = &log
	says, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if werr := cmd.Wait(); err == nil && werr != nil {
			err = fmt.Errorf("tenure serve: %w: %s", werr, log.String())
		}
	}()
	text, err := bufio.NewReader(says).ReadString('\n')
	if err != nil || !strings.HasPrefix(text, "ready") {
		return 0, 0, fmt.Errorf("tenure serve said %q: %w", text, err)
	}
	c, err := client.Dial(ctx, installation.Socket(dir), "operator")
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	if _, err := client.ListTenants.Call(ctx, c, client.TenantFilter{Paging: client.Paging{Limit: 1}}); err != nil {
		return 0, 0, err
	}
	ready = time.Since(began)
	time.Sleep(rest) // what is measured is a server that nobody asks anything
	return ready, statusOf(cmd.Process.Pid, "VmRSS"), nil
}
