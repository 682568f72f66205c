// One franz-go consumer as a driver: see harness/drivers/README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const unsupported = 89

var balancers = map[string]func() kgo.GroupBalancer{
	"range": kgo.RangeBalancer, "roundrobin": kgo.RoundRobinBalancer,
	"sticky": kgo.StickyBalancer, "cooperative-sticky": kgo.CooperativeStickyBalancer,
}

var output sync.Mutex

func say(event map[string]any) {
	output.Lock()
	defer output.Unlock()
	json.NewEncoder(os.Stdout).Encode(event)
}

func reporter(name string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		say(map[string]any{"event": name, "partitions": partitions})
	}
}

func reportCommit(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
	event := map[string]any{"event": "commit"}
	if err != nil {
		event["error"] = err.Error()
	} else {
		for _, topic := range response.Topics {
			for _, partition := range topic.Partitions {
				if failure := kerr.ErrorForCode(partition.ErrorCode); failure != nil {
					event["error"] = failure.Error()
				}
			}
		}
	}
	say(event)
}

func duration(options []kgo.Opt, variable string, option func(time.Duration) kgo.GroupOpt) []kgo.Opt {
	if milliseconds, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return append(options, option(time.Duration(milliseconds)*time.Millisecond))
	}
	return options
}

func options() []kgo.Opt {
	if strings.HasPrefix(os.Getenv("REJOIN_CASE"), "canary") {
		os.Exit(unsupported)
	}
	if protocol := os.Getenv("REJOIN_PROTOCOL"); protocol != "" && protocol != "classic" {
		os.Exit(unsupported)
	}
	chosen := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(os.Getenv("REJOIN_BOOTSTRAP"), ",")...),
		kgo.ConsumerGroup(os.Getenv("REJOIN_GROUP")),
		kgo.ConsumeTopics(strings.Split(os.Getenv("REJOIN_TOPICS"), ",")...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(reporter("assigned")),
		kgo.OnPartitionsRevoked(reporter("revoked")),
		kgo.OnPartitionsLost(reporter("lost")),
		kgo.AutoCommitCallback(reportCommit),
	}
	chosen = duration(chosen, "REJOIN_SESSION_TIMEOUT_MS", kgo.SessionTimeout)
	chosen = duration(chosen, "REJOIN_HEARTBEAT_INTERVAL_MS", kgo.HeartbeatInterval)
	chosen = duration(chosen, "REJOIN_REBALANCE_TIMEOUT_MS", kgo.RebalanceTimeout)
	chosen = duration(chosen, "REJOIN_COMMIT_INTERVAL_MS", kgo.AutoCommitInterval)
	if id := os.Getenv("REJOIN_CLIENT_ID"); id != "" {
		chosen = append(chosen, kgo.ClientID(id))
	}
	if id := os.Getenv("REJOIN_INSTANCE_ID"); id != "" {
		chosen = append(chosen, kgo.InstanceID(id))
	}
	if name := os.Getenv("REJOIN_ASSIGNOR"); name != "" {
		balancer, known := balancers[name]
		if !known {
			os.Exit(unsupported)
		}
		chosen = append(chosen, kgo.Balancers(balancer()))
	}
	return chosen
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client, err := kgo.NewClient(options()...)
	if err != nil {
		say(map[string]any{"event": "error", "message": err.Error(), "fatal": true})
		os.Exit(1)
	}
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, context.Canceled) {
				say(map[string]any{"event": "error", "message": err.Error(), "fatal": false})
			}
		})
		fetches.EachRecord(func(record *kgo.Record) {
			say(map[string]any{"event": "record", "topic": record.Topic, "partition": record.Partition,
				"offset": record.Offset, "value": string(record.Value)})
		})
	}
	closing, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	if err := client.CommitUncommittedOffsets(closing); err != nil {
		say(map[string]any{"event": "error", "message": err.Error(), "fatal": false})
	}
	client.CloseAllowingRebalance()
}
