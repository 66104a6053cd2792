package policy

// Packages are named by their path in the module, the root as "."; "a/*" means
// each package right below a, unless a longer row names it.

// floors stand one on the other, the ground first. An import goes down; one that
// stays on its floor needs a row in sideways.
var floors = []floor{
	{"ground", []string{".", "audit", "examples", "examples/*", "internal/words"}},
	{"parts", []string{
		"client", "connector", "connector/*", "connector/http/descriptions", "evidence", "internal/blueprint", "internal/chromiumtest", "internal/claim", "internal/clock", "internal/dashboard", "internal/demoidp", "internal/event", "internal/expression", "internal/guard",
		"internal/identity", "internal/keystore", "internal/lookalike", "internal/mariadbtest", "internal/nametest", "internal/noderedtest", "internal/npmtest", "internal/oidctest", "internal/pocketbasetest", "internal/postgrestest", "internal/recogniser", "internal/register", "internal/s3test", "internal/scaffold", "internal/schematest", "internal/scimtest", "internal/secret", "internal/servertest", "internal/slapdtest", "internal/smtptest", "internal/source", "internal/standin", "internal/store", "internal/tofutest", "internal/toxitest", "internal/witness",
	}},
	{"work", []string{"internal/engine", "internal/governance", "internal/hygiene", "internal/notify", "internal/planner", "internal/proposal", "internal/statement", "internal/survey", "internal/telemetry"}},
	{"door", []string{"internal/lifecycle", "internal/trigger"}},
	{"ways in", []string{"internal/installation", "internal/server"}},
	{"pages", []string{"internal/site"}},
	{"daemon", []string{"internal/daemon"}},
	{"top", []string{"bench", "cmd/*", "docs", "examples/*/*", "internal/crash", "internal/customer", "internal/demo", "internal/departure", "internal/policy"}},
}

type floor struct {
	name     string
	packages []string
}

