package tenure

import (
	"errors"
	"fmt"
	"testing"
)

// An error says what its format says, wherever the cause stands in the sentence.
func TestErrorfSaysItsSentence(t *testing.T) {
	t.Parallel()
	cause := Errorf(Blocked, "isn't JSON").WithHint("mend it").Retryable()
	for _, format := range []string{"line 1: %w", "line 1 %w", "line 1, which %w, is the last", "%w", ": %w", "%w: line 1"} {
		err := Errorf(Invalid, format, cause)
		if want := fmt.Errorf(format, cause).Error(); err.Error() != want {
			t.Errorf("%q says %q, want %q", format, err, want)
		}
		if CodeOf(err) != Invalid || !errors.Is(err, cause) || len(HintsOf(err)) != 1 || !err.Retry {
			t.Errorf("%q: %s, hints %v, retry %v", format, CodeOf(err), HintsOf(err), err.Retry)
		}
	}
}
