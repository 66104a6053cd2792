package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/s3"
	"github.com/tenurehq/tenure/internal/engine"
	"github.com/tenurehq/tenure/internal/store"
)

const (
	objectKeys     = 2_000
	objectVersions = 5 // of each
)

// objectsBench measures the erasure of a bucket with 10,000 versions by the engine's step.
// The baseline lists the versions and deletes them a thousand at a time with the same
// calls, one connection, until a look finds nothing. Each has a bucket of the same content on
// the same server, which is the one of the tests; without it nothing is measured.
func objectsBench(ctx context.Context, e *env) ([]line, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(cache, "tenure-test", "versitygw-v1.8.0", "versitygw")
	if _, err := os.Stat(program); err != nil {
		fmt.Println("objects: no S3 server here; scripts/prepare versitygw compiles it")
		return nil, nil
	}
	o, stop, err := startObjects(ctx, e, program)
	if err != nil {
		return nil, err
	}
	defer stop()
	keys := objectKeys
	if e.quick {
		keys /= 10
	}
	ways := []func(context.Context, string) (time.Duration, error){o.bareObjects, o.erasureObjects}
	took := make([]time.Duration, len(ways))
	for i, way := range ways {
		bucket := fmt.Sprintf("t-bench-%d", i)
		if err := o.fillObjects(ctx, bucket, keys); err != nil {
			return nil, err
		}
		if took[i], err = way(ctx, bucket); err != nil {
			return nil, err
		}
		for v := range o.client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{WithVersions: true, Recursive: true}) {
			return nil, fmt.Errorf("bucket %s still has %s, %v", bucket, v.Key, v.Err)
		}
	}
	ratio := took[1].Seconds() / took[0].Seconds()
	fmt.Printf("erasing %d versions of %d objects: bare %s, tenure %s\n", keys*objectVersions, keys, round(took[0]), round(took[1]))
	return []line{{"objects", round(took[1]), round(took[0]), times(ratio), "<=1.20x", ratio <= 1.2}}, nil
}

type objectStore struct {
	pool
	client *minio.Client
	sys    *connector.System
}

func startObjects(ctx context.Context, e *env, program string) (o *objectStore, stop func(), err error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	address := free.Addr().String()
	_ = free.Close()
	dirs := map[string]string{}
	for _, name := range []string{"objects", "versions", "meta", "users"} {
		dirs[name] = filepath.Join(e.dir, "s3", name)
		if err := os.MkdirAll(dirs[name], 0o700); err != nil {
			return nil, nil, err
		}
	}
	const access, secret = "bench-root", "a-secret-of-this-run"
	cmd := exec.CommandContext(ctx, program, "--port", address, "--iam-dir", dirs["users"], "--health", "/health", "--quiet", "posix", "--sidecar", dirs["meta"], "--versioning-dir", dirs["versions"], dirs["objects"])
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+access, "ROOT_SECRET_KEY="+secret, "VGW_REGION=us-east-1")
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	for n := 0; ; n++ {
		answer, err := http.Get("http://" + address + "/health")
		if err == nil {
			_ = answer.Body.Close()
			break
		}
		if n == 200 {
			return nil, nil, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	o = &objectStore{pool: pool{env: e, marker: benchMarker()}}
	if o.client, err = minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: "us-east-1"}); err != nil {
		return nil, nil, err
	}
	info := s3.Info()
	d, err := info.Open(ctx, connector.Config{System: systemName, Options: map[string]string{"endpoint": "http://" + address, "own": "tenure-own", "names": "t-"},
		Secrets: map[string]tenure.Secret{"accessKey": tenure.NewSecret(access), "secretKey": tenure.NewSecret(secret)}, Marker: o.marker, Now: time.Now})
	if err != nil {
		return nil, nil, err
	}
	fp, err := d.Plant(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	o.sys = connector.NewSystem(systemName, info, d, fp, parallel)
	return o, func() { _ = o.sys.Close(); end() }, nil
}

// fillObjects makes a tenant's bucket and its versions.
func (o *objectStore) fillObjects(ctx context.Context, bucket string, keys int) error {
	now := time.Now()
	o.ref = connector.Ref{Resource: tenure.NewID[tenure.ResourceID](now), Tenant: tenure.NewID[tenure.TenantID](now), Environment: "prod", Type: "bucket", Name: bucket,
		Attributes: map[string]any{"versioning": true}, Classes: []string{"usage"}}
	if _, _, _, err := o.sys.Ensure(ctx, connector.Desired{Ref: o.ref}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range keys {
		g.Go(func() error {
			key := fmt.Sprintf("%02d/%05d", i%100, i)
			for range objectVersions {
				if _, err := o.client.PutObject(ctx, bucket, key, strings.NewReader("x"), 1, minio.PutObjectOptions{DisableContentSha256: true}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// bareObjects lists and deletes, and lists again.
func (o *objectStore) bareObjects(ctx context.Context, bucket string) (time.Duration, error) {
	return timed(func() error {
		var waiting []minio.ObjectInfo
		flush := func() error {
			results, err := o.client.RemoveObjectsWithIter(ctx, bucket, func(yield func(minio.ObjectInfo) bool) {
				for _, v := range waiting {
					if !yield(v) {
						return
					}
				}
			}, minio.RemoveObjectsOptions{})
			if err != nil {
				return err
			}
			for r := range results {
				if r.Err != nil {
					return r.Err
				}
			}
			waiting = waiting[:0]
			return nil
		}
		for found := true; found; {
			found = false
			for v := range o.client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{WithVersions: true, Recursive: true}) {
				if found = true; v.Err != nil {
					return v.Err
				}
				if waiting = append(waiting, v); len(waiting) == 1000 {
					if err := flush(); err != nil {
						return err
					}
				}
			}
			if len(waiting) > 0 {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// erasureObjects runs an operation of one step, on a store of its own with full sync.
func (o *objectStore) erasureObjects(ctx context.Context, _ string) (time.Duration, error) {
	dir, err := os.MkdirTemp(o.env.dir, "objects-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "tenure.db")})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	id, err := o.operation(ctx, db, o.sys.Fingerprint)
	if err != nil {
		return 0, err
	}
	eng := &engine.Engine{DB: db, Owner: "bench", Now: time.Now, BatchRows: batchRows, System: func(string) (*connector.System, error) { return o.sys, nil }}
	return timed(func() error {
		for ctx.Err() == nil {
			a, err := eng.Advance(ctx, id)
			if err != nil || a.Kind == engine.Done {
				return err
			}
			if a.Kind != engine.Again {
				return fmt.Errorf("the erasure answered %s", a.Kind)
			}
		}
		return ctx.Err()
	})
}
