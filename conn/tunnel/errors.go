package tunnel

import (
	"errors"
	"fmt"
)

// Errors of a configuration. Each says what to do.
var (
	// ErrNoClients is a server that could not tell its clients apart and was not told to serve
	// anyone. spec: TUN-17
	ErrNoClients = errors.New("the server cannot tell its clients apart; give it --authorized FILE or --psk FILE, or --open to serve anyone")
	// ErrNoRules is a server that would refuse every target.
	ErrNoRules = errors.New("the server allows nothing; give it --allow tcp://HOST:PORT at least once")
	// ErrNoServerKey is a client that could not recognise its server.
	ErrNoServerKey = errors.New("the client cannot recognise its server; give it --peer-key KEY or --psk FILE")
	// ErrNoForward is a client with nothing to do.
	ErrNoForward = errors.New("nothing to forward; give --forward tcp://LISTEN:PORT=tcp://TARGET:PORT, --reverse, --socks5 or --redirect")
	// ErrNoIdentity is a server whose clients would have to be told a new key after every start.
	ErrNoIdentity = errors.New("the server needs a key that stays the same; give it --key FILE (make one with: godwit keygen > FILE)")
)

var (
	errNoRedirect    = errors.New("--redirect works on Linux only; use --forward")
	errNotRedirected = errors.New("the connection was made to the redirect port itself; redirect others to it with the packet filter")
)

// errListenName refuses a rule that has the server listen on a name: what it would stand for may change.
func errListenName(rule string) error {
	return fmt.Errorf("%q: the server listens on addresses; write an address, a range of addresses, or none for all", rule)
}

// errReverseName refuses to have the server listen on a name: what it would stand for may change.
func errReverseName(host string) error {
	return fmt.Errorf("--reverse: %q: the server listens on addresses; write an address of the server, or none for all", host)
}

func errReverseTwice(f Forward) error {
	return fmt.Errorf("--reverse: two listen on %s; give each a port of its own", f.Listen)
}
