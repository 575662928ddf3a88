package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"fleet/sshpool"
)

// stage is the folder in which what is sent by SFTP arrives. A file in it, which
// is written again each minute, says whose it is and that it is in use: one that
// a push has left that was cut off is removed by the next push to the folder from
// this machine, or after an hour by that from any.
type stage struct {
	f     *far
	nonce string
	name  string // of the folder
	stop  context.CancelFunc
	swept chan struct{} // closed when those that were left have been looked for
	done  sync.WaitGroup
}

const (
	stageFile  = "owner"
	stageBeat  = time.Minute
	stageStale = time.Hour
)

// ours are the stages of this process, by their nonces.
var ours sync.Map

// newStage makes a stage in the folder base, which nobody else can enter.
func (f *far) newStage(ctx context.Context, base string) (*stage, error) {
	s := &stage{f: f, nonce: nonce(), swept: make(chan struct{})}
	s.name = inFolder(base, stagePrefix+s.nonce)
	if err := f.sftp.Mkdir(ctx, s.name, 0o700); err != nil {
		return nil, err
	}
	ours.Store(s.nonce, true)
	beating, stop := context.WithCancel(ctx)
	s.stop = stop
	file := inFolder(s.name, stageFile)
	if err := f.sftp.WriteNew(ctx, file, sshpool.NewFile{Data: []byte(whoWeAre()), Mode: 0o600}); err != nil {
		s.close(ctx, err)
		return nil, err
	}
	s.done.Go(func() {
		if info, err := f.sftp.Stat(beating, file); err == nil {
			f.removeStale(beating, base, info.ModTime())
		}
		close(s.swept)
		tick := time.NewTicker(stageBeat)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if g, err := f.sftp.OpenFile(beating, file, os.O_WRONLY, 0); err == nil {
					g.Write([]byte(whoWeAre()))
					g.Close()
				}
			case <-beating.Done():
				return
			}
		}
	})
	return s, nil
}

// close removes the stage, with all that is still in it.
func (s *stage) close(ctx context.Context, why error) {
	if why == nil {
		<-s.swept
	}
	s.stop()
	s.done.Wait()
	ours.Delete(s.nonce)
	limit := time.Minute
	if ctx.Err() != nil { // somebody waits for the end
		limit = 5 * time.Second
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	select {
	case <-s.f.sftp.Done():
	default:
		s.f.sftp.RemoveAll(clean, s.name)
	}
}

// maxListed is how many names of a folder are looked at for stages.
const maxListed = 20_000

// removeStale removes stages that nobody uses any more; now is by the host's clock.
func (f *far) removeStale(ctx context.Context, base string, now time.Time) {
	n := 0
	for info, err := range f.sftp.List(ctx, base) {
		if n++; err != nil || n > maxListed {
			return
		}
		nonce, found := strings.CutPrefix(info.Name(), stagePrefix)
		if !found || strings.ContainsAny(nonce, "/\x00") || !info.IsDir() {
			continue
		}
		name := inFolder(base, info.Name())
		if f.stale(ctx, name, nonce, now) {
			f.sftp.RemoveAll(ctx, name)
		}
	}
}

// stale says that a stage was left by a push that is over. One without the file
// is of putScript, or just being made.
func (f *far) stale(ctx context.Context, name, nonce string, now time.Time) bool {
	text, info, err := f.sftp.ReadSmall(ctx, inFolder(name, stageFile), len(whoWeAre()), 1024)
	if err != nil {
		return false
	}
	if now.Sub(info.ModTime()) > stageStale {
		return true
	}
	var machine string
	var pid int
	if n, err := fmt.Sscanf(string(text), "fleet %s %d", &machine, &pid); n != 2 || err != nil || machine != thisMachine() {
		return false
	}
	if pid == os.Getpid() {
		_, used := ours.Load(nonce)
		return !used
	}
	return !running(pid)
}

// whoWeAre is this process, as no other one is called while it runs.
func whoWeAre() string { return fmt.Sprintf("fleet %s %d\n", thisMachine(), os.Getpid()) }

// thisMachine is where numbers of processes mean the same, without telling what
// it is called.
var thisMachine = sync.OnceValue(func() string {
	host, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	sum := sha256.Sum256([]byte(host + "\x00" + string(boot) + "\x00" + space))
	return hex.EncodeToString(sum[:12])
})

// running says that there may be a process of that number.
func running(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer p.Release()
	err = p.Signal(syscall.Signal(0)) // asks only
	return err == nil || errors.Is(err, fs.ErrPermission) || runtime.GOOS == "windows"
}
