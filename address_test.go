package tenure_test

import (
	"net/netip"
	"testing"

	"github.com/tenurehq/tenure"
)

// TestOffLimits: what nothing is sent to, and the systems of a platform that may be
// asked wherever its own network has them.
func TestOffLimits(t *testing.T) {
	t.Parallel()
	for ip, off := range map[string]bool{
		"203.0.113.7": false, "10.1.2.3": false, "192.168.1.1": false, "172.16.0.1": false, "100.64.0.1": false, "2001:db8::1": false, "fd12:3456::1": false,
		"169.254.169.254": true, "169.254.170.2": true, "::ffff:169.254.169.254": true, "64:ff9b::a9fe:a9fe": true, "2002:a9fe:a9fe::1": true, "::a9fe:a9fe": true,
		"fe80::1": true, "fe80::1%eth0": true, "100.100.100.200": true, "192.0.0.192": true, "fd00:ec2::254": true,
		"0.0.0.0": true, "::": true, "0.1.2.3": true, "224.0.0.1": true, "ff02::1": true, "255.255.255.255": true, "2002:7f00:1::": true,
	} {
		at := netip.MustParseAddr(ip)
		if why := tenure.OffLimits(at, true); (why != "") != off {
			t.Errorf("%s: %q", ip, why)
		}
		if err := tenure.CheckHost(ip); (err != nil) != off || err != nil && tenure.CodeOf(err) != tenure.Invalid {
			t.Errorf("the host %s: %v", ip, err)
		}
		if err := tenure.CheckDial(netip.AddrPortFrom(at, 443).String()); (err != nil) != off || err != nil && tenure.CodeOf(err) != tenure.Blocked {
			t.Errorf("dialling %s: %v", ip, err)
		}
	}
	for _, ip := range []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"} {
		if at := netip.MustParseAddr(ip); tenure.OffLimits(at, true) != "" || tenure.OffLimits(at, false) == "" {
			t.Errorf("%s is this machine", ip)
		}
	}
	if tenure.CheckHost("metadata.example") != nil || tenure.CheckDial("nowhere") == nil {
		t.Error("a name is judged when it is dialled, and what is no address isn't dialled")
	}
}
