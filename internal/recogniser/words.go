package recogniser

import (
	"strings"
	"unicode"
)

// words splits a column's name where its author did: at signs, and where small letters
// end and capitals begin. They are in lower case, without accents.
func words(name string) []string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			b.WriteByte(' ')
			continue
		case i > 0 && unicode.IsUpper(c) && (unicode.IsLower(r[i-1]) || unicode.IsDigit(r[i-1]) || unicode.IsUpper(r[i-1]) && i+1 < len(r) && unicode.IsLower(r[i+1])):
			b.WriteByte(' ')
		case i > 0 && unicode.IsDigit(c) && unicode.IsLetter(r[i-1]), i > 0 && unicode.IsLetter(c) && unicode.IsDigit(r[i-1]):
			b.WriteByte(' ')
		}
		b.WriteString(plain(unicode.ToLower(c)))
	}
	return strings.Fields(b.String())
}

var accents = map[rune]string{'ä': "ae", 'ö': "oe", 'ü': "ue", 'ß': "ss", 'å': "a", 'æ': "ae", 'ø': "o", 'œ': "oe", 'ł': "l", 'ı': "i", 'đ': "d"}

func unaccented() map[rune]rune {
	out := map[rune]rune{}
	for _, p := range [][2]string{{"àáâãāăą", "a"}, {"çćčĉ", "c"}, {"ďð", "d"}, {"èéêëēęě", "e"}, {"ğģ", "g"}, {"ìíîïī", "i"}, {"ľĺ", "l"}, {"ñńňņ", "n"}, {"òóôõōő", "o"}, {"ŕř", "r"}, {"śšşș", "s"}, {"ťţț", "t"}, {"ùúûūůűų", "u"}, {"ýÿ", "y"}, {"źżž", "z"}} {
		for _, c := range p[0] {
			out[c] = rune(p[1][0])
		}
	}
	return out
}

var bare = unaccented()

func plain(c rune) string {
	if s, ok := accents[c]; ok {
		return s
	}
	if p, ok := bare[c]; ok {
		return string(p)
	}
	return string(c)
}

// A hint is what a name says: the class, and how surely.
type hint struct {
	class Class
	sure  float64
	word  string // that said it
}

// A phrase is a word, or words that follow one another, and what they say. Of phrases
// that a name has the longest counts, then the last.
type phrase struct {
	class Class
	sure  float64
	texts string // separated by commas; words that a name may run together stand together too
}

