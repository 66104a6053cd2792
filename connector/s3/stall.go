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
	"strconv"
	"strings"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

var (
	_ connector.ExpiryLister = (*Driver)(nil)
	_ connector.Staller      = (*Driver)(nil)
	_ connector.Unstaller    = (*Driver)(nil)
)

// lifecycleRule is what of a rule says whether it takes something, and where it and its
// status stand in the text.
type lifecycleRule struct {
	id         string
	enabled    bool
	expires    bool
	prefixes   []string
	start, end int64
	from, to   int64 // of the status's text
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
				rule = lifecycleRule{start: at}
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
				rule.end = dec.InputOffset()
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

// ruled is a bucket's lifecycle with its rules by name: their ids, or where one has none,
// what it takes, with a number where several are called alike.
type ruled struct {
	text  []byte
	names []string
	rules []lifecycleRule
}

func (d *Driver) ruled(ctx context.Context, bucket string) (l ruled, err error) {
	if l.text, err = d.lifecycle(ctx, bucket); err != nil {
		return l, err
	}
	if l.rules, err = lifecycleRules(l.text); err != nil {
		return l, tenure.Errorf(tenure.Blocked, "the lifecycle rules of bucket %s can't be read: %w", bucket, err)
	}
	for _, r := range l.rules {
		name := "lifecycle rule " + cmp.Or(r.id, "of "+cmp.Or(strings.Join(r.prefixes, ", "), "all keys")) + " of bucket " + bucket
		for n, plain := 2, name; slices.Contains(l.names, name); n++ {
			name = plain + " (" + strconv.Itoa(n) + ")"
		}
		l.names = append(l.names, name)
	}
	return l, nil
}

// rule is a rule's own text; blank if it isn't there.
func (l ruled) rule(name string) string {
	i := slices.Index(l.names, name)
	if i < 0 {
		return ""
	}
	return string(l.text[l.rules[i].start:l.rules[i].end])
}

// with is the whole text with another in a rule's place.
func (l ruled) with(name, text string) []byte {
	r := l.rules[slices.Index(l.names, name)]
	return slices.Concat(l.text[:r.start], []byte(text), l.text[r.end:])
}

// switchedOff is a rule's text with its status switched off.
func switchedOff(text string) string {
	if all, err := lifecycleRules([]byte(text)); err == nil && len(all) == 1 && all[0].to > 0 {
		return text[:all[0].from] + "Disabled" + text[all[0].to:]
	}
	return text
}

// Expiries is described at connector.ExpiryLister: the bucket's lifecycle rules that may take
// something of what is held would be disabled, and the others stay as they are. A rule of
// a shared bucket keeps others' objects too while it is disabled.
func (d *Driver) Expiries(ctx context.Context, ref connector.Ref, keep []connector.Kept, suspended []connector.Stalled) (out []connector.Stalled, err error) {
	if ref.Type == user || d.checkName(ref.Type, ref.Name) != nil {
		return nil, nil
	}
	err = with(ctx, "read the lifecycle of "+ref.Type, func() error {
		at, err := d.siteOf(ref)
		if err != nil {
			return err
		}
		l, err := d.ruled(ctx, at.bucket)
		if err != nil {
			return err
		}
		below := []string{at.below}
		if len(keep) > 0 {
			below = nil
			for _, k := range keep {
				below = append(below, at.below+k.Prefix)
			}
		}
		for _, name := range l.names {
			was := connector.AsItWas(suspended, name, l.rule(name))
			rules, err := lifecycleRules([]byte(was))
			if err != nil || len(rules) != 1 || !slices.ContainsFunc(below, rules[0].takes) {
				continue
			}
			out = append(out, connector.Stalled{Rule: name, Was: was, Is: switchedOff(was), Says: "it would delete what is held"})
		}
		return nil
	})
	return out, err
}

// Stall is described at connector.Staller.
func (d *Driver) Stall(ctx context.Context, ref connector.Ref, one connector.Stalled) (out connector.Stalled, err error) {
	err = with(ctx, "suspend the lifecycle of "+ref.Type, func() (err error) {
		out, err = d.ruleOf(ctx, ref, one).Stall(one)
		return err
	})
	return out, err
}

// Unstall is described at connector.Unstaller. Where the bucket is gone, so are its rules.
func (d *Driver) Unstall(ctx context.Context, ref connector.Ref, was connector.Stalled) error {
	return with(ctx, "put back the lifecycle of "+ref.Type, func() error {
		at, err := d.siteOf(ref)
		if err != nil {
			return err
		}
		if _, err := d.lifecycle(ctx, at.bucket); missing(err) {
			return nil
		}
		return d.ruleOf(ctx, ref, was).Unstall(was)
	})
}

func (d *Driver) ruleOf(ctx context.Context, ref connector.Ref, one connector.Stalled) connector.Standing {
	at, failed := d.siteOf(ref)
	var l ruled
	return connector.Standing{
		Read: func() (is string, err error) {
			if failed != nil {
				return "", failed
			}
			if l, err = d.ruled(ctx, at.bucket); missing(err) {
				return "", nil
			}
			return l.rule(one.Rule), err
		},
		Off: func(is string) bool { return is != "" && is == switchedOff(is) },
		Set: func(on bool) error {
			return d.setLifecycle(ctx, at.bucket, l.with(one.Rule, map[bool]string{true: one.Was, false: one.Is}[on]))
		},
	}
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
