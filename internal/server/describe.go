package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenurehq/tenure"
)

// nounTexts say what the routes of a noun are about: the document's tags.
var nounTexts = map[string]string{
	"accessevent": "Sign-ins, refusals, and uses of elevated access",
	"agreement":   "Data sharing agreements and export grants",
	"approval":    "What waits for the caller's decision",
	"audit":       "The audit log: its entries, their proofs, and its signed heads",
	"blueprint":   "Blueprints: their revisions, and what each would change",
	"bootstrap":   "The first admin of a new installation",
	"certificate": "Certificates of what was erased, and the key that signs them",
	"checklist":   "Tasks of an operation that people see to",
	"clock":       "Whether the server's time is right, and a person's confirmation that it is",
	"coverage":    "What a tenant's blueprint covers of its stores beyond its revision",
	"decision":    "Whether somebody may do something, and why",
	"delegation":  "Approvals that another person may give for a while",
	"device":      "A program's sign-in that a person confirms in a browser",
	"elevation":   "Roles for a while, and break-glass",
	"event":       "What changes, as it happens",
	"finding":     "What a look at the systems found",
	"fleet":       "The state of all tenants",
	"grant":       "Roles over scopes",
	"hold":        "Legal holds",
	"incident":    "Incidents of tenants that other systems reported",
	"key":         "Keys that belong to no tenant, and their known copies",
	"vendor":      "What companies without an interface say that hold data of a leaving tenant",
	"lease":       "Until when a tenant is there without anybody's further word",
	"leave":       "Customers' own requests to leave",
	"link":        "Pages on which leaving customers see their own departure",
	"log":         "The audit log as tiles, for checks on another machine",
	"look":        "Looks at the systems: for drift, and for what no inventory knows",
	"me":          "Who asks",
	"move":        "Changes of somebody's roles as one signed plan",
	"notice":      "Notices on their way to people and systems, and what became of them",
	"notify":      "The targets that notices go to, and how each does",
	"operation":   "Operations: their steps, gates and outputs",
	"plan":        "Plans that an intent compiles to",
	"policy":      "Policies that deny further what grants allow",
	"principal":   "Persons and machines that can ask",
	"probe":       "Proofs that a tenant's neighbours are refused",
	"review":      "Access reviews",
	"role":        "Roles, and what they let",
	"secret":      "The credentials of systems and tenants: how old each is, whose, and when it is due for rotation; never its value",
	"session":     "Browsers that are signed in",
	"standing":    "Standing approvals, and what they started",
	"trigger":     "Rules by which events of other systems become requests",
	"inbound":     "Events of other systems, and what became of them",
	"store":       "Whether the store is the one that was last in use, and the word of persons that it is right",
	"system":      "The systems in which tenants live",
	"tenant":      "Tenants, and everything about them",
	"token":       "Credentials of programs",
}

// tags are the nouns of the routes, in alphabetical order.
func (s *Server) tags() (out []*huma.Tag, err error) {
	var nouns []string
	for _, rt := range s.routes {
		nouns = append(nouns, rt.noun())
	}
	slices.Sort(nouns)
	for _, noun := range slices.Compact(nouns) {
		if nounTexts[noun] == "" {
			return nil, tenure.Errorf(tenure.Internal, "nothing says what the routes of %q are about", noun)
		}
		out = append(out, &huma.Tag{Name: noun, Description: nounTexts[noun]})
	}
	return out, nil
}

func (rt Route) noun() string {
	noun, _, _ := strings.Cut(rt.Name, ".")
	return noun
}

// reachTexts say over what a permission is asked.
var reachTexts = map[Reach]string{
	Anywhere:     "over any tenant",
	Installation: "over all tenants",
	OfTenant:     "over the tenant",
	OfOperation:  "over the operation's tenant",
	OfHold:       "over the hold's tenant, or over all tenants where the hold covers all",
	OfFinding:    "over the finding's tenant, or over all tenants where it is of none",
	OfAgreement:  "over the agreement's tenant",
	OfPlan:       "over the plan's tenant",
	OfBody:       "over what the body names",
	List:         "and shows those tenants alone over which the caller has it",
}

// describe tells who may use a route and what asking twice does.
func (rt Route) describe(summary string) string {
	says := []string{summary + "."}
	switch rt.Access.Reach {
	case Public:
		says = append(says, "It takes no credential.")
	case Signed:
		says = append(says, "Whoever is signed in may ask.")
	case Local:
		says = append(says, "It is answered at the installation's own socket alone.")
	default:
		says = append(says, "It takes the permission `"+string(rt.Access.Permission)+"` "+reachTexts[rt.Access.Reach]+".")
	}
	if rt.Access.Permission.NeedsStrong() {
		says = append(says, "A person needs a strong sign-in for it.")
	}
	switch {
	case rt.Once && rt.Verb == http.MethodPost:
		says = append(says, "The answer may hold a secret, which is shown this once; the same request under the same `Idempotency-Key` is refused.")
	case rt.Verb == http.MethodPost:
		says = append(says, "The same request under the same `Idempotency-Key` gets the same answer.")
	}
	return strings.Join(says, " ")
}
