package dashboard

import (
	"io"
	"time"
)

// VendorView is for a company that is told to erase what it holds: somebody without an account, who may
// know nothing of Tenure.
type VendorView struct {
	Company  string
	Customer string // whose data it is
	Platform string // who asks
	Holds    string
	Due      time.Time
	Overdue  bool
	Done     string // what was answered, in a sentence; "" while nothing was
	Error    string // what is wrong with what was sent
	Fields   []Field
	Post     string
}

// Vendor renders the page; only the frame's installation and time are used.
func (p *Pages) Vendor(w io.Writer, frame Frame, v VendorView) error {
	return p.render(w, "vendor", plain, frame, v)
}

// VendorRow is what a company says of the data that it held: its own word, which nobody has seen.
type VendorRow struct {
	Company, Holds, Says, Verdict string
	By, Evidence                  string
	At                            time.Time
}
