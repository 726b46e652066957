// Package realtime measures messages, media and their repair in the simulator: real sessions at both ends of
// one bad link, in virtual time.
//
// What it is: a [Scenario] (link, what the application sends, targets), [Run], which plays it under a seed,
// [MeasureAll], which plays many under many seeds on all processors, and [Grid], the scenarios that Godwit is
// judged by, with the targets. [Command] does all of it and prints tables. Golden tables stand beside the
// tests, so that every change of behaviour shows as a difference. README.md says what each figure is.
//
// What it does not know: real sockets and real time.
//
// Who calls it: its own tests, and cmd/realtime (make realtime).
package realtime
