package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenurehq/tenure"
	"github.com/tenurehq/tenure/audit"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// grown is a log of 23 entries in groups of 4, 1, 10 and 8, with a checkpoint
// after each group.
func grown(t testing.TB) (l *memLog, checkpoints [][]byte) {
	l = &memLog{}
	for _, n := range []int{4, 1, 10, 8} {
		l.grow(t, n)
		checkpoints = append(checkpoints, l.checkpoint(t, newSigner(t, origin)))
	}
	return l, checkpoints
}

func texts(r *audit.Report) []string {
	var out []string
	for _, p := range r.Problems {
		out = append(out, p.Text)
	}
	return out
}

// hash is where the stored hash of a tree node stands.
func (l *memLog) hash(level int, n int64) []byte {
	i := tlog.StoredHashIndex(level, n)
	for _, r := range l.rows {
		if i >= r.First && i < r.First+int64(len(r.Hashes)/tlog.HashSize) {
			return r.Hashes[(i-r.First)*tlog.HashSize:][:tlog.HashSize]
		}
	}
	panic("no such hash")
}

// rehash makes every stored hash, and the head, fit the entries again.
func (l *memLog) rehash() {
	tree := &audit.Tree{}
	l.rows = nil
	for _, r := range l.records {
		b, next := tree.Prepare([][]byte{r.Entry})
		l.rows = append(l.rows, audit.NodeRow{First: b.First, Hashes: b.Hashes})
		tree = next
	}
	l.tree = tree
}

