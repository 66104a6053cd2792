package blueprint

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/internal/source"
)

// refusals are files that must not be published: what is changed in the shop,
// and every problem that must be told for it, with its place.
var refusals = []struct {
	name     string
	old, new string
	want     []string
}{
	{"unknown key", "title: A shop", "titel: A shop", []string{
		`5:1: $.titel: unknown key "titel"; did you mean title?`,
	}},
	{"key twice", "failure: compensate", "failure: compensate\nfailure: park", []string{
		`90:1: $.failure: key "failure" is given twice; the first is on line 89`,
	}},
	{"key twice deep down", "      tables: {orders: orders, people: people}", "      tables: {orders: orders, people: people, orders: people}", []string{
		`51:48: $.resources[1].attributes.tables.orders: key "orders" is given twice; the first is on line 51`,
	}},
	{"wrong api version", "apiVersion: tenure.dev/v1", "apiVersion: tenure.dev/v2", []string{
		"1:13: $.apiVersion: must be tenure.dev/v1",
	}},
	{"version is a number", `version: "1"`, "version: 1.10", []string{
		"4:10: $.version: must be a text, not a number; put it in quotes",
	}},
	{"name blank", "name: shop", `name: " "`, []string{
		`3:7: $.name: " " is not allowed; use lower-case letters, digits and inner hyphens, beginning with a letter`,
	}},
	{"no failure policy", "failure: compensate\n", "", []string{
		`1:1: $.failure: "failure" is missing`,
	}},
	{"unknown failure policy", "failure: compensate", "failure: compensat", []string{
		`89:10: $.failure: "compensat" is not one of compensate, park; did you mean compensate?`,
	}},
	{"no offboarding", "offboarding:\n  grace: P30D\n  retrieval: P30D\n  quarantine: P7D\n  tasks: [Hand the domain over]\n", "", []string{
		`1:1: $.offboarding: "offboarding" is missing`,
	}},
	{"no grace", "  grace: P30D\n", "", []string{
		`91:1: $.offboarding.grace: "grace" is missing`,
	}},
	{"blank retrieval", "retrieval: P30D", `retrieval: ""`, []string{
		`93:14: $.offboarding.retrieval: period "" is blank; write it like P30D, P7Y, P2W or PT72H; at once is PT0S`,
	}},
	{"empty retrieval", "retrieval: P30D", `retrieval:`, []string{
		"93:13: $.offboarding.retrieval: must not be empty",
	}},
	{"negative quarantine", "quarantine: P7D", "quarantine: P-7D", []string{
		`94:15: $.offboarding.quarantine: period "P-7D" is negative; write it like P30D, P7Y, P2W or PT72H; at once is PT0S`,
	}},
	{"number of days", "quarantine: P7D", "quarantine: 7", []string{
		"94:15: $.offboarding.quarantine: must be a text, not a number; put it in quotes",
	}},
	{"offboarding that nobody approves", "offboard: 2", "offboard: 0", []string{
		"90:35: $.approvals.offboard: must be at least 1",
	}},
	{"offboarding without a count", ", offboard: 2", "", []string{
		`90:1: $.approvals.offboard: "offboard" is missing`,
	}},
	{"approvals of an unknown kind", "onboard: 1,", "onbord: 1,", []string{
		`90:13: $.approvals.onbord: unknown key "onbord"; did you mean onboard?`,
	}},
	{"notice in an unknown language, and without English", `text: "${tenant.name} (${tenant.organization}) is ready"`, "text: {de: ist fertig, fr: c'est fini}", []string{
		`88:42: $.notices[0].text.en: "en" is missing`,
		`88:65: $.notices[0].text.fr: unknown key "fr"`,
	}},
	{"notice that can't be read in one of its languages", `text: "${tenant.name} (${tenant.organization}) is ready"`, `text: {en: ready, de: "${env.name} ist fertig"}`, []string{
		"88:67: $.notices[0].text.de: env isn't known here; notices and artifacts are for the whole tenant, not for one environment",
	}},
	{"vendor in an unknown language", "quarantine: P7D", "quarantine: P7D\n  vendors:\n    - {name: Example Print, email: desk@print.example, holds: letters, due: P14D, language: fr}", []string{
		`96:93: $.offboarding.vendors[0].language: "fr" is not one of en, de; did you mean de?`,
	}},
	{"vendor of no address, without a date", "quarantine: P7D", "quarantine: P7D\n  vendors:\n    - {name: Example Print, email: Desk <desk@print.example>, holds: letters}", []string{
		`96:8: $.offboarding.vendors[0].due: "due" is missing`,
		`96:36: $.offboarding.vendors[0].email: "Desk <desk@print.example>" is not allowed; it must be one plain mail address`,
	}},
	{"vendors of one name, and dates that are none", "quarantine: P7D", "quarantine: P7D\n  vendors:\n    - {name: Example Print, email: desk@print.example, holds: letters, due: PT1H}\n    - {name: example  print, email: desk@print.example, holds: letters, due: P2Y}", []string{
		"96:77: $.offboarding.vendors[0].due: who is asked has between a day and a year to answer",
		`97:14: $.offboarding.vendors[1].name: two vendors are named "example  print"; name each company once, and list what it holds in one text`,
		"97:78: $.offboarding.vendors[1].due: who is asked has between a day and a year to answer",
	}},
	{"artifact without a place", "quarantine: P7D", "quarantine: P7D\n  artifacts:\n    - {name: The monthly report}", []string{
		`96:8: $.offboarding.artifacts[0].where: "where" is missing`,
	}},
	{"artifacts of which two things are foreseen, that read what isn't there, that nobody hears of, and one twice", "quarantine: P7D", "quarantine: P7D\n  artifacts:\n    - {name: \"Report of ${env.name}\", where: Reports, to: sales, archive: attic}\n    - {name: Flows, where: Builder, owner: \"grp:x\"}\n    - {name: flows, where: builder, to: \"${params.nobody}\"}", []string{
		"96:27: $.offboarding.artifacts[0].name: env isn't known here; notices and artifacts are for the whole tenant, not for one environment",
		"96:75: $.offboarding.artifacts[0].archive: one thing is foreseen for an artifact; give to where it gets another owner, archive where it is put away, or neither",
		`97:44: $.offboarding.artifacts[1].owner: nobody can be told of an artifact as "grp:x"; platform, security, contact, role:NAME, group:NAME or person:NAME`,
		`98:14: $.offboarding.artifacts[2].name: two artifacts are named "flows" and are at one place; list each artifact once`,
		`98:50: $.offboarding.artifacts[2].to: unknown parameter "nobody"; there are labels, plan, quota, seats, webhook`,
	}},
	{"remnant that isn't any", "db: {connector: fake}", "db: {connector: fake, remnants: [{kinds: [ghosts], clean: true}]}", []string{
		`18:45: $.systems.db.remnants[0].kinds[0]: "ghosts" is not one of dead-rows, free-space, log, log-archive, replicas, statistics, query-log, temporary-files, versions, access-log, snapshots`,
	}},
	{"remnant that the connector doesn't know, and one of which nothing is said", "db: {connector: fake}", "db: {connector: fake, remnants: [{kinds: [versions, dead-rows], attest: gone}]}", []string{
		"18:35: $.systems.db.remnants: nothing says what becomes of log; give each clean, expires or attest",
		`18:45: $.systems.db.remnants[0].kinds[0]: connector fake has no remnants of kind "versions"; there are dead-rows, log`,
	}},
	{"remnant that can't be cleaned, one twice, one of which nothing is said, one of which two things are", "db: {connector: fake}", "db: {connector: fake, remnants: [{kinds: [log], clean: true}, {kinds: [log], expires: PT0S}, {kinds: [snapshots]}, {kinds: [dead-rows], clean: true, expires: P1D}]}", []string{
		"18:45: $.systems.db.remnants[0].kinds[0]: connector fake can do nothing about log; give expires where it has a date, or attest",
		"18:74: $.systems.db.remnants[1].kinds[0]: log is listed twice",
		"18:89: $.systems.db.remnants[1].expires: what is left after PT0S was never left; give the longest time that it may be there",
		"18:97: $.systems.db.remnants[2]: it needs exactly one of clean, expires and attest",
		"18:119: $.systems.db.remnants[3]: it needs exactly one of clean, expires and attest",
	}},
	{"no environment", "environments:\n  - {name: prod, kind: production}\n  - {name: test, kind: test}", "environments: []", []string{
		"14:15: $.environments: needs at least one item",
	}},
	{"unknown kind of environment", "kind: test", "kind: staging", []string{
		`16:24: $.environments[1].kind: "staging" is not one of production, test`,
	}},
	{"environment twice", "{name: test,", "{name: prod,", []string{
		`16:12: $.environments[1].name: "prod" is used twice; the first is on line 15`,
	}},
	{"resource key twice", "key: hook", "key: reports", []string{
		`64:10: $.resources[3].key: "reports" is used twice; the first is on line 57`,
	}},
	{"resource key that no expression can name", "key: hook", "key: web-hook", []string{
		`64:10: $.resources[3].key: "web-hook" is not allowed; use letters, digits and underscores, beginning with a lower-case letter, so that an expression can name it`,
	}},
	{"class without retention", "    retention:\n      - {name: privacy, kind: gone_by, period: P30D, from: notice}\n", "", []string{
		`30:3: $.dataClasses.people.retention: "retention" is missing`,
	}},
	{"class with no rule", "retention:\n      - {name: privacy, kind: gone_by, period: P30D, from: notice}", "retention: []", []string{
		"33:16: $.dataClasses.people.retention: needs at least one item",
	}},
	{"class kept for ever", "disposition: crypto-erase", "disposition: keep", []string{
		`32:18: $.dataClasses.people.disposition: keep leaves data of people there, and nothing says until when: nothing is kept for ever; say under end when it goes`,
	}},
	{"disposition of a later release", "disposition: crypto-erase", "disposition: archive", []string{
		`32:18: $.dataClasses.people.disposition: this release can't carry out "archive"; use keep, with an end`,
	}},
	{"disposition that a type can't carry out", "disposition: crypto-erase", "disposition: anonymise", []string{
		`46:20: $.resources[1].data[1]: people is to be anonymised, and a store can't be; give the data another class`,
	}},
	{"an end before the retention is over", "disposition: crypto-erase\n    retention:\n      - {name: privacy, kind: gone_by,", "disposition: keep\n    end: [{name: soon, kind: keep_until, period: PT1M, from: notice}]\n    retention:\n      - {name: privacy, kind: keep_until,", []string{
		`33:10: $.dataClasses.people.end: "soon" ends people PT1M after notice, and "privacy" keeps it for P30D from notice; give the end a longer period`,
	}},
	{"an end from an earlier day", "disposition: crypto-erase\n    retention:\n      - {name: privacy, kind: gone_by, period: P30D, from: notice}", "disposition: keep\n    end: [{name: soon, kind: keep_until, period: P20D, from: notice}, {name: sooner, kind: keep_until, period: P10D, from: termination}]\n    retention:\n      - {name: privacy, kind: keep_until, period: P30D, from: termination}", []string{
		`33:10: $.dataClasses.people.end: "soon" ends people P20D after notice, and "privacy" keeps it for P30D from termination; give the end a longer period`,
	}},
	{"an end when the retention is over", "disposition: crypto-erase\n    retention:\n      - {name: privacy, kind: gone_by, period: P30D, from: notice}", "disposition: keep\n    end: [{name: e, kind: keep_until, period: P30D, from: notice}]\n    retention:\n      - {name: privacy, kind: keep_until, period: P30D, from: notice}", []string{
		`33:10: $.dataClasses.people.end: "e" ends people P30D after notice, and "privacy" keeps it for P30D from notice; give the end a longer period`,
	}},
	{"an end that wants it gone while a retention runs", "disposition: crypto-erase\n    retention:\n      - {name: privacy, kind: gone_by, period: P30D, from: notice}", "disposition: keep\n    end: [{name: e, kind: keep_until, period: P1D, from: contract_end}, {name: g, kind: gone_by, period: P10D, from: notice}]\n    retention:\n      - {name: privacy, kind: keep_until, period: P30D, from: notice}", []string{
		`33:10: $.dataClasses.people.end: "g" wants people gone by P10D from notice, and "privacy" keeps it for P30D from notice; shorten the retention`,
	}},
	{"an end of a rule by which it goes", "disposition: crypto-erase\n    retention:\n      - {name: privacy, kind: gone_by, period: P30D, from: notice}", "disposition: keep\n    end: [{name: e, kind: keep_until, period: P1Y, from: notice}]\n    rules: [{name: r, contracts: [gold], disposition: purge, end: [{name: f, kind: keep_until, period: P1Y, from: notice}]}]\n    retention:\n      - {name: privacy, kind: keep_until, period: P30D, from: notice}", []string{
		"34:34: $.dataClasses.people.rules[0].contracts: the blueprint doesn't say what contract a tenant has; contract: ${tenant.tier}",
		`34:67: $.dataClasses.people.rules[0].end: rule "r" lets nothing of people stay until an end, as it is to be purged; leave it out, or let it stay: keep, pseudonymise`,
	}},
	{"an end of what goes", "disposition: crypto-erase", "disposition: crypto-erase\n    end: [{name: later, kind: keep_until, period: P1Y, from: notice}]", []string{
		`33:10: $.dataClasses.people.end: nothing of people stays until an end, as it is to be erased by its key; say under retention how long it is kept before, or let it stay: keep, pseudonymise`,
	}},
	{"pseudonyms without a key", "disposition: crypto-erase", "disposition: pseudonymise\n    end: [{name: e, kind: keep_until, period: P1Y, from: notice}]", []string{
		`32:18: $.dataClasses.people.disposition: people is to be pseudonymised, and the blueprint has no key for that; name a key, with its own retention, under pseudonyms`,
		`47:20: $.resources[1].data[1]: people is to be pseudonymised, and a store can't be; give the data another class`,
	}},
	{"rules that can't be told apart", "disposition: crypto-erase", "disposition: crypto-erase\n    rules: [{name: a, environments: [prod], disposition: purge}, {name: b, environments: [prod], disposition: crypto-erase}]", []string{
		`33:67: $.dataClasses.people.rules[1]: the rules "a" and "b" of people can hold for one tenant, and want purge and crypto-erase; give one of them a condition more`,
	}},
	{"a rule by what nothing says", "disposition: crypto-erase", "disposition: crypto-erase\n    rules: [{name: a, jurisdictions: [DE], disposition: purge}]", []string{
		`33:38: $.dataClasses.people.rules[0].jurisdictions: the blueprint doesn't say whose jurisdiction a tenant is under; jurisdiction: ${params.country}`,
	}},
	{"a rule that holds everywhere", "disposition: crypto-erase", "disposition: crypto-erase\n    rules: [{name: a, disposition: purge}]", []string{
		`33:14: $.dataClasses.people.rules[0]: rule "a" of people holds everywhere; write it as the class's own disposition`,
	}},
	{"negative retention", "period: P30D, from: notice", "period: -P30D, from: notice", []string{
		`34:48: $.dataClasses.people.retention[0].period: period "-P30D" is negative; write it like P30D, P7Y, P2W or PT72H; at once is PT0S`,
	}},
	{"blank retention", "period: P30D, from: notice", `period: "", from: notice`, []string{
		`34:48: $.dataClasses.people.retention[0].period: period "" is blank; write it like P30D, P7Y, P2W or PT72H; at once is PT0S`,
	}},
	{"rules that contradict", "from: termination, source: tax law}", "from: termination}\n      - {name: minimise, kind: gone_by, period: P1Y, from: termination}", []string{
		`29:10: $.dataClasses.orders.retention[0]: rule "tax" keeps the data for P7Y from termination, but "minimise" wants it gone by P1Y from termination; shorten one of them`,
	}},
	{"rules that contradict from different days", "from: termination, source: tax law}", "from: termination}\n      - {name: minimise, kind: gone_by, period: P1Y, from: notice}", []string{
		`29:10: $.dataClasses.orders.retention[0]: rule "tax" keeps the data for P7Y from termination, but "minimise" wants it gone by P1Y from notice; shorten one of them`,
	}},
	{"unknown connector", "connector: fakeweb", "connector: fakweb", []string{
		`19:20: $.systems.web.connector: unknown connector "fakweb"; did you mean fakeweb?`,
	}},
	{"unknown system", "    system: web\n    kind: http\n    resource: key", "    system: wbe\n    kind: http\n    resource: key", []string{
		`72:13: $.probes[0].system: unknown system "wbe"; did you mean web?`,
	}},
	{"unknown type", "type: hook", "type: hok", []string{
		`66:11: $.resources[3].type: connector fake has no type "hok"; did you mean hook?`,
	}},
	{"deletion undeclared", "type: hook", "type: undeletable", []string{
		"66:11: $.resources[3].type: type undeletable doesn't declare what deletion means; a tenant that has it couldn't be proven gone",
	}},
	{"verification undeclared", "type: hook", "type: unseen", []string{
		"66:11: $.resources[3].type: type unseen doesn't declare how presence and absence are verified; a tenant that has it couldn't be proven gone",
	}},
	{"recovery undeclared", "type: hook", "type: unrecovered", []string{
		"66:11: $.resources[3].type: type unrecovered doesn't declare whether it can be recovered; a tenant that has it couldn't be proven gone",
	}},
	{"unknown attribute", "      limit: ${params.seats * 2}", "      limt: 5", []string{
		`49:7: $.resources[1].attributes.limt: unknown key "limt"; did you mean limit?`,
	}},
	{"attribute of the wrong type", "      limit: ${params.seats * 2}", "      limit: many", []string{
		"49:14: $.resources[1].attributes.limit: must be a whole number, not a text",
	}},
	{"attribute out of range", "      limit: ${params.seats * 2}", "      limit: 0", []string{
		"49:14: $.resources[1].attributes.limit: must be at least 1",
	}},
	{"attribute that fits no alternative", "      limit: ${params.seats * 2}", "      size: {form: 1}", []string{
		`49:7: $.resources[1].attributes.size.from: "from" is missing`,
		`49:14: $.resources[1].attributes.size.form: unknown key "form"`,
	}},
	{"required attribute missing", "    attributes:\n      store: ${resources.store.id}\n", "", []string{
		`36:5: $.resources[0].attributes.store: "store" is missing`,
	}},
	{"exposed", "      limit: ${params.seats * 2}", "      public: true", []string{
		"49:7: $.resources[1].attributes: public is true: everybody could read it",
	}},
	{"data without a class", "    data: [orders, people]\n", "", []string{
		"42:5: $.resources[1]: store may hold data and has no data class; name the data classes that it holds under data",
		"50:24: $.resources[1].attributes.tables.orders: data class orders isn't among the resource's; add it to data",
		"50:40: $.resources[1].attributes.tables.people: data class people isn't among the resource's; add it to data",
	}},
	{"unknown class", "data: [orders, people]", "data: [orders, poeple]", []string{
		`46:20: $.resources[1].data[1]: unknown data class "poeple"; did you mean people?`,
		"51:40: $.resources[1].attributes.tables.people: data class people isn't among the resource's; add it to data",
	}},
	{"class of nothing", "    attributes: {url: \"${params.webhook}\"}", "    data: [orders]", []string{
		"69:11: $.resources[3].data: hook holds no data that a data class could cover",
	}},
	{"place of an unknown class", "tables: {orders: orders, people: people}", "tables: {orders: order, people: people}", []string{
		`51:24: $.resources[1].attributes.tables.orders: unknown data class "order"; did you mean orders?`,
	}},
	{"place of a class that the resource doesn't hold", "data: [orders, people]", "data: [orders]", []string{
		"51:40: $.resources[1].attributes.tables.people: data class people isn't among the resource's; add it to data",
	}},
	{"environments with one name", "name: ${tenant.name}-${env.name}\n    data", "name: ${tenant.name}-store\n    data", []string{
		"39:11: $.resources[0].name: the name is the same in prod (production) and test (test): they must be kept apart; use ${env.name} in it, or limit the resource to one environment",
		"45:11: $.resources[1].name: the name is the same in prod (production) and test (test): they must be kept apart; use ${env.name} in it, or limit the resource to one environment",
	}},
	{"environments with one name by way of another", "name: ${resources.store.name}-key", "name: ${tenant.name}-${resources.store.type}-key", []string{
		"39:11: $.resources[0].name: the name is the same in prod (production) and test (test): they must be kept apart; use ${env.name} in it, or limit the resource to one environment",
	}},
	{"name for every tenant", "name: ${tenant.name}-${env.name}-hook", "name: hook-${env.name}", []string{
		"67:11: $.resources[3].name: the name is the same for every tenant; use ${tenant.name} in it, or a parameter that is required",
	}},
	{"same name twice", "name: ${tenant.name}-${env.name}-reports\n    when: features.reports", "name: ${tenant.name}-${env.name}", []string{
		"60:11: $.resources[2].name: resources store and reports have the same name in the same system",
	}},
	{"unknown environment", "    environments: [prod]\n  - key: hook", "    environments: [prd]\n  - key: hook", []string{
		`63:20: $.resources[2].environments[0]: unknown environment "prd"; did you mean prod?`,
	}},
	{"cycle", "      limit: ${params.seats * 2}", "      mode: ${resources.key.id}", []string{
		"36:5: $.resources[0]: cycle: key → store → key; a resource must not need itself, even by way of others",
	}},
	{"cycle of one", "      limit: ${params.seats * 2}", "      limit: ${size(resources.store.name)}", []string{
		"42:5: $.resources[1]: cycle: store → store; a resource must not need itself, even by way of others",
	}},
	{"needs an unknown resource", "    handover: true", "    handover: true\n    needs: [kye]", []string{
		`48:13: $.resources[1].needs[0]: unknown resource "kye"; did you mean key?`,
	}},
	{"unknown name", "${tenant.name}.example", "${tennant.name}.example", []string{
		`84:18: $.outputs.url: unknown name "tennant"; did you mean tenant?`,
	}},
	{"unknown field", "${tenant.name}.example", "${tenant.nmae}.example", []string{
		`84:24: $.outputs.url: tenant has no "nmae"; did you mean name?`,
	}},
	{"unknown parameter", "${params.seats} seats", "${params.seat} seats", []string{
		`50:28: $.resources[1].attributes.note: unknown parameter "seat"; did you mean seats?`,
	}},
	{"unknown resource in an expression", "${resources.reports.name}", "${resources.report.name}", []string{
		`86:23: $.outputs.reports: unknown resource "report"; did you mean reports?`,
	}},
	{"feature that isn't declared", "    when: features.reports\n    data", "    when: features.report\n    data", []string{
		`61:19: $.resources[2].when: feature "report" isn't declared; did you mean reports?`,
	}},
	{"expression on a later line", "-- for ${tenant.name}", "-- for ${tenant.nam}", []string{
		`55:24: $.resources[1].attributes.ddl: tenant has no "nam"; did you mean name?`,
	}},
	{"not CEL", "${params.seats * 2}", "${params.seats *}", []string{
		"49:30: $.resources[1].attributes.limit: this isn't CEL: it ends too early",
	}},
	{"types that don't go together", "${params.seats * 2}", "${params.seats * 'x'}", []string{
		"49:29: $.resources[1].attributes.limit: * can't be applied to (int, string)",
	}},
	{"unclosed expression", "${params.seats * 2}", "${params.seats * 2", []string{
		"49:14: $.resources[1].attributes.limit: ${ isn't closed by }; a literal ${ is written $${",
	}},
	{"empty expression", "${params.seats * 2}", "${ }", []string{
		"49:14: $.resources[1].attributes.limit: ${} holds no expression; a literal ${ is written $${",
	}},
	{"list within a text", "up to ${params.seats} seats", "up to ${params.labels} seats", []string{
		"50:22: $.resources[1].attributes.note: the expression gives map(string, dyn), which can't be written into a text; let the expression be the whole text, or take one field of it",
	}},
	{"bytes", "${params.seats * 2}", "${b'abc'}", []string{
		"49:16: $.resources[1].attributes.limit: the expression gives bytes, which can't be stored; take one field of it, or write string(…)",
	}},
	{"when with braces", "    when: features.reports\n    data", "    when: ${features.reports}\n    data", []string{
		"61:11: $.resources[2].when: when is an expression by itself; leave ${ } out",
	}},
	{"when that isn't a truth", "    when: features.reports\n    data", "    when: tenant.tier\n    data", []string{
		"61:11: $.resources[2].when: when must give true or false, and gives string",
	}},
	{"parameter that may be left out", "    when: has(params.webhook)\n", "", []string{
		"68:23: $.resources[3].attributes.url: parameter webhook may be left out of a request; require it, give it a default, or ask has(params.webhook)",
	}},
	{"resource of another environment", "    name: ${tenant.name}-${env.name}-hook", "    name: ${tenant.name}-${env.name}-${resources.reports.type}", []string{
		"67:11: $.resources[3].name: resource hook is in environment test, and reports isn't; limit both to the same environments, or ask has(resources.reports)",
		"67:11: $.resources[3].name: resource reports is left out where its condition is false; give this the same when, or ask has(resources.reports)",
	}},
	{"credential in a text", "${credential(resources.key)}", "key ${credential(resources.key)}", []string{
		"85:17: $.outputs.apiKey: a credential must be the whole of an output, since it is shown once; write ${credential(resources.KEY)} and nothing else",
	}},
	{"credential of nothing", "${credential(resources.key)}", "${credential(resources.store)}", []string{
		"85:11: $.outputs.apiKey: resource store has no credential: type store makes none",
	}},
	{"credential outside of outputs", "      limit: ${params.seats * 2}", "      mode: ${credential(resources.key)}", []string{
		"49:25: $.resources[1].attributes.mode: credential() isn't known here; only an output may hand a credential over",
	}},
	{"notice that asks for an environment", "${tenant.name} (${tenant.organization}) is ready", "${env.name} is ready", []string{
		"88:51: $.notices[0].text: env isn't known here; notices and artifacts are for the whole tenant, not for one environment",
	}},
	{"probe of an unknown kind", "kind: http\n    resource: key", "kind: htpp\n    resource: key", []string{
		`73:11: $.probes[0].kind: connector fakeweb has no probe "htpp"; did you mean http?`,
	}},
	{"probe of an unknown resource", "resource: key\n", "resource: kez\n", []string{
		`74:15: $.probes[0].resource: unknown resource "kez"; did you mean key?`,
	}},
	{"required parameter that isn't declared", "required: [plan]", "required: [paln]", []string{
		`7:14: $.parameters.required[0]: unknown parameter "paln"; did you mean plan?`,
	}},
	{"default that doesn't fit", "minimum: 1, default: 5", "minimum: 1, default: 0", []string{
		"10:49: $.parameters.properties.seats.default: the default doesn't fit: must be at least 1",
	}},
	{"default that is a credential", "    plan: {type: string, enum: [small, large]}", "    plan: {type: string}\n    smtpPassword: {type: string, default: hunter2}", []string{
		"10:43: $.parameters.properties.smtpPassword.default: the default of smtpPassword looks like a credential; parameters are stored and shown in clear; let Tenure make the credential, or name where it is kept",
	}},
	{"default that looks like one", "    plan: {type: string, enum: [small, large]}", "    plan: {type: string, default: \"postgres://app:hunter2@db/app\"}", []string{
		"9:44: this looks like an address with a password; keep secrets out of a blueprint, which many may read: name where one stands, as env:NAME, file:PATH or vault:MOUNT/PATH#FIELD in systems.yaml; and replace this one",
	}},
	{"keyword that JSON Schema would ignore", "minimum: 1, default: 5", "minimun: 1, default: 5", []string{
		`10:28: $.parameters.properties.seats.minimun: unknown keyword "minimun"; did you mean minimum?`,
	}},
	{"schema of a wrong form", "minimum: 1, default: 5", "minimum: one, default: 5", []string{
		"10:37: $.parameters.properties.seats.minimum: must be a number, not a text",
	}},
	{"schema that refers outside", "    webhook: {type: string, format: uri}", "    webhook: {$ref: \"https://example.test/schema.json\"}", []string{
		`7:3: $.parameters: this isn't a JSON Schema: failing loading "https://example.test/schema.json": https://example.test/schema.json is outside the schema; a reference must stay within it`,
	}},
	{"merge key", "encryption: {inTransit: required}", "encryption: {<<: {inTransit: required}}", []string{
		"20:14: $.encryption: merge keys (<<) aren't allowed; write the keys out",
	}},
	{"several at once", "failure: compensate\napprovals: {onboard: 1, offboard: 2}", "failure: never\napprovals: {onboard: -1, offboard: 0}\nextra: true", []string{
		`89:10: $.failure: "never" is not one of compensate, park`,
		"90:22: $.approvals.onboard: must be at least 0",
		"90:36: $.approvals.offboard: must be at least 1",
		`91:1: $.extra: unknown key "extra"`,
	}},
	{"not YAML", "features:\n", "features: [\n", []string{
		"24:1: this isn't YAML: ',' or ']' must be specified",
	}},
	{"colon in an expression", "name: ${tenant.name}-${env.name}-hook", "name: ${env.name == 'prod' ? 'p' : 't'}", []string{
		"67:11: this isn't YAML: mapping value is not allowed in this context; put a text that holds a colon and a space in quotes",
	}},
	{"two documents", "apiVersion: tenure.dev/v1", "---\na: 1\n---\napiVersion: tenure.dev/v1", []string{
		"4:11: the file holds more than one document; write one blueprint to a file",
	}},
}

// refused gives the problems of a file that must be refused.
func refused(t *testing.T, yaml string) source.Problems {
	t.Helper()
	src, err := Parse([]byte(yaml), "shop.yaml")
	if err == nil {
		_, err = Check(src, catalog())
	}
	if err == nil {
		t.Fatal("it was accepted")
	}
	if code := tenure.CodeOf(err); code != tenure.Invalid {
		t.Errorf("code %s, want invalid", code)
	}
	var ps source.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("the error wraps no problems: %v", err)
	}
	return ps
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range refused(t, edit(t, shop(t), tt.old, tt.new)) {
				p.Excerpt = ""
				got = append(got, strings.TrimPrefix(p.String(), "shop.yaml:"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// What a person reads: the place, the reason, the line, and what to do.
func TestErrorText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, tt := range refusals {
		switch tt.name {
		case "several at once", "expression on a later line", "unknown key", "cycle", "cycle of one", "exposed", "not YAML", "default that is a credential":
			b.WriteString("# " + tt.name + "\n" + refused(t, edit(t, shop(t), tt.old, tt.new)).Error() + "\n\n")
		}
	}
	golden(t, "testdata/errors.golden", []byte(b.String()))
}
