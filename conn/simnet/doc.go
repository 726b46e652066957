// Package simnet is a network in memory: sockets that are net.PacketConns, and between any two of them a
// link with delay, loss, rate and whatever else package sim models.
//
// It is for tests of blocking code. Under testing/synctest its time is the bubble's, so seconds of delay
// cost nothing; outside it runs in real time. Unlike the seeded world of package sim it does not promise
// the same run twice, since the callers are goroutines.
//
// It knows no sessions; package conn and its users bring their own.
package simnet
