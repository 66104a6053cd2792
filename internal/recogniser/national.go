package recogniser

import (
	"regexp"
	"strings"
)

// An id is a kind of number that a state gives to a person.
type id struct {
	country string // ISO 3166-1 alpha-2
	name    string
	words   []string // by which columns are called
	check   func(s string) bool
	chance  float64 // that a number of the same form, taken at random, passes
	form    string  // where the number isn't digits alone: what a form by itself proves
}

// National lists the countries and numbers that are known.
func National() (out [][2]string) {
	for _, n := range nationals {
		out = append(out, [2]string{n.country, n.name})
	}
	return out
}

// numbered checks numbers of n digits.
func numbered(n int, separators string, check func(d string) bool) func(string) bool {
	return func(s string) bool {
		d := digits(s, separators)
		return len(d) == n && !same(d) && check(d)
	}
}

// shaped checks what a pattern takes, in upper case and without spaces.
func shaped(pattern string, check func(s string) bool) func(string) bool {
	re := regexp.MustCompile(pattern)
	return func(s string) bool {
		s = strings.ToUpper(strings.ReplaceAll(s, " ", ""))
		return re.MatchString(s) && (check == nil || check(s))
	}
}

var nationals = []id{
	{"DE", "Steuer-Identifikationsnummer", []string{"steuer id", "steuerid", "steueridentifikationsnummer", "idnr", "steuernummer", "tin"}, numbered(11, "/", steuerID), 0.01, ""},
	{"DE", "Sozialversicherungsnummer", []string{"sozialversicherungsnummer", "rentenversicherungsnummer", "sv nummer", "svnr", "rvnr"}, shaped(`^\d{8}[A-Z]\d{3}$`, rentenversicherung), 0.01, "x"},
	{"FR", "numéro de sécurité sociale (NIR)", []string{"nir", "securite sociale", "numero secu", "num secu", "nss", "insee"}, shaped(`^[1-478]\d{4}(\d{2}|2A|2B)\d{6}(\d{2})?$`, nir), 0.01, ""},
	{"ES", "DNI", []string{"dni", "nif", "documento identidad"}, shaped(`^\d{8}-?[A-Z]$`, dni), 0.005, "x"},
	{"ES", "NIE", []string{"nie", "nif"}, shaped(`^[XYZ]-?\d{7}-?[A-Z]$`, dni), 0.002, "x"},
	{"IT", "codice fiscale", []string{"codice fiscale", "codicefiscale", "cod fiscale", "cf"}, shaped(`^[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-EHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]$`, codiceFiscale), 0.001, "x"},
	{"NL", "BSN", []string{"bsn", "burgerservicenummer", "sofinummer"}, numbered(9, ".", func(d string) bool { return weighted(d, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0 }), 0.09, ""},
	{"PL", "PESEL", []string{"pesel"}, numbered(11, "", pesel), 0.004, ""},
	{"UK", "National Insurance number", []string{"nino", "national insurance", "ni number"}, shaped(`^[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]\d{6}[A-D]$`, func(s string) bool {
		switch s[:2] {
		case "BG", "GB", "NK", "KN", "TN", "NT", "ZZ":
			return false
		}
		return true
	}), 0.01, "x"},
	{"UK", "NHS number", []string{"nhs", "nhs number"}, numbered(10, "-", func(d string) bool { return mod11(weighted(d, 10, 9, 8, 7, 6, 5, 4, 3, 2), d[9]) }), 0.09, ""},
	{"US", "Social Security number", []string{"ssn", "social security", "social security number"}, ssn, 0.9, ""},
	{"US", "Social Security number", []string{"ssn", "social security", "social security number"}, shaped(`^\d{3}-\d{2}-\d{4}$`, ssn), 0.02, "x"},
	{"BR", "CPF", []string{"cpf"}, numbered(11, ".-", cpf), 0.01, ""},
	{"IN", "Aadhaar", []string{"aadhaar", "aadhar", "uidai"}, numbered(12, "-", func(d string) bool { return d[0] >= '2' && verhoeff(d) }), 0.08, ""},
	{"IN", "PAN", []string{"pan", "pan number"}, shaped(`^[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]$`, nil), 0.05, "x"},
	{"SE", "personnummer", []string{"personnummer", "personnr", "pnr", "samordningsnummer"}, personnummer, 0.004, ""},
	{"BE", "rijksregisternummer", []string{"rijksregisternummer", "insz", "niss", "registre national"}, numbered(11, ".-", func(d string) bool {
		return at(d, 2)%20 <= 12 && at(d, 4) <= 31 && (97-mod(d[:9], 97) == at(d, 9) || 97-mod("2"+d[:9], 97) == at(d, 9))
	}), 0.005, ""},
	{"PT", "NIF", []string{"nif", "contribuinte"}, numbered(9, "", func(d string) bool {
		return strings.IndexByte("12356789", d[0]) >= 0 && (11-weighted(d, 9, 8, 7, 6, 5, 4, 3, 2)%11)%11%10 == int(d[8]-'0')
	}), 0.08, ""},
	{"CH", "AHV-Nummer", []string{"ahv", "ahv nummer", "ahvnr", "avs"}, numbered(13, ".", func(d string) bool {
		return d[:3] == "756" && (10-weighted(d, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3)%10)%10 == int(d[12]-'0')
	}), 0.0001, ""},
	{"AT", "Sozialversicherungsnummer", []string{"svnr", "sv nummer", "sozialversicherungsnummer"}, numbered(10, "", func(d string) bool {
		return d[0] != '0' && at(d, 4) >= 1 && at(d, 4) <= 31 && at(d, 6) >= 1 && at(d, 6) <= 12 && weighted(d, 3, 7, 9, 0, 5, 8, 4, 2, 1, 6)%11 == int(d[3]-'0')
	}), 0.004, ""},
	{"DK", "CPR-nummer", []string{"cpr", "cpr nummer", "cprnr"}, shaped(`^\d{6}-?\d{4}$`, func(s string) bool { return day(at(s, 4), at(s, 2), at(s, 0)) }), 0.04, ""},
	{"NO", "fødselsnummer", []string{"fodselsnummer", "fnr", "personnummer"}, numbered(11, "", func(d string) bool {
		return day(at(d, 4), at(d, 2), at(d, 0)%40) && mod11(weighted(d, 3, 7, 6, 1, 8, 9, 4, 5, 2), d[9]) && mod11(weighted(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2), d[10])
	}), 0.0005, ""},
	{"FI", "henkilötunnus", []string{"henkilotunnus", "hetu"}, shaped(`^\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]$`, func(s string) bool {
		return day(at(s, 4), at(s, 2), at(s, 0)) && "0123456789ABCDEFHJKLMNPRSTUVWXY"[mod(s[:6]+s[7:10], 31)] == s[10]
	}), 0.001, "x"},
	{"IE", "PPS number", []string{"pps", "ppsn", "pps number"}, shaped(`^\d{7}[A-W][A-IW]?$`, func(s string) bool {
		sum := weighted(s, 8, 7, 6, 5, 4, 3, 2)
		if len(s) == 9 && s[8] != 'W' {
			sum += int(s[8]-'A'+1) * 9
		}
		return "WABCDEFGHIJKLMNOPQRSTUV"[sum%23] == s[7]
	}), 0.005, "x"},
	{"CZ", "rodné číslo", []string{"rodne cislo", "rc"}, shaped(`^\d{6}/?\d{4}$`, func(s string) bool {
		d := strings.ReplaceAll(s, "/", "")
		return day(at(d, 0), at(d, 2)%50%20, at(d, 4)) && mod(d, 11) == 0
	}), 0.006, ""},
	{"RO", "CNP", []string{"cnp", "cod numeric personal"}, numbered(13, "", func(d string) bool {
		r := weighted(d, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9) % 11
		return d[0] != '0' && day(at(d, 1), at(d, 3), at(d, 5)) && r%10+r/10 == int(d[12]-'0')
	}), 0.003, ""},
	{"BG", "EGN", []string{"egn"}, numbered(10, "", func(d string) bool {
		return day(at(d, 0), at(d, 2)%20, at(d, 4)) && weighted(d, 2, 4, 8, 5, 10, 9, 7, 3, 6)%11%10 == int(d[9]-'0')
	}), 0.008, ""},
	{"HR", "OIB", []string{"oib"}, numbered(11, "", mod11_10), 0.1, ""},
	{"CA", "Social Insurance Number", []string{"sin", "social insurance"}, numbered(9, "-", func(d string) bool { return d[0] != '0' && d[0] != '8' && luhn(d) }), 0.08, ""},
	{"AU", "Tax File Number", []string{"tfn", "tax file number"}, numbered(9, "", func(d string) bool { return weighted(d, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0 }), 0.09, ""},
	{"ZA", "ID number", []string{"id number", "sa id"}, numbered(13, "", func(d string) bool { return day(at(d, 0), at(d, 2), at(d, 4)) && d[10] <= '1' && luhn(d) }), 0.001, ""},
	{"MX", "CURP", []string{"curp"}, shaped(`^[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[0-9A-Z]\d$`, func(s string) bool { return day(at(s, 4), at(s, 6), at(s, 8)) }), 0.001, "x"},
	{"CL", "RUT", []string{"rut", "run"}, shaped(`^\d{1,2}\.?\d{3}\.?\d{3}-?[0-9K]$`, rut), 0.09, ""},
	{"CN", "resident identity number", []string{"id card", "sfz", "shenfenzheng", "resident id"}, shaped(`^\d{17}[0-9X]$`, func(s string) bool {
		return day(at(s, 6)*100+at(s, 8), at(s, 10), at(s, 12)) && "10X98765432"[weighted(s, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11] == s[17]
	}), 0.0005, ""},
	{"JP", "My Number", []string{"my number", "mynumber", "kojin bango"}, numbered(12, "-", func(d string) bool {
		r := weighted(d, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2) % 11
		return r <= 1 && d[11] == '0' || r > 1 && 11-r == int(d[11]-'0')
	}), 0.09, ""},
	{"TR", "TC kimlik no", []string{"tckn", "tc kimlik", "kimlik no"}, numbered(11, "", func(d string) bool {
		odd, even := weighted(d, 1, 0, 1, 0, 1, 0, 1, 0, 1), weighted(d, 0, 1, 0, 1, 0, 1, 0, 1)
		return d[0] != '0' && ((odd*7-even)%10+10)%10 == int(d[9]-'0') && (odd+even+int(d[9]-'0'))%10 == int(d[10]-'0')
	}), 0.01, ""},
	{"", "passport", []string{"passport", "passport number", "reisepass", "passeport", "pasaporte", "passaporto", "paspoort", "passaporte", "paszport", "ausweisnummer", "personalausweis", "dowod osobisty", "driving licence", "driver license", "fuehrerschein"},
		shaped(`^[A-Z0-9]{6,12}$`, func(s string) bool { return strings.ContainsAny(s, "0123456789") }), 0.9, ""},
}

// mod11 compares a check digit with 11 less the remainder, where 11 stands for 0.
func mod11(sum int, digit byte) bool {
	n := 11 - sum%11
	if n == 11 {
		n = 0
	}
	return n == int(digit-'0')
}

// steuerID: no leading zero; among the first ten digits one comes twice or three times.
func steuerID(d string) bool {
	var n [10]int
	for i := range 10 {
		n[d[i]-'0']++
	}
	twice, thrice, none := 0, 0, 0
	for _, c := range n {
		switch c {
		case 0:
			none++
		case 1:
		case 2:
			twice++
		case 3:
			thrice++
		default:
			return false
		}
	}
	return d[0] != '0' && (twice == 1 && thrice == 0 && none == 1 || thrice == 1 && twice == 0 && none == 2) && mod11_10(d)
}

func rentenversicherung(s string) bool {
	n := s[8] - 'A' + 1
	d := s[:8] + string('0'+n/10) + string('0'+n%10) + s[9:]
	sum := 0
	for i, w := range []int{2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1} {
		p := int(d[i]-'0') * w
		sum += p/10 + p%10
	}
	birth := at(s, 2) % 50
	return birth <= 31 && at(s, 4) >= 1 && at(s, 4) <= 12 && sum%10 == int(s[11]-'0')
}

func nir(s string) bool {
	if len(s) != 15 {
		return false // without its key it proves nothing
	}
	d := strings.NewReplacer("2A", "19", "2B", "18").Replace(s[5:7])
	month := at(s, 3)
	return (month >= 1 && month <= 12 || month >= 20 && month <= 42 || month >= 50) && 97-mod(s[:5]+d+s[7:13], 97) == at(s, 13)
}

func dni(s string) bool {
	s = strings.ReplaceAll(s, "-", "")
	d := strings.NewReplacer("X", "0", "Y", "1", "Z", "2").Replace(s[:1]) + s[1:8]
	return "TRWAGMYFPDXBNJZSQVHLCKE"[mod(d, 23)] == s[8]
}

func codiceFiscale(s string) bool {
	odd := [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i := range 15 {
		n := int(s[i] - '0')
		if s[i] >= 'A' {
			n = int(s[i] - 'A')
		}
		if i%2 == 0 {
			n = odd[n]
		}
		sum += n
	}
	return byte('A'+sum%26) == s[15]
}

func pesel(d string) bool {
	return day(at(d, 0), at(d, 2)%20, at(d, 4)) && (10-weighted(d, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == int(d[10]-'0')
}

func ssn(s string) bool {
	d := digits(s, "-")
	return len(d) == 9 && d[:3] != "000" && d[:3] != "666" && d[0] != '9' && d[3:5] != "00" && d[5:] != "0000" && !same(d) && d != "123456789"
}

func cpf(d string) bool {
	first := weighted(d, 10, 9, 8, 7, 6, 5, 4, 3, 2) * 10 % 11 % 10
	return first == int(d[9]-'0') && weighted(d, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)*10%11%10 == int(d[10]-'0')
}

// personnummer takes also the numbers whose day is raised by 60 (samordningsnummer).
func personnummer(s string) bool {
	d := digits(s, "-+")
	if len(d) == 12 {
		if century := d[:2]; century != "18" && century != "19" && century != "20" {
			return false
		}
		d = d[2:]
	}
	return len(d) == 10 && !same(d) && day(at(d, 0), at(d, 2), at(d, 4)%60) && luhn(d)
}

func rut(s string) bool {
	s = strings.NewReplacer(".", "", "-", "").Replace(s)
	sum, w := 0, 2
	for i := len(s) - 2; i >= 0; i-- {
		sum += int(s[i]-'0') * w
		if w++; w == 8 {
			w = 2
		}
	}
	return "0123456789K0"[11-sum%11] == s[len(s)-1]
}