// TestVerifyNames breaks a stored log in one way at a time. An auditor who is
// told only "something is wrong" can't go on; each break must be named, and
// nothing else must be.
func TestVerifyNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tamper func(l *memLog, log *audit.Log)
		want   []string
	}{
		{"intact", func(*memLog, *audit.Log) {}, nil},
		{"changed entry", func(l *memLog, _ *audit.Log) {
			l.records[17].Entry = append(slices.Clone(l.records[17].Entry), ' ')
		}, []string{"entry 17 was changed"}},
		{"changed last entry", func(l *memLog, _ *audit.Log) {
			l.records[22].Entry = []byte("other")
		}, []string{"entry 22 was changed"}},
		{"two neighbours changed", func(l *memLog, _ *audit.Log) {
			l.records[16].Entry, l.records[17].Entry = []byte("a"), []byte("b")
		}, []string{"entry 16 was changed", "entry 17 was changed"}},
		{"dropped entry", func(l *memLog, _ *audit.Log) {
			l.records = slices.Delete(l.records, 17, 18)
		}, []string{"entry 17 is missing (dropped)"}},
		{"dropped and renumbered", func(l *memLog, _ *audit.Log) {
			l.records = slices.Delete(l.records, 17, 18)
			for i := range l.records {
				l.records[i].Index = int64(i)
			}
		}, []string{"entry 17 is missing (dropped)"}},
		{"dropped last entry", func(l *memLog, _ *audit.Log) {
			l.records = l.records[:22]
		}, []string{"entry 22 is missing (dropped)"}},
		{"dropped three", func(l *memLog, _ *audit.Log) {
			l.records = slices.Delete(l.records, 4, 7)
		}, []string{"entry 4 is missing (dropped)", "entry 5 is missing (dropped)", "entry 6 is missing (dropped)"}},
		{"dropped and the next changed", func(l *memLog, _ *audit.Log) {
			l.records[18].Entry = []byte("x")
			l.records = slices.Delete(l.records, 17, 18)
		}, []string{"entry 17 is missing (dropped)", "entry 18 was changed"}},
		{"swapped neighbours", func(l *memLog, _ *audit.Log) {
			l.records[17].Entry, l.records[18].Entry = l.records[18].Entry, l.records[17].Entry
		}, []string{"entries 17 and 18 are out of order"}},
		{"swapped far apart", func(l *memLog, _ *audit.Log) {
			l.records[2].Entry, l.records[20].Entry = l.records[20].Entry, l.records[2].Entry
		}, []string{"entries 2 and 20 are out of order"}},
		{"moved", func(l *memLog, _ *audit.Log) {
			e := l.records[4].Entry
			for i := 4; i < 9; i++ {
				l.records[i].Entry = l.records[i+1].Entry
			}
			l.records[9].Entry = e
		}, []string{"entries 4 to 9 are out of order"}},
		{"renumbered", func(l *memLog, _ *audit.Log) {
			l.records[22].Index = 40
		}, []string{"entry 22 is numbered 40"}},
		{"dropped, and a later one renumbered", func(l *memLog, _ *audit.Log) {
			l.records[22].Index = 40
			l.records = slices.Delete(l.records, 4, 5)
		}, []string{"entry 4 is missing (dropped)", "entry 22 is numbered 40"}},
		{"slipped in", func(l *memLog, _ *audit.Log) {
			l.records = slices.Insert(l.records, 9, audit.Record{Index: 9, Entry: []byte("forged")})
			for i := range l.records {
				l.records[i].Index = int64(i)
			}
		}, []string{"an entry numbered 9 stands where entry 9 is due, and the tree doesn't know it"}},
		{"added at the end", func(l *memLog, _ *audit.Log) {
			l.records = append(l.records, audit.Record{Index: 23, Entry: []byte("forged")})
		}, []string{"an entry numbered 23 stands where entry 23 is due, and the tree doesn't know it"}},
		{"leaf hash changed", func(l *memLog, _ *audit.Log) {
			l.hash(0, 17)[3] ^= 1
		}, []string{"the node row for entry 17 differs: its leaf hash isn't the entry's"}},
		{"last leaf hash changed", func(l *memLog, _ *audit.Log) {
			l.hash(0, 22)[3] ^= 1
		}, []string{"the node row for entry 22 differs: its leaf hash isn't the entry's"}},
		{"inner hash changed", func(l *memLog, _ *audit.Log) {
			l.hash(2, 3)[0] ^= 1
		}, []string{"the node row for entry 15 differs: the hash over the entries 12 to 15 isn't theirs"}},
		{"inner hash of the edge changed", func(l *memLog, _ *audit.Log) {
			l.hash(4, 0)[0] ^= 1
		}, []string{"the node row for entry 15 differs: the hash over the entries 0 to 15 isn't theirs"}},
		{"entry and leaf hash changed", func(l *memLog, _ *audit.Log) {
			l.records[17].Entry = []byte("forged")
			h := tlog.RecordHash(l.records[17].Entry)
			copy(l.hash(0, 17), h[:])
		}, []string{"among the entries 16 to 17 one was changed together with its hash"}},
		{"node row dropped", func(l *memLog, log *audit.Log) {
			log.Nodes = all(slices.Delete(slices.Clone(l.rows), 1, 2))
		}, []string{"the stored hashes 7 to 7 are missing, from entry 4 on"}},
		{"last node row dropped", func(l *memLog, log *audit.Log) {
			log.Nodes = all(l.rows[:3])
		}, []string{"the stored hashes end before entry 15; the head says size 23"}},
		{"node row twice", func(l *memLog, log *audit.Log) {
			log.Nodes = all(slices.Insert(slices.Clone(l.rows), 1, l.rows[0]))
		}, []string{"the node row for 0 repeats hashes of an earlier row"}},
		{"node row of no place", func(l *memLog, log *audit.Log) {
			log.Nodes = all(slices.Insert(slices.Clone(l.rows), 1, audit.NodeRow{First: -1, Hashes: make([]byte, 32)}))
		}, []string{"the node row for -1 repeats hashes of an earlier row"}},
		{"node row cut", func(l *memLog, _ *audit.Log) {
			l.rows[3].Hashes = l.rows[3].Hashes[:len(l.rows[3].Hashes)-1]
		}, []string{
			fmt.Sprintf("the node row for %d is cut off within a hash", tlog.StoredHashCount(15)),
			"the stored hashes end before entry 22; the head says size 23",
		}},
		{"node row far away", func(l *memLog, log *audit.Log) {
			log.Nodes = all(append(slices.Clone(l.rows), audit.NodeRow{First: 1 << 60, Hashes: make([]byte, 32)}))
		}, []string{"the node row for 1152921504606846976 lies beyond the head"}},
		{"head of another size", func(_ *memLog, log *audit.Log) {
			log.Size = 20
		}, []string{"the head says size 20, the log has 23"}},
		{"head of another root", func(_ *memLog, log *audit.Log) {
			log.Root[0] ^= 1
		}, []string{"the head's root isn't that of the tree of size 23"}},
		{"cut off", func(l *memLog, log *audit.Log) {
			l.records = l.records[:15]
			log.Nodes = all(l.rows[:3])
		}, []string{
			"checkpoint of size 23 isn't a prefix of this log: it has only 15 entries",
			"the head says size 23, the log has 15",
		}},
		{"everything rewritten", func(l *memLog, log *audit.Log) {
			l.records[17].Entry = []byte("forged")
			l.rehash()
			log.Nodes, log.Root = all(l.rows), l.tree.Root()
		}, []string{"checkpoint of size 23 isn't a prefix of this log: another root was signed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, checkpoints := grown(t)
			log := l.log(newSigner(t, origin).Verifier())
			log.Checkpoints = all(checkpoints)
			tt.tamper(l, &log)
			log.Records = all(l.records)
			report, err := audit.Verify(context.Background(), log)
			if err != nil {
				t.Fatal(err)
			}
			got := texts(report)
			slices.Sort(got)
			slices.Sort(tt.want)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
			if report.OK() != (len(tt.want) == 0) || (report.Err() == nil) != report.OK() {
				t.Errorf("OK %v, Err %v for %d problems", report.OK(), report.Err(), len(tt.want))
			}
		})
	}
}

