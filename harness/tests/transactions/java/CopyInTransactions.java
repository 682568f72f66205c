import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * Copies a topic in transactions, as an application would: consume, transform, produce, and commit the offsets with it.
 *
 *   CopyInTransactions BOOTSTRAP first IN OUT GROUP   fills IN, copies some of it, and dies in a transaction (exit 42)
 *   CopyInTransactions BOOTSTRAP second IN OUT GROUP  its successor copies the rest and says what readers see of OUT
 *
 * Each value of OUT says what was to become of its transaction: "17 committed", "17 aborted", "17 died", "17 fenced".
 */
public class CopyInTransactions {
    static final int COUNT = 120, AT_ONCE = 10;
    final String bootstrap, in, out, group;
    int committed, aborted;

    CopyInTransactions(String[] args) {
        bootstrap = args[0];
        in = args[2];
        out = args[3];
        group = args[4];
    }

    KafkaProducer<String, String> producer(String transactionalId) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("transactional.id", transactionalId);
        settings.put("transaction.timeout.ms", "30000");
        settings.put("retry.backoff.ms", "10");
        KafkaProducer<String, String> producer =
            new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    KafkaConsumer<String, String> consumer(String isolation, String groupId) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("isolation.level", isolation);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("max.poll.records", String.valueOf(AT_ONCE));
        settings.put("session.timeout.ms", "6000");
        settings.put("heartbeat.interval.ms", "500");
        settings.put("fetch.max.wait.ms", "100");
        if (groupId != null) {
            settings.put("group.id", groupId);
            settings.put("group.instance.id", "copier"); // the successor takes its place at once
        }
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    /** 0, 1, ... over three partitions; between them records of a transaction that is aborted, which nobody may copy. */
    void fill() {
        try (KafkaProducer<String, String> producer = producer(group + "-filler")) {
            for (int i = 0; i < COUNT; i += 20) {
                producer.beginTransaction();
                for (int j = i; j < i + 20; j++)
                    producer.send(new ProducerRecord<>(in, j % 3, null, String.valueOf(j)));
                producer.commitTransaction();
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(in, i % 3, null, "never"));
                producer.flush();
                producer.abortTransaction();
            }
        }
    }

    void send(KafkaProducer<String, String> producer, KafkaConsumer<String, String> consumer,
              ConsumerRecords<String, String> records, String fate) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        producer.beginTransaction();
        for (ConsumerRecord<String, String> record : records) {
            producer.send(new ProducerRecord<>(out, record.partition(), null, record.value() + " " + fate));
            offsets.put(new TopicPartition(in, record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
        producer.flush();
    }

    static void rewind(KafkaConsumer<String, String> consumer) {
        Map<TopicPartition, OffsetAndMetadata> offsets = consumer.committed(consumer.assignment());
        for (TopicPartition partition : consumer.assignment()) {
            OffsetAndMetadata offset = offsets.get(partition);
            if (offset == null)
                consumer.seekToBeginning(List.of(partition));
            else
                consumer.seek(partition, offset);
        }
    }

    /** Copies until that many records are committed, aborting every third transaction. */
    void copy(KafkaProducer<String, String> producer, KafkaConsumer<String, String> consumer, int wanted) {
        int count = 0;
        long idleSince = System.currentTimeMillis();
        for (int round = 1; count < wanted && System.currentTimeMillis() - idleSince < 15000; ) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
            if (records.isEmpty())
                continue;
            idleSince = System.currentTimeMillis();
            if (round++ % 3 == 0) {
                send(producer, consumer, records, "aborted");
                producer.abortTransaction();
                rewind(consumer);
                aborted++;
            } else {
                send(producer, consumer, records, "committed");
                producer.commitTransaction();
                count += records.count();
                committed++;
            }
        }
    }

    void first() {
        fill();
        KafkaProducer<String, String> producer = producer(group + "-copier");
        KafkaConsumer<String, String> consumer = consumer("read_committed", group);
        consumer.subscribe(List.of(in));
        copy(producer, consumer, COUNT / 3);
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofSeconds(5));
        for (int i = 0; records.isEmpty() && i < 10; i++)
            records = consumer.poll(Duration.ofSeconds(1));
        send(producer, consumer, records, "died");
        System.out.println("{\"died_with_records\": " + (records.count() > 0) + "}");
        System.out.flush();
        Runtime.getRuntime().halt(42);
    }

    /** What a producer meets that goes on after its successor has begun. */
    String fenced(KafkaConsumer<String, String> consumer) {
        KafkaProducer<String, String> zombie = producer(group + "-copier");
        zombie.beginTransaction();
        zombie.send(new ProducerRecord<>(out, 0, null, "0 fenced"));
        zombie.flush();
        producer(group + "-copier").close();
        try {
            zombie.send(new ProducerRecord<>(out, 0, null, "1 fenced"));
            zombie.commitTransaction();
            return "nothing";
        } catch (KafkaException e) {
            return e.getClass().getSimpleName();
        } finally {
            zombie.close(Duration.ZERO);
        }
    }

    /** All values of OUT up to its end. */
    List<String> read(String isolation) {
        List<String> values = new ArrayList<>();
        try (KafkaConsumer<String, String> reader = consumer(isolation, null)) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int i = 0; i < 3; i++)
                partitions.add(new TopicPartition(out, i));
            reader.assign(partitions);
            Map<TopicPartition, Long> ends = reader.endOffsets(partitions);
            long deadline = System.currentTimeMillis() + 15000;
            while (partitions.stream().anyMatch(p -> reader.position(p) < ends.get(p)) && System.currentTimeMillis() < deadline)
                for (ConsumerRecord<String, String> record : reader.poll(Duration.ofMillis(200)))
                    values.add(record.value());
        }
        return values;
    }

    static long with(List<String> values, String fate) {
        return values.stream().filter(value -> value.endsWith(fate)).count();
    }

    void second() {
        KafkaProducer<String, String> producer = producer(group + "-copier");
        KafkaConsumer<String, String> consumer = consumer("read_committed", group);
        consumer.subscribe(List.of(in));
        copy(producer, consumer, COUNT - read("read_committed").size());
        String fenced = fenced(consumer);
        consumer.close();
        List<String> seen = read("read_committed"), all = read("read_uncommitted");
        Set<String> distinct = new HashSet<>(seen);
        int missing = 0;
        for (int i = 0; i < COUNT; i++)
            missing += distinct.contains(i + " committed") ? 0 : 1;
        System.out.printf("{\"records_in\": %d, \"committed_seen\": %d, \"missing\": %d, \"duplicates\": %d, "
            + "\"aborted_seen\": %d, \"never_copied\": %b, \"uncommitted_reader\": {\"committed\": %d, \"sees_aborted\": %b, "
            + "\"sees_died\": %b, \"fenced\": %d}, \"aborts\": %b, \"fenced_by_successor\": \"%s\"}%n",
            COUNT, with(seen, "committed"), missing, seen.size() - distinct.size(), seen.size() - with(seen, "committed"),
            with(all, "never") == 0 && all.stream().noneMatch(value -> value.startsWith("never")), with(all, "committed"),
            with(all, "aborted") > 0, with(all, "died") > 0, with(all, "fenced"), aborted > 0, fenced);
    }

    public static void main(String[] args) {
        CopyInTransactions copier = new CopyInTransactions(args);
        if (args[1].equals("first"))
            copier.first();
        else
            copier.second();
        System.exit(0);
    }
}
