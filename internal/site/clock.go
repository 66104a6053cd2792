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

// confirmStore takes the word of who looks that the store is the right one.
func (v *visit) confirmStore() error {
	p := client.ConfirmStoreParams{}
	p.Body.Reason = v.PostFormValue("reason")
	out, err := ask(v, client.ConfirmStore, p)
	says := "You have confirmed the store; what destroys waits for another person's word too."
	if len(out.Doubts) == 0 {
		says = "You have confirmed the store; what waited for it goes on."
	}
	return v.tried("/approvals", says, err)
}