// TestVerifyWitness: whoever holds the database and the log's key can rewrite
// both log and checkpoints; only what the witness kept tells.
func TestVerifyWitness(t *testing.T) {
	t.Parallel()
	l, _ := grown(t)
	signer := newSigner(t, origin)
	witnessed := l.checkpoint(t, signer)
	check := func(log audit.Log) []string {
		t.Helper()
		log.Witnessed = witnessed
		report, err := audit.Verify(context.Background(), log)
		if err != nil {
			t.Fatal(err)
		}
		return texts(report)
	}
	l.grow(t, 5)
	if got := check(l.log(signer.Verifier())); len(got) != 0 {
		t.Errorf("a log that grew on: %q", got)
	}
	forged := &memLog{records: slices.Clone(l.records)}
	forged.records[3].Entry = []byte("forged")
	forged.rehash()
	want := []string{"the witness's checkpoint of size 23 isn't a prefix of this log: another root was signed"}
	if d := cmp.Diff(want, check(forged.log(signer.Verifier()))); d != "" {
		t.Errorf("a rewritten log (-want +got):\n%s", d)
	}
	short := &memLog{records: l.records[:20]}
	short.rehash()
	want = []string{"the witness's checkpoint has size 23, the log only 20: entries were cut off"}
	if d := cmp.Diff(want, check(short.log(signer.Verifier()))); d != "" {
		t.Errorf("a log that was cut off (-want +got):\n%s", d)
	}
	got := check(l.log(newSigner(t, "other.test/log").Verifier()))
	if len(got) != 1 {
		t.Errorf("a checkpoint of a key that isn't trusted: %q", got)
	}
}

// TestVerifyCheckpointOrder: an old checkpoint after a newer one means that
// the table of checkpoints was tampered with.
func TestVerifyCheckpointOrder(t *testing.T) {
	t.Parallel()
	l, checkpoints := grown(t)
	log := l.log(newSigner(t, origin).Verifier())
	log.Checkpoints = all([][]byte{checkpoints[1], checkpoints[0], []byte("junk"), checkpoints[3]})
	report, err := audit.Verify(context.Background(), log)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) != 2 || report.Checkpoints != 2 {
		t.Errorf("problems %q, checkpoints %d; want two of each", texts(report), report.Checkpoints)
	}
}

// TestVerifyStops: what couldn't be read isn't reported as a log that is wrong.
func TestVerifyStops(t *testing.T) {
	t.Parallel()
	l, _ := grown(t)
	broken := errors.New("disk on fire")
	log := l.log()
	log.Records = func(yield func(audit.Record, error) bool) { yield(audit.Record{}, broken) }
	if _, err := audit.Verify(context.Background(), log); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := audit.Verify(ctx, l.log()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	log = l.log()
	log.Witnessed = l.checkpoint(t, newSigner(t, origin))
	if _, err := audit.Verify(context.Background(), log); tenure.CodeOf(err) != tenure.Invalid {
		t.Errorf("checkpoints without a key: %v", err)
	}
}

// TestVerifyAny: whatever is done to entries, rows, head and order, a log that
// isn't as it was committed is never reported as intact.
func TestVerifyAny(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := &memLog{}
		for _, n := range rapid.SliceOfN(rapid.IntRange(1, 90), 1, 4).Draw(t, "groups") {
			l.grow(t, n)
		}
		log := l.log()
		intact := rapid.Bool().Draw(t, "intact")
		if !intact {
			tamper(t, l, &log)
		}
		log.Records, log.Nodes = all(l.records), all(l.rows)
		report, err := audit.Verify(context.Background(), log)
		if err != nil {
			t.Fatal(err)
		}
		if report.OK() != intact {
			t.Fatalf("intact %v, report %+v", intact, report.Problems)
		}
		if intact && report.Root != log.Root {
			t.Fatalf("root %s, want %s", report.Root, log.Root)
		}
	})
}

func tamper(t *rapid.T, l *memLog, log *audit.Log) {
	i := rapid.IntRange(0, len(l.records)-1).Draw(t, "entry")
	r := rapid.IntRange(0, len(l.rows)-1).Draw(t, "row")
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		e := slices.Clone(l.records[i].Entry)
		e[rapid.IntRange(0, len(e)-1).Draw(t, "byte")] ^= 1
		l.records[i].Entry = e
	case 1:
		l.records = slices.Delete(l.records, i, i+1)
	case 2:
		l.records = slices.Insert(l.records, i, l.records[i])
	case 3:
		b := rapid.IntRange(0, len(l.rows[r].Hashes)-1).Draw(t, "byte")
		l.rows[r].Hashes[b] ^= 0x80
	case 4:
		l.rows = slices.Delete(l.rows, r, r+1)
	case 5:
		log.Size += rapid.SampledFrom([]int64{-1, 1, 70}).Draw(t, "size")
	case 6:
		log.Root[i%32] ^= 1
	}
}

var _ note.Verifier = (*audit.Verifier)(nil)

// BenchmarkVerify has hashing the same entries as its baseline.
func BenchmarkVerify(b *testing.B) {
	l := &memLog{}
	for range 20 {
		l.grow(b, 500)
	}
	b.Run("10,000 entries", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r, err := audit.Verify(context.Background(), l.log()); err != nil || !r.OK() {
				b.Fatal(r, err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e4, "ns/entry")
	})
	b.Run("baseline hashing", func(b *testing.B) {
		for b.Loop() {
			for _, r := range l.records {
				_ = tlog.RecordHash(r.Entry)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e4, "ns/entry")
	})
}
