package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var (
	_ connector.ExpiryLister = (*Driver)(nil)
	_ connector.Staller      = (*Driver)(nil)
	_ connector.Unstaller    = (*Driver)(nil)
)

// lifecycleRule is what of a rule says whether it takes something, and where its status
// stands in the text.
type lifecycleRule struct {
	id       string
	enabled  bool
	expires  bool
	prefixes []string
	from, to int64 // of the status's text
}

// lifecycleRules reads a bucket's rules (PutBucketLifecycleConfiguration). What it doesn't
// know of a rule narrows nothing: the rule may take more than is held, never less.
func lifecycleRules(text []byte) (out []lifecycleRule, err error) {
	dec := xml.NewDecoder(bytes.NewReader(text))
	var path []string
	var rule lifecycleRule
	for {
		at := dec.InputOffset()
		token, err := dec.Token()
		if err != nil {
			if len(path) == 0 {
				return out, nil
			}
			return nil, err
		}
		switch v := token.(type) {
		case xml.StartElement:
			if path = append(path, v.Name.Local); v.Name.Local == "Rule" {
				rule = lifecycleRule{}
			}
			switch v.Name.Local {
			case "Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload":
				rule.expires = true
			}
		case xml.CharData:
			last, above := path[max(0, len(path)-1):], ""
			if len(path) > 1 {
				above = path[len(path)-2]
			}
			switch text := strings.TrimSpace(string(v)); {
			case len(last) == 0:
			case last[0] == "ID" && above == "Rule":
				rule.id = text
			case last[0] == "Status" && above == "Rule":
				rule.enabled, rule.from, rule.to = text == "Enabled", at, dec.InputOffset()
			case last[0] == "Prefix" && (above == "Rule" || above == "Filter" || above == "And"):
				rule.prefixes = append(rule.prefixes, string(v))
			}
		case xml.EndElement:
			if path = path[:len(path)-1]; v.Name.Local == "Rule" {
				out = append(out, rule)
			}
		}
	}
}

// takes says whether the rule may take something under a text.
func (r lifecycleRule) takes(below string) bool {
	if !r.enabled || !r.expires {
		return false
	}
	for _, p := range r.prefixes {
		if !strings.HasPrefix(p, below) && !strings.HasPrefix(below, p) {
			return false
		}
	}
	return true
}

// Expiries is described at connector.ExpiryLister: the bucket's lifecycle rules that may take
// something of what is held would be disabled, and the others stay as they are. A rule of
// a shared bucket keeps others' objects too while it is disabled.
func (d *Driver) Expiries(ctx context.Context, ref connector.Ref, keep []connector.Kept) (out []connector.Stalled, err error) {
	if ref.Type == user || d.checkName(ref.Type, ref.Name) != nil {
		return nil, nil
	}
	err = with(ctx, "read the lifecycle of "+ref.Type, func() error {
		at, err := d.siteOf(ref)
		if err != nil {
			return err
		}
		was, err := d.lifecycle(ctx, at.bucket)
		if err != nil || was == nil {
			return err
		}
		rules, err := lifecycleRules(was)
		if err != nil {
			return tenure.Errorf(tenure.Blocked, "the lifecycle rules of bucket %s can't be read: %w", at.bucket, err)
		}
		below := []string{at.below}
		if len(keep) > 0 {
			below = nil
			for _, k := range keep {
				below = append(below, at.below+k.Prefix)
			}
		}
		now, names, shift := bytes.Clone(was), []string(nil), 0
		for _, r := range rules {
			for _, b := range below {
				if r.takes(b) {
					from, to := int(r.from)+shift, int(r.to)+shift
					now = append(now[:from:from], append([]byte("Disabled"), now[to:]...)...)
					shift += len("Disabled") - int(r.to-r.from)
					names = append(names, r.id)
					break
				}
			}
		}
		if len(names) == 0 {
			return nil
		}
		out = append(out, connector.Stalled{Rule: "lifecycle of bucket " + at.bucket, Was: string(was), Is: string(now), Says: "rules " + strings.Join(names, ", ") + " would delete what is held"})
		return nil
	})
	return out, err
}

