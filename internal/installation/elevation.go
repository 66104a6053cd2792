package installation

import (
	"time"

	"github.com/tenurehq/tenure"
)

// Elevation bounds elevations and break-glass; what isn't given keeps its
// default (see tenure.ElevationLimits).
type Elevation struct {
	Max           time.Duration `yaml:"max"`           // default 8h
	Answer        time.Duration `yaml:"answer"`        // default 72h
	Claim         time.Duration `yaml:"claim"`         // default 1h
	BreakGlass    time.Duration `yaml:"breakGlass"`    // default 1h
	MaxBreakGlass time.Duration `yaml:"maxBreakGlass"` // default and at most 4h
	Review        time.Duration `yaml:"review"`        // default and at most 24h
}

func (e Elevation) limits() (tenure.ElevationLimits, error) {
	l := tenure.ElevationLimits(e)
	for name, d := range map[string]time.Duration{"max": e.Max, "answer": e.Answer, "claim": e.Claim, "breakGlass": e.BreakGlass, "maxBreakGlass": e.MaxBreakGlass, "review": e.Review} {
		if d < 0 || d > 0 && d < time.Minute {
			return l, tenure.Errorf(tenure.Invalid, "tenure.yaml: elevation.%s is at least 1m", name)
		}
	}
	// What nobody agreed to beforehand stays short, and somebody looks soon.
	if e.MaxBreakGlass > 4*time.Hour || e.Review > 24*time.Hour {
		return l, tenure.Errorf(tenure.Invalid, "tenure.yaml: break-glass lasts at most 4h and is reviewed within 24h")
	}
	l = l.WithDefaults()
	if l.BreakGlass > l.MaxBreakGlass {
		return l, tenure.Errorf(tenure.Invalid, "tenure.yaml: elevation.breakGlass is longer than elevation.maxBreakGlass")
	}
	return l, nil
}
