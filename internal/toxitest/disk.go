package toxitest

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"testing"
)

// SmallDisk is a folder on a file system of so many megabytes, which everybody may write
// to, of the first of the users that there is. That takes a mount, which not everybody who
// runs tests may do: the test is skipped.
func SmallDisk(t testing.TB, megabytes int, users ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tenure-disk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=1777,size="+strconv.Itoa(megabytes)+"m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	for _, name := range users {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			if err := os.Chown(dir, uid, gid); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	return dir
}
