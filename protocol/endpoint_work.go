package protocol

import (
	"errors"
	"slices"

	"github.com/godwit-net/godwit/crypto/handshake"
	"github.com/godwit-net/godwit/protocol/wire"
)

// maxWork is how many packets of each kind wait for public-key work or are in it: about a tenth of a second of one
// processor. What comes beyond is asked for a proof of address, or lost and sent again.
const maxWork = 256

// workKind says whose turn it is: the lower one's. Nobody who has proved an address waits for strangers, of whom a
// flood may have any number come first.
type workKind uint8

const (
	workFin      workKind = iota // ends what has begun
	workProved                   // a first packet with a proof of address
	workUnproved                 // another first packet
	workKinds
)

// Work is the public-key work for one handshake packet, which has passed all that is cheap to check. An owner that
// has several threads does it without the lock of its endpoint: Do touches nothing of the endpoint's but what never
// changes.
type Work struct {
	server   *handshake.Server
	config   *Config
	addr     AddrPair
	received Time

	// For an INIT.
	in       *handshake.Init
	long     wire.Long
	id       wire.ID
	token    wire.ResetToken
	grease   uint64
	refusing wire.RejectCode // whoever is authentic; 0: nobody
	proved   bool

	// For a FIN.
	half *halfOpen
	fin  []byte
	body int // offset in fin

	// What came of it.
	err         error
	reject      []byte // to be sent; nil: the handshake goes on
	appProtocol string
	params      wire.Parameters
	answer      *handshake.Half
	result      handshake.Result
	agreements  uint64
}

// Do does the work. It is called once, by one goroutine at a time of an endpoint's.
func (w *Work) Do() {
	before := w.server.Agreements()
	if w.in != nil {
		w.open()
	} else {
		w.result, w.err = w.half.half.HandleFin(w.fin, w.body)
	}
	w.agreements = w.server.Agreements() - before
}

// open does the work for an INIT: it makes the RESP, or a REJECT.
func (w *Work) open() {
	hello, err := w.server.Open(w.in)
	var abort *handshake.AbortError
	switch {
	case errors.As(err, &abort):
		w.refuse(wire.RejectCode(abort.Code), "")
		return
	case err != nil:
		w.err = err
		return
	}
	if code, hint := w.judge(hello); code != 0 {
		w.refuse(code, hint)
		return
	}
	suite, ok := handshake.SelectSuite(hello.Suites, w.config.Suites)
	if !ok {
		w.refuse(wire.RejectVersion, "no common cipher")
		return
	}
	response := handshake.Response{
		Suite: suite, AppProtocol: w.appProtocol,
		Params:     wire.AppendGreaseParameter(w.config.Params.Append(nil), w.grease),
		ResetToken: w.token, Observed: w.addr.Remote,
	}
	w.answer, w.err = w.server.Respond(w.in, answerHeader(wire.KindResp, &w.long, w.id).Append(nil), response)
}

// judge decides what a server thinks of a client's offer: the application protocol and the client's
// parameters, or a refusal with a hint.
func (w *Work) judge(hello *handshake.Hello) (code wire.RejectCode, hint string) {
	if w.refusing != 0 { // spec: SESS-12
		return w.refusing, ""
	}
	var ok bool
	w.appProtocol, ok = handshake.SelectAppProtocol(hello.AppProtocols, w.config.AppProtocols)
	if !ok {
		if len(w.config.AppProtocols) > 0 {
			hint = w.config.AppProtocols[0] // names what would have worked
		}
		return wire.RejectAppProtocol, hint
	}
	var err error
	if w.params, err = wire.ParseParameters(hello.Params); err != nil {
		return wire.RejectVersion, "malformed parameters"
	}
	return 0, ""
}

func (w *Work) refuse(code wire.RejectCode, hint string) {
	header := answerHeader(wire.KindReject, &w.long, w.long.DCID).Append(nil)
	w.reject = w.server.AppendReject(nil, header, w.in, uint16(code), hint)
}

// workQueue is the public-key work that an endpoint leaves to its owner.
type workQueue struct {
	server  *handshake.Server // does it
	waiting [workKinds]queue[*Work]
	busy    [workKinds]int                        // waiting or being done
	hashes  map[[handshake.HashSize]byte]struct{} // of the INITs
}

// LeaveWork makes the endpoint leave public-key work to its owner: NextWork gives it, Finish takes it back. It
// returns the pool of keys that the goroutine which does the work may fill when it has nothing to do.
func (e *Endpoint) LeaveWork() *handshake.EphemeralPool {
	if e.hs == nil {
		panic("BUG: an endpoint that does not listen has no work to leave")
	}
	pool := new(handshake.EphemeralPool)
	e.left = &workQueue{server: e.hs.Worker(pool), hashes: make(map[[handshake.HashSize]byte]struct{})}
	return pool
}

// NextWork returns the next piece of work that was left: FINs first, then clients that have proved their address.
func (e *Endpoint) NextWork() (*Work, bool) {
	if e.left == nil {
		return nil, false
	}
	for kind := range e.left.waiting {
		if q := &e.left.waiting[kind]; q.len() > 0 {
			w := *q.front()
			q.pop()
			return w, true
		}
	}
	return nil, false
}

// HasWork reports whether NextWork has some.
func (e *Endpoint) HasWork() bool {
	return e.left != nil && slices.ContainsFunc(e.left.waiting[:], func(q queue[*Work]) bool { return q.len() > 0 })
}

// full reports whether no more work of a kind is taken.
func (q *workQueue) full(kind workKind) bool { return q != nil && q.busy[kind] >= maxWork }

// working reports whether an INIT is being worked on.
func (q *workQueue) working(hash [handshake.HashSize]byte) bool {
	if q == nil {
		return false
	}
	_, ok := q.hashes[hash]
	return ok
}

// do has work done: now, or by the owner.
func (e *Endpoint) do(now Time, w *Work) {
	q := e.left
	if q == nil {
		w.server = e.hs
		w.Do()
		e.Finish(now, w)
		return
	}
	w.server = q.server
	if w.First() {
		w.in = w.in.Clone()
		q.hashes[w.in.Hash()] = struct{}{}
	} else {
		w.fin = append([]byte(nil), w.fin...)
		w.half.working = true
	}
	q.busy[w.kind()]++
	q.waiting[w.kind()].push(w)
}

// Finish takes work that is done. Replies wait in AppendDatagram, a new session in Accept.
func (e *Endpoint) Finish(now Time, w *Work) {
	e.agreements += w.agreements
	if q := e.left; q != nil {
		q.busy[w.kind()]--
		if w.First() {
			delete(q.hashes, w.in.Hash())
		} else {
			w.half.working = false
		}
	}
	if w.First() {
		e.finishInit(now, w)
	} else {
		e.finishFin(now, w)
	}
}

// First reports whether the work is for a first packet.
func (w *Work) First() bool { return w.in != nil }

func (w *Work) kind() workKind {
	if w.First() {
		return firstKind(w.proved)
	}
	return workFin
}

// firstKind is the kind of work that a first packet asks for.
func firstKind(proved bool) workKind {
	if proved {
		return workProved
	}
	return workUnproved
}