// The phrases are in English, German, French, Spanish, Italian, Dutch, Portuguese and
// Polish, without accents; ue stands for ü.
var phrases = []phrase{
	{Email, 0.9, "email,e mail,emailaddress,mailaddress,mail address,mail addr,email addr,emailadresse,mailadresse,mail adresse,courriel,adresse mail,adresse electronique,correo,correo electronico,email address,posta elettronica,indirizzo email,indirizzo mail,emailadres,mailadres,endereco email,correio eletronico,adres email,adres mail,poczta,mailaddr"},
	{Email, 0.7, "mail"},
	{Phone, 0.9, "phone,telephone,telefon,telefonnummer,telefon nr,telefonnr,handynummer,rufnummer,mobilnummer,mobile number,mobilenumber,mobile phone,cell phone,cellphone,msisdn,fax number,faxnummer,fax nr,numero telephone,portable,tel portable,telefono,numero telefono,movil,numero movil,cellulare,recapito telefonico,telefoonnummer,telefoon,mobiel,mobiel nummer,telefone,celular,telemovel,telefon komorkowy,numer telefonu,komorka,phone number,phonenumber,phone no,phoneno,whatsapp,telephone number"},
	{Phone, 0.7, "tel,fax,mobile,handy,mobil,gsm,cell,tlf,tfno"},
	{IBAN, 0.95, "iban,iban number,ibannummer,iban nr"},
	{IBAN, 0.6, "bank account,account iban,kontonummer,konto nr,bankkonto,bankverbindung,compte bancaire,rib,cuenta bancaria,numero cuenta,conto corrente,rekeningnummer,bankrekening,conta bancaria,numer konta,konto bankowe,rachunek"},
	{Card, 0.9, "credit card,creditcard,card number,cardnumber,card no,cardno,card pan,cc number,ccnumber,cc num,ccnum,payment card,kreditkarte,kreditkartennummer,kartennummer,carte bancaire,carte credit,numero carte,numero cb,tarjeta,numero tarjeta,tarjeta credito,carta credito,numero carta,creditcardnummer,kaartnummer,cartao,cartao credito,numero cartao,karta kredytowa,numer karty"},
	{Card, 0.5, "pan"},
	{IPAddress, 0.9, "ip,ip address,ipaddress,ip addr,ipaddr,ipv,client ip,remote ip,remote addr,ip adresse,ipadresse,adresse ip,direccion ip,indirizzo ip,ip adres,endereco ip,adres ip,source ip,last ip"},
	{OnlineID, 0.7, "username,user name,login,login name,loginname,benutzername,benutzer name,nutzername,anmeldename,nom utilisateur,identifiant,pseudo,usuario,nombre usuario,nome utente,gebruikersnaam,nome usuario,utilizador,nazwa uzytkownika,nick,nickname,screen name,user agent,useragent,device id,deviceid,cookie,cookie id,advertising id,idfa,gaid,imei,imsi,mac address,macaddress,mac addr,fingerprint,twitter handle,skype,linkedin,facebook id,ssid,visitor id,anonymous id"},
	{PersonName, 0.9, "first name,firstname,last name,lastname,surname,given name,givenname,family name,familyname,middle name,middlename,maiden name,full name,fullname,forename,vorname,nachname,familienname,geburtsname,vor nachname,prenom,nom famille,nom complet,nom naissance,nombre completo,nombre pila,apellido,apellidos,primer apellido,segundo apellido,apellido paterno,apellido materno,cognome,nome cognome,nome completo,voornaam,achternaam,tussenvoegsel,voorletters,volledige naam,sobrenome,apelido,primeiro nome,ultimo nome,imie,imiona,nazwisko,imie nazwisko,nazwisko rodowe,person name,contact name,contact person,ansprechpartner,recipient name,customer name,kundenname,employee name,mitarbeitername,patient name,cardholder,card holder,cardholder name,kontoinhaber,karteninhaber,account holder,titulaire,titular,intestatario,father name,mother name,spouse name,signer name,author name,owner name,holder name,passenger name,guest name,emergency contact,next of kin"},
	{PersonName, 0.55, "nom,nombre,nome,fname,lname,fn,ln,initials,display name,displayname,anzeigename,naam,empfaenger,recipient,contact,kontaktperson,kontakt"},
	{BirthDate, 0.95, "birth date,birthdate,date of birth,dateofbirth,dob,birthday,birth day,born,born on,born at,year of birth,birth year,birthyear,geburtsdatum,geburtstag,geburtsjahr,geb datum,gebdatum,geboren,geboren am,date naissance,naissance,annee naissance,ne le,fecha nacimiento,nacimiento,ano nacimiento,data nascita,nascita,anno nascita,geboortedatum,geboorte,geboortejaar,data nascimento,nascimento,dt nascimento,dt nasc,data urodzenia,urodzenia,rok urodzenia"},
	{BirthDate, 0.6, "age,alter,edad,eta,leeftijd,idade,wiek"},
	{Address, 0.85, "street,street address,address,address line,addressline,addr,postal address,home address,mailing address,billing address,shipping address,house number,housenumber,zip,zipcode,zip code,postcode,post code,postal code,postalcode,strasse,str,strassenname,hausnummer,haus nr,hausnr,anschrift,adresse,postanschrift,wohnort,plz,postleitzahl,adresszusatz,rue,adresse postale,code postal,codepostal,cp,calle,direccion,domicilio,codigo postal,via,indirizzo,indirizzo residenza,residenza,cap,numero civico,straat,straatnaam,huisnummer,postcode,adres,woonplaats,rua,endereco,logradouro,bairro,cep,codigo postal,morada,ulica,adres zamieszkania,kod pocztowy,numer domu,numer mieszkania,miejscowosc"},
	{Address, 0.55, "city,town,ort,stadt,ville,commune,ciudad,poblacion,localidad,municipio,citta,comune,stad,plaats,gemeente,cidade,municipio,miasto,suburb,district"},
	{Location, 0.85, "latitude,longitude,lat,lng,lon,geo,geolocation,gps,gps lat,gps lon,coordinates,geo point,breitengrad,laengengrad,latitud,longitud,latitudine,longitudine,breedtegraad,lengtegraad,szerokosc geograficzna,dlugosc geograficzna,last location,coords"},
	{Special, 0.8, "gender,sex,geschlecht,sexe,genre,sexo,genero,sesso,genere,geslacht,plec,religion,konfession,religione,geloof,religiao,wyznanie,religia,ethnicity,ethnic,race,ethnie,etnia,raza,rasse,etniciteit,nationality,nationalitaet,staatsangehoerigkeit,nationalite,nacionalidad,nazionalita,nationaliteit,nacionalidade,narodowosc,obywatelstwo,marital status,maritalstatus,familienstand,etat civil,estado civil,stato civile,burgerlijke staat,stan cywilny,diagnosis,diagnose,diagnostic,diagnostico,diagnosi,rozpoznanie,icd,medical,health,disability,disabled,behinderung,gesundheit,sante,salud,salute,gezondheid,saude,zdrowie,allergies,allergien,allergy,blood type,blood group,blutgruppe,groupe sanguin,grupo sanguineo,medication,medikation,krankheit,illness,symptoms,sexual orientation,political,party membership,union member,trade union,gewerkschaft,biometric,fingerprint data,genome,dna,pregnancy,schwanger,criminal record,vaccination,impfung"},
	{FreeText, 0.75, "note,notes,comment,comments,remark,remarks,free text,freetext,body,message,message text,msg,memo,bio,about,about me,feedback,review text,internal note,private note,notiz,notizen,bemerkung,bemerkungen,kommentar,kommentare,freitext,anmerkung,anmerkungen,nachricht,hinweis,commentaire,commentaires,remarque,remarques,texte libre,nota,notas,comentario,comentarios,observaciones,observacion,mensaje,texto libre,commento,commenti,osservazioni,messaggio,testo libero,opmerking,opmerkingen,notitie,notities,bericht,vrije tekst,observacoes,observacao,mensagem,texto livre,uwaga,uwagi,komentarz,komentarze,notatka,notatki,wiadomosc,tresc,transcript,chat,complaint,beschwerde,anamnese,anamnesis,history text,letter"},
	{FreeText, 0.45, "text,content,subject,betreff,objet,asunto,oggetto,onderwerp,assunto,temat,reason,grund,description,beschreibung,descripcion,descrizione,omschrijving,descricao,opis,details,question,answer,summary"},
	{Secret, 0.9, "password,passwd,passwort,kennwort,pwd,password hash,passwordhash,passwort hash,pass hash,pwhash,pw hash,hashed password,encrypted password,password digest,mot de passe,motdepasse,mdp,contrasena,clave acceso,wachtwoord,senha,palavra passe,haslo,salt,secret,secret key,secretkey,client secret,clientsecret,shared secret,api key,apikey,api token,apitoken,api secret,access key,accesskey,access token,accesstoken,refresh token,refreshtoken,auth token,authtoken,auth key,session token,sessiontoken,session key,bearer token,reset token,reset password token,remember token,confirmation token,csrf token,private key,privatekey,privkey,ssh key,signing key,encryption key,master key,token,token hash,totp,totp secret,otp,otp secret,mfa secret,two factor secret,recovery code,recovery codes,backup codes,security answer,pin,pin code,pincode,cvv,cvc,passphrase,credential,credentials,webhook secret,hmac key,license key,connection string,geheimnis,sha password,token sha,secret sha"},
}

