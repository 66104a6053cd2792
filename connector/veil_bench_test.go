package connector_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// BenchmarkVeil looks at answers of a megabyte without a secret, and beside that has one
// strings.Replacer seek a few fixed forms of the same secrets, which is its baseline: x/base
// is how many times as long the veil takes.
func BenchmarkVeil(b *testing.B) {
	const line = `{"id":"018f3c5e-7a1b-7c3d-9e4f-%012x","name":"Order 1044 of the tenant","status":"open","total":1299,"note":"left at the door"},`
	var text, mixed strings.Builder
	for i := range 1 << 20 / len(line) {
		one := fmt.Sprintf(line, i*i*i)
		text.WriteString(one)
		if i%3 == 0 {
			mixed.WriteString(`"<a href=\"` + url.QueryEscape(one) + `\">\n` + html.EscapeString(one))
		}
	}
	noise := make([]byte, 3<<18)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	answers := map[string]string{
		"plain":   text.String(),
		"JSON":    strconv.Quote(text.String()),
		"mixed":   mixed.String(),
		"base64":  base64.StdEncoding.EncodeToString(noise),
		"letters": strings.Repeat("a", 1<<20),
	}
	secrets := []string{"Xq7vK2mZp9Lw4Rt8", "postgres://app:Nc5tQ8rW2y@db.example/tenants", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"}
	var veiled []tenure.Secret
	var pairs []string
	for _, s := range secrets {
		veiled = append(veiled, tenure.NewSecret(s))
		for _, form := range []string{s, url.QueryEscape(s), html.EscapeString(s), fmt.Sprintf("%x", s), fmt.Sprintf("%X", s), base64.RawStdEncoding.EncodeToString([]byte(s))} {
			pairs = append(pairs, form, "[secret]")
		}
	}
	v, base := connector.NewVeil(veiled...), strings.NewReplacer(pairs...)
	for name, answer := range answers {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(answer)))
			for b.Loop() {
				if v.Text(answer) != answer {
					b.Fatal("an answer without a secret is changed")
				}
			}
			took := b.Elapsed().Nanoseconds() / int64(b.N)
			began := time.Now()
			const rounds = 10
			for range rounds {
				_ = base.Replace(answer)
			}
			plain := time.Since(began).Nanoseconds() / rounds
			b.ReportMetric(float64(took)/float64(plain), "x/base")
		})
	}
}
