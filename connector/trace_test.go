package connector

import "testing"

// A report is no backup, and a backup isn't missed for an odd ending.
func TestCopyName(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"acme.dump": true, "acme-2031-02-03.tar.gz": true, "acme_20310203.zip": true, "db/acme.sql.gz": true, "acme.bak": true, "backups/acme/base": true,
		"acme/backup.tar": true, "acme-backup": true, "Daily-Backups/acme.json": true, "acme-snapshot-2031-02-03": true, "acme.sql.gz.gpg": true, "ac\nme.dump": true,
		"": false, "backups/": false, "acme/report.pdf": false, "acme/orders.tar.gz": false, "invoice-2031-02-03.pdf": false, "migrations/0001.sql": false,
		"tobacco.json": false, "dump-truck.jpg": false, "20310203103000_create.sql": false, "bakery/list.csv": false,
	} {
		if got := CopyName(path); got != want {
			t.Errorf("%q: a copy is %t", path, got)
		}
	}
	for name, want := range map[string]bool{"tenants": true, "Customers": true, "companies": true, "orgs": true, "acme": false, "tenant": false, "s": false, "series": false} {
		if got := TenantsPlace(name); got != want {
			t.Errorf("%q: for tenants is %t", name, got)
		}
	}
}
