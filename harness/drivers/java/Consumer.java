// One consumer of kafka-clients as a driver: see harness/drivers/README.md.

import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class Consumer {
    private static final int UNSUPPORTED = 89;
    private static final Set<String> AREAS = Set.of("smoke", "join", "sync", "heartbeat", "commit", "offset-fetch",
        "coordinator", "leave", "static", "group", "cooperative", "version", "delivery");
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "RangeAssignor", "roundrobin", "RoundRobinAssignor", "sticky", "StickyAssignor",
        "cooperative-sticky", "CooperativeStickyAssignor");
    private static final Map<String, String> SETTINGS = Map.of(
        "REJOIN_CLIENT_ID", ConsumerConfig.CLIENT_ID_CONFIG,
        "REJOIN_INSTANCE_ID", ConsumerConfig.GROUP_INSTANCE_ID_CONFIG,
        "REJOIN_SESSION_TIMEOUT_MS", ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG,
        "REJOIN_HEARTBEAT_INTERVAL_MS", ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG,
        "REJOIN_REBALANCE_TIMEOUT_MS", ConsumerConfig.MAX_POLL_INTERVAL_MS_CONFIG,
        "REJOIN_METADATA_MAX_AGE_MS", ConsumerConfig.METADATA_MAX_AGE_CONFIG,
        "REJOIN_COMMIT_INTERVAL_MS", ConsumerConfig.AUTO_COMMIT_INTERVAL_MS_CONFIG,
        "REJOIN_PROTOCOL", ConsumerConfig.GROUP_PROTOCOL_CONFIG);

    private static volatile boolean stopping;

    private Consumer() { }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    private static synchronized void say(String json) {
        System.out.println(json);
        System.out.flush();
    }

    private static void sayPartitions(String event, Collection<TopicPartition> partitions) {
        Map<String, Set<Integer>> topics = new TreeMap<>();
        for (TopicPartition partition : partitions) {
            topics.computeIfAbsent(partition.topic(), name -> new TreeSet<>()).add(partition.partition());
        }
        StringBuilder out = new StringBuilder();
        topics.forEach((topic, numbers) -> out.append(out.length() > 0 ? "," : "").append(quoted(topic)).append(':')
            .append(numbers.toString().replace(" ", "")));
        say("{\"event\":\"" + event + "\",\"partitions\":{" + out + "}}");
    }

    private static final class Reporter implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            sayPartitions("assigned", partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            sayPartitions("revoked", partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            sayPartitions("lost", partitions);
        }
    }

    private static boolean isKnown(String testCase) {
        int slash = testCase == null ? -1 : testCase.indexOf('/');
        return slash < 0 || AREAS.contains(testCase.substring(0, slash));
    }

    private static Properties settings(Map<String, String> env) {
        Properties properties = new Properties();
        properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, env.get("REJOIN_BOOTSTRAP"));
        properties.put(ConsumerConfig.GROUP_ID_CONFIG, env.get("REJOIN_GROUP"));
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        properties.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
        properties.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
        boolean managedByBroker = "consumer".equals(env.get("REJOIN_PROTOCOL"));
        SETTINGS.forEach((variable, name) -> {
            boolean classicOnly = name.equals(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG)
                || name.equals(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG);
            if (env.containsKey(variable) && !(classicOnly && managedByBroker)) {
                properties.put(name, env.get(variable));
            }
        });
        String assignor = env.get("REJOIN_ASSIGNOR");
        if (assignor != null) {
            properties.put(ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG,
                List.of("org.apache.kafka.clients.consumer." + ASSIGNORS.get(assignor)));
        }
        return properties;
    }

    /** Topics separated by commas, or one pattern that begins with '^'. */
    private static void subscribe(KafkaConsumer<String, String> consumer, String topics) {
        if (topics.startsWith("^")) {
            consumer.subscribe(Pattern.compile(topics), new Reporter());
        } else {
            consumer.subscribe(Arrays.asList(topics.split(",")), new Reporter());
        }
    }

    private static void consume(KafkaConsumer<String, String> consumer, Map<String, String> env) {
        subscribe(consumer, env.get("REJOIN_TOPICS"));
        String changed = env.get("REJOIN_CHANGED_TOPICS");
        long changeAt = System.nanoTime() + Long.parseLong(env.getOrDefault("REJOIN_CHANGE_AFTER_MS", "0")) * 1000000;
        while (!stopping) {
            if (changed != null && System.nanoTime() >= changeAt) {
                subscribe(consumer, changed);
                changed = null;
            }
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                say("{\"event\":\"record\",\"topic\":" + quoted(record.topic()) + ",\"partition\":" + record.partition()
                    + ",\"offset\":" + record.offset() + ",\"value\":"
                    + (record.value() == null ? "null" : quoted(record.value())) + "}");
            }
        }
    }

    /** Loads what a consumer needs, for the class archive; nobody listens there. */
    private static void warmUp() {
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
            settings(Map.of("REJOIN_BOOTSTRAP", "127.0.0.1:1", "REJOIN_GROUP", "warm-up")))) {
            consumer.subscribe(List.of("warm-up"), new Reporter());
            consumer.poll(Duration.ofMillis(1500));
        }
    }

    @SuppressWarnings("deprecation") // close(Duration) is what every release has
    public static void main(String[] arguments) {
        if (arguments.length > 0 && arguments[0].equals("--warm-up")) {
            warmUp();
            return;
        }
        Map<String, String> env = System.getenv();
        String assignor = env.get("REJOIN_ASSIGNOR");
        if (!isKnown(env.get("REJOIN_CASE")) || (assignor != null && !ASSIGNORS.containsKey(assignor))) {
            System.exit(UNSUPPORTED);
        }
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings(env));
        CountDownLatch closed = new CountDownLatch(1);
        int[] status = {0};
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping = true;
            consumer.wakeup();
            try {
                closed.await(5, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                status[0] = 1;
            }
            Runtime.getRuntime().halt(status[0]);
        }));
        try {
            consume(consumer, env);
        } catch (WakeupException e) {
            // asked to end
        } catch (RuntimeException e) {
            status[0] = 1;
            say("{\"event\":\"error\",\"message\":" + quoted(e.toString()) + ",\"fatal\":true}");
        }
        try {
            consumer.close(Duration.ofSeconds(4));
        } catch (RuntimeException e) {
            status[0] = 1;
            say("{\"event\":\"error\",\"message\":" + quoted("close: " + e) + ",\"fatal\":true}");
        }
        closed.countDown();
        System.exit(status[0]);
    }
}
