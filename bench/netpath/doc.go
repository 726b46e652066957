// Package netpath makes two network namespaces with an emulated link between them, so that any program and any
// protocol on IP, the kernel's TCP included, can be measured over the link model of package sim. It needs Linux,
// root, /dev/net/tun and the ip command, and leaves nothing behind.
//
// It does not know what is sent. bench/kernel and bench/rivals use it.
package netpath
