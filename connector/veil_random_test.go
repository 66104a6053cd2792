package connector_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// disguised is a text that holds a secret: what stands for it, and what is around that.
type disguised struct{ left, core, right string }

// each has some characters written in another way, and always that which begins such.
func each(t *rapid.T, d disguised, mark rune, write func(r rune) string) disguised {
	part := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if r == mark || rapid.IntRange(0, 2).Draw(t, "escaped") > 0 {
				b.WriteString(write(r))
				continue
			}
			b.WriteRune(r)
		}
		return b.String()
	}
	return disguised{d.left, part(d.core), d.right}
}

// cases writes hexadecimal digits in a letter case of their own.
func cases(t *rapid.T, s string) string {
	if rapid.Bool().Draw(t, "upper") {
		return strings.ToUpper(s)
	}
	return s
}

// digits encodes all of a text; the core is the digits that are the secret's alone.
func digits(d disguised, encode func([]byte) string, bits int) disguised {
	out := encode([]byte(d.left + d.core + d.right))
	from, to := (8*len(d.left)+bits-1)/bits, 8*(len(d.left)+len(d.core))/bits
	return disguised{out[:from], out[from:to], out[to:]}
}

// guises are ways in which a system may write what it was sent.
var guises = map[string]func(*rapid.T, disguised) disguised{
	"percent": func(t *rapid.T, d disguised) disguised {
		return each(t, d, '%', func(r rune) string {
			out := ""
			for _, c := range []byte(string(r)) {
				out += "%" + cases(t, fmt.Sprintf("%02x", c))
			}
			return out
		})
	},
	"json": func(t *rapid.T, d disguised) disguised {
		return each(t, d, '\\', func(r rune) string { return `\u` + cases(t, fmt.Sprintf("%04x", r)) })
	},
	"backslash": func(t *rapid.T, d disguised) disguised {
		return each(t, d, '\\', func(r rune) string {
			if strings.ContainsRune("abefnrtuvxABEFNRTUVX01234567 \r\n", r) {
				return string(r)
			}
			return `\` + string(r)
		})
	},
	"x": func(t *rapid.T, d disguised) disguised {
		return each(t, d, '\\', func(r rune) string {
			if r > 0x7f {
				return string(r)
			}
			return `\x` + cases(t, fmt.Sprintf("%02x", r))
		})
	},
	"decimal entity": func(t *rapid.T, d disguised) disguised {
		return each(t, d, '&', func(r rune) string { return fmt.Sprintf("&#%02d;", r) })
	},
	"entity": func(t *rapid.T, d disguised) disguised {
		return each(t, d, '&', func(r rune) string { return "&#x" + cases(t, fmt.Sprintf("%02x", r)) + ";" })
	},
	"hex": func(t *rapid.T, d disguised) disguised {
		upper := rapid.Bool().Draw(t, "HEX")
		return digits(d, func(b []byte) string {
			if upper {
				return strings.ToUpper(hex.EncodeToString(b))
			}
			return hex.EncodeToString(b)
		}, 4)
	},
	"base64":         func(_ *rapid.T, d disguised) disguised { return digits(d, base64.StdEncoding.EncodeToString, 6) },
	"base64 of URLs": func(_ *rapid.T, d disguised) disguised { return digits(d, base64.RawURLEncoding.EncodeToString, 6) },
	"lines": func(t *rapid.T, d disguised) disguised {
		width := rapid.IntRange(20, 76).Draw(t, "width")
		var b strings.Builder
		for i, r := range d.core {
			if i > 0 && i%width == 0 {
				b.WriteString(rapid.SampledFrom([]string{"\n", "\r\n", "\n "}).Draw(t, "end"))
			}
			b.WriteRune(r)
		}
		return disguised{d.left, b.String(), d.right}
	},
}

// last are ways that leave nothing to encode: what is written so can't be read back by a
// machine that encodes it again.
var last = map[string]func(*rapid.T, disguised) disguised{
	"upper": func(_ *rapid.T, d disguised) disguised {
		return disguised{d.left, strings.ToUpper(d.core), d.right}
	},
	"lower": func(_ *rapid.T, d disguised) disguised {
		return disguised{d.left, strings.ToLower(d.core), d.right}
	},
	"blanks": func(t *rapid.T, d disguised) disguised {
		return each(t, d, 0, func(r rune) string {
			return string(r) + rapid.SampledFrom([]string{" ", "\n", "\t", "\u00a0"}).Draw(t, "blank")
		})
	},
}

// randomText is as many characters, or more, each as likely as every other.
func randomText(t *rapid.T, alphabet []rune, least int) string {
	out := make([]rune, rapid.IntRange(least, 40).Draw(t, "length"))
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	for i := range out {
		out[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(out)
}

// randomSecret is one as machines make them.
func randomSecret(t *rapid.T, least int) string {
	alphabet := []rune(rapid.SampledFrom([]string{
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
		`abcdefghijkmnpqrstuvwxyz23456789!"$%&/()=?+#-_.:,;<>\é`,
	}).Draw(t, "alphabet"))
	return randomText(t, alphabet, least)
}

