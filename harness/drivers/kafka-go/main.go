// One segmentio/kafka-go Reader with a group as a driver: see harness/drivers/README.md.
// The Reader tells its application nothing of assignments, so no such events are reported.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

const unsupported = 89

var balancers = map[string]kafka.GroupBalancer{
	"range": kafka.RangeGroupBalancer{}, "roundrobin": kafka.RoundRobinGroupBalancer{},
}

func say(event map[string]any) { json.NewEncoder(os.Stdout).Encode(event) }

func duration(variable string, otherwise time.Duration) time.Duration {
	if milliseconds, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return time.Duration(milliseconds) * time.Millisecond
	}
	return otherwise
}

func settings() kafka.ReaderConfig {
	protocol := os.Getenv("REJOIN_PROTOCOL")
	if strings.HasPrefix(os.Getenv("REJOIN_CASE"), "canary") || os.Getenv("REJOIN_INSTANCE_ID") != "" ||
		(protocol != "" && protocol != "classic") {
		os.Exit(unsupported)
	}
	config := kafka.ReaderConfig{
		Brokers:           strings.Split(os.Getenv("REJOIN_BOOTSTRAP"), ","),
		GroupID:           os.Getenv("REJOIN_GROUP"),
		GroupTopics:       strings.Split(os.Getenv("REJOIN_TOPICS"), ","),
		StartOffset:       kafka.FirstOffset,
		CommitInterval:    duration("REJOIN_COMMIT_INTERVAL_MS", time.Second),
		SessionTimeout:    duration("REJOIN_SESSION_TIMEOUT_MS", 0),
		HeartbeatInterval: duration("REJOIN_HEARTBEAT_INTERVAL_MS", 0),
		RebalanceTimeout:  duration("REJOIN_REBALANCE_TIMEOUT_MS", 0),
		ErrorLogger:       kafka.LoggerFunc(func(text string, args ...any) { fmt.Fprintf(os.Stderr, text+"\n", args...) }),
	}
	// Close waits for a Fetch that is under way: by default up to 10 s, longer than the suite waits after SIGTERM.
	if os.Getenv("REJOIN_CASE") != "" {
		config.MaxWait = 500 * time.Millisecond
	}
	if os.Getenv("REJOIN_START") == "latest" {
		config.StartOffset = kafka.LastOffset
	}
	if id := os.Getenv("REJOIN_CLIENT_ID"); id != "" {
		config.Dialer = &kafka.Dialer{ClientID: id, Timeout: 10 * time.Second, DualStack: true}
	}
	if name := os.Getenv("REJOIN_ASSIGNOR"); name != "" {
		balancer, known := balancers[name]
		if !known {
			os.Exit(unsupported)
		}
		config.GroupBalancers = []kafka.GroupBalancer{balancer}
	}
	return config
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	reader := kafka.NewReader(settings())
	for {
		message, err := reader.ReadMessage(ctx)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			say(map[string]any{"event": "error", "message": err.Error(), "fatal": false})
			continue
		}
		say(map[string]any{"event": "record", "topic": message.Topic, "partition": message.Partition,
			"offset": message.Offset, "value": string(message.Value)})
	}
	if err := reader.Close(); err != nil {
		say(map[string]any{"event": "error", "message": err.Error(), "fatal": false})
		os.Exit(1)
	}
}
