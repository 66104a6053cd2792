package client

// Store says what speaks against the store that the server works on.
type Store struct {
	Doubts []StoreDoubt `json:"doubts" doc:"why the store may be an older copy, or another, than was last in use; none if nothing speaks against it"`
}

// StoreDoubt is one reason for which the store may not be the one that was last in use.
// While it lasts nothing is destroyed, and nothing is taken away because a date has come.
type StoreDoubt struct {
	About       string   `json:"about" doc:"what has seen more than the store's log, or another log, and how much"`
	Reason      string   `json:"reason"`
	ConfirmedBy []string `json:"confirmedBy" doc:"who has said that the store is right all the same"`
	Need        int      `json:"need" doc:"how many persons must say so"`
}

// ConfirmStoreParams say why the store is right.
type ConfirmStoreParams struct {
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"where the store is from, and what was put back that had come since"`
	}
}

var (
	// ShowStore tells whether the store is the one that was last in use.
	ShowStore = Endpoint[None, Store]{Name: "store.show", Verb: "GET", Path: "/v1/store", Summary: "Tell whether the store is the one that was last in use"}
	// ConfirmStore says that the store is right. Conflict if nothing speaks against it, or if
	// the caller has said so already.
	ConfirmStore = Endpoint[ConfirmStoreParams, Store]{Name: "store.confirm", Verb: "POST", Path: "/v1/store/confirm", Summary: "Say that the store is right, after it came into doubt; two persons must", Example: `{"reason": "restored from the backup of 1 March; the hold of 4 O 12/26 is placed again"}`}
)
