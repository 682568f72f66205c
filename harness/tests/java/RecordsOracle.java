import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.Random;
import java.util.StringJoiner;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.TimestampType;

/** Kafka's own record batches and message sets: a line "MAGIC COMPRESSION HEX JSON" each, JSON being what Kafka reads. */
public class RecordsOracle {
    private static byte[] bytes(Random random) {
        byte[] bytes = new byte[random.nextInt(10) == 0 ? 3000 : random.nextInt(30)];
        for (int i = 0; i < bytes.length; i++)
            bytes[i] = (byte) ('a' + random.nextInt(3));
        return random.nextInt(6) == 0 ? null : bytes;
    }

    private static String base64(ByteBuffer buffer) {
        if (buffer == null)
            return "null";
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return "\"" + Base64.getEncoder().encodeToString(bytes) + "\"";
    }

    private static String json(Record record, int magic) {
        StringJoiner headers = new StringJoiner(",", ",\"headers\":[", "]");
        for (Header header : record.headers())
            headers.add("{\"key\":\"" + header.key() + "\",\"value\":"
                + base64(header.value() == null ? null : ByteBuffer.wrap(header.value())) + "}");
        return "{\"offset\":" + record.offset() + ",\"timestamp\":" + record.timestamp() + ",\"key\":"
            + base64(record.key()) + ",\"value\":" + base64(record.value()) + (magic == 2 ? headers : "") + "}";
    }

    private static void print(byte magic, CompressionType compression, Random random) {
        long base = random.nextInt(1000);
        TimestampType type = magic > 0 && random.nextInt(3) == 0 ? TimestampType.LOG_APPEND_TIME
            : magic == 0 ? TimestampType.NO_TIMESTAMP_TYPE : TimestampType.CREATE_TIME;
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1 << 16), magic,
            Compression.of(compression).build(), type, base, 777_000L);
        int count = 1 + random.nextInt(8);
        for (int i = 0; i < count; i++) {
            Header[] headers = new Header[magic == 2 ? random.nextInt(3) : 0];
            for (int j = 0; j < headers.length; j++)
                headers[j] = new RecordHeader("h" + j, bytes(random));
            builder.appendWithOffset(base + i, magic == 0 ? -1L : 1_000_000L + random.nextInt(1000), bytes(random),
                bytes(random), headers);
        }
        MemoryRecords records = builder.build();
        StringJoiner all = new StringJoiner(",", "[", "]");
        for (Record record : records.records())
            all.add(json(record, magic));
        StringBuilder hex = new StringBuilder();
        ByteBuffer buffer = records.buffer().duplicate();
        while (buffer.hasRemaining())
            hex.append(String.format("%02x", buffer.get()));
        System.out.println(magic + " " + compression.id + " " + hex + " " + all);
    }

    public static void main(String[] args) {
        Random random = new Random(Long.parseLong(args[0]));
        for (int i = Integer.parseInt(args[1]); i > 0; i--)
            for (byte magic = 0; magic <= 2; magic++)
                for (CompressionType compression : CompressionType.values())
                    if (magic == 2 || compression != CompressionType.ZSTD)
                        print(magic, compression, random);
    }
}
