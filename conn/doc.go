// Package conn is Godwit's public API over real sockets: sessions and streams that are net.Conns.
//
// A complete program is
//
//	l, err := conn.Listen("127.0.0.1:0", nil)
//	s, err := conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
//
// after which l.Accept gives the other end of s. A [Session] is a net.Conn over its stream 0; more streams
// are opened and accepted on it, and messages are sent and received beside them. Every session is encrypted,
// both ends know each other's keys or have none, and it survives a change of the client's address.
//
// # Messages
//
// A message is bounded, up to 1 MiB, and arrives whole or not at all. Its channel says what its loss means:
//
//	inputs    := conn.MessageOptions{Channel: 0, Mode: conn.ReliableOrdered} // all of them, in order
//	snapshots := conn.MessageOptions{Channel: 1, Mode: conn.Sequenced}       // only the newest counts
//	frames    := conn.MessageOptions{Channel: 2, Mode: conn.ReliableOrdered, Deadline: 150 * time.Millisecond}
//
// With a deadline a message is repaired as long as that helps, then both ends go on without it. Channels do not
// wait for each other, nor for streams, which by default send after them. [Session.SendMessage] never waits: a
// queue that is full is an error. Those who have a goroutine for it receive with [Session.ReceiveMessage] or
// [Session.ReceiveMessageInto]; programs that work in ticks take everything that came with
// [Listener.ReceiveBatch], send with MessageOptions.More, and end the tick with [Listener.Flush], so that what a
// tick has to say to a peer shares a packet, and what it has to say to many peers few system calls. For those who
// dial many sessions there are [Endpoint.ReceiveBatch] and [Endpoint.Flush].
//
// Which to take: streams for what is long and must be complete (files, a world to load, a protocol that exists);
// messages for what is short, or worth nothing when it is late.
//
// The package owns what the core in package protocol must not have: sockets, goroutines, locks and the
// clock. A socket is a shard: one reading goroutine, one timing wheel, and the sessions whose IDs name it.
// A session has no goroutine and no timer of its own. Whoever has something for it, the shard's reader,
// its wheel or an application's Write, takes the session's short lock, changes the core, and sends what
// the core has to send.
//
// It does not know what a packet looks like, what is acknowledged or lost, or how a key is agreed: that
// is the core's. Programs call it, and package conn/tunnel does.
//
// # Locks
//
// From the outermost to the innermost: a session's, a listener's, a shard's table, a shard's list of sessions that
// wait for a Flush, a shard's wheel. The lists of sessions with messages are innermost. No lock is held during a system call or while
// waiting.
package conn
