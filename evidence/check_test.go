package evidence_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/evidence"
)

// TestIssueRefuses: no closing certificate says more than was seen.
func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	exception := func(what, by, attested string) evidence.Exception {
		return evidence.Exception{What: what, Reason: "the system is gone", By: by, Attested: attested, Step: deleting, Entry: digestOf(keyEntry())}
	}
	item := "resource:" + string(resource)
	for name, tt := range map[string]struct {
		change func(d *evidence.Departure)
		want   tenure.Code
	}{
		"complete": {func(*evidence.Departure) {}, ""},
		"resource claimed": {func(d *evidence.Departure) {
			d.Resources[0].Verdict = tenure.Claimed
		}, tenure.Blocked},
		"resource claimed, excepted": {func(d *evidence.Departure) {
			d.Resources[0].Verdict = tenure.Claimed
			d.Exceptions = []evidence.Exception{exception(item, "prn_1", "prn_2")}
		}, ""},
		"exception of one person": {func(d *evidence.Departure) {
			d.Resources[0].Verdict = tenure.Claimed
			d.Exceptions = []evidence.Exception{exception(item, "prn_1", "prn_1")}
		}, tenure.Blocked},
		"exception of nobody": {func(d *evidence.Departure) {
			d.Resources[0].Verdict = tenure.Claimed
			d.Exceptions = []evidence.Exception{exception(item, "prn_1", "")}
		}, tenure.Invalid},
		"exception for another": {func(d *evidence.Departure) {
			d.Resources[0].Verdict, d.Keys[0].Verdict = tenure.Unknown, tenure.Failed
			d.Exceptions = []evidence.Exception{exception(item, "prn_1", "prn_2")}
		}, tenure.Blocked},
		"exception for another step": {func(d *evidence.Departure) {
			d.Resources[0].Verdict = tenure.Unknown
			d.Exceptions = []evidence.Exception{exception(item, "prn_1", "prn_2")}
			d.Exceptions[0].Step = "prod/db/export"
		}, tenure.Blocked},
		"exception of no step": {func(d *evidence.Departure) {
			d.Resources[0].Verdict = tenure.Unknown
			d.Exceptions = []evidence.Exception{exception(item, "prn_1", "prn_2")}
			d.Exceptions[0].Step = ""
		}, tenure.Invalid},
		"exception for a resource doesn't cover its class": {func(d *evidence.Departure) {
			d.Resources[0].Verdict = tenure.Unknown
			d.Classes[0].Verdict, d.Classes[0].Stores[0].Verdict = tenure.Unknown, tenure.Unknown
			d.Exceptions = []evidence.Exception{exception(item, "prn_1", "prn_2")}
		}, tenure.Blocked},
		"verified by nothing":        {func(d *evidence.Departure) { d.Resources[0].Entry = "" }, tenure.Invalid},
		"class by nothing":           {func(d *evidence.Departure) { d.Classes[0].Stores[0].Entry = "" }, tenure.Invalid},
		"class of no store":          {func(d *evidence.Departure) { d.Classes[0].Stores = nil }, tenure.Invalid},
		"rows out of nowhere":        {func(d *evidence.Departure) { d.Classes[0].Rows = 400 }, tenure.Invalid},
		"the certificate's own date": {func(d *evidence.Departure) { d.Classes[0].At = noon.Add(time.Hour) }, tenure.Invalid},
		"better than its store": {func(d *evidence.Departure) {
			d.Classes[0].Stores[0].Verdict = tenure.Unknown
			d.Exceptions = []evidence.Exception{exception("class:invoices@"+string(resource), "prn_1", "prn_2")}
		}, tenure.Invalid},
		"supplementary": {func(d *evidence.Departure) {
			d.Kind, d.Interim, d.Closing = evidence.Supplementary, "", sum
		}, ""},
		"supplementary of nothing": {func(d *evidence.Departure) { d.Kind, d.Interim = evidence.Supplementary, "" }, tenure.Invalid},
		"exception for nothing": {func(d *evidence.Departure) {
			d.Exceptions = []evidence.Exception{exception(item, "prn_1", "prn_2")}
		}, tenure.Invalid},
		"class failed": {func(d *evidence.Departure) {
			d.Classes[0].Verdict, d.Classes[0].Stores[0].Verdict = tenure.Failed, tenure.Failed
		}, tenure.Blocked},
		"key claimed": {func(d *evidence.Departure) { d.Keys[0].Verdict = tenure.Claimed }, tenure.Blocked},
		"key with copies": {func(d *evidence.Departure) {
			d.Keys[0].Copies = []evidence.Backup{{Where: "tape"}}
		}, tenure.Blocked},
		"backup left":   {func(d *evidence.Departure) { d.Backups = []evidence.Backup{{Where: "tape"}} }, tenure.Blocked},
		"holds listed":  {func(d *evidence.Departure) { d.Holds = []evidence.Hold{{Since: noon, Released: noon}} }, tenure.Invalid},
		"no annex":      {func(d *evidence.Departure) { d.Annex = "" }, tenure.Invalid},
		"no interim":    {func(d *evidence.Departure) { d.Interim = "" }, tenure.Invalid},
		"bad interim":   {func(d *evidence.Departure) { d.Interim = "sha256:xyz" }, tenure.Invalid},
		"no kind":       {func(d *evidence.Departure) { d.Kind = "" }, tenure.Invalid},
		"no tenant":     {func(d *evidence.Departure) { d.Tenant.ID = "" }, tenure.Invalid},
		"name in clear": {func(d *evidence.Departure) { d.Tenant.Name = "Acme" }, tenure.Invalid},
		"no plan":       {func(d *evidence.Departure) { d.Plan = "" }, tenure.Invalid},
		"no time":       {func(d *evidence.Departure) { d.Issued = time.Time{} }, tenure.Invalid},
		"rows purged":   {func(d *evidence.Departure) { d.Classes[0].Method = evidence.Purge }, tenure.Invalid},
		"thing destroyed": {func(d *evidence.Departure) {
			d.Resources[0].Method = evidence.Destroy
		}, tenure.Invalid},
		"key deleted":                 {func(d *evidence.Departure) { d.Keys[0].Method = evidence.LogicallyDeleted }, tenure.Invalid},
		"cryptographic erase, no key": {func(d *evidence.Departure) { d.Classes[1].Key = "key_2" }, tenure.Invalid},
		"no verdict":                  {func(d *evidence.Departure) { d.Resources[0].Verdict = "" }, tenure.Invalid},
		"bad entry digest":            {func(d *evidence.Departure) { d.Entries = []string{"x"} }, tenure.Invalid},
		"interim with all that": {func(d *evidence.Departure) {
			d.Kind, d.Interim = evidence.Interim, ""
			d.Keys[0].Verdict, d.Keys[0].Copies = tenure.Claimed, []evidence.Backup{{Where: "tape", Expires: noon}}
			d.Backups = []evidence.Backup{{Where: "tape", Expires: noon}}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := departure()
			tt.change(&d)
			e, err := evidence.Issue(context.Background(), newSigner(t, origin), d)
			if tenure.CodeOf(err) != tt.want || (e == nil) != (err != nil) {
				t.Errorf("issued %v: %v, want %q", e, err, tt.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	d := departure()
	if got := d.Open(); len(got) != 0 {
		t.Errorf("open: %q", got)
	}
	d.Resources[0].Verdict, d.Classes[0].Stores[0].Verdict, d.Keys[0].Verdict = tenure.Claimed, tenure.Unknown, tenure.Failed
	d.Backups = []evidence.Backup{{Where: "tape 7"}}
	want := []string{"resource:" + string(resource), "class:invoices@" + string(resource), "key:key_1", "backup:tape 7"}
	if diff := cmp.Diff(want, d.Open()); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
}

// TestNameDigest: two tenants of one name can't be told to be that.
func TestNameDigest(t *testing.T) {
	t.Parallel()
	if evidence.NameDigest("ten_1", "Acme") == evidence.NameDigest("ten_2", "Acme") {
		t.Error("the digest doesn't depend on the tenant")
	}
	if evidence.NameDigest("ten_1", "Acme") != tenure.Digest([]byte("ten_1\nAcme")) {
		t.Error("the digest isn't what its description says")
	}
}
