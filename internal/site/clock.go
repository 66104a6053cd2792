package site

import (
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/client"
)

// confirmTime takes it from who looks that the time that they were shown is right.
func (v *visit) confirmTime() error {
	p := client.ConfirmTimeParams{}
	var err error
	if p.Body.At, err = time.Parse(time.RFC3339, v.PostFormValue("now")); err != nil {
		return tenure.Errorf(tenure.Invalid, "the form says no time")
	}
	_, err = ask(v, client.ConfirmTime, p)
	return v.tried("/approvals", "You have confirmed the time; what waited for it goes on.", err)
}
