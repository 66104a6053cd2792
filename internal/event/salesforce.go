package event

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

const (
	soapSpace       = "http://schemas.xmlsoap.org/soap/envelope/"
	outboundSpace   = "http://soap.sforce.com/2005/09/outbound"
	schemaInstance  = "http://www.w3.org/2001/XMLSchema-instance"
	maxXMLDepth     = 16
	maxXMLNodes     = 100_000 // elements of a message
	maxXMLNodeAttrs = 64

	// salesforceAck is notificationsResponse of "Understanding the Outbound Messaging WSDL". Without it
	// Salesforce sends the message again, for 24 hours.
	salesforceAck = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="` + soapSpace + `"><soapenv:Body>` +
		`<notificationsResponse xmlns="` + outboundSpace + `"><Ack>true</Ack></notificationsResponse>` +
		`</soapenv:Body></soapenv:Envelope>`
)

func checkSalesforce(s Source) error {
	id := s.Organization
	if len(id) != 15 && len(id) != 18 || !strings.HasPrefix(id, "00D") || !alphanumeric(id) {
		return tenure.Errorf(tenure.Invalid, "source %s: organization isn't an organization's id of Salesforce", s.Name).WithHint("it begins with 00D and has 15 or 18 characters: Setup, Company Information")
	}
	return nil
}

func alphanumeric(s string) bool {
	return only(s, letters+digits)
}

// sameOrganization compares ids; one of 18 characters is one of 15 with a checksum of its letters' case.
func sameOrganization(a, b string) bool {
	if len(a) < 15 || len(b) < 15 || !alphanumeric(a) || !alphanumeric(b) || len(a) > 18 || len(b) > 18 {
		return false
	}
	if len(a) == 15 || len(b) == 15 {
		return a[:15] == b[:15]
	}
	return a == b
}

// receiveSalesforce follows "Outbound Messaging" of the SOAP API Developer Guide, sections
// "Understanding Notifications" and "Understanding the Outbound Messaging WSDL". Such messages aren't
// signed: a token in the query of the endpoint's address (token) proves the sender, and the message has
// to be of the organization that the settings name. SessionId, with which one may act in Salesforce, is
// kept nowhere.
func receiveSalesforce(s Source, r Request, _ time.Time) ([]Event, error) {
	if err := s.queryToken(r, "token"); err != nil {
		return nil, err
	}
	content, err := unpack(r)
	if err != nil {
		return nil, err
	}
	root, err := readXML(content)
	if err != nil {
		return nil, err
	}
	message, err := root.path(xml.Name{Space: soapSpace, Local: "Envelope"}, xml.Name{Space: soapSpace, Local: "Body"}, xml.Name{Space: outboundSpace, Local: "notifications"})
	if err != nil {
		return nil, err
	}
	organization, err := message.one("OrganizationId")
	if err != nil {
		return nil, err
	}
	if !sameOrganization(organization.text, s.Organization) {
		return nil, unauthorized("the message is of another organization")
	}
	action, err := message.one("ActionId")
	if err != nil {
		return nil, err
	}
	if err := clean("action", action.text, MaxID); err != nil { // it is repeated in each event
		return nil, err
	}
	var events []Event
	for _, n := range message.children {
		if (n.name != xml.Name{Space: outboundSpace, Local: "Notification"}) {
			continue
		}
		if len(events) == MaxEvents {
			return nil, tooMany()
		}
		e, err := salesforceEvent(organization.text, action.text, n)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil, invalid("the message has no notification")
	}
	return events, nil
}

func salesforceEvent(organization, action string, n *node) (e Event, err error) {
	id, err := n.one("Id")
	if err != nil {
		return e, err
	}
	object, err := n.one("sObject")
	if err != nil {
		return e, err
	}
	fields, err := object.value()
	if err != nil {
		return e, err
	}
	if _, ok := fields.(map[string]any); !ok {
		return e, invalid("a notification's record has no fields")
	}
	kind := object.attribute(schemaInstance, "type")
	e.Type = kind[strings.LastIndex(kind, ":")+1:]
	all := map[string]any{"OrganizationId": organization, "ActionId": action, "Id": id.text, "sObject": fields, "sObjectType": e.Type}
	data, err := tenure.Canonical(all)
	if err != nil {
		return e, invalid("a notification can't be read")
	}
	one := record{value: all, data: data}
	if e.Subject, err = one.need("sObject.Id"); err != nil {
		return e, err
	}
	if e.Version, err = one.either("sObject.SystemModstamp", "sObject.LastModifiedDate"); err != nil {
		return e, err
	}
	if e.Version != "" {
		if e.At, err = moment("the record's time", e.Version); err != nil {
			return e, err
		}
	}
	e.ID, e.Data = id.text, data
	return e, nil
}

// node is an element.
type node struct {
	name     xml.Name
	attrs    []xml.Attr
	children []*node
	raw      []byte // its own text
	text     string // the same without white space around it, once its end was read
}

// readXML reads a document of bounded depth and size, without DTD: nothing is looked up and no entity
// is declared. Anything else is Invalid.
func readXML(content []byte) (*node, error) {
	if !plain(string(content)) {
		return nil, invalid("the XML isn't UTF-8, or has a NUL")
	}
	d := xml.NewDecoder(bytes.NewReader(content))
	top := &node{}
	open, nodes := []*node{top}, 0
	for {
		t, err := d.Token()
		if err == io.EOF && len(open) == 1 && len(top.children) == 1 {
			return top, nil
		}
		if err != nil {
			return nil, invalid("the body isn't the XML of one message")
		}
		last := open[len(open)-1]
		switch t := t.(type) {
		case xml.StartElement:
			if nodes++; nodes > maxXMLNodes || len(open) > maxXMLDepth || len(t.Attr) > maxXMLNodeAttrs {
				return nil, invalid("the XML is too deep, or has too much in it")
			}
			n := &node{name: t.Name, attrs: t.Copy().Attr}
			last.children = append(last.children, n)
			open = append(open, n)
		case xml.EndElement:
			last.text = strings.TrimSpace(string(last.raw))
			open = open[:len(open)-1]
		case xml.CharData:
			if last == top && strings.TrimSpace(string(t)) != "" {
				return nil, invalid("the XML has text outside of its message")
			}
			last.raw = append(last.raw, t...)
		case xml.ProcInst:
			if t.Target != "xml" {
				return nil, invalid("the XML has a processing instruction")
			}
		case xml.Directive:
			return nil, invalid("the XML has a DTD")
		}
	}
}

// path goes down by names that each stand there once.
func (n *node) path(names ...xml.Name) (*node, error) {
	for _, name := range names {
		var found *node
		for _, c := range n.children {
			if c.name != name {
				continue
			}
			if found != nil {
				return nil, invalid("the message has %s twice", name.Local)
			}
			found = c
		}
		if found == nil {
			return nil, invalid("the message has no %s", name.Local)
		}
		n = found
	}
	return n, nil
}

// one is the child of Salesforce's name that stands there once.
func (n *node) one(name string) (*node, error) {
	return n.path(xml.Name{Space: outboundSpace, Local: name})
}

func (n *node) attribute(space, name string) string {
	for _, a := range n.attrs {
		if a.Name.Space == space && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// value is a text, an object of what is in it, or nil (xsi:nil). A name that stands there twice is
// Invalid.
func (n *node) value() (any, error) {
	if nothing := n.attribute(schemaInstance, "nil"); nothing == "true" || nothing == "1" {
		return nil, nil
	}
	if len(n.children) == 0 {
		return n.text, nil
	}
	object := make(map[string]any, len(n.children))
	for _, c := range n.children {
		if _, twice := object[c.name.Local]; twice {
			return nil, invalid("the message has %.60s twice in one record", c.name.Local)
		}
		v, err := c.value()
		if err != nil {
			return nil, err
		}
		object[c.name.Local] = v
	}
	return object, nil
}
