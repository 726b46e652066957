package tunnel

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"slices"
)

// SOCKS version 5: RFC 1928, with the user names and passwords of RFC 1929.
const (
	socksVersion     = 5
	socksUserVersion = 1 // of the sub-negotiation of RFC 1929

	socksMethodNone = 0
	socksMethodUser = 2
	socksNoMethod   = 0xff

	socksConnect   = 1 // BIND, 2, is not carried
	socksAssociate = 3

	socksIPv4 = 1
	socksName = 3
	socksIPv6 = 4

	// maxSocksField is the longest field with a length of one octet: a list of methods, a name, a password.
	maxSocksField = 255
)

// socksReply is the answer to a SOCKS request (RFC 1928, section 6).
type socksReply byte

const (
	socksSucceeded  socksReply = 0
	socksFailed     socksReply = 1
	socksNotAllowed socksReply = 2
	socksNoHost     socksReply = 4
	socksRefused    socksReply = 5
	socksExpired    socksReply = 6
	socksBadCommand socksReply = 7
	socksBadAddress socksReply = 8
)

// Errors of a SOCKS client. It is answered as far as the protocol has an answer, and closed.
var (
	errSocksVersion = errors.New("not a SOCKS 5 client")
	errSocksMethod  = errors.New("the SOCKS client offers no way to log in that is taken here")
	errSocksUser    = errors.New("wrong SOCKS user name or password")
	errSocksCommand = errors.New("SOCKS command not supported: CONNECT and UDP ASSOCIATE are")
	errSocksForm    = errors.New("SOCKS address type not supported")
	errSocksName    = errors.New("bad host name or port in a SOCKS request")
)

// socksUsers are the passwords of users, hashed so that comparing takes the same time for all. Nil: nobody needs one.
type socksUsers map[string][sha256.Size]byte

func newSocksUsers(passwords map[string]string) socksUsers {
	if passwords == nil {
		return nil
	}
	u := make(socksUsers, len(passwords))
	for name, password := range passwords {
		u[name] = sha256.Sum256([]byte(password))
	}
	return u
}

func (u socksUsers) admits(name, password []byte) bool {
	want, known := u[string(name)]
	got := sha256.Sum256(password)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && known
}

// socksRequest is what a client wants.
type socksRequest struct {
	command byte
	target  Target // without a network; for socksAssociate the port may be 0, and the address unspecified
}

// readSocks does this end's part of the negotiation up to the request, and reads not an octet more. What is wrong
// with the request itself the caller answers, by socksReplyTo.
func readSocks(rw io.ReadWriter, users socksUsers) (r socksRequest, err error) {
	var buf [maxSocksField]byte
	if err := logInSocks(rw, buf[:], users); err != nil {
		return r, err
	}
	head := buf[:4] // version, command, reserved, form of the address
	if _, err := io.ReadFull(rw, head); err != nil {
		return r, err
	}
	if head[0] != socksVersion {
		return r, errSocksVersion
	}
	r.command = head[1]
	if r.target, err = readSocksAddress(rw, buf[:], head[3]); err != nil {
		return r, err
	}
	switch {
	case r.command != socksConnect && r.command != socksAssociate:
		return r, errSocksCommand
	case r.command == socksConnect && r.target.Port == 0:
		return r, errSocksName
	}
	return r, nil
}

// logInSocks agrees on a method, and has the user log in where there are users. buf is scratch space.
func logInSocks(rw io.ReadWriter, buf []byte, users socksUsers) error {
	if _, err := io.ReadFull(rw, buf[:1]); err != nil {
		return err
	}
	if buf[0] != socksVersion {
		return errSocksVersion
	}
	methods, err := readSocksField(rw, buf)
	if err != nil {
		return err
	}
	method := byte(socksMethodNone)
	if users != nil {
		method = socksMethodUser
	}
	if !slices.Contains(methods, method) {
		_, _ = rw.Write([]byte{socksVersion, socksNoMethod}) // it is closed anyway
		return errSocksMethod
	}
	if _, err := rw.Write([]byte{socksVersion, method}); err != nil || users == nil {
		return err
	}
	return checkSocksUser(rw, buf, users)
}

