package tenure

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// An ID names one thing of one kind: a prefix, "_" and a UUID version 7
// (RFC 9562 §5.7) in its canonical lower-case form. The kinds are types of
// their own, so that one can't be taken for another at compile time, and
// parsing the wrong prefix is an Invalid error at run time.
type (
	TenantID       string // ten_…
	OperationID    string // op_…
	ResourceID     string // res_…
	HoldID         string // hld_…
	FindingID      string // fnd_…
	WaiverID       string // wvr_…
	InstallationID string // ins_…
	CertificateID  string // crt_…
	PrincipalID    string // prn_…
	GrantID        string // grt_…
	TokenID        string // tok_…
	SessionID      string // ses_…
	ElevationID    string // elv_…
	CampaignID     string // cmp_…
	AgreementID    string // agr_…
	LinkID         string // lnk_…
	StandingID     string // std_…
	DelegationID   string // dlg_…
	InboundID      string // evt_…
	TaskID         string // tsk_…
	LeaveID        string // lve_…
)

// kind couples an id type with its prefix and the word that errors use.
type kind struct{ prefix, word string }

var kinds = []kind{
	{"ten", "tenant"}, {"op", "operation"}, {"res", "resource"}, {"hld", "hold"},
	{"fnd", "finding"}, {"wvr", "waiver"}, {"ins", "installation"}, {"crt", "certificate"},
	{"prn", "principal"}, {"grt", "grant"}, {"tok", "token"}, {"ses", "session"}, {"elv", "elevation"},
	{"cmp", "campaign"}, {"agr", "agreement"}, {"lnk", "departure link"}, {"std", "standing approval"}, {"dlg", "delegation"},
	{"evt", "event"}, {"tsk", "task"}, {"lve", "request to leave"},
}

type anyID interface {
	TenantID | OperationID | ResourceID | HoldID | FindingID | WaiverID | InstallationID | CertificateID |
		PrincipalID | GrantID | TokenID | SessionID | ElevationID | CampaignID | AgreementID | LinkID | StandingID | DelegationID | InboundID | TaskID | LeaveID
}

func kindOf[T anyID]() kind {
	var zero T
	switch any(zero).(type) {
	case TenantID:
		return kinds[0]
	case OperationID:
		return kinds[1]
	case ResourceID:
		return kinds[2]
	case HoldID:
		return kinds[3]
	case FindingID:
		return kinds[4]
	case WaiverID:
		return kinds[5]
	case InstallationID:
		return kinds[6]
	case CertificateID:
		return kinds[7]
	case PrincipalID:
		return kinds[8]
	case GrantID:
		return kinds[9]
	case TokenID:
		return kinds[10]
	case SessionID:
		return kinds[11]
	case ElevationID:
		return kinds[12]
	case CampaignID:
		return kinds[13]
	case AgreementID:
		return kinds[14]
	case LinkID:
		return kinds[15]
	case StandingID:
		return kinds[16]
	case DelegationID:
		return kinds[17]
	case InboundID:
		return kinds[18]
	case TaskID:
		return kinds[19]
	default:
		return kinds[20]
	}
}

// NewID makes an id of kind T for the moment at, with random low bits.
func NewID[T anyID](at time.Time) T {
	var b [16]byte
	_, _ = rand.Read(b[6:])
	return format[T](at, b)
}

// NewOrderedID makes an id of kind T for the moment at that comes after all others of that
// millisecond with a lower n, which is below 4,096 (RFC 9562 §6.2, a counter in rand_a).
func NewOrderedID[T anyID](at time.Time, n int) T {
	var b [16]byte
	_, _ = rand.Read(b[8:])
	b[6], b[7] = byte(n>>8), byte(n)
	return format[T](at, b)
}

// DeriveID makes the id that the parts name at the moment at: the same input
// gives the same id, so a plan that is compiled twice has the same bytes.
func DeriveID[T anyID](at time.Time, parts ...string) T {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	var b [16]byte
	copy(b[6:], h.Sum(nil))
	return format[T](at, b)
}

func format[T anyID](at time.Time, b [16]byte) T {
	ms := uint64(at.UnixMilli())
	b[0], b[1], b[2], b[3], b[4], b[5] = byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms)
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	var buf [36]byte
	hex.Encode(buf[0:8], b[0:4])
	buf[8] = '-'
	hex.Encode(buf[9:13], b[4:6])
	buf[13] = '-'
	hex.Encode(buf[14:18], b[6:8])
	buf[18] = '-'
	hex.Encode(buf[19:23], b[8:10])
	buf[23] = '-'
	hex.Encode(buf[24:36], b[10:16])
	return T(kindOf[T]().prefix + "_" + string(buf[:]))
}

// ParseID reads an id of kind T. An id of another kind, or a text that is no
// id, is Invalid and says which kind was meant.
func ParseID[T anyID](s string) (T, error) {
	k := kindOf[T]()
	prefix, rest, ok := strings.Cut(s, "_")
	if !ok {
		return "", Errorf(Invalid, "%q is not %s id", clip(s), article(k.word)).WithHint("%s id looks like %s_01890a5d-ac96-774b-bcce-b302099a8057", article(k.word), k.prefix)
	}
	if prefix != k.prefix {
		for _, other := range kinds {
			if other.prefix == prefix {
				return "", Errorf(Invalid, "%q is the id of %s, not of %s", clip(s), article(other.word), article(k.word))
			}
		}
		return "", Errorf(Invalid, "%q is not %s id", clip(s), article(k.word))
	}
	if !isUUIDv7(rest) {
		return "", Errorf(Invalid, "%q is not %s id: after %q a version 7 UUID is expected", clip(s), article(k.word), k.prefix+"_")
	}
	return T(s), nil
}

func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

func isUUIDv7(s string) bool {
	if len(s) != 36 || s[14] != '7' || !strings.ContainsRune("89ab", rune(s[19])) {
		return false
	}
	for i := range len(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if s[i] != '-' {
				return false
			}
		case s[i] < '0' || s[i] > 'f' || s[i] > '9' && s[i] < 'a':
			return false
		}
	}
	return true
}

// clip shortens what a user gave for an error message.
func clip(s string) string {
	r := []rune(s)
	if len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
