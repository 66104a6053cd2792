package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/store"
	"github.com/tenurehq/tenure/internal/words"
)

const (
	// LeavePath is where the page is on which customers ask to leave. Links to it have more behind a slash.
	LeavePath = "/leave"
	// LeaveSource is the source of the events that confirmed requests become. No other source may have the name.
	LeaveSource = "customer"
	// LeaveEvent is their type. Their subject is the tenant's id.
	LeaveEvent = "customer.leaves"

	// What the page takes in an hour; more is answered alike, and isn't kept.
	leavesOfAddress = 3
	leavesOfName    = 10
	leavesInAll     = 300
	// leavesOfOthers is how many requests of a tenant in an hour lead to mail, beside its contact's.
	leavesOfOthers = 5

	// leaveShown is how long a link shows what was answered by it.
	leaveShown = 30 * 24 * time.Hour
)

// LeaveAsk is what somebody types into the page.
type LeaveAsk struct {
	Tenant  string // its name, its organization or its id
	Address string // the mail address of who asks
	Reason  string // may be blank
}

// plainAddress is a mail address as people have them: RFC 5321 §4.1.2, without quotes and in ASCII before the @.
var plainAddress = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$")

// leaveAddress is a mail address in the spelling that requests are compared by; Invalid if it is none.
func leaveAddress(text string) (string, error) {
	text = strings.TrimSpace(text)
	at := strings.LastIndexByte(text, '@')
	domain := tenure.MailDomain(text)
	if at < 1 || at > 64 || len(text) > 254 || domain == "" || !strings.Contains(domain, ".") || !plainAddress.MatchString(text[:at]) {
		return "", tenure.Errorf(tenure.Invalid, "that isn't a mail address").WithHint("write it as name@example.com")
	}
	return strings.ToLower(text[:at]) + "@" + domain, nil
}

// leaveContact is the mail address of a tenant's contact, as leaveAddress writes it; "" if it has none.
func leaveContact(t store.TenantRow) string {
	a, err := mail.ParseAddress(t.Contact)
	if err != nil {
		return ""
	}
	address, err := leaveAddress(a.Address)
	if err != nil {
		return ""
	}
	return address
}

// mayLeave says whether an address belongs to a tenant: it is the contact's, or in a mail domain that
// was entered as the tenant's, isn't one of a provider at which anybody can have an address, and is
// the contact's too where there is a contact.
func mayLeave(t store.TenantRow, address string) bool {
	contact, domain := leaveContact(t), tenure.MailDomain(address)
	if address == contact {
		return true
	}
	if tenure.PublicMail(domain) || contact != "" && tenure.MailDomain(contact) != domain {
		return false
	}
	for _, own := range t.KnownBy.Domains {
		if tenure.Domain(own) == domain {
			return true
		}
	}
	return false
}

// joined reads what people may type in several lines, and puts it on one, as it stands in mail among
// Tenure's own words.
func joined(what, text string) (string, error) {
	text, err := tenure.Lines(what, text, tenure.MaxReason)
	return strings.Join(strings.Fields(text), " "), err
}

// AskLeave takes what somebody typed into the page. It looks at no tenant, and so takes as long and
// answers the same whether there is one: TickLeaves looks. Invalid is what can't be an address or a
// name. More than an address, a name or all together may send in an hour isn't kept.
func (s *Service) AskLeave(ctx context.Context, a LeaveAsk) error {
	address, err := leaveAddress(a.Address)
	if err != nil {
		return err
	}
	name, err := tenure.NeedLine("the name of the service, or of your organization,", a.Tenant, tenure.MaxTitle)
	if err != nil {
		return err
	}
	reason, err := joined("the reason", a.Reason)
	if err != nil {
		return err
	}
	now := s.Now()
	row := store.LeaveAsk{
		ID: tenure.NewID[tenure.LeaveID](now), At: now, Address: address, Named: name, Reason: reason,
		ByAddress: s.KeyedDigest("leave address", address), ByName: s.KeyedDigest("leave name", strings.ToLower(name)),
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		ofAddress, ofName, all, err := tx.LeaveAsksSince(now.Add(-time.Hour), row.ByAddress, row.ByName)
		if err != nil || ofAddress >= leavesOfAddress || ofName >= leavesOfName || all >= leavesInAll {
			return err
		}
		return tx.AddLeaveAsk(row)
	})
}

// leaveSecret signs the link of who asked, or of the contact who is asked about it: it is good for
// this address and this question alone.
func (s *Service) leaveSecret(l tenure.LeaveRequest, as tenure.LeaveParty) tenure.Secret {
	address, at := l.Requester, l.AskedAt
	if as == tenure.LeaveContact {
		address, at = l.Contact, l.LinkedAt
	}
	return s.signLink(string(l.ID), "leave", string(as), string(l.ID), string(l.Tenant), address, strconv.FormatInt(at.UnixMicro(), 10))
}

