// Measures Go's kmsg on the messages that bench_codec wrote: "NAME BYTES DECODE_NS ENCODE_NS".
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const roundNs = 4_000_000

var rounds int

// Both kinds of message have these.
type message interface {
	SetVersion(int16)
	ReadFrom([]byte) error
	AppendTo([]byte) []byte
}

var samples = []struct {
	name    string
	version int16
	make    func() message
}{
	{"heartbeat_request_v4", 4, func() message { return kmsg.NewPtrHeartbeatRequest() }},
	{"join_group_response_v9_100", 9, func() message { return kmsg.NewPtrJoinGroupResponse() }},
	{"offset_commit_request_v8_10x10", 8, func() message { return kmsg.NewPtrOffsetCommitRequest() }},
	{"fetch_response_v13_100", 13, func() message { return kmsg.NewPtrFetchResponse() }},
	{"metadata_response_v12_1000", 12, func() message { return kmsg.NewPtrMetadataResponse() }},
}

func best(once func()) float64 {
	least := 1e18
	for round := 0; round < rounds; round++ {
		count := 0
		start := time.Now()
		var spent time.Duration
		for spent < roundNs {
			for i := 0; i < 20; i++ {
				once()
			}
			count += 20
			spent = time.Since(start)
		}
		least = min(least, float64(spent.Nanoseconds())/float64(count))
	}
	return least
}

func main() {
	var err error
	if rounds, err = strconv.Atoi(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	for _, sample := range samples {
		bytes, err := os.ReadFile(os.Args[1] + "/" + sample.name + ".bin")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(4)
		}
		decode := best(func() {
			m := sample.make()
			m.SetVersion(sample.version)
			if err := m.ReadFrom(bytes); err != nil {
				panic(err)
			}
		})
		m := sample.make()
		m.SetVersion(sample.version)
		if err := m.ReadFrom(bytes); err != nil {
			panic(err)
		}
		out := make([]byte, 0, len(bytes))
		encode := best(func() { out = m.AppendTo(out[:0]) })
		if string(out) != string(bytes) {
			fmt.Fprintln(os.Stderr, sample.name+": other bytes")
			os.Exit(4)
		}
		fmt.Printf("%s %d %.1f %.1f\n", sample.name, len(bytes), decode, encode)
	}
}
