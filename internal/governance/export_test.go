package governance

// Known is who an identity is: see FinishSignIn.
var Known = (*Governor).known