// LeaveLink is a request to leave as who has a link to it sees it.
type LeaveLink struct {
	tenure.LeaveRequest
	As           tenure.LeaveParty // LeaveRequester or LeaveContact
	Name         string            // of the tenant
	Organization string
	Leaves       bool // the tenant leaves already
}

// OpenLeaveLink gives the request that a link is about; it changes nothing. One that isn't known, was
// withdrawn or has expired is NotFound, and which of these isn't said. What was answered by it is
// shown for 30 days more.
func (s *Service) OpenLeaveLink(ctx context.Context, secret tenure.Secret) (LeaveLink, error) {
	id, err := tenure.ParseID[tenure.LeaveID](linkID(secret))
	if err != nil {
		return LeaveLink{}, errNoLink()
	}
	l, t, err := s.o.DB.VouchedLeave(ctx, id)
	switch code := tenure.CodeOf(err); {
	case code == tenure.NotFound, code == tenure.Blocked: // somebody has written past Tenure into the store: audits tell
		return LeaveLink{}, errNoLink()
	case err != nil:
		return LeaveLink{}, err
	}
	out := LeaveLink{LeaveRequest: l, Name: t.Name, Organization: t.Organization}
	now, good := s.Now(), false
	switch {
	case sameLink(s.leaveSecret(l, tenure.LeaveRequester), secret):
		out.As = tenure.LeaveRequester
		good = l.State.Open() && now.Before(l.ExpiresAt) && mayLeave(t, l.Requester)
	case !l.LinkedAt.IsZero() && sameLink(s.leaveSecret(l, tenure.LeaveContact), secret):
		out.As = tenure.LeaveContact
		good = l.State == tenure.LeaveWaiting && now.Before(l.ExpiresAt) && leaveContact(t) == l.Contact
	default:
		return LeaveLink{}, errNoLink()
	}
	answered := l.State == tenure.LeaveConfirmed || l.DecidedAs == out.As && l.State != tenure.LeaveWithdrawn
	if !good && !(answered && now.Before(l.DecidedAt.Add(leaveShown))) {
		return LeaveLink{}, errNoLink()
	}
	out.Leaves, err = s.leaves(ctx, t)
	return out, err
}

// LeaveAnswer is what is chosen on the page of a link.
type LeaveAnswer string

const (
	LeaveConfirm  LeaveAnswer = "confirm"  // by who asked, and by the contact
	LeaveRefuse   LeaveAnswer = "refuse"   // by the contact, with a reason
	LeaveWithdraw LeaveAnswer = "withdraw" // by who asked, as long as the contact's word is awaited
)

// AnswerLeave takes the answer of who has a link, once: Conflict if it was given, or the tenant
// leaves already.
func (s *Service) AnswerLeave(ctx context.Context, secret tenure.Secret, a LeaveAnswer, reason string) error {
	link, err := s.OpenLeaveLink(ctx, secret)
	if err != nil {
		return err
	}
	l, t, err := s.o.DB.VouchedLeave(ctx, link.ID)
	switch {
	case err != nil:
		return err
	case link.Leaves && a != LeaveWithdraw:
		return tenure.Errorf(tenure.Conflict, "%s leaves already", t.Name)
	}
	switch requester := link.As == tenure.LeaveRequester; {
	case a == LeaveConfirm && requester && l.State == tenure.LeaveAsked:
		return s.verifyLeave(ctx, l, t)
	case a == LeaveWithdraw && requester && l.State == tenure.LeaveWaiting:
		return s.endLeave(ctx, l, t, tenure.LeaveWithdrawn, tenure.LeaveRequester, "", words.Plain(""))
	case a == LeaveConfirm && !requester && l.State == tenure.LeaveWaiting:
		return s.confirmLeave(ctx, l, t, tenure.LeaveContact, "")
	case a == LeaveRefuse && !requester && l.State == tenure.LeaveWaiting:
		if reason, err = joined("the reason", reason); err != nil {
			return err
		}
		if reason == "" {
			return tenure.Errorf(tenure.Invalid, "say in a few words why not: who asked is told")
		}
		return s.endLeave(ctx, l, t, tenure.LeaveRefused, tenure.LeaveContact, "", words.Plain(reason))
	case a != LeaveConfirm && a != LeaveRefuse && a != LeaveWithdraw:
		return tenure.Errorf(tenure.Invalid, "there is no answer %q", string(a)).WithHint("confirm, refuse or withdraw")
	}
	return tenure.Errorf(tenure.Conflict, "this was answered already")
}