// left says how much of a disguised secret a text still holds: a part of what stood for it
// that is more than 8 of the secret's characters.
func leftOf(out, core, secret string) string {
	width := (9*len(core) + len(secret) - 1) / len(secret)
	for i := 0; i+width <= len(core); i++ {
		if strings.Contains(out, core[i:i+width]) {
			return core[i : i+width]
		}
	}
	return ""
}

func drawn(t *rapid.T, from map[string]func(*rapid.T, disguised) disguised) (string, func(*rapid.T, disguised) disguised) {
	names := make([]string, 0, len(from))
	for name := range from {
		names = append(names, name)
	}
	slices.Sort(names)
	name := rapid.SampledFrom(names).Draw(t, "guise")
	return name, from[name]
}

// Whatever ways of writing come one after the other, no more than crumbs of a secret are left.
func TestVeilDisguises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		secret := randomSecret(rt, 16)
		word := rapid.StringMatching(`(said )?[a-z]{0,7}[ =:]`)
		d := disguised{word.Draw(rt, "left"), secret, " " + word.Draw(rt, "right")}
		var ways []string
		coded := 0 // digits of digits of digits aren't looked at
		for range rapid.IntRange(0, 3).Draw(rt, "ways") {
			name, write := drawn(rt, guises)
			if strings.HasPrefix(name, "base64") || name == "hex" {
				if coded++; coded > 2 {
					continue
				}
			}
			ways, d = append(ways, name), write(rt, d)
		}
		if len(ways) < 2 && rapid.Bool().Draw(rt, "last") {
			name, write := drawn(rt, last)
			ways, d = append(ways, name), write(rt, d)
		}
		v := connector.NewVeil(tenure.NewSecret(secret))
		out := v.Text(d.left + d.core + d.right)
		if !strings.Contains(out, "[secret]") {
			rt.Fatalf("%q as %q: %q isn't found", secret, ways, d.core)
		}
		if rest := leftOf(out, d.core, secret); rest != "" {
			rt.Fatalf("%q as %q: %q is left of %q in %q", secret, ways, rest, d.core, out)
		}
	})
}

// A secret that was cut shows neither at its beginning nor at its end, nor between.
func TestVeilParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		// No part of it reads like a word.
		secret := randomText(rt, []rune(rapid.SampledFrom([]string{"GHJKLMNPQRVWXZghjklmnpqrvwxz23456789", "0123456789abcdef"}).Draw(rt, "alphabet")), 16)
		from := rapid.IntRange(0, len(secret)-12).Draw(rt, "from")
		to := rapid.IntRange(from+12, len(secret)).Draw(rt, "to")
		switch rapid.IntRange(0, 2).Draw(rt, "which") {
		case 0:
			from, to = 0, max(to, len(secret)/2)
		case 1:
			from, to = min(from, len(secret)/2), len(secret)
		}
		part := disguised{"the key ", secret[from:to], "…"}
		name, write := drawn(rt, guises)
		if name != "hex" && !strings.HasPrefix(name, "base64") {
			part = write(rt, part)
		}
		v := connector.NewVeil(tenure.NewSecret(secret))
		if out := v.Text(part.left + part.core + part.right); strings.Contains(out, part.core) {
			rt.Fatalf("%q of %q as %s is left: %q", secret[from:to], secret, name, out)
		}
	})
}

// words are what texts of systems are made of.
var words = strings.Fields(`the order of a tenant wasn't found: {"error":"invalid_request","error_description":"The field name is required","status":400}
permission denied for table customers at 2026-03-02T09:00:00Z id 018f3c5e-7a1b-7c3d-9e4f-5a6b7c8d9e0f https://api.example.com/v1/tenants/acme?page=2&size=100%20rows
C:\data\new\x &amp; &lt;b&gt; \u00e9t\u00e9 \n \"quoted\" 100% sure authentication Authorization administrator SELECT FROM WHERE password secret token client
c29tZSBvdGhlciB0ZXh0IHRoYXQgaXMgZW5jb2RlZA== deadbeefdeadbeefcafe 0000000000000000 127.0.0.1:5432 sha256:9f86d081884c7d659a2feaa0c55ad015 naïve Größe 東京`)

// Text that holds no secret passes as it is, also where the secret is made of words.
func TestVeilKeepsInnocentText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		secrets := []tenure.Secret{tenure.NewSecret(randomSecret(rt, 12)), tenure.NewSecret(rapid.SampledFrom([]string{
			"abcde", "fieldis", "thefields", "Orders", "wasntfound", "correct-horse-battery-staple", "postgres://app:Xq7vK2mZp9@127.0.0.1:5432/tenants", "host=127.0.0.1 port=5432 dbname=customers",
		}).Draw(rt, "words"))}
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 60).Draw(rt, "text"), rapid.SampledFrom([]string{" ", "\n", ", "}).Draw(rt, "between"))
		if out := connector.NewVeil(secrets...).Text(text); out != text {
			rt.Fatalf("%q became %q", text, out)
		}
	})
}
