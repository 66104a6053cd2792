package s3

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenurehq/tenure/connector"
)

// bucket is what is told of a bucket: itself, its prefixes, copies.
func (t *tracing) bucket(ctx context.Context, of listedBucket) lookedAt {
	one := connector.Trace{Kind: connector.TracePlace, Type: bucket, Word: "bucket", Name: of.Name, ID: bucketID(of.Name), Made: of.CreationDate, Rows: -1, Bytes: -1}
	raw, err := t.ask(ctx, of.Name, url.Values{"tagging": {""}})
	if errors.Is(err, errSpent) || missing(err) {
		return lookedAt{ok: missing(err)}
	}
	t.tagsOf(&one, raw, err)
	t.openness(ctx, &one)
	rules := t.rules(ctx, &one)
	versioned, on := t.versioned(ctx, of.Name)
	one.Attributes = on
	within := t.contents(ctx, of.Name, versioned)
	one.Rows, one.Bytes, one.Used = within.sum("")
	out := lookedAt{all: append([]connector.Trace{one}, within.traces(rules)...), ok: true}
	if !ofOne(&one) {
		out.loose = within.looseTraces()
	}
	return out
}

// ofOne says that a bucket is one tenant's, by its mark or a label: what it holds is the
// tenant's then, and needn't be told one by one.
func ofOne(one *connector.Trace) bool {
	for label, value := range one.Labels {
		if value != "" && connector.TenantColumn(label) {
			return true
		}
	}
	return one.Bears == connector.Ours
}

// tagsOf are a bucket's tags, without those that Tenure writes, and whose mark they are.
func (t *tracing) tagsOf(one *connector.Trace, raw []byte, err error) {
	raw, known := t.settled(one.Name, "the tags", raw, err, "NoSuchTagSet", "NoSuchTagSetError")
	if !known {
		return
	}
	all := map[string]string{}
	if raw != nil {
		var list struct { // the library refuses names that servers take
			Tags []struct{ Key, Value string } `xml:"TagSet>Tag"`
		}
		if err := xml.Unmarshal(raw, &list); err != nil {
			t.note(one.Name, "the tags", err)
			return
		}
		for _, tag := range list.Tags {
			all[tag.Key] = tag.Value
		}
	}
	_, one.Bears = t.whose(tagged(one.Name, all))
	maps.DeleteFunc(all, func(name, _ string) bool {
		return slices.Contains([]string{tagMark, tagTenant, tagEnvironment, tagState, tagSeal}, name)
	})
	if len(all) > 0 {
		one.Labels = all
	}
}

// block is a public-access block (PublicAccessBlockConfiguration).
type block struct {
	IgnorePublicAcls, RestrictPublicBuckets, BlockPublicAcls, BlockPublicPolicy bool
}

// openness says who may reach a bucket: everybody, its owner, and users by name.
func (t *tracing) openness(ctx context.Context, one *connector.Trace) {
	var blocks block
	raw, known := t.setting(ctx, one.Name, "publicAccessBlock", "the public-access block", "NoSuchPublicAccessBlockConfiguration")
	if raw != nil {
		if err := xml.Unmarshal(raw, &blocks); err != nil {
			t.note(one.Name, "the public-access block", err)
			known = false
		}
	}
	if known && blocks == (block{}) {
		one.Lacks = append(one.Lacks, "a public-access block")
	}
	if raw, _ := t.setting(ctx, one.Name, "policy", "the policy", "NoSuchBucketPolicy"); len(raw) > 0 {
		live, err := normalPolicy(raw)
		if err != nil {
			t.note(one.Name, "the policy", err)
		}
		if open := everybody(live); open != "" && !blocks.RestrictPublicBuckets {
			one.Open = "the policy's statement " + quoted(open) + " lets everybody in"
		}
		t.named(one.Name, live)
	}
	raw, _ = t.setting(ctx, one.Name, "acl", "the access list", "AccessControlListNotSupported")
	if raw == nil {
		return
	}
	var list acl
	if err := xml.Unmarshal(raw, &list); err != nil {
		t.note(one.Name, "the access list", err)
		return
	}
	if _, there := t.users[list.Owner.ID]; there {
		one.Owners = []string{userID(list.Owner.ID)}
		t.reach(list.Owner.ID, one.ID)
	}
	for _, g := range list.List.Grant {
		who := g.Grantee.URI + g.Grantee.ID
		if (strings.Contains(who, "/groups/global/") || who == "all-users") && !blocks.IgnorePublicAcls && one.Open == "" {
			one.Open = "the access list lets everybody in: " + g.Permission + " to " + who
		}
		t.reach(g.Grantee.ID, one.ID)
	}
}

func quoted(s string) string {
	raw, _ := json.Marshal(s)
	return string(raw)
}

