package notify

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
)

// metadata are addresses at which clouds tell a machine its credentials, beside
// those that are link-local.
var metadata = [...]string{"100.100.100.200", "192.0.0.192", "fd00:ec2::254"}

// carriers are IPv6 ranges that carry an IPv4 address: where its first byte is.
var carriers = [...]struct {
	prefix string
	at     int
}{
	{"::/96", 12},        // IPv4-compatible (RFC 4291 §2.5.5.1)
	{"64:ff9b::/96", 12}, // NAT64 (RFC 6052)
	{"2002::/16", 2},     // 6to4 (RFC 3056)
}

// forbidden says why nothing may be sent to an address; "" if it may. Loopback is
// allowed where the settings name it.
func forbidden(ip netip.Addr, loopback bool) string {
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() {
		if loopback {
			return ""
		}
		return "it is this machine"
	}
	if ip.Is6() {
		raw := ip.As16()
		for _, c := range carriers {
			if p := netip.MustParsePrefix(c.prefix); p.Contains(ip) {
				if why := forbidden(netip.AddrFrom4([4]byte(raw[c.at:c.at+4])), false); why != "" {
					return why
				}
			}
		}
	}
	for _, m := range metadata {
		if ip == netip.MustParseAddr(m) {
			return "a cloud tells its machines their credentials there"
		}
	}
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast(), ip.IsInterfaceLocalMulticast():
		return "it is link-local, where clouds tell their machines their credentials"
	case ip.IsUnspecified(), ip.IsMulticast(), !ip.IsValid():
		return "it is no machine's address"
	case ip.Is4() && (ip.As4()[0] == 0 || ip.As4()[0] >= 240):
		return "it is no machine's address"
	}
	return ""
}

// checkURL accepts an address to send to: https, or http on this machine. local
// says that it names this machine.
func checkURL(raw string) (u *url.URL, local bool, err error) {
	u, err = url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return nil, false, tenure.Errorf(tenure.Invalid, "notify: the webhook's url is no address") // not which: it may hold a secret
	}
	name := strings.ToLower(u.Hostname())
	ip, ipErr := netip.ParseAddr(name)
	local = name == "localhost" || ipErr == nil && ip.Unmap().IsLoopback()
	switch {
	case u.User != nil:
		return nil, local, tenure.Errorf(tenure.Invalid, "notify: the webhook's url holds a user or password").WithHint("notices are signed: give the receiver notify.webhook.secret")
	case u.Scheme != "https" && !(u.Scheme == "http" && local):
		return nil, local, tenure.Errorf(tenure.Invalid, "notify: the webhook's url must be https; http is for this machine alone")
	case u.Fragment != "":
		return nil, local, tenure.Errorf(tenure.Invalid, "notify: the webhook's url holds a fragment")
	}
	if ipErr == nil {
		if why := forbidden(ip, local); why != "" {
			return nil, local, tenure.Errorf(tenure.Invalid, "notify: nothing is sent to %s: %s", ip, why)
		}
	}
	return u, local, nil
}
