package congestion

import "slices"

// named are the controllers of this package by the names that they give themselves.
var named = map[string]func(Config) Controller{
	"adaptive": func(c Config) Controller { return NewAdaptive(c) },
	"bbr":      func(c Config) Controller { return NewBBR(c) },
	"cubic":    func(c Config) Controller { return NewCubic(c) },
	"prague":   func(c Config) Controller { return NewPrague(c) },
}

// Named returns the constructor of the controller that calls itself name, or false if there is none.
// It fits into the configuration of a session as it is.
func Named(name string) (func(Config) Controller, bool) {
	c, ok := named[name]
	return c, ok
}

// Names returns the names that Named knows, in order.
func Names() []string {
	names := make([]string, 0, len(named))
	for name := range named {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
