package connector

import (
	"regexp"
	"strings"
)

// CopyName says that a file, by its path with "/", is a backup, a dump or a snapshot of
// other data: what it ends with, the word in its name or in a folder's, or an archive with
// a date.
func CopyName(path string) bool {
	folder, name := "", strings.ToLower(path)
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		folder, name = name[:i], name[i+1:]
	}
	packed, dated := packedEnd.MatchString(name), dateWithin.MatchString(name)
	switch {
	case name == "":
		return false
	case dumpEnd.MatchString(name), CopyPlace(folder):
		return true
	case copyWord.MatchString(name):
		return packed || dated || !strings.Contains(name, ".")
	}
	return packed && dated
}

// CopyPlace says that a folder, a prefix or a bucket by its path is one for copies of other
// data, such as backups/daily.
func CopyPlace(path string) bool { return copyWord.MatchString(strings.ToLower(path)) }

var (
	copyWord   = regexp.MustCompile(`(^|[^a-z])(backups?|baks?|dumps?|snapshots?|pgdump|mysqldump)([^a-z]|$)`)
	dumpEnd    = regexp.MustCompile(`\.(dump|bak|backup|pgdump|mysqldump|sql\.(gz|bz2|xz|zst|zip|age|gpg|enc)|bacpac|mbz|rdb)(\.(gz|xz|zst|age|gpg|enc))?$`)
	packedEnd  = regexp.MustCompile(`\.(tar|tgz|tbz2|txz|zip|7z|gz|bz2|xz|zst|sql|ldif|age|gpg|enc)$`)
	dateWithin = regexp.MustCompile(`(^|[^0-9])(19|20)[0-9]{2}[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12][0-9]|3[01])([^0-9]|$)`)
)

// TenantsPlace says that a folder or a prefix by its name is one that tenants' own stand
// in, such as tenants, customers or companies.
func TenantsPlace(name string) bool {
	name = strings.ToLower(name)
	if one, ok := strings.CutSuffix(name, "ies"); ok {
		return TenantColumn(one + "y")
	}
	one, ok := strings.CutSuffix(name, "s")
	return ok && TenantColumn(one)
}
