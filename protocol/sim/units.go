package sim

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The units of the link language. Each parser accepts what its formatter writes, and a value that was
// parsed is formatted to text that parses to the same value.

const (
	partsPerBillion = 1e9 // resolution of a probability
	bdpSteps        = 1e6 // resolution of a queue in bandwidth-delay products
)

// unit is a suffix and what it multiplies by.
type unit struct {
	suffix string
	factor int64
}

// Longest suffix first where one ends with another; the formatter takes the first that divides.
var (
	rateUnits = []unit{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}
	sizeUnits = []unit{{"mb", 1e6}, {"kb", 1e3}, {"b", 1}}
)

// parseUnits reads a decimal number with one of units behind it, up to limit.
func parseUnits(s string, units []unit, limit int64) (int64, bool) {
	s = strings.ToLower(s)
	for _, u := range units {
		number, found := strings.CutSuffix(s, u.suffix)
		if !found {
			continue
		}
		v, ok := parseDecimal(number)
		if !ok || v*float64(u.factor) > float64(limit) {
			return 0, false
		}
		return int64(math.Round(v * float64(u.factor))), true
	}
	return 0, false
}

// formatUnits writes v with the largest unit that divides it.
func formatUnits(v int64, units []unit) string {
	for _, u := range units {
		if v%u.factor == 0 {
			return strconv.FormatInt(v/u.factor, 10) + u.suffix
		}
	}
	return strconv.FormatInt(v, 10)
}

// parseDecimal reads a plain non-negative decimal number: no sign, exponent, infinity or hexadecimal.
func parseDecimal(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// parsePercent reads "5%" or "0.1%" as a probability.
func parsePercent(s string) (float64, bool) {
	number, found := strings.CutSuffix(s, "%")
	v, ok := parseDecimal(number)
	if !found || !ok || v > 100 {
		return 0, false
	}
	return math.Round(v*partsPerBillion/100) / partsPerBillion, true
}

// formatPercent writes a probability as percent with at most seven decimals.
func formatPercent(p float64) string {
	const decimals = 7
	ppb := int64(math.Round(p * partsPerBillion))
	s := fmt.Sprintf("%d.%0*d", ppb/1e7, decimals, ppb%1e7)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".") + "%"
}

// parseBDP reads "1bdp" or "0.25bdp".
func parseBDP(s string) (float64, bool) {
	number, found := strings.CutSuffix(strings.ToLower(s), "bdp")
	v, ok := parseDecimal(number)
	if !found || !ok || v > maxBDP {
		return 0, false
	}
	return math.Round(v*bdpSteps) / bdpSteps, true
}

func formatBDP(v float64) string {
	return strconv.FormatFloat(math.Round(v*bdpSteps)/bdpSteps, 'f', -1, 64) + "bdp"
}

// parseDuration reads a duration as package time writes it; "0" needs no unit.
func parseDuration(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0 && d <= maxDuration
}
