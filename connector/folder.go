package connector

import (
	"os"
	"os/user"

	"github.com/tenurehq/tenure"
)

// ProcessRole says as whom Tenure works in what is on this machine.
func ProcessRole() string {
	if u, err := user.Current(); err == nil {
		return "this machine's user " + u.Username
	}
	return "this machine's user"
}

// ProcessRights are the rights that this process has on its machine beyond need: those of
// the machine's administrator.
func ProcessRights() []Right {
	if os.Geteuid() != 0 {
		return nil
	}
	return []Right{{Name: "run as root", State: RightBeyond, For: "reads and writes every file of the machine, whatever its mode says", Fix: "run Tenure as a user of its own, and give that user the folders"}}
}

// FolderRights are the rights to a folder that Tenure makes things in, and what others may do
// there who needn't. One that isn't there yet lacks nothing that it needn't.
func FolderRights(path, why string) ([]Right, error) {
	at, err := os.Stat(path)
	if os.IsNotExist(err) {
		return []Right{{Name: "folder " + path, State: RightOptional, For: why + "; it is made when the system is added", Fix: "make it, or add the system"}}, nil
	}
	if err != nil {
		return nil, tenure.Errorf(tenure.Unavailable, "look at %s: %w", path, err).Retryable()
	}
	r := Right{Name: "read and write " + path, State: RightHeld, For: why}
	if can, told := mayWrite(path); told && !can {
		r.State, r.Fix = RightMissing, "give the user that Tenure runs as the folder: chown, or chmod u+rwx"
	}
	out := []Right{r}
	if mode := at.Mode().Perm(); at.IsDir() && mode&0o022 != 0 {
		out = append(out, Right{Name: "others may write in " + path, State: RightBeyond, For: "put their own things in the place of tenants', or take them away", Fix: "chmod go-w " + path})
	}
	return out, nil
}
