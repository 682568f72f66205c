import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;

/**
 * The user data of Kafka's own sticky assignors, by their private methods. "write COUNT SEED" prints lines "FORM VERSION
 * HEX CLAIM" that they wrote; "read HEX" prints the CLAIM that StickyAssignor reads: "GENERATION topic-partition...", sorted.
 */
public class StickyOracle {
    private static final char[] DIGITS = "0123456789abcdef".toCharArray();
    private static Method serialize;
    private static Method deserialize;
    private static Constructor<?> memberData;
    private static Schema oldSchema;

    private static void open() throws ReflectiveOperationException {
        Class<?> data = Class.forName("org.apache.kafka.clients.consumer.internals.AbstractStickyAssignor$MemberData");
        memberData = data.getConstructor(List.class, Optional.class);
        serialize = StickyAssignor.class.getDeclaredMethod("serializeTopicPartitionAssignment", data);
        deserialize = StickyAssignor.class.getDeclaredMethod("deserializeTopicPartitionAssignment", ByteBuffer.class);
        Field old = StickyAssignor.class.getDeclaredField("STICKY_ASSIGNOR_USER_DATA_V0");
        serialize.setAccessible(true);
        deserialize.setAccessible(true);
        old.setAccessible(true);
        oldSchema = (Schema) old.get(null);
    }

    private static String hex(ByteBuffer buffer) {
        StringBuilder text = new StringBuilder();
        for (ByteBuffer left = buffer.duplicate(); left.hasRemaining();) {
            int value = left.get() & 0xff;
            text.append(DIGITS[value >> 4]).append(DIGITS[value & 15]);
        }
        return text.toString();
    }

    private static byte[] unhex(String text) {
        byte[] bytes = new byte[text.length() / 2];
        for (int i = 0; i < bytes.length; i++)
            bytes[i] = (byte) Integer.parseInt(text.substring(2 * i, 2 * i + 2), 16);
        return bytes;
    }

    private static String claim(int generation, List<TopicPartition> partitions) {
        Set<String> sorted = new TreeSet<>();
        for (TopicPartition partition : partitions)
            sorted.add(partition.topic() + "-" + partition.partition());
        return (generation + " " + String.join(" ", sorted)).trim();
    }

    private static List<TopicPartition> randomPartitions(Random random) {
        List<TopicPartition> partitions = new ArrayList<>();
        int topics = random.nextInt(5);
        for (int i = 0; i < topics; i++) {
            String topic = random.nextInt(6) == 0 ? "\u00e4\u20ac" + i : "t".repeat(1 + random.nextInt(20)) + i;
            int count = 1 + random.nextInt(random.nextInt(10) == 0 ? 200 : 6);
            for (int partition = 0; partition < count; partition++)
                partitions.add(new TopicPartition(topic, random.nextInt(8) == 0 ? random.nextInt() : partition));
        }
        return partitions;
    }

    /** What a client before 2.3 wrote: no generation behind it. */
    private static ByteBuffer old(List<TopicPartition> partitions) {
        Map<String, List<Object>> topics = new LinkedHashMap<>();
        for (TopicPartition partition : partitions)
            topics.computeIfAbsent(partition.topic(), name -> new ArrayList<>()).add(partition.partition());
        Struct struct = new Struct(oldSchema);
        List<Struct> assignments = new ArrayList<>();
        topics.forEach((topic, numbers) -> {
            Struct assignment = struct.instance("previous_assignment");
            assignment.set("topic", topic);
            assignment.set("partitions", numbers.toArray());
            assignments.add(assignment);
        });
        struct.set("previous_assignment", assignments.toArray());
        ByteBuffer buffer = ByteBuffer.allocate(oldSchema.sizeOf(struct));
        oldSchema.write(buffer, struct);
        buffer.flip();
        return buffer;
    }

    private static ByteBuffer cooperative(int generation) throws ReflectiveOperationException {
        CooperativeStickyAssignor assignor = new CooperativeStickyAssignor();
        Field field = CooperativeStickyAssignor.class.getDeclaredField("generation");
        field.setAccessible(true);
        field.setInt(assignor, generation);
        return assignor.subscriptionUserData(Set.of("t"));
    }

    private static int randomGeneration(Random random) {
        return random.nextInt(4) == 0 ? random.nextInt() : random.nextInt(100) - 1;
    }

    private static void write(int count, long seed) throws ReflectiveOperationException {
        Random random = new Random(seed);
        for (int i = 0; i < count; i++) {
            List<TopicPartition> partitions = randomPartitions(random);
            int generation = randomGeneration(random);
            Object data = memberData.newInstance(partitions, Optional.of(generation));
            System.out.println("StickyAssignorUserData\t1\t" + hex((ByteBuffer) serialize.invoke(null, data)) + "\t"
                + claim(generation, partitions));
            System.out.println("StickyAssignorUserData\t0\t" + hex(old(partitions)) + "\t" + claim(-1, partitions));
            int own = randomGeneration(random);
            System.out.println("CooperativeStickyAssignorUserData\t0\t" + hex(cooperative(own)) + "\t" + claim(own, List.of()));
        }
    }

    @SuppressWarnings("unchecked")
    private static String read(byte[] bytes) throws ReflectiveOperationException {
        Object data = deserialize.invoke(null, ByteBuffer.wrap(bytes));
        Optional<Integer> generation = (Optional<Integer>) data.getClass().getField("generation").get(data);
        return claim(generation.orElse(-1), (List<TopicPartition>) data.getClass().getField("partitions").get(data));
    }

    public static void main(String[] args) throws Exception {
        System.setOut(new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false,
            StandardCharsets.UTF_8));
        open();
        if (args.length == 2)
            write(Integer.parseInt(args[0]), Long.parseLong(args[1]));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine())
            System.out.println("read\t" + line + "\t" + read(unhex(line)));
        System.out.flush();
    }
}
