package sqlite
import ("testing";"os";"strings";"fmt";"context";"github.com/tenurehq/tenure/connector")
func TestDbg(t *testing.T){
	w := openWorld(t); d := w.opened(t,"1s")
	r := d.made(t, ref("acme", twoTables, map[string]any{"orders": "billing", "notes": "crm"}))
	const text = "a text that nobody may read any more"
	exec(t, w.at(r), "with recursive n (i) as (select 1 union all select i + 1 from n where i < 500) insert into notes select '"+text+"' || i from n; insert into orders (v) values ('kept')")
	must(t, d.on(context.Background(), w.at(r), writing, func(s *session) error { v, err := s.value(context.Background(), "pragma secure_delete"); fmt.Println("sd", v); return err}))
	cur := ""; for { e, err := d.Erase(t.Context(), r, batchOf(cur)); must(t, err); cur = e.Cursor; if e.Done {break} }; c := 0
	_ = c
	for _, s := range append([]string{""}, sidecars[:]...) { b, err := os.ReadFile(w.at(r)+s); fmt.Println(s, err, len(b), strings.Count(string(b), text))
	 for i:=0;i<len(b);i+=4096 { n:=strings.Count(string(b[i:i+4096]),text); if n>0 {fmt.Println("page",i/4096+1,n, b[i:i+12]); j:=strings.Index(string(b[i:i+4096]),text); fmt.Printf("%q\n", b[i+j-20:i+j+60])} } }
}
func batchOf(c string) connector.Batch { return connector.Batch{Class:"crm",Limit:100,Cursor:c} }
