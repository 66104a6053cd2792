// Package ldap is the connector to a directory that speaks LDAPv3 (RFC 4511), such as
// OpenLDAP: organizational units, users and groups.
//
// A resource's name is its path below the base: "acme" is ou=acme, "acme/anna" is
// uid=anna (a user) or cn=anna (a group) in it. An entry bears its owner mark as one value
// of an attribute that may have several, sealed over the entry's entryUUID, so that a copy
// of it on another entry is no mark. What Tenure keeps for itself is one organizational
// unit: the sentinel.
package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// The types, in byte order.
const (
	group = "group"
	unit  = "organizational_unit"
	user  = "user"
)

const (
	defaultMark = "description"
	defaultLock = "pwdAccountLockedTime=000001010000Z"
	defaultOwn  = "tenure"

	defaultTimeout = "60s"
)

// Info is the connector.
func Info() connector.Info {
	return connector.Info{
		Name:    "ldap",
		Version: "1",
		Tested:  connector.Live, How: "against OpenLDAP 2.5 (slapd with mdb, ppolicy and memberof)",
		Summary: "A directory that speaks LDAPv3, such as OpenLDAP: organizational units, users and groups.",
		Rights:  rights,
		Leaves:  leaves,
		Options: []connector.Option{
			{Name: "url", Help: "The server's address: ldap://HOST, or ldaps://HOST for TLS from the start; with :PORT if it isn't 389 or 636.", Required: true},
			{Name: "startTLS", Help: "\"true\" turns TLS on (RFC 4511 §4.14) before anything else is said to an ldap:// server.", Default: "false"},
			{Name: "ca", Help: "A file of certificates (PEM) that the server's own must come from, as file:PATH. The machine's own where none is given."},
			{Name: "bindDN", Help: "The name of the account that Tenure signs in with.", Required: true},
			{Name: "password", Help: "Its password.", Required: true, Secret: true},
			{Name: "base", Help: "The entry below which tenants' units are, such as ou=tenants,dc=example,dc=com. It must be there.", Required: true},
			{Name: "own", Help: "The organizational unit below the base that Tenure keeps for itself. Adding the system creates it.", Default: defaultOwn},
			{Name: "mark", Help: "The attribute that owner marks are values of. Tenants must not be able to write it; it may have several values, and all three kinds of entry may have it.", Default: defaultMark},
			{Name: "lock", Help: "What keeps a user from signing in, as ATTRIBUTE=VALUE, such as nsAccountLock=true. The default needs OpenLDAP's overlay ppolicy with a policy in which pwdLockout is TRUE. \"none\" says that the server has no such thing: users can't be suspended then.", Default: defaultLock},
			{Name: "pageSize", Help: "How many entries the server is asked for at once (RFC 2696).", Default: "500"},
			{Name: "timeout", Help: "How long one request may take, as a duration such as 10s, up to 1h.", Default: defaultTimeout},
			{Name: "connections", Help: "How many connections are open at the most.", Default: "4"},
		},
		Types: types(),
		Probes: []connector.ProbeKind{
			{Name: "encryption", Help: "The connection is encrypted, as far as the profile asks for it. Whether entries are encrypted at rest can't be seen here."},
			{Name: "isolation", Help: "The credential signs in, sees nothing of Tenure's own unit, which lies beside the tenants', and can't write its own mark.", Types: []string{user}},
			{Name: "reachable", Help: "The entry can be read with Tenure's account. Of a user: the credential signs in, and neither a blank nor another password does.", Types: []string{group, unit, user}},
		},
		Remnants: remnants,
		Open:     open,
		Review:   review,
	}
}

const rights = `On OpenLDAP, with BASE the option base and ACCOUNT the option bindDN: "manage" on everything below BASE and no limit to paged searches for ACCOUNT, and for nobody else the right to write the attribute that the marks are in. The statements, and where they go: https://github.com/tenurehq/tenure/blob/main/docs/system-accounts.md#ldap`

const leaves = "the free pages of the database's file until they are written over; what overlays such as accesslog and auditlog wrote down; replicas that were cut off when an entry went; backups (slapcat) and snapshots of the disk. An entry's password goes with it, and so do its failures to sign in"

