// Hostile is a program that speaks the protocol in every wrong way that its option names.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type asked struct {
	Call      string
	Options   map[string]string
	Secrets   map[string]string
	Resources []struct{ Type, Name string }
	Mark      string
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "sleep" {
		time.Sleep(time.Hour)
		return
	}
	var q asked
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	mode, _, _ := strings.Cut(q.Options["mode"], ":")
	if only := q.Options["only"]; only != "" && only != q.Call {
		mode = ""
	}
	secret := q.Secrets["token"]
	sighting := fmt.Sprintf(`"sighting":{"fingerprint":"f","sentinel":%t,"complete":%t}`, mode != "headless", mode != "partial")
	end := func() { fmt.Printf(`{"result":{%s}}`+"\n", sighting) }
	if q.Call != "observe" && q.Call != "discover" {
		end = func() { fmt.Println(`{"result":{"changed":true}}`) }
	}
	if q.Call == "plant" {
		end = func() { fmt.Println(`{"result":{"fingerprint":"f"}}`) }
	}
	see := func(format string, args ...any) {
		fmt.Printf(`{"observed":{"type":"thing","name":"one"`+format+"}}\n", args...)
	}
	switch mode {
	case "unknown":
		see(`,"found":true,"colour":1`)
	case "case":
		fmt.Println(`{"Observed":{"type":"thing","name":"one"}}`)
	case "type":
		see(`,"metrics":{"n":"many"}`)
	case "stranger":
		fmt.Println(`{"observed":{"type":"thing","name":"another","found":true}}`)
	case "twice":
		see(`,"found":false`)
		see(`,"found":false`)
	case "silent":
	case "attribute":
		see(`,"attributes":{"size":1,"weight":2}`)
	case "absent":
		see(`,"found":false,"mark":"tenure:1:x:y:z"`)
	case "forged":
		see(`,"mark":"%s","attributes":{}`, q.Options["mark"])
	case "state":
		see(`,"state":"quarantined"`)
	case "number":
		see(`,"metrics":{"n":18446744073709551616}`)
	case "negative":
		see(`,"metrics":{"n":-1}`)
	case "key":
		see(`,"found":true,"found":false`)
	case "utf8":
		see(`,"detail":"` + "\xff" + `"`)
	case "surrogate":
		see(`,"detail":"\ud800"`)
	case "deep":
		see(`,"attributes":{"size":%s1%s}`, strings.Repeat("[", 99), strings.Repeat("]", 99))
	case "none":
		return
	case "cut":
		fmt.Print(`{"result":{` + sighting + `}}`)
		return
	case "after":
		see(`,"found":false`)
		end()
		end()
		return
	case "exit":
		see(`,"found":false`)
		end()
		fmt.Fprintln(os.Stderr, "I \x1b[2Jgave up with", secret)
		os.Exit(3)
	case "signal":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		panic("still here")
	case "endless":
		for {
			see(`,"detail":"%s"`, strings.Repeat("x", 900))
			if q.Options["same"] == "" {
				fmt.Println(`{"observed":{"type":"thing","name":"one"}}`)
			}
		}
	case "long":
		for {
			fmt.Print("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
		}
	case "chatter":
		for {
			fmt.Fprintln(os.Stderr, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
		}
	case "hang":
		time.Sleep(time.Hour)
	case "memory":
		var all [][]byte
		for range 4096 {
			all = append(all, make([]byte, 1<<20))
			for i := range all[len(all)-1] {
				all[len(all)-1][i] = 1
			}
		}
		see(`,"detail":"%d"`, len(all))
	case "child", "daemon", "nest":
		_, token, _ := strings.Cut(q.Options["mode"], ":")
		self, _ := os.Executable()
		c := exec.Command(self, "sleep", token)
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		if mode == "daemon" {
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		}
		if err := c.Start(); err != nil {
			panic(err)
		}
		if mode == "nest" {
			time.Sleep(time.Hour)
		}
		see(`,"found":false`)
	case "echo":
		forms := []string{secret, strconv.Quote(secret), url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
		for _, before := range []string{"", "u", "us", "user:"} {
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
				forms = append(forms, enc.EncodeToString([]byte(before+secret+"after")))
			}
		}
		escaped := ""
		for _, c := range secret {
			escaped += fmt.Sprintf(`\u%04x`, c)
		}
		text, _ := json.Marshal(strings.Join(forms, " | "))
		switch q.Options["where"] {
		case "error":
			fmt.Printf(`{"error":{"code":"blocked","message":%s,"hint":"try %s"}}`+"\n", text, escaped)
			return
		case "stderr":
			fmt.Fprintln(os.Stderr, strings.Join(forms, " | "))
			os.Exit(1)
		}
		see(`,"detail":%s,"attributes":{"size":"%s"}`, text, escaped)
	case "inside":
		var fds []string
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, e := range entries {
			to, err := os.Readlink("/proc/self/fd/" + e.Name())
			if err == nil && !strings.HasPrefix(to, "anon_inode:") && !strings.HasPrefix(to, "/proc/") {
				fds = append(fds, e.Name()+"="+to)
			}
		}
		env := os.Environ()
		sort.Strings(env)
		dir, _ := os.Getwd()
		_ = os.MkdirAll("left/behind", 0o700)
		_ = os.Chmod("left", 0o500)
		raw, _ := json.Marshal(fmt.Sprintf("%q %q %q %s", os.Args, env, fds, dir))
		see(`,"detail":%s`, raw)
	case "disorder":
		fmt.Println(`{"observed":{"type":"thing","name":"b"}}`)
		fmt.Println(`{"observed":{"type":"thing","name":"a"}}`)
	case "untyped":
		fmt.Println(`{"observed":{"type":"other","name":"b"}}`)
	case "code":
		fmt.Println(`{"error":{"code":"unauthorised","message":"m"}}`)
		return
	case "refuse":
		fmt.Println(`{"error":{"code":"conflict","message":"no\u0007t now","retry":true}}`)
		os.Exit(1)
	default:
		for _, r := range q.Resources {
			raw, _ := json.Marshal(r.Name)
			fmt.Printf(`{"observed":{"type":"thing","name":%s,"found":false}}`+"\n", raw)
		}
	}
	end()
}