// checkSocksUser takes a name and a password (RFC 1929).
func checkSocksUser(rw io.ReadWriter, buf []byte, users socksUsers) error {
	if _, err := io.ReadFull(rw, buf[:1]); err != nil {
		return err
	}
	if buf[0] != socksUserVersion {
		return errSocksVersion
	}
	name, err := readSocksField(rw, buf)
	if err != nil {
		return err
	}
	name = slices.Clone(name)
	password, err := readSocksField(rw, buf)
	if err != nil {
		return err
	}
	if !users.admits(name, password) {
		_, _ = rw.Write([]byte{socksUserVersion, byte(socksFailed)}) // it is closed anyway
		return errSocksUser
	}
	_, err = rw.Write([]byte{socksUserVersion, byte(socksSucceeded)})
	return err
}

// readSocksField reads a field behind its length into buf.
func readSocksField(r io.Reader, buf []byte) ([]byte, error) {
	var size [1]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	field := buf[:size[0]]
	_, err := io.ReadFull(r, field)
	return field, err
}

// readSocksAddress reads an address in the given form, and the port behind it. buf is scratch space.
func readSocksAddress(r io.Reader, buf []byte, form byte) (t Target, err error) {
	host := buf[:0]
	switch form {
	case socksIPv4:
		host = buf[:4]
	case socksIPv6:
		host = buf[:16]
	case socksName:
	default:
		return t, errSocksForm
	}
	if form == socksName {
		host, err = readSocksField(r, buf)
	} else {
		_, err = io.ReadFull(r, host)
	}
	if err != nil {
		return t, err
	}
	var port [2]byte
	if _, err := io.ReadFull(r, port[:]); err != nil {
		return t, err
	}
	t.Port = binary.BigEndian.Uint16(port[:])
	return t, t.setSocksHost(form, host)
}

// setSocksHost sets the host of a target. Names that are addresses in text become addresses.
func (t *Target) setSocksHost(form byte, host []byte) (err error) {
	if form != socksName {
		a, _ := netip.AddrFromSlice(host) // 4 or 16 octets
		t.Addr = a.Unmap()
		return nil
	}
	if t.Addr, err = parseAddr(string(host)); err == nil {
		return nil
	}
	if t.Name, err = canonicalName(string(host)); err != nil {
		return errSocksName
	}
	return nil
}

// appendSocksAddress appends the form, the host and the port of a target. The zero target is written as 0.0.0.0:0.
func appendSocksAddress(b []byte, t Target) []byte {
	switch {
	case t.Name != "":
		b = append(append(b, socksName, byte(len(t.Name))), t.Name...)
	case t.Addr.Is6():
		b = append(append(b, socksIPv6), t.Addr.AsSlice()...)
	case t.Addr.Is4():
		b = append(append(b, socksIPv4), t.Addr.AsSlice()...)
	default:
		b = append(b, socksIPv4, 0, 0, 0, 0)
	}
	return binary.BigEndian.AppendUint16(b, t.Port)
}

// appendSocksReply appends the answer to a request; bound is where the client finds what it asked for.
func appendSocksReply(b []byte, reply socksReply, bound Target) []byte {
	return appendSocksAddress(append(b, socksVersion, byte(reply), 0), bound)
}

// socksReplyTo is the reply that fits an error, and whether the client gets one.
func socksReplyTo(err error) (socksReply, bool) {
	var refused *RefusedError
	switch {
	case err == nil:
		return socksSucceeded, true
	case errors.As(err, &refused):
		return socksReplyFor(refused.Code), true
	case errors.Is(err, errSocksCommand):
		return socksBadCommand, true
	case errors.Is(err, errSocksForm):
		return socksBadAddress, true
	case errors.Is(err, errSocksName):
		return socksNoHost, true
	case errors.Is(err, errSocksVersion), errors.Is(err, errSocksMethod), errors.Is(err, errSocksUser):
		return 0, false
	}
	return socksFailed, true
}

// socksReplyFor is the reply for a refusal of the server.
func socksReplyFor(c Code) socksReply {
	switch c {
	case CodeConnected:
		return socksSucceeded
	case CodeNotAllowed:
		return socksNotAllowed
	case CodeNameUnknown, CodeUnreachable:
		return socksNoHost
	case CodeRefused:
		return socksRefused
	case CodeTimeout:
		return socksExpired
	case CodeUnsupported:
		return socksBadCommand
	}
	return socksFailed
}
