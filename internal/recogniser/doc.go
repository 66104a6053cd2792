// Package recogniser proposes what a column of data holds, from its name, its type and
// some of its values: e-mail addresses, telephone numbers, accounts, cards, national
// ids, names and so on. It is pure: it keeps nothing, and what it says of a value is
// its shape alone.
package recogniser

// Class is a class of data that a column may hold.
type Class string

// The classes, in the order in which the documentation lists them.
const (
	Email      Class = "email"
	Phone      Class = "phone"
	IBAN       Class = "iban"
	Card       Class = "payment-card"
	NationalID Class = "national-id"
	IPAddress  Class = "ip-address"
	OnlineID   Class = "online-id"
	PersonName Class = "person-name"
	BirthDate  Class = "birth-date"
	Address    Class = "postal-address"
	Location   Class = "location"
	Special    Class = "special-category"
	FreeText   Class = "free-text"
	Secret     Class = "secret"
	None       Class = "none"
)

// Classes are all of them with what they mean.
func Classes() []Described {
	return []Described{
		{Email, true, "e-mail addresses (RFC 5321)"},
		{Phone, true, "telephone numbers, in the form of E.164 or a usual national one"},
		{IBAN, true, "bank accounts (ISO 13616, with its check digits)"},
		{Card, true, "numbers of payment cards (ISO/IEC 7812, with the Luhn digit)"},
		{NationalID, true, "numbers that a state gives to a person: tax, insurance, identity"},
		{IPAddress, true, "addresses of the Internet Protocol"},
		{OnlineID, true, "names and marks of persons, devices and browsers online"},
		{PersonName, true, "names of persons"},
		{BirthDate, true, "dates and years of birth"},
		{Address, true, "postal addresses and their parts"},
		{Location, true, "geographic positions"},
		{Special, true, "special categories of GDPR, article 9, and sex, marital status and the like"},
		{FreeText, true, "texts into which people write what they like"},
		{Secret, true, "passwords, their hashes, tokens and private keys"},
		{None, false, "nothing was recognised"},
	}
}

// Described is a class with what it means.
type Described struct {
	Class    Class
	Personal bool // it holds personal data unless somebody says otherwise
	Says     string
}

// Personal says whether data of the class is taken for personal.
func (c Class) Personal() bool { return c != None }

// Column is what is known of one column, or of one path in a JSON column.
type Column struct {
	Table  string
	Name   string
	Path   string // in a JSON document, such as contact.email; "" for the column itself
	Type   string // as the system writes it, in any case
	Values []string
}

// Proposal is what a column is taken to hold.
type Proposal struct {
	Class      Class
	Personal   bool
	Confidence float64  // 0 to 1, two decimals
	Reason     string   // says nothing of a value but how many fit
	Samples    []string // at most three, masked
}