// sideways are the imports within a floor, and those of test files that go up.
var sideways = []edge{
	{from: "audit", to: ".", why: "an entry names tenants and operations by the root's typed ids"},
	{from: "connector/relational", to: "connector", why: "it is what SQL drivers share of their contract"},
	{from: "connector/relational", to: "connector/transform", why: "what becomes of a column's values is the same in files"},
	{from: "connector/objects", to: "connector/transform", why: "what becomes of a field's values is the same in tables"},
	{from: "connector/objects", to: "connector", why: "what stands against a change is a place of a data map"},
	{from: "connector/rest", to: "connector", why: "it keeps secrets out of what it says as every connector does"},
	{from: "connector/oidcclient", to: "connector/rest", why: "as http"},
	{from: "connector/http", to: "connector/rest", why: "requests, pages and credentials are the same for every HTTP system"},
	{from: "internal/trigger", to: "internal/lifecycle", why: "what an event leads to is an intent"},
	{from: "connector/http", to: "internal/source", why: "a description is a YAML file with lines, as a blueprint is"},
	{from: "connector/exec", to: "connector/trial", why: "programs are tried as descriptions are"},
	{from: "connector/http", to: "connector/trial", why: "a description is tried against a system before it is used"},
	{from: "connector/http/descriptions", to: "connector/trial", tests: true, why: "it hears what a trial tells"},
	{from: "connector/exec", to: "internal/source", why: "a manifest is a YAML file with lines, as a blueprint is"},
	{from: "connector/exec", to: "internal/npmtest", tests: true, why: "it skips what a machine without Python can't try"},
	{from: "connector/http/descriptions", to: "connector", why: "a description makes a connector"},
	{from: "connector/http/descriptions", to: "connector/http", why: "it parses them"},
	{from: "connector/http/descriptions", to: "connector/connectortest", tests: true, why: "every description that can be tried passes the suite"},
	{from: "connector/http/descriptions", to: "internal/noderedtest", tests: true, why: "a real server for each test"},
	{from: "connector/http/descriptions", to: "internal/pocketbasetest", tests: true, why: "a real server for each test"},
	{from: "connector/http/descriptions", to: "internal/scimtest", tests: true, why: "a real server for each test"},
	{from: "connector/http/descriptions", to: "internal/standin", tests: true, why: "services that can't be run for a test"},
	{from: "connector/http/descriptions", to: "internal/toxitest", tests: true, why: "a bad network before a real server"},
	{from: "connector/all", to: "connector/http/descriptions", why: "it is the one list of connectors"},
	{from: "connector/s3", to: "connector/objects", why: "files of records are rewritten in the same way in every store"},
	{from: "connector/filesystem", to: "connector/objects", why: "as s3"},
	{from: "connector/connectortest", to: "connector", why: "it judges drivers by their contract"},
	{from: "connector/*", to: "connector", why: "a driver implements the contract"},
	{from: "connector/*", to: "connector/relational", why: "SQL drivers share graph, order and batches; who may is in sights"},
	{from: "connector/*", to: "connector/sqltext", why: "SQL drivers share how a value stands in a text; who may is in sights"},
	{from: "connector/*", to: "connector/connectortest", tests: true, why: "every driver passes the suite"},
	{from: "connector/*", to: "internal/mariadbtest", tests: true, why: "a real server, with names of each test's own"},
	{from: "connector/*", to: "internal/oidctest", tests: true, why: "a real provider for each test"},
	{from: "connector/*", to: "internal/postgrestest", tests: true, why: "a real server, isolated for each test"},
	{from: "connector/*", to: "internal/servertest", tests: true, why: "requests past the connector"},
	{from: "connector/http/descriptions", to: "internal/servertest", tests: true, why: "requests past the connector"},
	{from: "connector/*", to: "internal/slapdtest", tests: true, why: "a real server for each test"},
	{from: "connector/*", to: "internal/s3test", tests: true, why: "a real server for each test"},
	{from: "connector/*", to: "internal/schematest", tests: true, why: "random schemas, judged by a model of the rules"},
	{from: "connector/*", to: "internal/toxitest", tests: true, why: "a bad network before a real server"},
	{from: "internal/mariadbtest", to: "internal/toxitest", why: "a bad network before a real server"},
	{from: "internal/postgrestest", to: "internal/toxitest", why: "a bad network before a real server"},
	{from: "internal/schematest", to: "connector", why: "it drives drivers by their contract"},
	{from: "connector/all", to: "connector/*", why: "it is the one list of connectors"},
	{from: "cmd/*", to: "internal/demo", why: "a command runs it"},
	{from: "internal/noderedtest", to: "internal/npmtest", why: "Node-RED comes from the npm registry"},
	{from: "internal/noderedtest", to: "internal/servertest", why: "a real server, started and ended"},
	{from: "internal/pocketbasetest", to: "internal/servertest", why: "as noderedtest"},
	{from: "internal/scimtest", to: "internal/npmtest", why: "SCIMMY comes from the npm registry"},
	{from: "internal/scimtest", to: "internal/servertest", why: "as noderedtest"},
	{from: "internal/s3test", to: "internal/servertest", why: "as noderedtest"},
	{from: "internal/tofutest", to: "internal/servertest", why: "a program that is compiled once"},
	{from: "internal/smtptest", to: "internal/npmtest", why: "what can't be had is told in one way"},
	{from: "internal/smtptest", to: "internal/servertest", why: "as noderedtest"},
	{from: "internal/slapdtest", to: "internal/npmtest", why: "what can't be had is told in one way"},
	{from: "internal/slapdtest", to: "internal/servertest", why: "as noderedtest"},
	{from: "internal/servertest", to: "internal/npmtest", why: "what can't be had is told in one way"},
	{from: "internal/chromiumtest", to: "internal/npmtest", why: "axe-core comes from the npm registry"},
	{from: "internal/oidctest", to: "internal/servertest", why: "requests are made in one way"},
	{from: "internal/oidctest", to: "internal/npmtest", why: "the provider program comes from the npm registry"},
	{from: "internal/statement", to: "internal/engine", why: "a certificate is a step of an operation, and rests on the receipts of others"},
	{from: "internal/telemetry", to: "internal/engine", why: "it measures what the engine tells it of steps"},
	{from: "internal/telemetry", to: "internal/lifecycle", tests: true, why: "a whole onboarding is measured"},
	{from: "internal/identity", to: "internal/oidctest", tests: true, why: "a real provider, for each test"},
	{from: "internal/demoidp", to: "internal/identity", tests: true, why: "the demo's provider is judged by the relying party"},
	{from: "examples", to: ".", tests: true, why: "what an example says is compared with the domain's words"},
	{from: "examples", to: "connector/*", tests: true, why: "an example's blueprint is checked against what connectors declare"},
	{from: "examples", to: "internal/blueprint", tests: true, why: "an example that is refused is none"},
	{from: "examples/*", to: "internal/blueprint", tests: true, why: "an example that is refused is none"},
	{from: "internal/store", to: "internal/postgrestest", tests: true, why: "the same tests run on both databases"},
	{from: "internal/secret", to: "internal/standin", tests: true, why: "a vault that answers as the documentation says"},
	{from: "internal/proposal", to: "internal/survey", why: "what is proposed follows from what was found"},
	{from: "internal/claim", to: "connector", why: "whose an account is is told by what a connector says of it"},
	{from: "internal/scaffold", to: "connector", why: "a draft is made from what a connector's catalogue says"},
	{from: "internal/scaffold", to: "internal/recogniser", why: "what a column holds by its name says of what kind its table is"},
	{from: "internal/scaffold", to: "internal/blueprint", tests: true, why: "a draft that can't be read is none"},
	{from: "internal/blueprint", to: "internal/expression", why: "what its expressions give is plain data"},
	{from: "connector/http", to: "internal/expression", why: "as blueprint"},
	{from: "internal/expression", to: "internal/source", why: "which numbers are kept as they are written is one rule"},
	{from: "internal/blueprint", to: "internal/source", why: "a blueprint is a YAML file with lines"},
	{from: "internal/blueprint", to: "internal/lookalike", why: "companies on certificates are told apart"},
	{from: "internal/blueprint", to: "connector", why: "a blueprint is checked against what connectors declare"},
}

