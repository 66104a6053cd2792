package client

// LogHead is how long the log is, and the last head of it that was signed.
type LogHead struct {
	Entries int64  `json:"entries"`
	Size    int64  `json:"size"`           // of the checkpoint; 0 while there is none
	Note    string `json:"note,omitempty"` // C2SP tlog-checkpoint
}

// ShowCheckpoint gives the log's length and its last checkpoint, and signs none.
var ShowCheckpoint = Endpoint[None, LogHead]{Name: "audit.head", Verb: "GET", Path: "/v1/audit/checkpoint", Summary: "Give the log's length and its last signed head"}
