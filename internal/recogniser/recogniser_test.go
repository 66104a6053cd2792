package recogniser

import (
	"strings"
	"testing"
)

// Numbers that authorities, standards and other libraries publish as examples.
func TestNationalIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ country, name, right, wrong string }{
		{"DE", "Steuer-Identifikationsnummer", "36574261809 86095742719 65929970489", "36574261808 36554266806 00000000000 123"},
		{"DE", "Sozialversicherungsnummer", "65170839J003", "65170839J004 99999999A999"},
		{"FR", "numéro de sécurité sociale (NIR)", "255081416802538 2 55 08 14 168 025 38", "255081416802539 255081416802"},
		{"ES", "DNI", "54362315K 12345678Z", "54362315Z 54362315"},
		{"ES", "NIE", "X2482300W", "X2482300A A2482300W"},
		{"IT", "codice fiscale", "RCCMNL83S18D969H MRTMTT25D09F205Z rccmnl83s18d969h", "RCCMNL83S18D969A RCCMNL83X18D969H"},
		{"NL", "BSN", "111222333 123456782", "111222334 111252333 000000000"},
		{"PL", "PESEL", "44051401359", "44051401358 44063201359"},
		{"UK", "National Insurance number", "AB123456C", "QQ123456C GB123456A AB123456E"},
		{"UK", "NHS number", "9434765919", "9434765918"},
		{"US", "Social Security number", "536-90-4399 536904399", "000-12-3456 666-12-3456 923-12-3456 536-00-4399 123456789"},
		{"BR", "CPF", "390.533.447-05 11144477735", "390.533.447-06 111.111.111-11"},
		{"IN", "Aadhaar", "234123412346", "234123412347 134123412346"},
		{"SE", "personnummer", "880320-0016 811228-9874 198112289874", "880320-0018 881320-0016 17811228-9874"},
		{"BE", "rijksregisternummer", "85073003328 85.07.30-033.28", "85073003329"},
		{"PT", "NIF", "501964843 123456789", "501964844"},
		{"CH", "AHV-Nummer", "756.9217.0769.85 7569217076985", "756.9217.0769.84 7579217076985"},
		{"AT", "Sozialversicherungsnummer", "1237010180", "2237010180"},
		{"DK", "CPR-nummer", "2110625629 211062-5629", "3210625629"},
		{"NO", "fødselsnummer", "15108695088", "15108695077"},
		{"FI", "henkilötunnus", "131052-308T", "131052-308U"},
		{"IE", "PPS number", "6433435F", "6433435E"},
		{"CZ", "rodné číslo", "7103192745 710319/2745", "7103192746"},
		{"RO", "CNP", "1630615123457", "1630615123458"},
		{"BG", "EGN", "7523169263", "7552A10004 7523169264"},
		{"HR", "OIB", "33392005961", "33392005962"},
		{"CA", "Social Insurance Number", "123456782", "999999999 123456783"},
		{"AU", "Tax File Number", "123456782", "123456783"},
		{"ZA", "ID number", "7503305044089", "8503305044089"},
		{"MX", "CURP", "BOXW310820HNERXN09", "BOXW310820HNERXN0 BOXW311320HNERXN09"},
		{"CL", "RUT", "12.531.909-2 76086428-5", "12531909-3"},
		{"CN", "resident identity number", "360426199101010071", "360426199101010072 360426199113010071"},
		{"TR", "TC kimlik no", "17291716060", "17291716050"},
	} {
		var n *id
		for i := range nationals {
			if nationals[i].country == c.country && nationals[i].name == c.name {
				n = &nationals[i]
				break
			}
		}
		if n == nil {
			t.Errorf("%s %s isn't known", c.country, c.name)
			continue
		}
		for _, v := range strings.Fields(c.right) {
			if len(strings.Fields(c.right)) > 6 { // an example with spaces
				break
			}
			if !n.check(v) {
				t.Errorf("%s %s refuses %s", c.country, c.name, v)
			}
		}
		for _, v := range strings.Fields(c.wrong) {
			if n.check(v) {
				t.Errorf("%s %s takes %s", c.country, c.name, v)
			}
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	form := func(s string) bool { f, _ := phone(s); return f }
	for _, c := range []struct {
		what  string
		takes func(string) bool
		right []string
		wrong []string
	}{
		{"iban", iban, []string{"DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR14 2004 1010 0505 0001 3M02 606", "NO9386011117947", "de89370400440532013000"}, []string{"DE89370400440532013001", "DE8937040044053201300", "XX89370400440532013000", "", "DE", "ÄÖ89370400440532013000"}},
		{"card", card, []string{"4111111111111111", "5555 5555 5555 4444", "378282246310005", "6011-1111-1111-1117", "30569309025904", "3530111333300000", "2223003122003222"}, []string{"4111111111111112", "0000000000000000", "1234567812345670", "41111111", "4111111111111111x"}},
		{"email", email, []string{"a@b.example", "anna.o'neil+x@mail.example.org", "jörg@exämple.de", "x_y@sub.example.co"}, []string{"a@b", "@b.example", "a b@c.example", "a@b..example", "Anna <a@b.example>", "a@.example.", "", "user@host:22"}},
		{"ip", ip, []string{"10.1.2.3", "2001:db8::1", "fe80::1%eth0", "192.0.2.0/24", "::1"}, []string{"1.2.3", "256.1.1.1", "10.1.2.3:80", "abc", "12:30", "10.1.2.3/99"}},
		{"phone", form, []string{"+49 30 123456", "+4915112345678", "0049 151 1234567", "030/1234567", "(030) 1234567", "06 12 34 56 78", "(555) 123-4567", "555-123-4567", "+1 (212) 555-0123", "0171 1234567", "+33 6 12 34 56 78"}, []string{"2026-01-02", "01.02.2026", "123456", "12/34", "1234567890123456789", "1.234,56", "10.1.2.3", "2024-2025"}},
		{"secret", secret, []string{"$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "-----BEGIN RSA PRIVATE KEY-----\nMII", "AKIAIOSFODNN7EXAMPLE", "postgres://u:p@h/db", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"}, []string{"hello", "https://example.org/a", "-----BEGIN CERTIFICATE-----", "0123456789abcdef0123456789abcdef"}},
		{"street", street.MatchString, []string{"Hauptstraße 12", "12 rue de la Paix", "221 Baker Street", "Calle Mayor 5", "Via Roma, 10", "Keizersgracht 123", "ul. Nowa 7", "Rua Augusta, 100", "PO Box 12"}, []string{"Main", "12", "Version 3", "way too long a text without it"}},
	} {
		for _, v := range c.right {
			if !c.takes(v) {
				t.Errorf("%s refuses %q", c.what, v)
			}
		}
		for _, v := range c.wrong {
			if c.takes(v) {
				t.Errorf("%s takes %q", c.what, v)
			}
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Class{
		"email": Email, "eMailAddress": Email, "E-Mail": Email, "customer_email": Email, "adresse_electronique": Email, "correo_electronico": Email, "indirizzoEmail": Email, "endereco_email": Email, "adres_email": Email,
		"phone": Phone, "Telefonnummer": Phone, "numero_de_telephone": Phone, "teléfono": Phone, "cellulare": Phone, "telefoonnummer": Phone, "numer_telefonu": Phone, "phone2": Phone, "home_phones": Phone,
		"iban": IBAN, "kontonummer": IBAN, "card_number": Card, "kreditkartennummer": Card,
		"ip": IPAddress, "ip_address": IPAddress, "remoteAddr": IPAddress, "adresse_ip": IPAddress,
		"first_name": PersonName, "lastName": PersonName, "Vorname": PersonName, "nachname": PersonName, "prénom": PersonName, "nom_de_famille": PersonName, "apellidos": PersonName, "cognome": PersonName, "achternaam": PersonName, "sobrenome": PersonName, "imię": PersonName, "nazwisko": PersonName,
		"dob": BirthDate, "date_of_birth": BirthDate, "Geburtsdatum": BirthDate, "date_de_naissance": BirthDate, "fecha_nacimiento": BirthDate, "dataDiNascita": BirthDate, "geboortedatum": BirthDate, "data_nascimento": BirthDate, "data_urodzenia": BirthDate,
		"street": Address, "Straße": Address, "PLZ": Address, "code_postal": Address, "código_postal": Address, "indirizzo": Address, "straatnaam": Address, "endereço": Address, "ulica": Address, "kod_pocztowy": Address, "address_line2": Address,
		"ssn": NationalID, "steuer_id": NationalID, "codice_fiscale": NationalID, "bsn": NationalID, "pesel": NationalID, "cpf": NationalID, "aadhaar": NationalID, "personnummer": NationalID, "national_id": NationalID,
		"password": Secret, "passwordHash": Secret, "api_key": Secret, "mot_de_passe": Secret, "contraseña": Secret, "hasło": Secret, "refresh_token": Secret, "Passwort": Secret,
		"notes": FreeText, "Bemerkung": FreeText, "observaciones": FreeText, "uwagi": FreeText,
		"religion": Special, "gender": Special, "geschlecht": Special, "latitude": Location, "username": OnlineID, "user_agent": OnlineID,
		"email_verified": None, "email_sent_at": None, "is_email": None, "phone_count": None, "password_changed_at": None, "address_id": None, "token_expires": None, "id": None, "amount": None, "sku": None, "status": None, "created_at": None,
		"quantity": None, "name": None, "title": None, "version": None, "currency": None, "mailing_list_id": None, "street_count": None,
	} {
		h, aside := hintOf(name)
		got := h.class
		if aside || got == "" {
			got = None
		}
		if got != want {
			t.Errorf("%s says %s (%q), not %s", name, got, h.word, want)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	got := Paths([]string{
		`{"contact":{"email":"a@b.example","phones":[{"number":"+49 30 1234567"}]},"by":{"anna@b.example":{"role":"x"}},"n":3,"ok":true}`,
		`{"contact":{"email":"c@b.example"},"by":{"carl@b.example":{"role":"y"}}}`, `[1,2]`, `broken {`, `"text"`, ``,
	})
	for path, n := range map[string]int{"contact.email": 2, "contact.phones[].number": 1, "by.*.role": 2, "by.*#": 2, "n": 1, "ok": 1} {
		if len(got[path]) != n {
			t.Errorf("%s has %d values, not %d: %v", path, len(got[path]), n, got)
		}
	}
	for _, docs := range [][]string{{`{"schmidt":1}`, `{"mueller":2}`}, {`{"anna":1}`}, {`{"x":{"meier":{"age":3}}}`, `{"x":{"huber":{"age":3}}}`}} {
		for path := range Paths(docs) {
			for _, name := range []string{"schmidt", "mueller", "anna", "meier", "huber"} {
				if strings.Contains(path, name) {
					t.Errorf("a path tells of somebody: %s", path)
				}
			}
		}
	}
	for path := range got {
		if strings.Contains(path, "@") {
			t.Errorf("a path tells of somebody: %s", path)
		}
	}
}

func TestMaskTellsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class Class
		value string
		want  string
	}{
		{Email, "anna.b@example.org", "xxxx.x@xxxxxx.xxx"}, {Phone, "+49 30 1234567", "+99 99 999999"}, {PersonName, "Zoë Müller", "xxx xxxxxx"}, {PersonName, "李明", "xx"},
		{Secret, "hunter2", "up to 8 characters"}, {FreeText, "call Anna", "9 to 32 characters"}, {None, "a\x1b[31mb", "up to 8 characters"}, {IPAddress, "10.1.2.3", "99.9.9.9"},
	} {
		if got := mask(c.class, c.value); got != c.want {
			t.Errorf("%s %q is shown as %q, not %q", c.class, c.value, got, c.want)
		}
	}
}

// What stands in a column counts for more than its name, and chance for nothing.
func TestPropose(t *testing.T) {
	t.Parallel()
	repeat := func(n int, values ...string) (out []string) {
		for i := range n {
			out = append(out, values[i%len(values)])
		}
		return out
	}
	for name, c := range map[string]struct {
		Column
		want Class
	}{
		"a name without values":                {Column{Table: "t", Name: "email", Type: "text"}, Email},
		"a name that values contradict":        {Column{Table: "t", Name: "email", Type: "text", Values: repeat(20, "yes", "no", "maybe")}, None},
		"a name that the type contradicts":     {Column{Table: "t", Name: "email", Type: "bigint"}, None},
		"a truth":                              {Column{Table: "t", Name: "password", Type: "boolean", Values: repeat(4, "true")}, None},
		"values without a name":                {Column{Table: "t", Name: "x", Type: "text", Values: repeat(10, "a@b.example", "c@d.example")}, Email},
		"nulls in words":                       {Column{Table: "t", Name: "x", Type: "text", Values: repeat(20, "a@b.example", "n/a", "-", "unknown")}, Email},
		"a few among many":                     {Column{Table: "t", Name: "x", Type: "text", Values: append(repeat(40, "A-1", "B-2"), repeat(4, "a@b.example", "c@d.example")...)}, Email},
		"accounts in texts":                    {Column{Table: "t", Name: "x", Type: "text", Values: []string{"paid to DE89 3704 0044 0532 0130 00 today", "open"}}, FreeText},
		"one passes by chance":                 {Column{Table: "t", Name: "x", Type: "text", Values: []string{"111222333", "123456789", "987654321", "555666777"}}, None},
		"a name of a person":                   {Column{Table: "customers", Name: "name", Type: "text", Values: repeat(10, "Zed Quux", "Ola Nordmann", "Kari Berg")}, PersonName},
		"a name of a thing":                    {Column{Table: "products", Name: "name", Type: "text", Values: repeat(10, "Blue Lamp", "Oak Table")}, None},
		"a birth date among dates":             {Column{Table: "users", Name: "born_on", Type: "date", Values: repeat(5, "1980-02-03")}, BirthDate},
		"a date that is nobody's":              {Column{Table: "users", Name: "joined", Type: "date", Values: repeat(5, "1980-02-03")}, None},
		"health by the table":                  {Column{Table: "clinic.diagnoses", Name: "code", Type: "text", Values: repeat(5, "J45", "E11")}, Special},
		"a version that looks like an address": {Column{Table: "t", Name: "app_version", Type: "text", Values: repeat(9, "1.2.3.4", "2.0.0.1")}, None},
		"the last digits of a card":            {Column{Table: "t", Name: "card_number", Type: "text", Values: repeat(9, "4242", "1881")}, Card},
		"a masked card":                        {Column{Table: "t", Name: "card_number", Type: "text", Values: repeat(9, "**** **** **** 4242", "xxxx1881")}, Card},
		"a path":                               {Column{Table: "t", Name: "data", Path: "customer.home.phones[].number", Type: "json", Values: []string{"+49 30 1234567"}}, Phone},
		"keys that are addresses":              {Column{Table: "t", Name: "data", Path: "by.*#", Type: "json", Values: repeat(4, "a@b.example", "c@d.example")}, Email},
		"a phone of digits alone, by its name": {Column{Table: "t", Name: "mobile", Type: "bigint", Values: repeat(5, "4915112345678", "4915187654321")}, Phone},
		"numbers of digits alone":              {Column{Table: "t", Name: "x", Type: "bigint", Values: repeat(5, "4915112345678", "4915187654321")}, None},
		"a list":                               {Column{Table: "t", Name: "x", Type: "text[]", Values: []string{`{a@b.example,"c@d.example"}`, "{e@f.example}", "{}"}}, Email},
		"hashes of addresses":                  {Column{Table: "t", Name: "email_hash", Type: "text", Values: repeat(5, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")}, Email},
		"an account of a country's own":        {Column{Table: "t", Name: "kontonummer", Type: "text", Values: repeat(5, "12345678", "87654321")}, IBAN},
		"addresses as numbers":                 {Column{Table: "t", Name: "ip", Type: "bigint", Values: repeat(5, "3232235777", "167837955")}, IPAddress},
		"a short birth date":                   {Column{Table: "t", Name: "dob", Type: "text", Values: repeat(5, "03/02/80", "28.12.79")}, BirthDate},
		"a birth date in words":                {Column{Table: "t", Name: "geburtsdatum", Type: "text", Values: repeat(5, "3. Februar 1980")}, BirthDate},
		"people":                               {Column{Table: "app.people", Name: "name", Type: "text"}, PersonName},
		"private keys":                         {Column{Table: "t", Name: "x", Type: "text", Values: []string{"-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "-----BEGIN PRIVATE KEY-----\nabc", "-----BEGIN EC PRIVATE KEY-----\nabc"}}, Secret},
	} {
		if p := Propose(c.Column); p.Class != c.want {
			t.Errorf("%s: %s (%.2f), not %s: %s", name, p.Class, p.Confidence, c.want, p.Reason)
		}
	}
}
