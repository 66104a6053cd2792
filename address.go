package tenure

import "net/netip"

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

// OffLimits says why Tenure sends nothing to an address, whatever the settings
// name; "" if it may. Link-local addresses and those at which clouds tell a machine
// its credentials are off limits, also where an IPv6 address carries them; this
// machine's own are unless loopback says otherwise. Private networks aren't: that
// is where a platform's systems are.
func OffLimits(ip netip.Addr, loopback bool) string {
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
				if why := OffLimits(netip.AddrFrom4([4]byte(raw[c.at:c.at+4])), false); why != "" {
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

// CheckHost refuses, as Invalid, a host of a URL in the settings that is off limits
// by its very name. What a name resolves to is judged when it is dialled, by
// CheckDial.
func CheckHost(host string) error {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	if why := OffLimits(ip, true); why != "" {
		return Errorf(Invalid, "nothing is sent to %s: %s", ip, why)
	}
	return nil
}

// CheckDial refuses, as Blocked, to connect to an address ("ip:port") that is off
// limits. As a net.Dialer's Control it sees what a name was resolved to, so that a
// name that resolves to another address the second time gains nothing.
func CheckDial(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return Errorf(Blocked, "nothing is sent there: it has no address")
	}
	if why := OffLimits(at.Addr(), true); why != "" {
		return Errorf(Blocked, "nothing is sent to %s: %s", at.Addr(), why)
	}
	return nil
}
