// Package spec is the specification of Godwit: numbered chapters, decision records and vectors.
//
// It holds no code but the tests that keep the rest of the repository to it: that imports point
// downward, that the pure packages stay pure, and that every numbered requirement is enforced by
// code and by a test that can be named.
package spec
