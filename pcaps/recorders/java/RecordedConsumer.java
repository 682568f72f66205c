import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A plain consumer that prints what it is told, one JSON line an event. SIGTERM closes it.
 * Arguments: bootstrap servers, topic, then settings as key=value.
 */
public final class RecordedConsumer {
    private static volatile boolean closing = false;

    private static void print(String event, Collection<TopicPartition> partitions, KafkaConsumer<?, ?> consumer) {
        String list = partitions.stream().map(p -> Integer.toString(p.partition())).sorted()
            .collect(Collectors.joining(","));
        System.out.println("{\"event\":\"" + event + "\",\"partitions\":[" + list + "],\"member_id\":\""
            + consumer.groupMetadata().memberId() + "\",\"generation\":"
            + consumer.groupMetadata().generationId() + "}");
        System.out.flush();
    }

    private static Properties settings(String[] args) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class.getName());
        settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class.getName());
        for (int i = 2; i < args.length; i++) {
            int equals = args[i].indexOf('=');
            settings.put(args[i].substring(0, equals), args[i].substring(equals + 1));
        }
        return settings;
    }

    private static ConsumerRebalanceListener listener(KafkaConsumer<String, String> consumer) {
        return new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                print("assigned", partitions, consumer);
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                print("revoked", partitions, consumer);
            }

            @Override
            public void onPartitionsLost(Collection<TopicPartition> partitions) {
                print("lost", partitions, consumer);
            }
        };
    }

    public static void main(String[] args) throws Exception {
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            closing = true;
            try {
                main.join(5000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        long records = 0;
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings(args))) {
            consumer.subscribe(List.of(args[1]), listener(consumer));
            while (!closing) {
                ConsumerRecords<String, String> batch = consumer.poll(Duration.ofMillis(200));
                records += batch.count();
            }
        }
        System.out.println("{\"event\":\"closed\",\"records\":" + records + "}");
    }
}
