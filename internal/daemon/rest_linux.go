package daemon

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// forgetProgram gives back the pages of the program's own file that starting it
// touched: most of them are of parsers, documents and routes, which a server at
// rest doesn't run. What is needed again comes back from the page cache. A
// mapping that was written to keeps its pages.
func forgetProgram() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var at region
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if r, ok := regionOf(lines.Text(), self); ok {
			at = r
		}
		if words := strings.Fields(lines.Text()); len(words) == 3 && words[0] == "Anonymous:" && words[1] == "0" && at.from < at.to {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, at.from, at.to-at.from, syscall.MADV_DONTNEED)
		}
	}
}

// region is a part of this process's memory; an empty one is none.
type region struct{ from, to uintptr }

// regionOf reads the first line of a mapping in smaps (proc(5)). A mapping of
// another file, or one that can be written, is an empty region.
func regionOf(line, file string) (r region, ok bool) {
	var rights string
	if n, _ := fmt.Sscanf(line, "%x-%x %s", &r.from, &r.to, &rights); n < 3 {
		return region{}, false
	}
	if strings.Contains(rights, "w") || !strings.HasSuffix(line, " "+file) {
		return region{}, true
	}
	return r, true
}
