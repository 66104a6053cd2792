package daemon

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestForgetProgram: what is in memory of the program's own file is given back, and
// the program runs on. It isn't parallel, since other tests run the program meanwhile.
func TestForgetProgram(t *testing.T) {
	before := residentFile(t)
	forgetProgram()
	if after := residentFile(t); after > before*3/4 {
		t.Errorf("files hold %d KiB of this process's memory, %d before", after, before)
	}
}

// TestRegionOf: only what is mapped of the program, and can't be written, is its own.
func TestRegionOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		want region
		ok   bool
	}{
		{"00400000-0201f000 r-xp 00000000 fe:00 10010692    /bin/tenure", region{0x400000, 0x201f000}, true},
		{"0201f000-03acc000 r--p 01c1f000 fe:00 10010692    /bin/tenure", region{0x201f000, 0x3acc000}, true},
		{"03acc000-03c1d000 rw-p 036cc000 fe:00 10010692    /bin/tenure", region{}, true},
		{"03acc000-03c1d000 r--p 036cc000 fe:00 10010692    /lib/libc.so.6", region{}, true},
		{"7fba0ee40000-7fba0ef40000 rw-p 00000000 00:00 0 ", region{}, true},
		{"Rss:                3968 kB", region{}, false},
		{"Anonymous:             0 kB", region{}, false},
		{"VmFlags: rd ex mr mw me", region{}, false},
	} {
		if got, ok := regionOf(c.line, "/bin/tenure"); got != c.want || ok != c.ok {
			t.Errorf("%s: %v, %v; want %v, %v", c.line, got, ok, c.want, c.ok)
		}
	}
}

// residentFile is how much of this process's memory is pages of files, in KiB.
func residentFile(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "RssFile:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
