// Package congestion decides how much a path may carry: it holds congestion controllers behind one
// small interface, and the delivery-rate sampler that feeds them.
//
// It is pure. It knows no packets, frames, sockets or clock: the sender's side of a path (package
// protocol) detects losses, groups them into episodes, takes samples, and tells a [Controller] in
// order what happened; the controller answers with a window in bytes and a rate in bytes a second.
//
// [NewAdaptive] is the default: it keeps its rate where packets are lost at random, and its queue
// short. [NewCubic] is CUBIC with HyStart++, [NewBBR] is BBRv3. [Named] finds them by name. To bring another controller, implement
// [Controller] and put its constructor in the configuration of the session.
package congestion
