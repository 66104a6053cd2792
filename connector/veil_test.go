package connector_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/connector"
)

// TestVeil: what a driver says of its secrets is hidden, and all that a caller
// decides by is kept.
func TestVeil(t *testing.T) {
	t.Parallel()
	v := connector.NewVeil(tenure.NewSecret("key-1234567"), tenure.NewSecret("postgres://app:p%20ss%2Fword@db.example/x"), tenure.NewSecret("abc"), tenure.Secret{})
	told := tenure.Errorf(tenure.Conflict, "refused key-1234567: %w", io.EOF).WithHint("not with p ss/word").WithHint("nor with p+ss%%2Fword").Retryable()
	got := v.Err(told)
	if tenure.CodeOf(got) != tenure.Conflict || !tenure.CanRetry(got) || len(tenure.HintsOf(got)) != 2 || !strings.Contains(got.Error(), "refused [secret]") {
		t.Errorf("%v, %q", got, tenure.HintsOf(got))
	}
	for _, word := range []string{"key-1234567", "p ss/word", "p+ss%2Fword"} {
		if strings.Contains(fmt.Sprintf("%+v %#v %v", got, got, tenure.HintsOf(got)), word) {
			t.Errorf("%q is told: %#v", word, got)
		}
	}
	var coded *tenure.Error
	if errors.As(got, &coded) && coded.Err != nil {
		t.Errorf("the cause is still there: %v", coded.Err)
	}
	if clean := tenure.Errorf(tenure.Blocked, "an abc: %w", io.EOF); v.Err(clean) != error(clean) || v.Err(nil) != nil {
		t.Error("an error that tells nothing is changed")
	}
	r := v.Receipt(connector.Receipt{Changed: true, Facts: map[string]string{"address": "https://x:key-1234567@y", "name": "main"}})
	if r.Facts["address"] != "https://x:[secret]@y" || r.Facts["name"] != "main" || !r.Changed {
		t.Errorf("the receipt is %+v", r)
	}
	if (connector.Veil{}).Text("key-1234567") != "key-1234567" {
		t.Error("the zero veil hides something")
	}
}

// A secret that is repeated in another form, or as a part of something encoded, is hidden too.
func TestVeilForms(t *testing.T) {
	t.Parallel()
	const secret = `pass"w<o>rd&é/+1`
	v := connector.NewVeil(tenure.NewSecret(secret))
	quoted, _ := json.Marshal(secret)
	forms := map[string]string{"JSON": string(quoted), "Go": strconv.QuoteToASCII(secret), "hex": hex.EncodeToString([]byte(secret)), "HEX": fmt.Sprintf("%X", secret), "path": url.PathEscape(secret), "html": html.EscapeString(secret)}
	for before := range 7 {
		text := []byte(strings.Repeat("u", before) + secret + "after")
		forms[fmt.Sprint("base64 ", before)] = base64.StdEncoding.EncodeToString(text)
		forms[fmt.Sprint("base64 of URLs ", before)] = base64.RawURLEncoding.EncodeToString(text)
	}
	for name, form := range forms {
		if got := v.Text("<" + form + ">"); !strings.Contains(got, "[secret]") || len(got) > len("<[secret]>")+20 {
			t.Errorf("%s: %q stays %q", name, form, got)
		}
	}
	if got := v.Text("the words around stay"); got != "the words around stay" {
		t.Errorf("%q", got)
	}
}
