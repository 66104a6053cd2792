package exec

import (
	"context"
	"errors"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/tenurehq/tenure"
)

// afterwards is how long pipes may stay open once a program has ended.
const afterwards = time.Second

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// run starts the program, writes the request and has read read the answer. It comes back
// when the program, and what it started, has ended: by itself, because ctx ended, or because
// read gave an error, which is given back.
func (d *driver) run(ctx context.Context, request []byte, read func(io.Reader) error) (end ending, err error) {
	f, err := d.prepare(ctx)
	if err != nil {
		return end, err
	}
	defer f.remove()
	p := &process{ways: attributes()}
	if d.alone {
		p.ways = p.ways[len(p.ways)-1:]
	}
	if err := p.pipes(); err != nil {
		return end, tenure.Errorf(tenure.Unavailable, "it can't be started: %w", err).Retryable()
	}
	defer p.close()
	command := func() *osexec.Cmd {
		return &osexec.Cmd{
			Path: filepath.Join(f.path, f.program), Args: append([]string{f.program}, d.Program.Arguments...), Dir: f.path, Env: d.environment(f.path),
			Stdin: p.in.r, Stdout: p.out.w, Stderr: p.err.w,
		}
	}
	if err := p.start(ctx, command, mib(d.Limits.Memory, usualMemory)); err != nil {
		return end, err
	}
	var work sync.WaitGroup
	work.Go(func() { // a program needn't read it to the end
		_, _ = p.in.w.Write(request)
		_ = p.in.w.Close()
	})
	tail := &tail{}
	work.Go(func() { _, _ = io.Copy(tail, p.err.r) })
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	if err = read(p.out.r); err != nil {
		p.kill()
	}
	how := <-p.ended
	work.Wait()
	return ending{how: how, stderr: tail.last}, err
}

type pipe struct{ r, w *os.File }

type process struct {
	ways         []*syscall.SysProcAttr
	in, out, err pipe
	cmd          *osexec.Cmd
	ended        chan string // how it ended, "" if well, once it and its group are gone

	mu   sync.Mutex
	gone bool // its pid may be another's
}

func (p *process) pipes() error {
	for _, one := range []*pipe{&p.in, &p.out, &p.err} {
		r, w, err := os.Pipe()
		if err != nil {
			p.close()
			return err
		}
		one.r, one.w = r, w
	}
	return nil
}

func (p *process) close() {
	for _, f := range []*os.File{p.in.r, p.in.w, p.out.r, p.out.w, p.err.r, p.err.w} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// start starts the program and waits for its end in a goroutine of its own: a program ends
// with the thread that started it, so the thread is kept until then.
func (p *process) start(ctx context.Context, command func() *osexec.Cmd, memory int64) error {
	started := make(chan error)
	p.ended = make(chan string, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.launch(ctx, command)
		if err == nil {
			err = bound(p.cmd.Process.Pid, memory)
			if err != nil {
				p.kill()
			}
		}
		for _, f := range []*os.File{p.in.r, p.out.w, p.err.w} {
			_ = f.Close()
		}
		started <- err
		if p.cmd != nil {
			p.ended <- p.wait()
		}
	}()
	err := <-started
	if err == nil {
		return nil
	}
	if p.cmd != nil {
		<-p.ended
	}
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.ENOENT) {
		return tenure.Errorf(tenure.Blocked, "it can't be run: %w", err).WithHint("a script begins with #! and the path of what runs it; the folder for temporary files (TMPDIR) must not be mounted noexec")
	}
	return tenure.Errorf(tenure.Unavailable, "it can't be started: %w", err).Retryable()
}

// launch starts it as shut off as this machine lets.
func (p *process) launch(ctx context.Context, command func() *osexec.Cmd) (err error) {
	for _, attr := range p.ways {
		for range 100 {
			cmd := command()
			cmd.SysProcAttr = attr
			private()
			if err = cmd.Start(); err == nil {
				p.cmd = cmd
				return nil
			}
			if !errors.Is(err, syscall.ETXTBSY) || ctx.Err() != nil {
				break
			}
			time.Sleep(10 * time.Millisecond) // another process that is being started still has the copy open
		}
		if !refused(err) {
			return err
		}
	}
	return err
}

// wait waits for the program's end, ends what it leaves running, and closes the pipes that
// such a one may hold.
func (p *process) wait() string {
	exited(p.cmd.Process.Pid)
	p.kill()
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	err := p.cmd.Wait()
	time.AfterFunc(afterwards, p.cut)
	var failed *osexec.ExitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &failed):
		return failed.String()
	}
	return err.Error()
}

// kill ends the program with all of its group, at once.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		killGroup(p.cmd.Process.Pid)
	}
}

// cut lets nobody wait for the pipes any longer.
func (p *process) cut() {
	_ = p.out.r.SetReadDeadline(past)
	_ = p.err.r.SetReadDeadline(past)
	_ = p.in.w.SetWriteDeadline(past)
}

// tail keeps the last of what is written to it.
type tail struct{ last []byte }

const longestTail = 1 << 16

func (t *tail) Write(b []byte) (int, error) {
	t.last = append(t.last, b...)
	if over := len(t.last) - longestTail; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return len(b), nil
}
