package connector

// Limited is a Driver that has more methods than the system it opened has abilities, such
// as one that was made of a file. Callers don't assert optional interfaces of a Driver:
// they ask As.
type Limited interface {
	// Can says whether the driver can do it for any type of resource. The words are those
	// of System.Can. It is pure, and says the same each time.
	Can(capability string) bool
}

// As gives a driver as one of the optional interfaces, unless it hasn't got it or says that
// it can't do that.
func As[T any](d Driver) (T, bool) {
	t, ok := d.(T)
	if l, limited := d.(Limited); ok && limited {
		if word := capabilityOf[T](); word != "" && !l.Can(word) {
			var none T
			return none, false
		}
	}
	return t, ok
}

// capabilityOf is the word for an optional interface, "" for one that has none.
func capabilityOf[T any]() string {
	switch any((*T)(nil)).(type) {
	case *Adopter:
		return "adopt"
	case *Reader:
		return "read"
	case *Suspender:
		return "suspend"
	case *Revoker:
		return "revoke"
	case *Quarantiner:
		return "quarantine"
	case *Exporter:
		return "export"
	case *Eraser:
		return "erase"
	case *Tallier:
		return "tally"
	case *Mapper:
		return "map"
	case *Keeper:
		return "hold"
	case *Cataloguer:
		return "catalogue"
	case *Sampler:
		return "sample"
	case *Tracer:
		return "trace"
	case *Expirer:
		return "expire"
	case *Prober:
		return "probe"
	case *Reacher:
		return "reach"
	case *Confiner:
		return "confine"
	case *Elevator:
		return "elevate"
	case *Foreseer:
		return "foresee"
	}
	return ""
}
