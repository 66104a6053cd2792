package event

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/tenurehq/tenure"
)

func checkCloudEvents(s Source) error {
	if s.Header == "" {
		for _, f := range []string{s.Algorithm, s.Encoding, s.Prefix, s.TimestampHeader, s.Signed} {
			if f != "" {
				return tenure.Errorf(tenure.Invalid, "source %s has settings of a signature and no header that it stands in", s.Name).WithHint("without header the secret is a bearer token")
			}
		}
	} else if err := s.checkSignature(); err != nil {
		return err
	}
	for _, o := range s.Origins {
		if o != "*" && !dnsName(o) {
			return invalid("source %s: %.40q in origins isn't the name of a sender", s.Name, o)
		}
	}
	return nil
}

// receiveCloudEvents follows HTTP Protocol Binding for CloudEvents 1.0.2 §3 and JSON Event Format for
// CloudEvents 1.0.2. The sender proves itself by a bearer token (HTTP 1.1 Web Hooks for Event Delivery
// 1.0.2 §3.1, or §3.2 in the query), or, where Source.Header is set, by a signature of the body. That
// doesn't cover the headers which hold an event's attributes in binary mode: such an event is
// Unauthorized then.
func receiveCloudEvents(s Source, r Request, now time.Time) (events []Event, err error) {
	var content []byte
	if s.Header != "" {
		content, _, err = s.verifyHMAC(r, now)
	} else if err = s.webHookToken(r); err == nil {
		content, err = unpack(r)
	}
	if err != nil {
		return nil, err
	}
	kind, err := mediaType(r)
	if err != nil {
		return nil, err
	}
	var all []record
	switch { // §3: by the prefix of the media type
	case kind == "application/cloudevents+json":
		one, err := readObject(content)
		if err != nil {
			return nil, err
		}
		all = []record{one}
	case kind == "application/cloudevents-batch+json":
		if all, err = readObjects(content); err != nil {
			return nil, err
		}
	case strings.HasPrefix(kind, "application/cloudevents"):
		return nil, tenure.Errorf(tenure.Invalid, "the format of the CloudEvents isn't read").WithHint("send application/cloudevents+json")
	case s.Header != "":
		return nil, tenure.Errorf(tenure.Unauthorized, "the signature doesn't cover the attributes of a CloudEvent in binary mode").WithHint("send structured mode, or a bearer token")
	default:
		one, err := binaryEvent(r, kind, content)
		if err != nil {
			return nil, err
		}
		all = []record{one}
	}
	for _, one := range all {
		e, err := cloudEvent(one)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// webHookToken checks the token in the one place where it stands.
func (s Source) webHookToken(r Request) error {
	if len(r.Header.Values("Authorization")) > 0 {
		return s.bearer(r)
	}
	return s.queryToken(r, "access_token")
}

// cloudEvent reads CloudEvents 1.0.2, section "Required Attributes" and on. Its id is unique within
// its source alone. The sequence is that of the extension Sequence.
func cloudEvent(one record) (Event, error) {
	if v, err := one.need("specversion"); err != nil || v != "1.0" {
		return Event{}, invalid("the CloudEvent isn't of specversion 1.0")
	}
	source, err := one.need("source")
	if err != nil {
		return Event{}, err
	}
	if _, err := one.need("type"); err != nil {
		return Event{}, err
	}
	e, err := one.event(Fields{ID: "id", Type: "type", Subject: "subject", Version: "sequence", Time: "time"})
	if err != nil {
		return Event{}, err
	}
	if e.ID, err = joined(source, e.ID); err != nil {
		return Event{}, err
	}
	if text, ok := one.at("data_base64").(string); ok {
		if _, twice := one.value.(map[string]any)["data"]; twice {
			return Event{}, invalid("a CloudEvent has data and data_base64")
		}
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return Event{}, invalid("the data_base64 of a CloudEvent isn't base64")
		}
	} else if one.at("data_base64") != nil {
		return Event{}, invalid("the data_base64 of a CloudEvent isn't base64")
	}
	return e, nil
}

// binaryEvent makes of an event in binary mode (HTTP Protocol Binding §3.1) what it would be in
// structured mode: JSON in data, text in data, anything else in data_base64.
func binaryEvent(r Request, kind string, content []byte) (record, error) {
	object := make(map[string]any)
	for header, values := range r.Header {
		name, ok := strings.CutPrefix(strings.ToLower(header), "ce-")
		if !ok {
			continue
		}
		if name == "" || name == "data" || name == "datacontenttype" || !only(header[len("ce-"):], letters+digits) {
			return record{}, invalid("the CloudEvent has a header ce-%.40s that no attribute has", name)
		}
		if _, twice := object[name]; twice || len(values) != 1 || len(values[0]) > maxHeader {
			return record{}, invalid("the CloudEvent's header ce-%.40s is there twice, or too long", name)
		}
		v, err := headerText(values[0])
		if err != nil {
			return record{}, err
		}
		object[name] = v
	}
	if whole := r.Header.Get("Content-Type"); plain(whole) && kind != "" {
		object["datacontenttype"] = whole
	}
	switch {
	case len(content) == 0:
	case isJSON(kind):
		if err := tenure.CheckJSON(content); err != nil {
			return record{}, err
		}
		object["data"] = json.RawMessage(content)
	case (strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "xml")) && plain(string(content)):
		object["data"] = string(content)
	default:
		object["data_base64"] = base64Text(content)
	}
	data, err := tenure.Canonical(object)
	if err != nil {
		return record{}, invalid("the CloudEvent can't be read")
	}
	return readObject(data)
}

// headerText reads an attribute's value (HTTP Protocol Binding §3.1.3.2): quotes and backslashes of
// earlier versions first, then one round of percent escapes, which must give UTF-8.
func headerText(v string) (string, error) {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		var b strings.Builder
		for inner := v[1 : len(v)-1]; inner != ""; inner = inner[1:] {
			if inner[0] == '\\' && len(inner) > 1 {
				inner = inner[1:]
			}
			b.WriteByte(inner[0])
		}
		v = b.String()
	}
	text, err := url.PathUnescape(v) // which leaves + alone
	if err != nil || !plain(text) {
		return "", invalid("an attribute of the CloudEvent isn't percent-encoded UTF-8")
	}
	return text, nil
}
