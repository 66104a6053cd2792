package s3

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tenurehq/tenure"
)

// The rights that a bucket's policy gives. Nobody may delete a version, and what hides
// an object only hides it.
var (
	readBucket  = []string{"s3:GetBucketLocation", "s3:ListBucket"}
	readObject  = []string{"s3:GetObject"}
	writeBucket = []string{"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"}
	writeObject = []string{"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"}
)

// statement is one of a policy, as it is written here.
type statement struct {
	Sid       string
	Effect    string
	Principal any
	Action    []string
	Resource  []string
}

// policy is the bucket's policy that the attributes make; nil is none.
func (a attributes) policy(name string) any {
	var all []statement
	at := "arn:aws:s3:::" + name
	allow := func(sid string, who any, onBucket, onObject []string) {
		if onBucket != nil {
			all = append(all, statement{sid + "Bucket", "Allow", who, onBucket, []string{at}})
		}
		all = append(all, statement{sid + "Objects", "Allow", who, onObject, []string{at + "/*"}})
	}
	if a.Public {
		allow("TenurePublic", map[string]any{"AWS": []string{"*"}}, nil, readObject)
	}
	if len(a.Readers) > 0 {
		allow("TenureReaders", map[string]any{"AWS": a.Readers}, readBucket, readObject)
	}
	if len(a.Writers) > 0 {
		allow("TenureWriters", map[string]any{"AWS": a.Writers}, writeBucket, writeObject)
	}
	if len(all) == 0 {
		return nil
	}
	raw, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": all})
	p, _ := normalPolicy(raw)
	return p
}

// normalPolicy is a policy in one spelling: lists for single values, in order, so that
// two that say the same are the same (IAM's grammar of policies).
func normalPolicy(raw []byte) (any, error) {
	var p map[string]any
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "the policy can't be read as JSON").Retryable()
	}
	statements, ok := p["Statement"].([]any)
	if !ok && p["Statement"] != nil {
		statements = []any{p["Statement"]}
	}
	for _, s := range statements {
		m, ok := s.(map[string]any)
		if !ok {
			continue
		}
		for _, field := range []string{"Action", "NotAction", "Resource", "NotResource"} {
			if v, ok := m[field]; ok {
				m[field] = listed(v)
			}
		}
		for _, field := range []string{"Principal", "NotPrincipal"} {
			switch v := m[field].(type) {
			case string:
				m[field] = map[string]any{"AWS": listed(v)}
			case map[string]any:
				for who := range v {
					v[who] = listed(v[who])
				}
			}
		}
	}
	slices.SortStableFunc(statements, func(a, b any) int {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return cmp.Or(strings.Compare(sid(a), sid(b)), strings.Compare(string(x), string(y)))
	})
	p["Statement"] = statements
	return p, nil
}

func sid(v any) string {
	m, _ := v.(map[string]any)
	s, _ := m["Sid"].(string)
	return s
}

// listed is a value, or a list of values, as a list in order.
func listed(v any) []any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return list
}

// livePolicy is a bucket's policy as it is, in one spelling; nil is none.
func (d *Driver) livePolicy(ctx context.Context, name string) (any, error) {
	text, err := d.client().GetBucketPolicy(ctx, name)
	if is(err, "NoSuchBucketPolicy") || err == nil && text == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return normalPolicy([]byte(text))
}

// setPolicy puts a policy in place of the one that is there; nil takes it off.
func (d *Driver) setPolicy(ctx context.Context, name string, p any) error {
	if p == nil {
		return d.client().SetBucketPolicy(ctx, name, "")
	}
	raw, err := tenure.Canonical(p)
	if err != nil {
		return err
	}
	err = d.client().SetBucketPolicy(ctx, name, string(raw))
	if is(err, "MalformedPolicy", "InvalidPolicyDocument") || err != nil && strings.Contains(err.Error(), "principal") {
		return tenure.Errorf(tenure.Blocked, "the server takes no policy for bucket %q with these readers and writers: %s", name, code(err)).
			WithHint("readers and writers must be there before the bucket is given to them")
	}
	return err
}

// acl is an access list as S3 writes it.
type acl struct {
	Owner struct{ ID string }
	List  struct {
		Grant []struct {
			Grantee struct {
				ID, URI, EmailAddress string
			}
			Permission string
		}
	} `xml:"AccessControlList"`
}

// grants are those of a bucket's access list that aren't the owner's own, in order.
func (d *Driver) grants(ctx context.Context, name string) (out []string, err error) {
	raw, err := d.plain(ctx, d.endpoint, http.MethodGet, "/"+name, "acl=", nil, nil)
	if unable(err) || is(err, "AccessControlListNotSupported") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var a acl
	if err := xml.Unmarshal(raw, &a); err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "the access list of bucket %q can't be read: %w", name, err).Retryable()
	}
	for _, g := range a.List.Grant {
		who := cmp.Or(g.Grantee.URI, g.Grantee.ID, g.Grantee.EmailAddress)
		if who == a.Owner.ID && who != "" {
			continue
		}
		out = append(out, g.Permission+" to "+who)
	}
	slices.Sort(out)
	return out, nil
}

func (d *Driver) dropGrants(ctx context.Context, name string) error {
	_, err := d.plain(ctx, d.endpoint, http.MethodPut, "/"+name, "acl=", http.Header{"X-Amz-Acl": {"private"}}, nil)
	return err
}
