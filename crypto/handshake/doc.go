// Package handshake is the key exchange of Godwit, message by message: Noise's
// XKpsk0 for clients with a static key and NKpsk0 for anonymous ones, with an
// ephemeral ML-KEM-768 exchange added. Chapter 2 of the specification is its
// text.
//
// It turns bytes into bytes. It does not know sessions, addresses, time or
// sockets: when to send a message again, when to give up, and whom to answer is
// the caller's. Headers are opaque to it, hashed and never parsed, except that
// the version stands at the same place in every long header.
//
// A client is a [Client]:
//
//	c, err := handshake.NewClient(config, header) // header of the INIT
//	b = c.AppendInit(b)                           // again to retransmit
//	done, err := c.HandleFragment(datagram, headerLen, serverID)
//	result, err := c.Finish(header)               // header of the FIN; keys are ready
//	b = c.AppendFin(b)                            // again to retransmit
//
// A server is a [Server], which keeps nothing between datagrams, and a [Half]
// for each handshake that it has answered. The steps are apart so that the
// caller can put them in order of cost and stop after any:
//
//	err := s.ParseInit(&in, datagram, headerLen) // shape
//	in.Hash()                                    // seen already?
//	err = s.CheckMAC(&in)                        // knows the server's key
//	in.Cookie(), in.Ephemeral()                  // address proved? else AppendRetry
//	hello, err := s.Open(&in)                    // first public-key work
//	half, err := s.Respond(&in, header, response)
//	b = half.AppendFragment(b, 0)
//	result, err := half.HandleFin(datagram, headerLen)
//
// Nothing that comes from the network panics. Errors are of two sorts: the
// variables Err..., which mean that a datagram was dropped and nothing changed,
// and *[AbortError] or *[RejectError], which an authentic peer caused.
//
// A value is used by one goroutine at a time.
package handshake
