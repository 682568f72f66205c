// franz-go on a secured mock: produces, consumes in a group by SCRAM over TLS and by PLAIN, says what it was refused.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const count = 30

func must(err error) {
	if err != nil {
		fmt.Println("franz-go:", err)
		os.Exit(1)
	}
}

func trusted() *tls.Config {
	pem, err := os.ReadFile(os.Getenv("SECURE_CA"))
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool}
}

func connect(bootstrap string, mechanism sasl.Mechanism, more ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(more, kgo.SeedBrokers(bootstrap), kgo.SASL(mechanism))...)
	must(err)
	return client
}

func works(ctx context.Context, what, bootstrap string, mechanism sasl.Mechanism, more ...kgo.Opt) {
	producer := connect(bootstrap, mechanism, more...)
	defer producer.Close()
	for i := 0; i < count; i++ {
		must(producer.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte(fmt.Sprint(i))}).FirstErr())
	}
	group := append(more, kgo.ConsumerGroup("team-franz-go"), kgo.ConsumeTopics("orders"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	consumer := connect(bootstrap, mechanism, group...)
	defer consumer.Close()
	for seen := 0; seen < count; {
		fetches := consumer.PollFetches(ctx)
		must(fetches.Err())
		seen += fetches.NumRecords()
	}
	must(consumer.CommitUncommittedOffsets(ctx))
	fmt.Printf("franz-go: %s: %d records produced and consumed in group team-franz-go\n", what, count)
}

func refused(ctx context.Context, bootstrap string, mechanism sasl.Mechanism) {
	client := connect(bootstrap, mechanism)
	fmt.Println("franz-go:", client.ProduceSync(ctx, &kgo.Record{Topic: "secrets"}).FirstErr())
	client.Close()
	client = connect(bootstrap, mechanism, kgo.ConsumerGroup("others"), kgo.ConsumeTopics("orders"))
	fmt.Println("franz-go:", client.PollFetches(ctx).Err())
	client.Close()
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	user, password := os.Getenv("SECURE_USER"), os.Getenv("SECURE_PASSWORD")
	byScram := scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	byPlain := plain.Auth{User: user, Pass: password}.AsMechanism()
	works(ctx, "SASL_SSL SCRAM-SHA-256", os.Getenv("SECURE_TLS"), byScram, kgo.DialTLSConfig(trusted()))
	works(ctx, "SASL_PLAINTEXT PLAIN", os.Getenv("SECURE_PLAIN"), byPlain)
	refused(ctx, os.Getenv("SECURE_PLAIN"), byPlain)
}