func types() []tenure.ResourceType {
	const gone = "the entry is deleted; a directory keeps none of it that a search finds"
	const seen = "it is read by its DN, with its mark and entryUUID, in the pass that sees the sentinel; a search that was cut short by a limit proves no absence"
	return []tenure.ResourceType{
		{
			Name: group, Summary: "A group (groupOfNames).", Layer: tenure.LayerConfiguration,
			Deletion: gone, Verification: seen,
			Recovery: tenure.Recovery{Declared: true, Says: "can't be undone: it is made again with the members that the blueprint says"},
			Holds:    tenure.HoldsNothing, Isolation: []string{"members"},
			Attributes: schema(`"members":{"type":"array","uniqueItems":true,"items":{"type":"string","minLength":1},"description":"Who is in it: names of users of this system, such as acme/anna, or DNs. Without it, members are somebody else's affair and are left as they are."}`),
		},
		{
			Name: unit, Summary: "An organizational unit with all that is below it: a tenant's own part of the directory.", Layer: tenure.LayerTransactional, Whole: true,
			Deletion:     "every entry below it is deleted, the deepest first, and then itself; members of groups elsewhere that were below it are taken out of them. An entry below it that bears another mark blocks it and is named",
			Verification: seen,
			Recovery:     tenure.Recovery{Declared: true, Says: "can't be set aside: under another name its users could still sign in"},
			Holds:        tenure.HoldsData, Cost: []tenure.CostTerm{{Metric: "one", Per: 1, Price: "unit"}},
			Attributes: schema(`"classes":{"type":"object","additionalProperties":{"type":"string","minLength":1},"description":"Data class by object class of the entries below it, such as inetOrgPerson; the structural one counts before the others, and \"\" is every other entry. Without it a single data class of the resource covers all."}`),
		},
		{
			Name: user, Summary: "A user (inetOrgPerson) who signs in with a password.", Layer: tenure.LayerAccount, Credential: true,
			Deletion:     gone + ". Before it, it is taken out of the groups below the base that name it, so that nobody inherits its rights",
			Verification: seen,
			Recovery:     tenure.Recovery{Declared: true, Says: "can't be undone: it is made again with another password"},
			Holds:        tenure.HoldsNothing, Cost: []tenure.CostTerm{{Metric: "one", Per: 1, Price: "user"}}, Isolation: []string{"policy"},
			Attributes: schema(`"cn":{"type":"string","minLength":1,"description":"The full name. Without it, the last part of the resource's name."},
  "sn":{"type":"string","minLength":1,"description":"The surname. Without it, the last part of the resource's name."},
  "displayName":{"type":"string","minLength":1},
  "mail":{"type":"string","minLength":1,"description":"The e-mail address."},
  "policy":{"type":"string","minLength":1,"description":"The DN of the password policy that holds for it (pwdPolicySubentry). Without it, the server's default."}`),
		},
	}
}

func schema(properties string) string {
	return `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,"properties":{` + properties + `}}`
}

// review says which members of a group may be anybody.
func review(typ string, attributes map[string]any) (out []string) {
	all, _ := attributes["members"].([]any)
	for _, v := range all {
		if s, ok := v.(string); ok && typ == group && strings.Contains(s, "=") {
			out = append(out, "members: "+s+" is named by its DN, which may be outside of the tenant's unit")
		}
	}
	return out
}

func open(_ context.Context, c connector.Config) (connector.Driver, error) {
	or := func(name, otherwise string) string {
		if v := c.Option(name); v != "" {
			return v
		}
		return otherwise
	}
	u, err := url.Parse(c.Option("url"))
	if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, tenure.Errorf(tenure.Invalid, "option url isn't an address such as ldaps://ldap.example.com")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	d := &Driver{marker: c.Marker, now: c.Now, mark: or("mark", defaultMark), own: or("own", defaultOwn)}
	d.pool = pool{address: net.JoinHostPort(u.Hostname(), port), dn: c.Option("bindDN"), password: c.Option("password")}
	if d.pool.dn == "" || d.pool.password == "" { // a bind without a password signs in as nobody, and succeeds (RFC 4513 §5.1.2)
		return nil, tenure.Errorf(tenure.Invalid, "an ldap system needs the options bindDN and password")
	}
	start, err := strconv.ParseBool(or("startTLS", "false"))
	if err != nil || start && u.Scheme == "ldaps" {
		return nil, tenure.Errorf(tenure.Invalid, "option startTLS is true or false, and false with ldaps://")
	}
	d.pool.start = start
	if start || u.Scheme == "ldaps" {
		d.pool.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		if ca := c.Option("ca"); ca != "" {
			d.pool.tls.RootCAs = x509.NewCertPool()
			if !d.pool.tls.RootCAs.AppendCertsFromPEM([]byte(ca)) {
				return nil, tenure.Errorf(tenure.Invalid, "option ca holds no certificate in PEM: it is given as file:PATH")
			}
		}
	}
	if d.base, err = parseDN(c.Option("base")); err != nil || len(d.base) == 0 {
		return nil, tenure.Errorf(tenure.Invalid, "option base isn't a DN such as ou=tenants,dc=example,dc=com")
	}
	d.baseDN = c.Option("base")
	if err := checkWord(d.mark); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "option mark isn't an attribute's name")
	}
	if err := checkPart(d.own); err != nil {
		return nil, tenure.Errorf(tenure.Invalid, "option own: %w", err)
	}
	if lock := or("lock", defaultLock); lock != "none" {
		var ok bool
		if d.lockName, d.lockValue, ok = strings.Cut(lock, "="); !ok || checkWord(d.lockName) != nil || d.lockValue == "" {
			return nil, tenure.Errorf(tenure.Invalid, "option lock isn't ATTRIBUTE=VALUE, such as %s, or none", defaultLock)
		}
	}
	if d.pool.limit, err = time.ParseDuration(or("timeout", defaultTimeout)); err != nil || d.pool.limit <= 0 || d.pool.limit > time.Hour {
		return nil, tenure.Errorf(tenure.Invalid, "option timeout is %q, which isn't a duration such as 10s, up to 1h", c.Option("timeout"))
	}
	number := func(name, otherwise string, most int) int {
		n, bad := strconv.Atoi(or(name, otherwise))
		if err == nil && (bad != nil || n < 1 || n > most) {
			err = tenure.Errorf(tenure.Invalid, "option %s is a number from 1 to %d", name, most)
		}
		return n
	}
	d.page = uint32(number("pageSize", "500", 100_000))
	d.pool.slots = make(chan struct{}, number("connections", "4", 64))
	if err != nil {
		return nil, err
	}
	return d, nil
}