// reach writes down that a user, if there is such a one, may reach something.
func (t *tracing) reach(name, id string) {
	if _, there := t.users[name]; !there {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reaches[name] = append(t.reaches[name], id)
}

// named writes down which users a policy, in the spelling of normalPolicy, names. What a
// condition narrows is taken as if it didn't, but where it is the bucket itself.
func (t *tracing) named(bucket string, live any) {
	m, _ := live.(map[string]any)
	all, _ := m["Statement"].([]any)
	for _, s := range all {
		st, _ := s.(map[string]any)
		if st["Effect"] != "Allow" {
			continue
		}
		var ids []string
		resources, _ := st["Resource"].([]any)
		for _, r := range resources {
			arn, _ := r.(string)
			below, ok := strings.CutPrefix(arn[strings.LastIndexByte(arn, ':')+1:], bucket)
			switch below = strings.TrimPrefix(below, "/"); {
			case !ok, below == "" && st["Condition"] != nil:
			case strings.HasSuffix(below, "/*") && !strings.ContainsAny(strings.TrimSuffix(below, "*"), "*?"):
				ids = append(ids, prefixID(bucket, strings.TrimSuffix(below, "*")))
			default:
				ids = append(ids, bucketID(bucket))
			}
		}
		who, _ := st["Principal"].(map[string]any)
		for _, list := range who {
			each, _ := list.([]any)
			for _, v := range each {
				name, _ := v.(string)
				for _, id := range ids {
					t.reach(name[strings.LastIndexByte(name, '/')+1:], id)
				}
			}
		}
	}
}

// expiry is what a lifecycle rule says of when objects go.
type expiry struct {
	Status, Prefix string
	Filter         struct {
		filter
		And filter
	}
	Expiration struct {
		Days int
		Date string
	}
	NoncurrentVersionExpiration struct{ NoncurrentDays, NewerNoncurrentVersions int }
}

// filter says what a rule is of; with anything but a prefix it may not be of an object.
type filter struct {
	Prefix                string
	Tag                   []struct{ Key string }
	ObjectSizeGreaterThan string
	ObjectSizeLessThan    string
}

func (f filter) narrow() bool {
	return len(f.Tag) > 0 || f.ObjectSizeGreaterThan != "" || f.ObjectSizeLessThan != ""
}

// rules are a bucket's lifecycle rules that are in force for all that has their prefix.
func (t *tracing) rules(ctx context.Context, one *connector.Trace) (out []expiry) {
	raw, known := t.setting(ctx, one.Name, "lifecycle", "the lifecycle", "NoSuchLifecycleConfiguration")
	if !known {
		return nil
	}
	var all struct{ Rule []expiry }
	if raw != nil {
		if err := xml.Unmarshal(raw, &all); err != nil {
			t.note(one.Name, "the lifecycle", err)
			return nil
		}
	}
	enabled := slices.DeleteFunc(all.Rule, func(r expiry) bool { return r.Status != "Enabled" })
	if len(enabled) == 0 {
		one.Lacks = append(one.Lacks, "a lifecycle rule")
	}
	return slices.DeleteFunc(enabled, func(r expiry) bool { return r.Filter.narrow() || r.Filter.And.narrow() })
}

func (r expiry) of(key string) bool {
	return strings.HasPrefix(key, r.Prefix) && strings.HasPrefix(key, r.Filter.Prefix) && strings.HasPrefix(key, r.Filter.And.Prefix)
}

// after is the midnight by which days have passed, as S3 counts them.
func after(from time.Time, days int) time.Time {
	end := from.UTC().AddDate(0, 0, days)
	if day := end.Truncate(24 * time.Hour); day.Before(end) {
		return day.AddDate(0, 0, 1)
	}
	return end
}

// goes is when an object that is read by its key goes by a rule, the first that does; zero
// if none does. In a bucket that keeps versions it is an earlier version first.
func goes(rules []expiry, key string, modified time.Time, versioned bool) (at time.Time) {
	for _, r := range rules {
		var end time.Time
		switch date, err := time.Parse(time.RFC3339, r.Expiration.Date); {
		case !r.of(key):
			continue
		case r.Expiration.Days > 0:
			end = after(modified, r.Expiration.Days)
		case err == nil:
			end = date
		default:
			continue
		}
		if versioned {
			end = fades(rules, key, end)
		}
		if !end.IsZero() && (at.IsZero() || end.Before(at)) {
			at = end
		}
	}
	return at
}

// fades is when a version that is an earlier one since a moment goes.
func fades(rules []expiry, key string, since time.Time) (at time.Time) {
	for _, r := range rules {
		n := r.NoncurrentVersionExpiration
		if !r.of(key) || n.NoncurrentDays == 0 || n.NewerNoncurrentVersions > 0 {
			continue
		}
		if end := after(since, n.NoncurrentDays); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	return at
}

// versioned says whether a bucket keeps, or kept, earlier versions, and what a blueprint says of
// that; nil where it isn't told.
func (t *tracing) versioned(ctx context.Context, name string) (kept bool, says map[string]any) {
	raw, known := t.setting(ctx, name, "versioning", "whether earlier versions are kept", "VersioningNotConfigured")
	var v struct{ Status string }
	if !known || raw != nil && xml.Unmarshal(raw, &v) != nil {
		return false, nil
	}
	says = map[string]any{}
	if v.Status == "Enabled" {
		says["versioning"] = true
		raw, _ := t.setting(ctx, name, "object-lock", "whether objects can be locked", "ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration")
		var lock struct{ ObjectLockEnabled string }
		if raw != nil && xml.Unmarshal(raw, &lock) == nil && lock.ObjectLockEnabled == "Enabled" {
			says["objectLock"] = true
		}
	}
	return v.Status != "", says
}
