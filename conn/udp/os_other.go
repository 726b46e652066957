//go:build !linux && !darwin && !freebsd && !windows

package udp

import (
	"net/netip"
	"syscall"
)

// This system's sockets are used as they come: no sharing, no control data, no options.
const canShare = false

func controlShare(_, _ string, _ syscall.RawConn) error { return nil }

func forceBuffers(syscall.RawConn, int) (receive, send int) { return 0, 0 }
func setDontFragment(syscall.RawConn) bool                  { return false }
func setReceiveECN(syscall.RawConn) bool                    { return false }
func setReceiveLocal(syscall.RawConn) bool                  { return false }

func parseControl([]byte) control                  { return control{} }
func appendLocal(oob []byte, _ netip.Addr) []byte  { return oob }
func appendECN(oob []byte, _ bool, _ uint8) []byte { return oob }
func refusesOption(error) bool                     { return false }
func refusesAddress(error) bool                    { return false }
func isTooBig(error) bool                          { return false }
func isHint(error) bool                            { return false }
