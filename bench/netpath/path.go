//go:build linux

package netpath

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/godwit-net/godwit/bench/emulator"
	"github.com/godwit-net/godwit/protocol/sim"
)

// Path is two network namespaces with an emulated link between them.
type Path struct {
	Near, Far *Namespace
	Bridge    *emulator.Bridge
}

// Addresses of the two ends.
const nearHost, farHost = "10.77.0.1", "10.77.0.2"

// New makes a path with a link in the link language. It needs root and the ip command.
func New(link string) (*Path, error) {
	c, err := sim.ParseLink(link)
	if err != nil {
		return nil, err
	}
	p := &Path{}
	if p.Near, err = newNamespace(nearHost); err != nil {
		return nil, err
	}
	if p.Far, err = newNamespace(farHost); err != nil {
		return nil, errors.Join(err, p.Near.close())
	}
	if p.Bridge, err = emulator.NewBridge(p.Near.device, p.Far.device, c); err != nil {
		return nil, errors.Join(err, p.Near.close(), p.Far.close())
	}
	return p, nil
}

// Close removes the link and lets go of the namespaces. They end with the last socket in them.
func (p *Path) Close() error {
	return errors.Join(p.Bridge.Close(), p.Near.handle.Close(), p.Far.handle.Close())
}

// Namespace is a network namespace with one TUN device. It has no name, so the kernel removes it as
// soon as no thread, file or socket of this process is left in it, after a crash too.
type Namespace struct {
	Host   string // the address of the device
	handle *os.File
	device *os.File // one IP packet for each read and write
}

const deviceName = "tun0"

// deviceQueue is how many packets the kernel keeps for the device when the emulator is late: a second
// of the fastest link that is measured. A shorter one would drop what the model should see.
const deviceQueue = 10_000

// newNamespace makes a namespace with a device that has this address.
func newNamespace(host string) (*Namespace, error) {
	n := &Namespace{Host: host}
	err := onThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("new network namespace: %w (this needs root)", err)
		}
		if n.handle, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if n.device, err = openDevice(); err != nil {
			return errors.Join(err, n.handle.Close())
		}
		if err = configure(host); err != nil {
			return errors.Join(err, n.close())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// openDevice makes a TUN device in the calling thread's namespace. It announces no offloads, so the
// kernel cuts what it sends into packets of the MTU and fills in their checksums.
func openDevice() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(deviceName)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("new TUN device: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), deviceName), nil
}

// configure gives the device of the calling thread's namespace its address.
func configure(host string) error {
	for _, command := range []string{
		"link set lo up", // programs that talk to themselves
		fmt.Sprintf("link set %s mtu %d txqueuelen %d up", deviceName, sim.DefaultMTU, deviceQueue),
		fmt.Sprintf("addr add %s/30 dev %s", host, deviceName),
	} {
		if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, out)
		}
	}
	return nil
}

// Do calls f on a thread in the namespace. Sockets that f opens, and programs that it starts, stay there.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.handle.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// close undoes newNamespace. With a bridge, which owns the device, close only the handle.
func (n *Namespace) close() error { return errors.Join(n.device.Close(), n.handle.Close()) }

// onThread calls f on a thread of its own, which may enter another network namespace, and brings the
// thread back afterwards. (Letting it end would do, were it never the first thread of the process, which
// the runtime keeps.)
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		err = f()
		back := errors.Join(unix.Setns(int(own.Fd()), unix.CLONE_NEWNET), own.Close())
		if back == nil {
			runtime.UnlockOSThread()
		}
		done <- errors.Join(err, back)
	}()
	return <-done
}
