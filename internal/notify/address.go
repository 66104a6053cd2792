package notify

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/tenurehq/tenure"
)

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
		if why := tenure.OffLimits(ip, local); why != "" {
			return nil, local, tenure.Errorf(tenure.Invalid, "notify: nothing is sent to %s: %s", ip, why)
		}
	}
	return u, local, nil
}