var known = index()

func index() map[string]hint {
	out := map[string]hint{}
	add := func(text string, h hint) {
		h.word = text
		if have, ok := out[text]; !ok || h.sure > have.sure {
			out[text] = h
		}
	}
	for _, p := range phrases {
		for text := range strings.SplitSeq(p.texts, ",") {
			add(text, hint{class: p.class, sure: p.sure})
			if joined := strings.ReplaceAll(text, " ", ""); len(joined) > 5 {
				add(joined, hint{class: p.class, sure: p.sure})
			}
		}
	}
	for _, n := range nationals {
		for _, text := range n.words {
			sure := 0.85
			if ambiguous[text] {
				sure = 0.5
			}
			add(text, hint{class: NationalID, sure: sure})
		}
	}
	for _, text := range []string{"national id", "nationalid", "national identity", "identity number", "identity card", "id card", "idcard", "personal id", "personal number", "tax id", "taxid", "tax number", "taxpayer id", "social insurance number", "citizen id", "ausweis", "ausweisnummer", "numero identite", "piece identite", "documento", "documento identita", "carta identita", "identiteitsnummer", "identidade", "rg", "dowod", "numer dowodu"} {
		add(text, hint{class: NationalID, sure: 0.75})
	}
	return out
}

// Words that turn what a name says into something about it: when, whether, how often.
var about = set("at on id ids count counts cnt total verified confirmed sent status state enabled disabled type kind is has flag active valid format version ts timestamp expires expiry expired updated created deleted changed bounced bounces opens clicks template templates provider domain opt optin subscribed allowed required length size max min attempts policy algorithm algo iterations name_count code_type anzahl versand versendet bestaetigt datum verifie envoye actif verificado enviado attivo inviato fk uuid guid key_id index sort order position url path count_of notifications reminders frequency preference preferences settings config marketing limit quota queue campaign category")

