// Package s3 is the connector to an object store that speaks S3: a bucket of a
// tenant's own, a prefix in a bucket that tenants share, and, on a server that has
// versitygw's administration API, a user.
//
// What Tenure keeps for itself is in a bucket of its own, which no tenant has a right
// in: the sentinel, and a sealed record of each prefix and each user. A bucket bears its
// mark in its tags, sealed over its name. All versions, delete markers and unfinished
// uploads count as data. Object Lock is never bypassed.
package s3

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
	"github.com/tenurehq/tenure/connector/objects"
)

// Info is the connector.
func Info() connector.Info {
	return connector.Info{
		Name:    "s3",
		Version: "1",
		Tested:  connector.Live, How: "against versitygw 1.8.0; lifecycle rules against a stand-in",
		Summary: "An object store that speaks S3: buckets, prefixes in shared buckets and, on versitygw, users. Lifecycle rules, replication and inventories are not made by it.",
		Options: []connector.Option{
			{Name: "endpoint", Help: "The server's address, such as https://s3.example.com.", Required: true},
			{Name: "region", Help: "The server's region.", Default: "us-east-1"},
			{Name: "accessKey", Help: "The access key that Tenure signs with. It owns the tenants' buckets and reads their tags and policies.", Required: true, Secret: true},
			{Name: "secretKey", Help: "Its secret.", Required: true, Secret: true},
			{Name: "own", Help: "The bucket in which Tenure keeps its sentinel and its records. Adding the system creates it; nobody else has rights in it.", Required: true},
			{Name: "names", Help: "What the names of tenants' buckets and users begin with, such as \"t-\". Those that bear no mark are shown as strangers, and others can't be made. Without it, things without a mark aren't shown."},
			{Name: "shared", Help: "Where tenants' prefixes are, separated by commas: BUCKET/ or BUCKET/BASE/. Everything below is taken to be some tenant's."},
			{Name: "users", Help: "How users are administered: \"versitygw\" for its administration API. Without it, there is no type user."},
			{Name: "admin", Help: "The address of the administration API, if it isn't the endpoint."},
		},
		Types: types(),
		Probes: []connector.ProbeKind{
			{Name: "reachable", Help: "An object can be written, read back and removed. Where objects are locked, the bucket can be listed.", Types: []string{bucket, prefix}},
			{Name: "isolation", Help: "The user's credential works, and is refused on Tenure's own bucket.", Types: []string{user}},
			{Name: "exposure", Help: "No policy and no access list lets everybody in, and a request without a signature is refused.", Types: []string{bucket}},
			{Name: "encryption", Help: "The connection is encrypted, and so are objects at rest, as far as the profile asks for it and the server says so. Whose key it is can't be seen here.", Types: nil},
		},
		Remnants: remnants,
		Open:     open,
		Review:   review,
		Check:    objects.Faults,
	}
}

// The types, in byte order.
const (
	bucket = "bucket"
	prefix = "prefix"
	user   = "user"
)

// links is what an end of access doesn't reach.
const links = "presigned links that the platform signs with a key of its own live until they end, at most 7 days, while the objects are there"

const policyLimits = "rights that an identity policy of the account gives aren't seen here"

func types() []tenure.ResourceType {
	const classes = `"classes":{"type":"object","additionalProperties":{"type":"string","minLength":1},"description":"Data class by prefix of the key, such as orders/ or orders/2026-; the longest wins, and \"\" is everything else. Without it a single data class of the resource covers all."}`
	const gone = "every version, delete marker and unfinished upload is deleted by its id and listed again until nothing is left; locked objects are never forced, and block it; the media aren't overwritten, and copies that the server replicates elsewhere aren't reached; lifecycle rules go on unless a hold has suspended them, and the data map shows them"
	return []tenure.ResourceType{
		{
			Name: bucket, Summary: "A bucket of a tenant's own.", Whole: true, Layer: tenure.LayerAncillary,
			Deletion:     gone + "; then the bucket is deleted, and its mark with it",
			Verification: "its tags, policy, access list and versioning are read in the pass that sees the sentinel; " + policyLimits,
			Recovery:     tenure.Recovery{Declared: true, Quarantine: true, Says: "its policy and access list are taken off until it is deleted, so that only the owner's account reaches it; " + links},
			Holds:        tenure.HoldsData, Cost: []tenure.CostTerm{{Metric: "one", Per: 1, Price: "bucket"}}, Dispositions: objects.Dispositions,
			Isolation: []string{"policy", "grants"},
			Attributes: schema(`"public":{"type":"boolean","default":false,"description":"Everybody may read its objects without signing in."},
  "readers":{"type":"array","items":{"type":"string","minLength":1},"description":"Who may list it and read its objects: access keys or ARNs, as the server's policies name them."},
  "writers":{"type":"array","items":{"type":"string","minLength":1},"description":"Who may list, read, write and delete its objects. Nobody may delete a version or change tags, policy or versioning."},
  "versioning":{"type":"boolean","default":false,"description":"Whether each change keeps the earlier version. Once on it can only be suspended."},
  "objectLock":{"type":"boolean","default":false,"description":"Whether objects can be locked against deletion. It needs versioning, is set when the bucket is made, and can't be taken off."},
  ` + classes + `,
  ` + objects.Schema),
		},
		{
			Name: prefix, Summary: "A prefix in a bucket that tenants share: BUCKET/BASE/NAME, and all keys that begin with BASE/NAME/.", Layer: tenure.LayerAncillary,
			Deletion:     gone + "; then Tenure's record of it is deleted. It is refused while anything is left",
			Verification: "Tenure's record of it, and a listing of versions and uploads, in the pass that sees the sentinel",
			Recovery:     tenure.Recovery{Declared: true, Says: "can't be set aside, since S3 renames nothing and the shared bucket's policy is the platform's; " + links},
			Holds:        tenure.HoldsData, Dispositions: objects.Dispositions, Attributes: schema(classes + `,
  ` + objects.Schema),
		},
		{
			Name: user, Summary: "A user of a server with versitygw's administration API. Its name is its access key. Buckets give it rights.", Layer: tenure.LayerAccount,
			Deletion:     "the user is deleted; a gateway that caches users learns of it when its cache ends, after 2 minutes if nothing else is set",
			Verification: "the server's list of users, and Tenure's record of it, in the pass that sees the sentinel",
			Recovery:     tenure.Recovery{Declared: true, Says: "can't be undone: it is made again with another secret. While it is suspended its secret stands on the server encrypted under a key of Tenure's, which needs a server that lists secrets to administrators. What it signed before is refused from then on"},
			Holds:        tenure.HoldsNothing, Credential: true, Isolation: []string{"role"},
			Attributes: schema(""),
		},
	}
}

