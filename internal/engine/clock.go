package engine

import "github.com/tenurehq/tenure"

func (e *Engine) doubt() string {
	if e.Doubt == nil {
		return ""
	}
	return e.Doubt()
}

// dated says whether a gate opens by the time, or by what the time makes old.
func dated(a tenure.Action) bool {
	return a == tenure.ActDate || a == tenure.ActRetention || a == tenure.ActNoReturn
}