// Stall is described at connector.Staller.
func (d *Driver) Stall(ctx context.Context, ref connector.Ref, s connector.Stalled) (connector.Stalled, error) {
	err := with(ctx, "suspend the lifecycle of "+ref.Type, func() error {
		at, err := d.siteOf(ref)
		if err != nil {
			return err
		}
		is, err := d.lifecycle(ctx, at.bucket)
		switch {
		case missing(err): // the bucket is gone, and its rules with it
			s.Suspended = false
			return nil
		case err != nil:
			return err
		case string(is) == s.Is:
			s.Suspended = true
			return nil
		case string(is) != s.Was:
			if s.Suspended = disabled(is, s); !s.Suspended {
				s.Says += ", and they were changed before they could be disabled"
			}
			return nil
		}
		if err := d.setLifecycle(ctx, at.bucket, []byte(s.Is)); err != nil {
			if tenure.CodeOf(err) == tenure.Unavailable {
				return err
			}
			s.Suspended = false
			s.Says += ", and can't be disabled: " + err.Error()
			return nil
		}
		if is, err = d.lifecycle(ctx, at.bucket); err != nil { // servers write it in their own way
			return err
		}
		if s.Suspended = disabled(is, s); !s.Suspended {
			s.Says += ", and the server goes on with them"
		}
		s.Is = string(is)
		return nil
	})
	return s, err
}

// name tells a rule from others.
func (r lifecycleRule) name() string { return cmp.Or(r.id, strings.Join(r.prefixes, ", ")) }

// disabled says whether any of the rules that a hold disables is there and is disabled. Of
// a text that can't be read it is true: somebody has to look.
func disabled(is []byte, s connector.Stalled) bool {
	rules, err := lifecycleRules(is)
	was, _ := lifecycleRules([]byte(s.Was))
	would, _ := lifecycleRules([]byte(s.Is))
	if err != nil || len(was) != len(would) {
		return true
	}
	for i, r := range was {
		if r.enabled && !would[i].enabled && slices.ContainsFunc(rules, func(o lifecycleRule) bool { return o.name() == r.name() && !o.enabled }) {
			return true
		}
	}
	return false
}

// Unstall is described at connector.Unstaller.
func (d *Driver) Unstall(ctx context.Context, ref connector.Ref, s connector.Stalled) error {
	return with(ctx, "put back the lifecycle of "+ref.Type, func() error {
		at, err := d.siteOf(ref)
		if err != nil {
			return err
		}
		is, err := d.lifecycle(ctx, at.bucket)
		switch {
		case missing(err): // the bucket is gone, and its rules with it
			return nil
		case err != nil:
			return err
		case string(is) == s.Was:
			return nil
		case string(is) != s.Is && !s.Suspended && !disabled(is, s):
			return nil
		case string(is) != s.Is:
			return tenure.Errorf(tenure.Conflict, "the lifecycle rules of bucket %s were changed while a hold had suspended them", at.bucket).
				WithHint("look at them: they were %s", s.Was)
		}
		return d.setLifecycle(ctx, at.bucket, []byte(s.Was))
	})
}

// lifecycle is the text of a bucket's rules; nil if it has none, or its server knows none.
func (d *Driver) lifecycle(ctx context.Context, bucket string) ([]byte, error) {
	text, err := d.plain(ctx, d.endpoint, http.MethodGet, "/"+bucket, "lifecycle=", nil, nil)
	if unable(err) || is(err, "NoSuchLifecycleConfiguration") {
		return nil, nil
	}
	return text, err
}

func (d *Driver) setLifecycle(ctx context.Context, bucket string, text []byte) error {
	sum := md5.Sum(text) // the API asks for it
	h := http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}, "Content-Type": {"application/xml"}}
	_, err := d.plain(ctx, d.endpoint, http.MethodPut, "/"+bucket, "lifecycle=", h, text)
	return err
}
