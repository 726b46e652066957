// Package wire is the codec of Godwit: headers, packet numbers, frames, parameters, and the registry
// of the numbers that appear in them. It turns bytes into views and values into bytes.
//
// It does not know keys, sessions, time or sockets, and it keeps no state: whether a frame may arrive
// now, and what it then changes, is decided by package protocol. The layouts are those of chapter 1
// of the specification (spec/01-wire.md), the numbers those of chapter 13 (spec/13-registry.md).
//
// Package protocol calls it for every packet, the tools (traces, decode) for text.
//
// # Rules of the codec
//
//   - A parser gets bytes that begin after the frame type and returns a value and the number of bytes
//     used, or -1. It never panics, never reads past its input, never allocates, and checks every
//     limit that can be checked without a session. What it returns is a view: []byte fields alias
//     the input and are valid as long as the input is.
//   - Every -1 of a frame parser means FRAME_ENCODING: the session closes with [FrameEncoding].
//   - An Append function trusts its caller to keep the limits of each field. Headers, parameters, ACK
//     ranges and integers that could not be read back are bugs of ours and panic with a text that
//     begins with BUG.
//   - Append and parse are inverse: parsing what was appended within the limits gives the same value.
//   - Everything that can be on the wire has a String method, for traces and tests.
package wire