// leaves says whether a tenant leaves, or is about to.
func (s *Service) leaves(ctx context.Context, t store.TenantRow) (bool, error) {
	if leaving(t.State) {
		return true, nil
	}
	open, err := s.o.DB.Operations(ctx, store.OperationFilter{Tenant: t.ID, Kind: tenure.Offboard, Open: true, Limit: 1})
	return len(open) > 0, err
}

// verifyLeave takes the word of who asked. Where they are the tenant's contact it is enough; otherwise
// the contact is asked, or staff where there is none.
func (s *Service) verifyLeave(ctx context.Context, l tenure.LeaveRequest, t store.TenantRow) error {
	now := s.Now()
	l.VerifiedAt = now
	if leaveContact(t) == l.Requester {
		return s.confirmLeave(ctx, l, t, tenure.LeaveRequester, "")
	}
	return s.askContact(ctx, l, t, "leave.verify")
}

// askContact asks the tenant's contact about a request that who asked has confirmed, or staff where there is none.
func (s *Service) askContact(ctx context.Context, l tenure.LeaveRequest, t store.TenantRow, kind string) error {
	now := s.Now()
	l.State, l.Contact, l.LinkedAt, l.ExpiresAt = tenure.LeaveWaiting, leaveContact(t), now, now.Add(tenure.LeaveAnswerWithin)
	n := leaveNotice(l, leaveAsking(now), l.Contact, "", now)
	n = written(n, s.LanguageOf(t), words.Of("leave.ask", l.Requester, t.Name, s.linkTo(LeavePath+"/", s.leaveSecret(l, tenure.LeaveContact)), words.Moment(l.ExpiresAt)))
	if l.Contact == "" {
		l.LinkedAt = time.Time{}
		body := fmt.Sprintf("%s asks that %s leave, and has confirmed that by mail. %s has no contact who could say yes or no, so you do: tenure leave confirm %s, or tenure leave refuse %s --reason WHY. Without an answer it lapses on %s.", l.Requester, t.Name, t.Name, l.ID, l.ID, words.English.Moment(l.ExpiresAt))
		n = leaveNotice(l, leaveAsking(now), "platform", body, now)
	}
	e, err := s.entry(ctx, kind, "", l.Tenant, "", string(l.ID), map[string]string{"expires": l.ExpiresAt.Format(time.RFC3339)})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveLeaveRequest(l, leaveLook(l, now)); err != nil { // the version makes it once
			return err
		}
		if err := tx.AddNotice(n); err != nil {
			return err
		}
		return tx.Log(e)
	})
}

// confirmLeave makes an event of a request that everybody has confirmed who is asked.
func (s *Service) confirmLeave(ctx context.Context, l tenure.LeaveRequest, t store.TenantRow, as tenure.LeaveParty, by string) error {
	now := s.Now()
	l.State, l.DecidedAt, l.DecidedAs, l.DecidedBy, l.Event = tenure.LeaveConfirmed, now, as, by, tenure.NewID[tenure.InboundID](now)
	data, err := json.Marshal(map[string]string{"request": string(l.ID), "tenant": t.Name, "confirmed_as": string(as), "reason": l.Reason})
	if err != nil {
		return tenure.Errorf(tenure.Internal, "event of %s: %w", l.ID, err)
	}
	e, err := s.entry(ctx, "leave.confirm", by, l.Tenant, "", string(l.ID), map[string]string{"as": string(as), "event": string(l.Event)})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveLeaveRequest(l, now.Add(leaveFollow)); err != nil {
			return err
		}
		if _, err := tx.Receive(store.Inbound{ID: l.Event, Source: LeaveSource, ExternalID: string(l.ID), Type: LeaveEvent, Subject: string(l.Tenant), Tenant: l.Tenant, HappenedAt: now, ReceivedAt: now, Body: data}); err != nil {
			return err
		}
		if as != tenure.LeaveRequester {
			if err := tx.AddNotice(written(leaveNotice(l, "confirmed", l.Requester, "", now), s.LanguageOf(t), words.Of("leave.confirmed", t.Name))); err != nil {
				return err
			}
		}
		return tx.Log(e)
	})
}

// leaveKinds are the log's entries of how a request ends without an event.
var leaveKinds = map[tenure.LeaveState]string{tenure.LeaveRefused: "leave.refuse", tenure.LeaveLapsed: "leave.lapse", tenure.LeaveWithdrawn: "leave.withdraw"}