// edge allows an import; with tests, in test files alone.
type edge struct {
	from, to string
	tests    bool
	why      string
}

// sights narrow what the code of a package sees of this module, and of modules
// where these are given. Test files keep to the floors.
var sights = []sight{
	{who: ".", sees: nil, modules: []string{"golang.org/x/net", "golang.org/x/text"}, why: "the domain is pure: it stands on the standard library, and on Unicode's tables to know one person by every spelling of a name and of an address"},
	{who: "audit", sees: []string{"."}, modules: []string{"golang.org/x/mod"}, why: "a verifier with almost no dependencies can be read whole by who must trust it"},
	{who: "evidence", sees: []string{".", "audit"}, modules: []string{"github.com/secure-systems-lab/go-securesystemslib"}, why: "a certificate is verified without server and store"},
	{who: "connector", sees: []string{"."}, modules: []string{}, why: "the contract drags nothing into a connector"},
	{who: "connector/relational", sees: []string{".", "connector", "connector/transform"}, modules: []string{"golang.org/x/text"}, why: "it speaks through the driver that its user opened"},
	{who: "connector/sqltext", sees: []string{".", "connector"}, modules: []string{}, why: "it is the lexer of texts, and reaches nothing"},
	{who: "connector/objects", sees: []string{".", "connector", "connector/transform"}, modules: []string{}, why: "it reads and writes streams, and knows no store"},
	{who: "connector/rest", sees: []string{".", "connector"}, modules: []string{"golang.org/x/time"}, why: "it speaks HTTP, and knows no system"},
	{who: "connector/http", sees: []string{".", "connector", "connector/rest", "connector/trial", "internal/expression", "internal/source"}, why: "as every connector, and files that describe systems"},
	{who: "connector/oidcclient", sees: []string{".", "connector", "connector/rest"}, modules: []string{"golang.org/x/sync"}, why: "as every connector to an HTTP interface"},
	{who: "connector/exec", sees: []string{".", "connector", "connector/trial", "internal/source"}, modules: []string{"golang.org/x/sys"}, why: "as every connector, and files that name programs"},
	{who: "connector/http/descriptions", sees: []string{".", "connector", "connector/http"}, modules: []string{}, why: "it embeds files"},
	{who: "internal/expression", sees: []string{".", "internal/source"}, modules: []string{"cel.dev/cel-go"}, why: "it reads what expressions give, and knows nothing of what asked"},
	{who: "internal/source", sees: []string{"."}, modules: []string{"github.com/goccy/go-yaml", "github.com/santhosh-tekuri/jsonschema/v6"}, why: "it reads files, and knows nothing of what they say"},
	{who: "connector/s3", sees: []string{".", "connector", "connector/objects"}, why: "as every connector, and files of records"},
	{who: "connector/filesystem", sees: []string{".", "connector", "connector/objects"}, why: "as s3"},
	{who: "connector/connectortest", sees: []string{".", "connector"}, why: "the suite knows no driver"},
	{who: "internal/schematest", sees: []string{".", "connector"}, why: "the model knows no driver"},
	{who: "connector/mysql", sees: []string{".", "connector", "connector/relational", "connector/sqltext"}, why: "as postgres"},
	{who: "connector/postgres", sees: []string{".", "connector", "connector/relational", "connector/sqltext"}, why: "a connector sees neither the store, nor the engine, nor another connector"},
	{who: "connector/sqlite", sees: []string{".", "connector", "connector/relational", "connector/sqltext"}, why: "as postgres"},
	{who: "connector/all", sees: []string{".", "connector", "connector/*", "connector/http/descriptions"}, why: "a list, its pages and nothing else"},
	{who: "connector/*", sees: []string{".", "connector"}, why: "a connector sees neither the store, nor the engine, nor another connector; relational is for SQL"},
	{who: "cmd/tenure-connector-tofu", sees: nil, modules: []string{"github.com/hashicorp/terraform-exec", "github.com/hashicorp/terraform-json", "github.com/jackc/pgx/v5"}, why: "it is a program as anybody's, and knows the protocol alone"},
	{who: "internal/planner", sees: []string{".", "connector", "internal/blueprint"}, modules: []string{}, why: "planning is pure: same input, same bytes"},
	{who: "client", sees: []string{"."}, modules: []string{}, why: "whoever writes a program against the API links nothing of the server"},
	{who: "internal/dashboard", sees: []string{".", "internal/words"}, modules: []string{}, why: "it draws view models; it asks no store"},
	{who: "internal/words", sees: nil, modules: []string{"golang.org/x/text"}, why: "texts know nobody who says them"},
	{who: "internal/demoidp", sees: nil, modules: []string{}, why: "it proves nothing and knows nothing of Tenure"},
	{who: "internal/event", sees: []string{"."}, modules: []string{}, why: "it judges requests that it is handed: no store, no network, no clock"},
	{who: "internal/guard", sees: []string{"."}, modules: []string{"github.com/cedar-policy/cedar-go"}, why: "policies judge what the domain's words say, and ask nobody"},
	{who: "internal/identity", sees: []string{"."}, modules: []string{"github.com/coreos/go-oidc/v3", "golang.org/x/oauth2"}, why: "who somebody is; sessions are governance's"},
	{who: "internal/site", sees: []string{".", "audit", "client", "evidence", "internal/dashboard", "internal/governance", "internal/installation", "internal/lifecycle", "internal/server", "internal/store", "internal/words"}, modules: []string{"golang.org/x/mod"}, why: "a page shows what the API tells its caller"},
	{who: "internal/witness", sees: []string{".", "audit"}, why: "it sees checkpoints, never the store that it watches"},
	{who: "internal/clock", sees: []string{"."}, modules: []string{}, why: "the time is held against clocks and one file, and nothing of the store"},
	{who: "internal/lookalike", sees: []string{"."}, why: "it compares names and knows nobody"},
	{who: "internal/recogniser", sees: []string{"."}, modules: []string{}, why: "it judges values that it is handed, and keeps none"},
	{who: "internal/register", sees: []string{"."}, modules: []string{"github.com/goccy/go-yaml"}, why: "a file under review holds what people decided, and asks no system"},
	{who: "internal/scaffold", sees: []string{".", "connector", "internal/recogniser"}, modules: []string{}, why: "drafting is pure: same catalogue, same bytes"},
	{who: "internal/proposal", sees: []string{".", "connector", "internal/claim", "internal/scaffold", "internal/source", "internal/survey"}, modules: []string{}, why: "proposals are pure: same survey, same bytes"},
	{who: "internal/secret", sees: []string{"."}, modules: []string{}, why: "it reads values from where they are kept, and knows nobody who uses them"},
	{who: "internal/keystore", sees: []string{".", "audit"}, why: "keys live apart from the store"},
	{who: "examples", sees: nil, modules: []string{}, why: "it embeds files"},
	{who: "examples/*", sees: nil, why: "an example platform knows nothing of Tenure"},
}

