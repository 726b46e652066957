package tunnel

import "golang.org/x/sys/windows"

var refusedError error = windows.WSAECONNREFUSED
