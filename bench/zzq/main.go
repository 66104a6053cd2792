package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

func cpuOf(pid int) time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	n, _ := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
	return time.Duration(n)
}

func main() {
	ctx := context.Background()
	raw, _ := os.ReadFile("/tmp/server.log")
	ents := regexp.MustCompile(`\n\d+ 20\d\d-[^\n]* UTC LOG:  `).Split(string(raw), -1)
	seen := map[string]string{}
	cnt := map[string]int{}
	norm := regexp.MustCompile(`'[^']*'|b\d\d-\d+|res_[0-9a-f-]+|[0-9a-f]{24}`)
	for _, e := range ents {
		i := strings.Index(e, "statement: ")
		if i < 0 || !strings.Contains(e, os.Args[1]) {
			continue
		}
		s := e[i+11:]
		t := strings.TrimSpace(strings.ToLower(s))
		if !strings.HasPrefix(t, "select") && !strings.HasPrefix(t, "with") {
			continue
		}
		k := norm.ReplaceAllString(s, "?")
		if len(k) > 400 { k = k[:400] }
		cnt[k]++
		if cnt[k] == 20 || seen[k] == "" {
			seen[k] = s
		}
	}
	conn, err := pgx.Connect(ctx, os.Getenv("TENURE_TEST_POSTGRES"))
	if err != nil {
		panic(err)
	}
	u := conn.Config().Copy()
	u.Database = "bench_onboard"
	u.RuntimeParams["search_path"] = "pg_catalog"
	conn, err = pgx.ConnectConfig(ctx, u)
	if err != nil {
		panic(err)
	}
	pid := int(conn.PgConn().PID())
	type row struct {
		d time.Duration
		n int
		s string
	}
	var rows []row
	for k, s := range seen {
		for range 3 {
			conn.PgConn().Exec(ctx, s).ReadAll()
		}
		b := cpuOf(pid)
		const n = 100
		for range n {
			if _, err := conn.PgConn().Exec(ctx, s).ReadAll(); err != nil {
				fmt.Println(err)
				break
			}
		}
		rows = append(rows, row{(cpuOf(pid) - b) / n, cnt[k], regexp.MustCompile(`\s+`).ReplaceAllString(k, " ")})
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].d*time.Duration(rows[i].n) > rows[j].d*time.Duration(rows[j].n) })
	for _, r := range rows {
		if r.n < 10 { continue }
		fmt.Println(r.d, r.n, r.s[:min(len(r.s), 130)])
	}
}
