/* librdkafka's mock cluster as a server: one broker, topic "t" with six partitions.
 * It prints "ready HOST:PORT" and ends on SIGTERM. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void end(int number) { (void)number; _exit(0); }

int main(void)
{
    char error[512];
    signal(SIGTERM, end);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error, sizeof(error));
    if (handle == NULL) {
        fprintf(stderr, "librdkafka: %s\n", error);
        return 1;
    }
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(handle, 1);
    rd_kafka_mock_topic_create(cluster, "t", 6, 1);
    printf("ready %s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    for (;;)
        pause();
}
