//go:build amd64 || arm64 || ppc64le

package fec

import "github.com/klauspost/reedsolomon"

// mulAdd adds c times in to out, which is at least as long.
func mulAdd(c byte, in, out []byte) { reedsolomon.LowLevel{}.GalMulSliceXor(c, in, out) }