func schema(properties string) string {
	return `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,"properties":{` + properties + `}}`
}

func review(typ string, attributes map[string]any) (out []string) {
	if v, ok := attributes["public"].(bool); ok && v {
		out = append(out, "public: everybody may read it without signing in")
	}
	for _, list := range []string{"readers", "writers"} {
		all, _ := attributes[list].([]any)
		for _, v := range all {
			if s, ok := v.(string); ok && strings.Contains(s, "*") && typ == bucket {
				out = append(out, list+": "+s+" is more than one user")
			}
		}
	}
	return out
}

// requestLimit is how long the server may take until it begins to answer.
const requestLimit = time.Minute

func open(_ context.Context, c connector.Config) (connector.Driver, error) {
	at, err := address(c.Option("endpoint"), "endpoint")
	if err != nil {
		return nil, err
	}
	d := &Driver{
		endpoint: at, admin: at, region: c.Option("region"), access: c.Option("accessKey"), secret: c.Option("secretKey"),
		own: c.Option("own"), names: c.Option("names"), marker: c.Marker, now: c.Now,
	}
	if d.region == "" {
		d.region = "us-east-1"
	}
	if d.now == nil {
		d.now = time.Now
	}
	switch users := c.Option("users"); users {
	case "":
	case "versitygw":
		d.users = true
	default:
		return nil, tenure.Errorf(tenure.Invalid, "option users is %q; only versitygw is known", users)
	}
	if a := c.Option("admin"); a != "" {
		if d.admin, err = address(a, "admin"); err != nil {
			return nil, err
		}
	}
	if d.access == "" || d.secret == "" {
		return nil, tenure.Errorf(tenure.Invalid, "an s3 system needs the options accessKey and secretKey")
	}
	if err := checkBucket(d.own); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "option own: %w", err)
	}
	if d.shared, err = parseShared(c.Option("shared"), d.own); err != nil {
		return nil, err
	}
	plain, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, tenure.Errorf(tenure.Internal, "the default transport was replaced")
	}
	d.transport = plain.Clone()
	d.transport.MaxIdleConnsPerHost = atOnce * 2
	d.transport.ResponseHeaderTimeout = requestLimit
	d.transport.DisableCompression = true // an object that is stored compressed is read as it is stored
	d.careful = &careful{RoundTripper: d.transport}
	_, err = d.signing(d.access, d.secret) // whether one can be made
	return d, err
}

// client is one that signs with Tenure's key. It is made for each call, which takes
// microseconds: a field of its type would have the linker keep everything that the library
// can do, a megabyte of it.
func (d *Driver) client() *minio.Client {
	c, _ := d.signing(d.access, d.secret)
	return c
}

// signing is a client that signs with a key.
func (d *Driver) signing(access, secret string) (*minio.Client, error) {
	c, err := minio.New(d.endpoint.Host, &minio.Options{
		Creds: credentials.NewStaticV4(access, secret, ""), Secure: d.endpoint.Scheme == "https", Region: d.region, Transport: d.careful, MaxRetries: tries,
	})
	if err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "option endpoint: %w", err)
	}
	return c, nil
}

func address(text, option string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, tenure.Errorf(tenure.Invalid, "option %s isn't an address such as https://s3.example.com", option)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