type sight struct {
	who     string
	sees    []string
	modules []string // nil: as the modules table says; empty: none
	why     string
}

// modules says where each third-party module may be used. Those in tests may be
// used in test files besides.
var modules = []module{
	{"cel.dev/cel-go", []string{"connector/http", "internal/blueprint", "internal/expression", "internal/trigger"}, nil, "expressions are a blueprint's, a description's and a rule's; what they give is plain data"},
	{"github.com/mattn/go-runewidth", []string{"cmd/*"}, nil, "looks are the command line's"},
	{"filippo.io/age", []string{"cmd/*", "internal/lifecycle"}, []string{"*"}, "exports are encrypted as they are handed over; a recipient is checked where it is typed"},
	{"github.com/goccy/go-yaml", []string{"cmd/*", "internal/installation", "internal/register", "internal/source"}, []string{"*"}, "blueprints, descriptions, settings, parameter files and the file under review are YAML"},
	{"github.com/cedar-policy/cedar-go", []string{"internal/guard"}, nil, "policies that deny are Cedar's"},
	{"github.com/chromedp/chromedp", []string{"internal/chromiumtest"}, []string{"*"}, "a real browser looks at the pages"},
	{"github.com/chromedp/cdproto", []string{"internal/chromiumtest"}, []string{"*"}, "as chromedp"},
	{"github.com/coreos/go-oidc/v3", []string{"internal/identity"}, nil, "people sign in with OpenID Connect in one place"},
	{"github.com/danielgtaylor/huma/v2", []string{"internal/server"}, nil, "routes and their document come from the same types"},
	{"github.com/Shopify/toxiproxy/v2", []string{"internal/toxitest"}, nil, "bad networks are made in one place"},
	{"github.com/rs/zerolog", []string{"internal/toxitest"}, nil, "toxiproxy asks for a logger"},
	{"github.com/prometheus/client_golang", []string{"internal/telemetry", "internal/toxitest"}, []string{"*"}, "metrics are made in one place"},
	{"go.opentelemetry.io/otel", []string{"internal/telemetry"}, []string{"*"}, "spans are made in one place"},
	{"golang.org/x/net", []string{"."}, []string{"*"}, "an address is one person's in every spelling of its domain (net/idna)"},
	{"golang.org/x/oauth2", []string{"internal/identity"}, nil, "as go-oidc"},
	{"golang.org/x/text", []string{".", "connector/ldap", "connector/relational", "internal/lookalike", "internal/trigger", "internal/words"}, []string{"*"}, "names and keys that are written alike are found, a reader's language is matched, and a tenant's name is made of a company's"},
	{"golang.org/x/time", []string{"bench", "connector/rest", "internal/server", "internal/trigger"}, []string{"*"}, "a principal's requests are limited, and those to a system"},
	{"github.com/google/go-cmp", []string{"connector/connectortest", "internal/schematest"}, []string{"*"}, "it compares in tests"},
	{"github.com/go-json-experiment/json", []string{"internal/store"}, nil, "plans are decoded in half the time of encoding/json"},
	{"github.com/hashicorp/terraform-exec", []string{"cmd/tenure-connector-tofu"}, nil, "Terraform is run by a program of its own, which the binary tenure doesn't link"},
	{"github.com/hashicorp/terraform-json", []string{"cmd/tenure-connector-tofu"}, nil, "as terraform-exec"},
	{"github.com/jackc/pgx/v5", []string{"bench", "cmd/tenure-connector-tofu", "connector/postgres", "internal/demo", "internal/postgrestest", "internal/store"}, []string{"*"}, "PostgreSQL is spoken by the store, by its connector, by the program that reads Terraform's states there, and by who looks from outside"},
	{"github.com/minio/minio-go/v7", []string{"bench", "connector/s3", "internal/s3test"}, []string{"*"}, "S3 is spoken by its connector, and by who looks from outside"},
	{"github.com/go-ldap/ldap/v3", []string{"connector/ldap", "internal/slapdtest"}, []string{"*"}, "LDAP is spoken by its connector, and by who looks from outside"},
	{"github.com/go-sql-driver/mysql", []string{"bench", "connector/mysql", "internal/mariadbtest"}, []string{"*"}, "MariaDB is spoken by its connector, and by who looks from outside"},
	{"github.com/pressly/goose/v3", []string{"internal/store"}, nil, "migrations are the store's"},
	{"github.com/rogpeppe/go-internal", nil, []string{"cmd/*"}, "testscript tells the commands' stories"},
	{"github.com/santhosh-tekuri/jsonschema/v6", []string{"connector/connectortest", "internal/blueprint", "internal/source", "internal/trigger"}, []string{"*"}, "files, parameters and attributes have schemas"},
	{"github.com/secure-systems-lab/go-securesystemslib", []string{"evidence"}, nil, "DSSE is the certificate's envelope"},
	{"github.com/spf13/cobra", []string{"cmd/*"}, nil, "commands are the command line's"},
	{"github.com/wneessen/go-mail", []string{"internal/notify"}, nil, "mail goes out with notices alone"},
	{"github.com/tink-crypto/tink-go/v2", []string{"internal/keystore"}, []string{"audit"}, "one package touches key material"},
	{"github.com/vbauerster/mpb/v8", []string{"cmd/*"}, nil, "progress is the command line's"},
	{"golang.org/x/mod", []string{"audit", "internal/lifecycle", "internal/site", "internal/store", "internal/witness"}, []string{"*"}, "the tree and its notes (sumdb/tlog, sumdb/note)"},
	{"golang.org/x/sync", []string{"bench", "connector/oidcclient", "internal/daemon", "internal/demo", "internal/notify", "internal/survey", "internal/trigger"}, []string{"*"}, "a server's parts end together, and registrations, systems, customers' events and targets of notices are seen to several at once"},
	{"golang.org/x/sys", []string{"connector/exec", "connector/filesystem", "connector/sqlite"}, nil, "a file system's identity is asked of the kernel, and a program is kept within limits"},
	{"golang.org/x/term", []string{"cmd/*"}, nil, "is it a terminal?"},
	{"modernc.org/sqlite", []string{"bench", "connector/sqlite", "examples/*", "internal/store"}, []string{"*"}, "SQLite is spoken by the store, by its connector, and by who looks from outside"},
	{"pgregory.net/rapid", nil, []string{"*"}, "property tests"},
}

