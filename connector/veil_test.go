package connector_test

import (
	"errors"
	"fmt"
	"io"
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
