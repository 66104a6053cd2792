package main

import (
	"context"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// loggedIn is what login says.
type loggedIn struct {
	Context   string    `json:"context"`
	Server    string    `json:"server"`
	Name      string    `json:"name"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

func (a *app) login() *cobra.Command {
	var code, name, email, as string
	cmd := command("login --server URL", "Sign in to a server, and keep the token",
		"Shows a short code and an address: open the address in a browser, sign in there, and enter the code (RFC 8628). The\n"+
			"token is kept in a context. With --code the one-time code of a new installation makes its first admin instead.",
		cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
			t, err := a.target()
			if err != nil {
				return err
			}
			if t.Server == "" {
				return tenure.Errorf(tenure.Invalid, "no server is named").WithHint("tenure login --server URL")
			}
			c, err := client.New(t.Server, client.WithUserAgent("tenure"))
			if err != nil {
				return err
			}
			defer c.Close()
			var token client.Token
			if code != "" {
				p := client.BootstrapParams{}
				p.Body.Code, p.Body.Name, p.Body.Email = code, orElse(name, a.as), email
				token, err = client.Bootstrap.Call(cmd.Context(), c, p)
			} else {
				token, err = a.device(cmd.Context(), c, t.Server)
			}
			if err != nil {
				return err
			}
			return a.keep(cmd.Context(), t.Server, as, token)
		})
	cmd.Flags().StringVar(&code, "code", "", "the one-time code that tenure init printed")
	cmd.Flags().StringVar(&name, "name", "", "with --code: the first admin's name (default the system's user)")
	cmd.Flags().StringVar(&email, "email", "", "with --code: the first admin's email address, for signing in later")
	cmd.Flags().StringVar(&as, "save-as", "", "the context's name (default the server's host)")
	return cmd
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// device waits until the person has confirmed in a browser.
func (a *app) device(ctx context.Context, c *client.Client, server string) (client.Token, error) {
	p := client.DeviceParams{}
	host, _ := os.Hostname()
	p.Body.Name = clip("tenure on "+host, 100)
	d, err := client.StartDevice.Call(ctx, c, p)
	if err != nil {
		return client.Token{}, err
	}
	o := &page{w: a.err}
	at := d.VerificationURI
	if strings.HasPrefix(at, "/") {
		at = strings.TrimSuffix(server, "/") + at
	}
	o.line("Open %s and enter the code %s", at, d.UserCode)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(d.ExpiresIn, 1))*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Duration(max(d.Interval, 1)) * time.Second)
	defer tick.Stop()
	poll := client.DevicePoll{}
	poll.Body.DeviceCode = d.DeviceCode
	for {
		select {
		case <-ctx.Done():
			return client.Token{}, tenure.Errorf(tenure.Unauthorized, "nobody confirmed the code in time").WithHint("tenure login again")
		case <-tick.C:
		}
		token, err := client.PollDevice.Call(ctx, c, poll)
		if err == nil || !tenure.CanRetry(err) {
			return token, err
		}
	}
}

// keep saves a token in a context, and says who it is.
func (a *app) keep(ctx context.Context, server, as string, t client.Token) error {
	token := tenure.NewSecret(t.Token)
	c, err := client.New(server, client.WithToken(token), client.WithUserAgent("tenure"))
	if err != nil {
		return err
	}
	defer c.Close()
	me, err := client.ShowMe.Call(ctx, c, client.None{})
	if err != nil {
		return err
	}
	if u, err := url.Parse(server); err == nil && as == "" {
		as = orElse(a.context, u.Host)
	}
	if err := a.save(as, server, token); err != nil {
		return err
	}
	out := loggedIn{as, server, me.Name, t.ExpiresAt}
	return a.show(out, func(o *page) {
		o.line("Signed in to %s as %s.", out.Server, out.Name)
		o.fields("context", out.Context, "until", o.when(out.ExpiresAt))
	})
}

func (a *app) logout() *cobra.Command {
	return command("logout", "Revoke the token of a context, and forget it", "", cobra.NoArgs, func(cmd *cobra.Command, _ []string) error {
		t, err := a.target()
		if err != nil {
			return err
		}
		if t.Server == "" || t.Token.IsZero() {
			return tenure.Errorf(tenure.Unauthorized, "nobody is signed in")
		}
		c, err := client.New(t.Server, client.WithToken(t.Token), client.WithUserAgent("tenure"))
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := client.SignOut.Call(cmd.Context(), c, client.None{}); err != nil && tenure.CodeOf(err) != tenure.Unauthorized {
			return err
		}
		all, err := a.readContexts()
		if err != nil {
			return err
		}
		for name, p := range all.Contexts {
			if p.Token == t.Token.Reveal() {
				p.Token = ""
				all.Contexts[name] = p
			}
		}
		if err := a.writeContexts(all); err != nil {
			return err
		}
		return a.show(loggedIn{Server: t.Server}, func(o *page) { o.line("Signed out of %s.", t.Server) })
	})
}
