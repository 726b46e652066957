package fec

import "strconv"

// Result says what became of a source packet or symbol that a [Decoder] was given.
type Result uint8

const (
	// Taken: it brought something new.
	Taken Result = iota
	// Needless: all that it says was known. Most symbols of a path without loss are.
	Needless
	// Late: it belongs, or in part belongs, to what has left the window.
	Late
	// Malformed: its count, seed or length is out of range. Nothing changed.
	Malformed
	// Contradictory: symbols and sources disagree, which those of an honest sender never do. Symbols
	// that were found wrong are dropped; sources that arrived stay.
	Contradictory
)

var resultNames = [...]string{"taken", "needless", "late", "malformed", "contradictory"}

func (r Result) String() string {
	if int(r) < len(resultNames) {
		return resultNames[r]
	}
	return strconv.Itoa(int(r))
}
