//go:build !amd64 && !arm64 && !ppc64le

package fec

// mulAdd adds c times in to out, which is at least as long.
func mulAdd(c byte, in, out []byte) { mulAddTables(c, in, out) }
