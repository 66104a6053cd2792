package tenure

import (
	"regexp"
	"sync"
)

// secretForms are the forms of well-known secrets, as their makers publish them so that
// scanners find them.
var secretForms = sync.OnceValue(func() []secretForm {
	forms := []secretForm{
		{kind: "a private key (PEM)", text: `-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----`},
		{kind: "a key of age", text: `\bAGE-SECRET-KEY-1[0-9A-Z]{20,}`},
		{kind: "an access key of AWS", text: `\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`},
		{kind: "a token of GitHub", text: `\b(?:gh[pousr]_[0-9A-Za-z]{30,}|github_pat_[0-9A-Za-z_]{40,})`},
		{kind: "a token of GitLab", text: `\bglpat-[0-9A-Za-z_-]{20,}`},
		{kind: "a key of Stripe", text: `\b(?:[sr]k_(?:live|test)|whsec)_[0-9A-Za-z]{16,}`},
		{kind: "a token of Slack", text: `\bxox[abeoprs]-[0-9A-Za-z-]{10,}`},
		{kind: "a key of Google's", text: `\b(?:AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,})`},
		{kind: "a key of SendGrid", text: `\bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}`},
		{kind: "a token of npm", text: `\bnpm_[0-9A-Za-z]{30,}`},
		{kind: "a token of DigitalOcean", text: `\bdop_v1_[0-9a-f]{40,}`},
		{kind: "a token of OpenBao or Vault", text: `\bhv[sb]\.[0-9A-Za-z_-]{20,}`},
		{kind: "an address with a password", text: `://[^/@\s:${}"']+:[^/@\s${}"']+@`},
		{kind: "a signed token (JWT)", text: `\beyJ[0-9A-Za-z_-]{5,}\.eyJ[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]*`},
	}
	for i := range forms {
		forms[i].form = regexp.MustCompile(forms[i].text)
	}
	return forms
})

type secretForm struct {
	kind, text string
	form       *regexp.Regexp
}

// KnownSecret says which kind of secret a text holds, and where, in bytes; "" if it holds
// none of a form that is known. Of a private key it is the line with which it begins.
func KnownSecret(text string) (kind string, from, to int) {
	for _, f := range secretForms() {
		if at := f.form.FindStringIndex(text); at != nil {
			return f.kind, at[0], at[1]
		}
	}
	return "", 0, 0
}
