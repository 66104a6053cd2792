package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// Probe tries what must work or must be refused.
func (d *Driver) Probe(ctx context.Context, c connector.Check) (o connector.Outcome, err error) {
	var try func(context.Context, connector.Check) (connector.Outcome, error)
	types := []string{bucket}
	switch c.Kind {
	case "reachable":
		try, types = d.reachable, []string{bucket, prefix}
	case "isolation":
		try, types = d.isolated, []string{user}
	case "exposure":
		try = d.exposed
	case "encryption":
		try = d.encrypted
	default:
		return o, tenure.Errorf(tenure.Invalid, "s3 has no probe %q", c.Kind)
	}
	if !slices.Contains(types, c.Ref.Type) || d.checkName(c.Ref.Type, c.Ref.Name) != nil {
		return o, tenure.Errorf(tenure.Invalid, "probe %s needs a %s of this system", c.Kind, strings.Join(types, " or a "))
	}
	err = with(ctx, "probe "+c.Kind, func() error {
		t, err := d.owned(ctx, c.Ref, false)
		if err != nil {
			return err
		}
		if !t.found || t.state != tenure.ResourcePresent {
			o.Detail = "it isn't there, or access to it is off"
			return nil
		}
		o, err = try(ctx, c)
		return err
	})
	return o, err
}

func failed(format string, args ...any) (connector.Outcome, error) {
	return connector.Outcome{Detail: fmt.Sprintf(format, args...)}, nil
}

func passed(detail string) (connector.Outcome, error) {
	return connector.Outcome{Passed: true, Detail: detail}, nil
}

// reachable writes an object, reads it back and removes the very version.
func (d *Driver) reachable(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	at, err := d.siteOf(c.Ref)
	if err != nil {
		return connector.Outcome{}, err
	}
	locking, err := d.locking(ctx, at.bucket)
	if err != nil {
		return connector.Outcome{}, err
	}
	if locking { // what is written there may not go again
		for _, err := range d.stock(ctx, at.bucket, at.below, "") {
			if err != nil {
				return connector.Outcome{}, err
			}
			break
		}
		return passed("it can be listed; nothing was written, as objects can be locked here")
	}
	key, text := at.below+d.marker.ProbeName(), []byte(rand.Text())
	put, err := d.client().PutObject(ctx, at.bucket, key, bytes.NewReader(text), int64(len(text)), minio.PutObjectOptions{DisableMultipart: true})
	if denied(err) || missing(err) {
		return failed("an object can't be written into it (%s)", code(err))
	}
	if err != nil {
		return connector.Outcome{}, err
	}
	core := minio.Core{Client: d.client()}
	body, _, _, err := core.GetObject(ctx, at.bucket, key, minio.GetObjectOptions{VersionID: put.VersionID})
	var back []byte
	if err == nil {
		back, err = io.ReadAll(body)
		_ = body.Close()
	}
	if drop := d.client().RemoveObject(context.WithoutCancel(ctx), at.bucket, key, minio.RemoveObjectOptions{VersionID: put.VersionID}); err == nil {
		err = drop
	}
	if err != nil {
		return connector.Outcome{}, err
	}
	if !bytes.Equal(back, text) {
		return failed("an object that was written into it reads back otherwise")
	}
	return passed("an object was written, read back and removed")
}

// isolated signs in as the user and tries Tenure's own bucket, which is nobody's.
func (d *Driver) isolated(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	as, err := d.signing(c.Ref.Name, c.Credential.Reveal())
	if err != nil {
		return connector.Outcome{}, err
	}
	if _, err := as.ListBuckets(ctx); err != nil {
		if classify("", err) != nil && tenure.CodeOf(classify("", err)) == tenure.Unavailable {
			return connector.Outcome{}, err
		}
		return failed("the credential doesn't work (%s)", code(err))
	}
	core := minio.Core{Client: as}
	for what, f := range map[string]func() error{
		"be listed": func() error {
			for o := range as.ListObjectsIter(ctx, d.own, minio.ListObjectsOptions{MaxKeys: 1}) {
				return o.Err
			}
			return nil
		},
		"be read": func() error {
			body, _, _, err := core.GetObject(ctx, d.own, sentinelKey, minio.GetObjectOptions{})
			if err == nil {
				_ = body.Close()
			}
			return err
		},
		"have its tags read": func() error { _, err := as.GetBucketTagging(ctx, d.own); return err },
	} {
		err := f()
		if denied(err) {
			continue
		}
		if err == nil || is(err, "NoSuchTagSet") {
			return failed("a bucket that isn't the tenant's can %s with its credential", what)
		}
		return connector.Outcome{}, err
	}
	return passed("the credential works, and is refused on a bucket that isn't the tenant's")
}

// exposed reads who is let in, and asks without a signature.
func (d *Driver) exposed(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	live, err := d.livePolicy(ctx, c.Ref.Name)
	if err != nil {
		return connector.Outcome{}, err
	}
	if open := everybody(live); open != "" {
		return failed("the policy's statement %q lets everybody in", open)
	}
	grants, err := d.grants(ctx, c.Ref.Name)
	if err != nil {
		return connector.Outcome{}, err
	}
	for _, g := range grants {
		if strings.Contains(g, "/groups/global/") || strings.HasSuffix(g, "all-users") {
			return failed("the access list lets everybody in: %s", g)
		}
	}
	u := *d.endpoint
	u.Path = "/" + c.Ref.Name
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return connector.Outcome{}, err
	}
	answer, err := (&http.Client{Transport: d.transport}).Do(req)
	if err != nil {
		return connector.Outcome{}, err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden && answer.StatusCode != http.StatusUnauthorized {
		return failed("a request without a signature is answered %s", answer.Status)
	}
	return passed("nobody is let in without signing in")
}

// everybody names the first statement of a policy that allows something to everybody.
func everybody(p any) string {
	m, _ := p.(map[string]any)
	all, _ := m["Statement"].([]any)
	for _, s := range all {
		st, _ := s.(map[string]any)
		if st["Effect"] != "Allow" {
			continue
		}
		who, _ := st["Principal"].(map[string]any)
		open := st["NotPrincipal"] != nil
		for _, list := range who {
			each, _ := list.([]any)
			for _, v := range each {
				open = open || v == "*"
			}
		}
		if open {
			if name := sid(s); name != "" {
				return name
			}
			return "without a name"
		}
	}
	return ""
}

// encrypted compares the connection, and what the server says of objects at rest, with
// the profile.
func (d *Driver) encrypted(ctx context.Context, c connector.Check) (connector.Outcome, error) {
	want := c.Encryption
	if want.InTransit != "" && d.endpoint.Scheme != "https" {
		return failed("the connection isn't encrypted: the endpoint is %s", d.endpoint)
	}
	if want.KeyOwner == "tenant" {
		return failed("whose key objects are encrypted with can't be seen here")
	}
	if want.AtRest == "" {
		return passed("the profile asks for nothing at rest")
	}
	e, err := d.client().GetBucketEncryption(ctx, c.Ref.Name)
	if unable(err) || is(err, "ServerSideEncryptionConfigurationNotFoundError") || err == nil && len(e.Rules) == 0 {
		return failed("the server doesn't say that objects of this bucket are encrypted at rest")
	}
	if err != nil {
		return connector.Outcome{}, err
	}
	return passed("objects are encrypted at rest by default (" + e.Rules[0].Apply.SSEAlgorithm + ")")
}
