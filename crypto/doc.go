// Package crypto turns bytes into protected bytes and back.
//
// It holds the keys and their text forms, the cipher suites, the key schedule's expand step, packet
// and header protection with key update, the replay window, the cookies and address tokens of a
// stateless server, routable session IDs, and stateless reset tokens. Chapter 4 of the specification
// (spec/04-protection.md) describes every byte; requirements are cited as PROT-n.
//
// It does not know sessions, handshakes, frames, sockets or clocks: numbers such as "now" and
// randomness are arguments. Nothing in it locks; a value belongs to one caller at a time unless its
// comment says otherwise.
//
// It is called by crypto/handshake (keys, Suite, ExpandLabel), by protocol (Sender, Receiver,
// ReplayWindow, CookieKey, IDKey, ResetKey) and by the tools that read and write keys.
package crypto