type module struct {
	path  string
	by    []string
	tests []string
	why   string
}

// standard narrows some packages of the standard library to who may use them.
var standard = []module{
	{"database/sql", []string{"bench", "connector/mysql", "connector/sqlite", "examples/*", "internal/demo", "internal/mariadbtest", "internal/store"}, []string{"*"}, "SQL is written where a database is somebody's job"},
	{"net/http", []string{"bench", "client", "cmd/*", "connector/http", "connector/oidcclient", "connector/rest", "connector/s3", "examples/*", "internal/dashboard", "internal/demo", "internal/demoidp", "internal/event", "internal/identity", "internal/noderedtest", "internal/notify", "internal/oidctest", "internal/pocketbasetest", "internal/s3test", "internal/scimtest", "internal/secret", "internal/server", "internal/servertest", "internal/site", "internal/standin", "internal/telemetry", "internal/witness"}, []string{"*"}, "the network is reached from few places"},
	{"os/exec", []string{"bench", "connector/exec", "internal/chromiumtest", "internal/mariadbtest", "internal/noderedtest", "internal/npmtest", "internal/oidctest", "internal/pocketbasetest", "internal/s3test", "internal/scimtest", "internal/servertest", "internal/slapdtest", "internal/smtptest", "internal/tofutest", "internal/toxitest"}, []string{"*"}, "Tenure runs no other program; the benchmark builds and measures it from outside"},
	{"testing", []string{"connector/connectortest", "internal/chromiumtest", "internal/mariadbtest", "internal/nametest", "internal/noderedtest", "internal/npmtest", "internal/oidctest", "internal/pocketbasetest", "internal/postgrestest", "internal/s3test", "internal/schematest", "internal/scimtest", "internal/servertest", "internal/slapdtest", "internal/smtptest", "internal/standin", "internal/tofutest", "internal/toxitest"}, []string{"*"}, "only test support links the test framework"},
	{"unsafe", []string{}, nil, "nothing here needs it"},
	{"math/rand", []string{}, nil, "ids and secrets come from crypto/rand, jitter from math/rand/v2"},
	{"log", []string{}, nil, "logs are structured and redacted: log/slog"},
}
