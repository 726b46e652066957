module github.com/godwit-net/godwit/bench/rivals

go 1.26.0

require (
	github.com/godwit-net/godwit v0.0.0
	github.com/quic-go/quic-go v0.65.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/klauspost/cpuid/v2 v2.3.0 // indirect
	github.com/klauspost/reedsolomon v1.14.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
)

replace github.com/godwit-net/godwit => ../..