// endLeave ends a request without an event, and tells whom it concerns. Who never confirmed that they
// asked is told only what staff decided. More is what else is told.
func (s *Service) endLeave(ctx context.Context, l tenure.LeaveRequest, t store.TenantRow, state tenure.LeaveState, as tenure.LeaveParty, by string, why words.Phrase, more ...store.Notice) error {
	now := s.Now()
	was := l
	l.State, l.DecidedAt, l.DecidedAs, l.DecidedBy, l.Why = state, now, as, by, why.In(words.English)
	told := map[string]words.Phrase{}
	switch {
	case state == tenure.LeaveWithdrawn:
		told[l.Contact] = words.Of("leave.withdrawn", l.Requester, t.Name)
		if l.Contact == "" {
			told["platform"] = words.Plain(fmt.Sprintf("%s has withdrawn the request that %s leave.", l.Requester, t.Name))
		}
	case state == tenure.LeaveRefused && as == tenure.LeaveContact:
		told[l.Requester] = words.Of("leave.refused", t.Name, why)
	case state == tenure.LeaveRefused:
		told[l.Requester] = words.Of("leave.refused_by_staff", t.Name, why)
		told[l.Contact] = words.Of("leave.ended_by_staff", l.Requester, t.Name, why)
	case was.State == tenure.LeaveWaiting:
		told[l.Requester] = words.Of("leave.lapsed", t.Name, why)
		told[l.Contact] = words.Of("leave.lapsed_for_contact", l.Requester, t.Name, why)
		if l.Contact == "" {
			told["platform"] = told[l.Contact]
		}
	}
	delete(told, "")
	e, err := s.entry(ctx, leaveKinds[state], by, l.Tenant, "", string(l.ID), map[string]string{"as": string(as)})
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SaveLeaveRequest(l, time.Time{}); err != nil {
			return err
		}
		for to, says := range told {
			n := leaveNotice(l, string(state)+"/"+s.KeyedDigest("leave address", to), to, says.In(words.English), now)
			if to != "platform" {
				n = written(n, s.LanguageOf(t), says)
			}
			more = append(more, n)
		}
		for _, n := range more {
			if err := tx.AddNotice(n); err != nil {
				return err
			}
		}
		return tx.Log(e)
	})
}

// leaveAsking tells the questions about one request apart.
func leaveAsking(at time.Time) string { return "ask/" + strconv.FormatInt(at.UnixMicro(), 36) }

func leaveNotice(l tenure.LeaveRequest, what, to, body string, now time.Time) store.Notice {
	return store.Notice{ID: "leave/" + string(l.ID) + "/" + what, Kind: tenure.NoticeLeave, Tenant: l.Tenant, Recipient: to, Body: body, CreatedAt: now}
}

// LeaveRequests lists requests to leave, the latest first.
func (s *Service) LeaveRequests(ctx context.Context, f store.LeaveFilter) ([]tenure.LeaveRequest, error) {
	return s.o.DB.LeaveRequests(ctx, f)
}

// LeaveRequest finds one.
func (s *Service) LeaveRequest(ctx context.Context, id tenure.LeaveID) (tenure.LeaveRequest, error) {
	return s.o.DB.LeaveRequest(ctx, id)
}

// ConfirmLeave is staff's yes to a request of a tenant that has no contact to ask.
func (s *Service) ConfirmLeave(ctx context.Context, id tenure.LeaveID, by string) error {
	if err := person(by); err != nil {
		return err
	}
	l, t, err := s.o.DB.VouchedLeave(ctx, id)
	if err != nil {
		return err
	}
	gone, err := s.leaves(ctx, t)
	switch {
	case err != nil:
		return err
	case l.State != tenure.LeaveWaiting || !s.Now().Before(l.ExpiresAt):
		return tenure.Errorf(tenure.Conflict, "request %s is %s: only one that waits is confirmed", id, l.State)
	case l.Contact != "" || leaveContact(t) != "":
		return tenure.Errorf(tenure.Conflict, "the contact of %s says yes or no to this request", t.Name).WithHint("to have it leave without them: tenure tenant offboard %s", t.Name)
	case gone:
		return tenure.Errorf(tenure.Conflict, "%s leaves already", t.Name)
	}
	return s.confirmLeave(ctx, l, t, tenure.LeaveStaff, by)
}

// RefuseLeave ends a request by staff's word; who asked is told the reason.
func (s *Service) RefuseLeave(ctx context.Context, id tenure.LeaveID, reason, by string) error {
	if err := person(by); err != nil {
		return err
	}
	reason, err := joined("the reason", reason)
	if err != nil {
		return err
	}
	if reason == "" {
		return tenure.Errorf(tenure.Invalid, "the reason is missing: who asked is told").WithHint("tenure leave refuse %s --reason WHY", id)
	}
	l, t, err := s.o.DB.VouchedLeave(ctx, id)
	if err != nil {
		return err
	}
	if !l.State.Open() {
		return tenure.Errorf(tenure.Conflict, "request %s is %s: only one that is open is refused", id, l.State)
	}
	return s.endLeave(ctx, l, t, tenure.LeaveRefused, tenure.LeaveStaff, by, words.Plain(reason))
}
