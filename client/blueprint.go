package client

import (
	"encoding/json"
	"time"

	"github.com/tenurehq/tenure"
)

// Blueprint is a stored revision; Body, its canonical form, is there when one is
// shown.
type Blueprint struct {
	tenure.BlueprintRef
	CreatedBy   string          `json:"createdBy"`
	CreatedAt   time.Time       `json:"createdAt"`
	PublishedBy string          `json:"publishedBy,omitempty"`
	PublishedAt time.Time       `json:"publishedAt,omitzero"`
	Body        json.RawMessage `json:"body,omitempty"`
	Says        []string        `json:"says,omitempty"` // as it is published: what a comparison with the systems couldn't tell, or can't be erased
}

// Published says whether tenants may be bound to it.
func (b Blueprint) Published() bool { return !b.PublishedAt.IsZero() }

// SourceParams are a blueprint file.
type SourceParams struct {
	Body struct {
		File   string `json:"file,omitempty" doc:"its name, for messages" maxLength:"255"`
		Source string `json:"source" doc:"its text, YAML"`
	}
}

// BlueprintFilter narrows a listing.
type BlueprintFilter struct {
	Paging
	Name      string `query:"name" doc:"only revisions of this blueprint"`
	Published bool   `query:"published" doc:"only published ones"`
}

// BlueprintParams name a revision: its digest, name@version, or name alone for the
// latest published one.
type BlueprintParams struct {
	Blueprint string `path:"blueprint" doc:"a digest, name@version, or a name for its latest published revision" maxLength:"200"`
}

// PublishParams name a draft, and by its digest which one was read.
type PublishParams struct {
	BlueprintParams
	SignedBody
}

// DiffParams name two revisions.
type DiffParams struct {
	BlueprintParams
	To string `query:"to" required:"true" doc:"the other revision" maxLength:"200"`
}

// FaultyBlueprint is a published revision that can't be used for more tenants.
type FaultyBlueprint struct {
	tenure.BlueprintRef
	Faults []BlueprintFault `json:"faults"`
}

// BlueprintFault is one reason, and where in the revision it stands.
type BlueprintFault struct {
	Path       string `json:"path,omitempty" doc:"such as $.resources[2].attributes.ddl"`
	Line       int    `json:"line,omitempty" doc:"of the text that stands there, from 1"`
	Expression string `json:"expression,omitempty"`
	Reason     string `json:"reason"`
	Hint       string `json:"hint,omitempty"`
}

var (
	// ListBlueprints lists every revision by name and age.
	ListBlueprints = Endpoint[BlueprintFilter, Page[Blueprint]]{Name: "blueprint.list", Verb: "GET", Path: "/v1/blueprints", Summary: "List every revision"}
	// SubmitBlueprint stores a revision as a draft.
	SubmitBlueprint = Endpoint[SourceParams, Blueprint]{Name: "blueprint.submit", Verb: "POST", Path: "/v1/blueprints", Summary: "Store a revision as a draft", Example: exampleSource}
	// ShowBlueprint gives one revision whole.
	ShowBlueprint = Endpoint[BlueprintParams, Blueprint]{Name: "blueprint.show", Verb: "GET", Path: "/v1/blueprints/{blueprint}", Summary: "Give a whole revision"}
	// PublishBlueprint makes a draft available; it takes another person than its
	// author.
	PublishBlueprint = Endpoint[PublishParams, Blueprint]{Name: "blueprint.publish", Verb: "POST", Path: "/v1/blueprints/{blueprint}/publish", Summary: "Publish a draft that another person wrote", Example: exampleDigest}
	// ListFaultyBlueprints lists the published revisions that wouldn't be published today.
	ListFaultyBlueprints = Endpoint[Paging, Page[FaultyBlueprint]]{Name: "blueprint.faulty", Verb: "GET", Path: "/v1/faulty-blueprints", Summary: "List the published revisions that can't be used for more tenants, and why"}
	// DiffBlueprints says in what two revisions differ.
	DiffBlueprints = Endpoint[DiffParams, Page[tenure.Difference]]{Name: "blueprint.diff", Verb: "GET", Path: "/v1/blueprints/{blueprint}/diff", Summary: "Show how two revisions differ"}
)
