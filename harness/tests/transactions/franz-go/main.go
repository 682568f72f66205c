// Copies a topic in transactions with a GroupTransactSession: see ../java/CopyInTransactions.java, which does the same.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	count  = 120
	atOnce = 10
)

var (
	ctx                       context.Context
	bootstrap, in, out, group string
	aborts                    int
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.TransactionTimeout(30 * time.Second)}, more...)
}

// 0, 1, ... over three partitions; between them records of a transaction that is aborted, which nobody may copy.
func fill() {
	client, err := kgo.NewClient(options(kgo.TransactionalID(group + "-filler"))...)
	check(err)
	defer client.Close()
	for i := 0; i < count; i += 20 {
		check(client.BeginTransaction())
		for j := i; j < i+20; j++ {
			client.Produce(ctx, &kgo.Record{Topic: in, Partition: int32(j % 3), Value: []byte(fmt.Sprint(j))}, nil)
		}
		check(client.Flush(ctx))
		check(client.EndTransaction(ctx, kgo.TryCommit))
		check(client.BeginTransaction())
		check(client.ProduceSync(ctx, &kgo.Record{Topic: in, Partition: int32(i % 3), Value: []byte("never")}).FirstErr())
		check(client.EndTransaction(ctx, kgo.TryAbort))
	}
}

func session() *kgo.GroupTransactSession {
	one, err := kgo.NewGroupTransactSession(options(kgo.TransactionalID(group+"-copier"), kgo.ConsumerGroup(group), kgo.InstanceID("copier"),
		kgo.ConsumeTopics(in), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	check(err)
	return one
}

func poll(s *kgo.GroupTransactSession, patience time.Duration) []*kgo.Record {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.PollRecords(limited, atOnce).Records()
}

func send(s *kgo.GroupTransactSession, records []*kgo.Record, fate string) {
	check(s.Begin())
	for _, record := range records {
		s.Produce(ctx, &kgo.Record{Topic: out, Partition: record.Partition,
			Value: []byte(string(record.Value) + " " + fate)}, nil)
	}
	check(s.Client().Flush(ctx))
}

// Copies until that many records are committed, aborting every third transaction.
func copyRecords(s *kgo.GroupTransactSession, wanted int) {
	copied, idleSince := 0, time.Now()
	for round := 1; copied < wanted && time.Since(idleSince) < 15*time.Second; {
		records := poll(s, time.Second)
		if len(records) == 0 {
			continue
		}
		idleSince = time.Now()
		fate, commit := "committed", kgo.TryCommit
		if round%3 == 0 {
			fate, commit = "aborted", kgo.TryAbort
			aborts++
		}
		round++
		send(s, records, fate)
		committed, err := s.End(ctx, commit)
		check(err)
		if committed {
			copied += len(records)
		} else if commit == kgo.TryCommit {
			check(errors.New("a commit became an abort: the group rebalanced"))
		}
	}
}

func first() {
	fill()
	s := session()
	copyRecords(s, count/3)
	var records []*kgo.Record
	for i := 0; len(records) == 0 && i < 10; i++ {
		records = poll(s, time.Second)
	}
	send(s, records, "died")
	fmt.Printf("{\"died_with_records\": %v}\n", len(records) > 0)
	os.Exit(42)
}

// What a producer meets that goes on after its successor has begun.
func fenced() string {
	begin := func() *kgo.Client {
		client, err := kgo.NewClient(options(kgo.TransactionalID(group + "-copier"))...)
		check(err)
		check(client.BeginTransaction())
		return client
	}
	zombie := begin()
	check(zombie.ProduceSync(ctx, &kgo.Record{Topic: out, Value: []byte("0 fenced")}).FirstErr())
	successor := begin()
	check(successor.ProduceSync(ctx, &kgo.Record{Topic: out, Value: []byte("2 aborted")}).FirstErr())
	check(successor.EndTransaction(ctx, kgo.TryAbort))
	err := zombie.ProduceSync(ctx, &kgo.Record{Topic: out, Value: []byte("1 fenced")}).FirstErr()
	var refusal *kerr.Error
	if errors.As(err, &refusal) {
		return refusal.Message
	}
	return fmt.Sprint(err)
}

// All values of OUT up to its end.
func read(isolation kgo.IsolationLevel) (values []string) {
	client, err := kgo.NewClient(options(kgo.ConsumeTopics(out), kgo.FetchIsolationLevel(isolation),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	check(err)
	defer client.Close()
	for {
		limited, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
		records := client.PollFetches(limited).Records()
		cancel()
		if len(records) == 0 {
			return values
		}
		for _, record := range records {
			values = append(values, string(record.Value))
		}
	}
}

func with(values []string, fate string) (n int) {
	for _, value := range values {
		if strings.HasSuffix(value, fate) {
			n++
		}
	}
	return n
}

func second() {
	s := session()
	check(s.Begin()) // the transaction of the one that died is aborted, and its offsets are settled
	_, err := s.End(ctx, kgo.TryAbort)
	check(err)
	copyRecords(s, count-len(read(kgo.ReadCommitted())))
	s.Close()
	fencedBy := fenced()
	seen, all := read(kgo.ReadCommitted()), read(kgo.ReadUncommitted())
	distinct := map[string]bool{}
	for _, value := range seen {
		distinct[value] = true
	}
	missing := 0
	for i := 0; i < count; i++ {
		if !distinct[fmt.Sprintf("%d committed", i)] {
			missing++
		}
	}
	neverCopied := true
	for _, value := range all {
		neverCopied = neverCopied && !strings.HasPrefix(value, "never")
	}
	fmt.Printf("{\"records_in\": %d, \"committed_seen\": %d, \"missing\": %d, \"duplicates\": %d, \"aborted_seen\": %d, "+
		"\"never_copied\": %v, \"uncommitted_reader\": {\"committed\": %d, \"sees_aborted\": %v, \"sees_died\": %v, "+
		"\"fenced\": %d}, \"aborts\": %v, \"fenced_by_successor\": %q}\n", count, with(seen, "committed"), missing,
		len(seen)-len(distinct), len(seen)-with(seen, "committed"), neverCopied, with(all, "committed"),
		with(all, "aborted") > 0, with(all, "died") > 0, with(all, "fenced"), aborts > 0, fencedBy)
}

func main() {
	var cancel context.CancelFunc
	ctx, cancel = context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	bootstrap, in, out, group = os.Args[1], os.Args[3], os.Args[4], os.Args[5]
	if os.Args[2] == "first" {
		first()
	}
	second()
}