// Words that leave a phrase as it is.
var filler = set("the of de du des la le les el los las di da do dos del della van het der die das den dem na nr no num numer number numero nummer primary secondary main private work home office business old new current previous last alt alternate alternative other second third billing shipping delivery contact user customer client employee person personal member patient account owner author sender receiver from to by cc bcc reply w val value raw normalized normalised hash hashed encrypted enc masked clear plain full default emergency kunde kunden benutzer privat geschaeftlich rechnung liefer lieferung client kundin gast guest staff admin")

func set(s string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		out[w] = true
	}
	return out
}

// hintOf reads what a name says; the second is true where the name speaks of the data
// but says when, whether or how often, and so of something else.
func hintOf(name string) (h hint, aside bool) {
	all := words(name)
	best := -1
	for n := min(4, len(all)); n > 0 && best < 0; n-- {
		for i := len(all) - n; i >= 0; i-- {
			text := strings.Join(all[i:i+n], " ")
			found, ok := known[text]
			if one, plural := strings.CutSuffix(text, "s"); !ok && plural && len(one) > 3 {
				found, ok = known[one]
			}
			if ok && (best < 0 || found.sure > h.sure) {
				h, best = found, i+n
			}
		}
	}
	if best < 0 { // words between, as in numero_de_telefono
		var rest []string
		for _, w := range all {
			if !linking[w] {
				rest = append(rest, w)
			}
		}
		if len(rest) == len(all) {
			return hint{}, false
		}
		return hintOf(strings.Join(rest, "_"))
	}
	for _, w := range all[best:] {
		if about[w] && !filler[w] {
			return h, true
		}
	}
	if first := all[0]; first == "is" || first == "has" || first == "can" || first == "allow" || first == "num" || first == "count" || first == "show" || first == "send" || first == "requires" {
		return h, best > 1
	}
	return h, false
}

// ambiguous are names of national ids that mean other things too.
var ambiguous = set("run rut cf rc sin pan nif tin pps nhs avs hetu idnr")

var linking = set("of de du des la le les el los las di da do dos del della d l y e i und et van het der")

// Tables whose column name says who somebody is.
var persons = set("people profile profiles relative relatives doctor doctors nurse nurses child children spouse spouses dependent dependents beneficiary beneficiaries citizen citizens voter voters borrower borrowers visitor visitors donor donors pupil pupils user users person persons people contact contacts customer customers client clients employee employees member members patient patients student students staff author authors guest guests passenger passengers subscriber subscribers lead leads attendee attendees account_holder candidate candidates applicant applicants teacher teachers doctor doctors resident residents participant participants recipient recipients driver drivers tenant_user owner owners kunde kunden benutzer nutzer person personen mitarbeiter kontakt kontakte patienten mitglied mitglieder schueler lehrer gaeste utilisateur utilisateurs personne personnes contacts clients employe employes salarie salaries membre membres eleve eleves usuario usuarios persona personas cliente clientes empleado empleados contacto contactos paciente pacientes utente utenti persone clienti dipendente dipendenti contatto contatti pazienti gebruiker gebruikers persoon personen klant klanten medewerker medewerkers contactpersoon contactpersonen leden pessoa pessoas funcionario funcionarios contato contatos utilizador utilizadores uzytkownik uzytkownicy osoba osoby klient klienci pracownik pracownicy kontakty pacjent pacjenci")

// ofPersons says that a table's rows are persons.
func ofPersons(table string) bool {
	for _, w := range words(table) {
		if persons[w] {
			return true
		}
	}
	return false
}

// Tables of what is known of somebody's health, and the columns in which it stands.
var (
	health   = set("diagnosis diagnoses prescription prescriptions medication medications allergy allergies vaccination vaccinations treatment treatments symptom symptoms anamnesis vitals medical diagnose diagnosen rezept rezepte befund befunde behandlung behandlungen impfung impfungen diagnostic diagnostics ordonnance ordonnances traitement traitements diagnostico diagnosticos receta recetas tratamiento tratamientos diagnosi ricetta ricette terapia terapie recept recepten behandeling behandelingen receita receitas tratamento tratamentos rozpoznanie rozpoznania recepty leczenie")
	findings = set("text code body note notes comment value result results drug substance dose dosage finding findings description summary details icd wirkstoff dosis medicament medicamento farmaco geneesmiddel lek")
)

// ofHealth is the word by which a table's name speaks of health, "" if none does.
func ofHealth(table string) string {
	for _, w := range words(table) {
		if health[w] {
			return w
		}
	}
	return ""
}
