// Package e2e runs real programs through a tunnel of godwit commands: curl, rsync, redis-benchmark, wrk and
// ffmpeg, over an emulated link. It is for root on Linux, with the Debian packages of .ci/packages:
//
//	make e2e
package e2e
