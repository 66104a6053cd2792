package client

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Delivery is a notice on its way to one target of the settings.
type Delivery struct {
	ID        string             `json:"id" doc:"msg_…; the receiver gets it with the notice"`
	Notice    string             `json:"notice" doc:"the notice's id; one notice may go to several targets"`
	Kind      string             `json:"kind,omitempty" doc:"what it tells of, such as tenant.suspended"`
	Target    string             `json:"target"`
	Address   string             `json:"address,omitempty" doc:"of mail"`
	Tenant    tenure.TenantID    `json:"tenant,omitempty"`
	Operation tenure.OperationID `json:"operation,omitempty"`
	Recipient string             `json:"recipient,omitempty"`
	Text      string             `json:"text,omitempty" doc:"blank once its tenant was forgotten"`
	State     string             `json:"state" doc:"waiting, sending, sent, refused, expired, or unwanted: its reader's settings don't want it"`
	Attempts  int                `json:"attempts,omitempty"`
	NextAt    time.Time          `json:"nextAt,omitzero" doc:"when it is tried again, or until when quiet hours or a digest hold it back"`
	EndedAt   time.Time          `json:"endedAt,omitzero" doc:"when it was sent, refused or given up"`
	Error     string             `json:"error,omitempty" doc:"what the last try came to, or why it wasn't sent"`
	DueAt     time.Time          `json:"dueAt,omitzero" doc:"until when the receiver is to acknowledge it"`
	Answer    string             `json:"answer,omitempty" doc:"done, or missed if nothing was said in time"`
	CreatedAt time.Time          `json:"createdAt"`
}

// DeliveryFilter narrows a listing.
type DeliveryFilter struct {
	Paging
	Tenant string `query:"tenant" doc:"only those about this tenant, by id or name" maxLength:"64"`
	Target string `query:"target" doc:"only those to this target" maxLength:"64"`
	State  string `query:"state" doc:"only those in this state" enum:"waiting,sending,sent,refused,expired,unwanted"`
}

// DeliveryParams name a delivery.
type DeliveryParams struct {
	Delivery string `path:"delivery" doc:"a delivery's id, msg_…" maxLength:"64"`
}

// NotifyTarget is where notices go, and how it does.
type NotifyTarget struct {
	Name         string    `json:"name"`
	Kind         string    `json:"kind" doc:"webhook, cloudevents, slack, teams, mail or plain"`
	Notices      []string  `json:"notices,omitempty" doc:"kinds of notices that it gets; none: the usual ones"`
	To           []string  `json:"to,omitempty" doc:"recipients whose notices it gets; none: everybody's"`
	FailingSince time.Time `json:"failedAt,omitzero" doc:"since when each try has failed"`
	DisabledAt   time.Time `json:"disabledAt,omitzero" doc:"since when nothing is sent to it"`
	Reason       string    `json:"reason,omitempty" doc:"what the last try came to"`
}

// NotifyTargetParams name a target.
type NotifyTargetParams struct {
	Target string `path:"target" doc:"a target of the settings" maxLength:"64"`
}

// PreviewParams say which letter is shown.
type PreviewParams struct {
	Kind     string `query:"kind" doc:"a kind of notice, such as tenant.suspended" maxLength:"64"`
	Language string `query:"language" doc:"a language tag, such as de" maxLength:"35"`
	To       string `query:"to" doc:"a recipient, such as contact or platform; requester is who asks to leave, vendor a company that is told to erase" maxLength:"100"`
}

// Letter is a mail's words.
type Letter struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

var (
	// ListDeliveries lists notices on their way and those that have arrived, the latest first.
	ListDeliveries = Endpoint[DeliveryFilter, Page[Delivery]]{Name: "notice.list", Verb: "GET", Path: "/v1/deliveries", Summary: "List notices on their way and those that have arrived, the latest first"}
	// ReplayDelivery has a notice sent once more.
	ReplayDelivery = Endpoint[DeliveryParams, Delivery]{Name: "notice.replay", Verb: "POST", Path: "/v1/deliveries/{delivery}/replay", Summary: "Have a notice sent once more"}
	// AcknowledgeDelivery says that a system has done what a notice told it.
	AcknowledgeDelivery = Endpoint[DeliveryParams, Delivery]{Name: "notice.acknowledge", Verb: "POST", Path: "/v1/deliveries/{delivery}/acknowledge", Summary: "Say that a system has done what a notice told it"}
	// ListNotifyTargets lists where notices go.
	ListNotifyTargets = Endpoint[Paging, Page[NotifyTarget]]{Name: "notify.targets", Verb: "GET", Path: "/v1/notify-targets", Summary: "List where notices go, and how each target does"}
	// EnableNotifyTarget has a target used again that was given up.
	EnableNotifyTarget = Endpoint[NotifyTargetParams, NotifyTarget]{Name: "notify.enable", Verb: "POST", Path: "/v1/notify-targets/{target}/enable", Summary: "Have a target used again that was given up"}
	// TryNotifyTarget sends a notice that tells of nothing.
	TryNotifyTarget = Endpoint[NotifyTargetParams, Delivery]{Name: "notify.try", Verb: "POST", Path: "/v1/notify-targets/{target}/try", Summary: "Send a trial notice to a target, or to one's own address by mail"}
	// PreviewLetter shows a mail's words.
	PreviewLetter = Endpoint[PreviewParams, Letter]{Name: "notice.preview", Verb: "GET", Path: "/v1/letter-preview", Summary: "Show the words of a mail, with made-up values"}
)
