import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.HeartbeatRequestData;
import org.apache.kafka.common.message.JoinGroupResponseData;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.message.OffsetCommitRequestData;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/** Measures Kafka's message classes on the messages that bench_codec wrote: "NAME BYTES DECODE_NS ENCODE_NS". */
public class CodecBench {
    private static int rounds;
    private static final long ROUND_NS = 4_000_000;

    private interface Reader {
        Message read(ByteBufferAccessor bytes);
    }

    private static double best(Runnable once) {
        double least = Double.MAX_VALUE;
        for (int round = 0; round < 4 * rounds; round++) { // the first ones warm the compiler
            long start = System.nanoTime();
            long spent = 0;
            long count = 0;
            while (spent < ROUND_NS) {
                for (int i = 0; i < 20; i++)
                    once.run();
                count += 20;
                spent = System.nanoTime() - start;
            }
            least = Math.min(least, (double) spent / count);
        }
        return least;
    }

    private static int sink;

    private static void measure(String folder, String name, short version, Reader reader) throws Exception {
        byte[] bytes = Files.readAllBytes(Path.of(folder, name + ".bin"));
        double decode = best(() -> sink += System.identityHashCode(
            reader.read(new ByteBufferAccessor(ByteBuffer.wrap(bytes)))) & 1);
        Message message = reader.read(new ByteBufferAccessor(ByteBuffer.wrap(bytes)));
        ByteBuffer out = ByteBuffer.allocate(bytes.length);
        double encode = best(() -> {
            ObjectSerializationCache cache = new ObjectSerializationCache();
            message.size(cache, version); // Kafka sizes every message before it writes it
            out.clear();
            message.write(new ByteBufferAccessor(out), cache, version);
        });
        if (!Arrays.equals(out.array(), bytes))
            throw new IllegalStateException(name + ": other bytes");
        System.out.printf("%s %d %.1f %.1f%n", name, bytes.length, decode, encode);
    }

    public static void main(String[] args) throws Exception {
        rounds = Integer.parseInt(args[1]);
        measure(args[0], "heartbeat_request_v4", (short) 4, b -> new HeartbeatRequestData(b, (short) 4));
        measure(args[0], "join_group_response_v9_100", (short) 9, b -> new JoinGroupResponseData(b, (short) 9));
        measure(args[0], "offset_commit_request_v8_10x10", (short) 8, b -> new OffsetCommitRequestData(b, (short) 8));
        measure(args[0], "fetch_response_v13_100", (short) 13, b -> new FetchResponseData(b, (short) 13));
        measure(args[0], "metadata_response_v12_1000", (short) 12, b -> new MetadataResponseData(b, (short) 12));
    }
}
