import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.Readable;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.record.MemoryRecords;

/**
 * Kafka's generated message classes as the judge of our codec. One line in, answers out:
 * "fill NAME VERSION COUNT SEED" prints COUNT lines "NAME VERSION HEX JSON" of random messages (none if this release
 * has no such message or version); "read NAME VERSION HEX" prints "ok CONSUMED JSON" or "refused WHY".
 */
public class CodecOracle {
    private static final ObjectMapper JSON = new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);
    private static final char[] HEX = "0123456789abcdef".toCharArray();
    private static final Map<String, Kind> KINDS = new HashMap<>();
    private static Random random = new Random(1);

    /** A message class with its definition and its converter. */
    private static final class Kind {
        final Class<?> type;
        final JsonNode definition;
        final Method toJson;
        final int low;
        final int high;
        final int flexible;
        final Map<String, JsonNode> shared = new HashMap<>();

        Kind(Class<?> type, JsonNode definition, Method toJson) throws ReflectiveOperationException {
            this.type = type;
            this.definition = definition;
            this.toJson = toJson;
            Message message = (Message) type.getDeclaredConstructor().newInstance();
            low = message.lowestSupportedVersion();
            high = message.highestSupportedVersion();
            int[] range = range(definition.path("flexibleVersions").asText("none"));
            flexible = range == null ? Integer.MAX_VALUE : range[0];
            for (JsonNode struct : definition.path("commonStructs"))
                shared.put(struct.get("name").asText(), struct.get("fields"));
        }
    }

    private static int[] range(String text) {
        if (text.isEmpty() || text.equals("none"))
            return null;
        if (text.endsWith("+"))
            return new int[] {Integer.parseInt(text.substring(0, text.length() - 1)), Integer.MAX_VALUE};
        int dash = text.indexOf('-');
        int low = Integer.parseInt(dash < 0 ? text : text.substring(0, dash));
        return new int[] {low, dash < 0 ? low : Integer.parseInt(text.substring(dash + 1))};
    }

    private static boolean has(JsonNode field, String ranges, int version) {
        int[] range = range(field.path(ranges).asText("none"));
        return range != null && range[0] <= version && version <= range[1];
    }

    private static Kind kind(String name) {
        return KINDS.computeIfAbsent(name, CodecOracle::load);
    }

    private static Kind load(String name) {
        String[][] places = {{"org.apache.kafka.common.message." + name + "Data", ""},
            {"org.apache.kafka.common.message." + name, ""},
            {"org.apache.kafka.coordinator.group.generated." + name, ""},
            {"org.apache.kafka.coordinator.transaction.generated." + name, ""}};
        try (InputStream in = CodecOracle.class.getResourceAsStream("/common/message/" + name + ".json")) {
            if (in == null)
                return null;
            JsonNode definition = JSON.readTree(in);
            for (String[] place : places) {
                try {
                    Class<?> type = Class.forName(place[0]);
                    Class<?> converter = Class.forName(place[0] + "JsonConverter");
                    return new Kind(type, definition, converter.getMethod("write", type, short.class));
                } catch (ClassNotFoundException missing) {
                    continue;
                }
            }
            return null;
        } catch (IOException | ReflectiveOperationException error) {
            throw new IllegalStateException(name, error);
        }
    }

    private static String upper(String name) {
        return Character.toUpperCase(name.charAt(0)) + name.substring(1);
    }

    private static String lower(String name) {
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }

    private static Method setter(Class<?> type, String field) {
        for (Method method : type.getMethods())
            if (method.getName().equals("set" + upper(field)) && method.getParameterCount() == 1)
                return method;
        throw new IllegalStateException(type + " has no setter of " + field);
    }

    // ---- random values -------------------------------------------------------------------------------------------

    private static long randomLong(int bits) {
        switch (random.nextInt(6)) {
            case 0: return 0;
            case 1: return -1;
            case 2: return bits == 64 ? Long.MIN_VALUE : -(1L << (bits - 1));
            case 3: return bits == 64 ? Long.MAX_VALUE : (1L << (bits - 1)) - 1;
            case 4: return random.nextInt(100);
            default: return random.nextLong() >> (64 - bits);
        }
    }

    private static String randomString() {
        StringBuilder text = new StringBuilder();
        int length = random.nextInt(20) == 0 ? random.nextInt(300) : random.nextInt(8);
        for (int i = 0; i < length; i++) {
            int c = random.nextInt(10) == 0 ? random.nextInt(0x10ffff) : 1 + random.nextInt(126);
            text.appendCodePoint(c >= 0xd800 && c <= 0xdfff ? 0xfffd : c);
        }
        return text.toString();
    }

    private static byte[] randomBytes() {
        byte[] bytes = new byte[random.nextInt(20) == 0 ? random.nextInt(300) : random.nextInt(6)];
        random.nextBytes(bytes);
        return bytes;
    }

    private static double randomDouble() {
        switch (random.nextInt(4)) {
            case 0: return random.nextInt(1000);
            case 1: return random.nextDouble();
            case 2: return random.nextInt(2) == 0 ? Double.NaN : Double.NEGATIVE_INFINITY;
            default: return Double.longBitsToDouble(random.nextLong());
        }
    }

    private static Object randomValue(Kind kind, JsonNode field, String type, Class<?> wanted, int version)
            throws ReflectiveOperationException {
        switch (type) {
            case "bool": return random.nextBoolean();
            case "int8": return (byte) randomLong(8);
            case "int16": return (short) randomLong(16);
            case "uint16": return (int) (randomLong(16) & 0xffff);
            case "int32": return (int) randomLong(32);
            case "uint32": return randomLong(32) & 0xffffffffL;
            case "int64": return randomLong(64);
            case "float64": return randomDouble();
            case "string": return randomString();
            case "uuid": return random.nextInt(4) == 0 ? Uuid.ZERO_UUID : new Uuid(random.nextLong(), random.nextLong());
            case "bytes": return wanted == ByteBuffer.class ? ByteBuffer.wrap(randomBytes()) : randomBytes();
            case "records": return MemoryRecords.readableRecords(ByteBuffer.wrap(randomBytes()));
            default: return fill(kind, Class.forName(kind.type.getName() + "$" + type), fields(kind, field, type), version);
        }
    }

    private static JsonNode fields(Kind kind, JsonNode field, String type) {
        return field.has("fields") ? field.get("fields") : kind.shared.get(type);
    }

    @SuppressWarnings("unchecked")
    private static Object randomArray(Kind kind, JsonNode field, String type, Class<?> wanted, int version)
            throws ReflectiveOperationException {
        Collection<Object> items = wanted.isAssignableFrom(ArrayList.class)
            ? new ArrayList<>() : (Collection<Object>) wanted.getDeclaredConstructor().newInstance();
        int count = random.nextInt(40) == 0 ? 20 + random.nextInt(150) : random.nextInt(4);
        if (field.has("fields") && count > 20)
            count = 20;
        for (int i = 0; i < count; i++)
            items.add(randomValue(kind, field, type, byte[].class, version));
        return items;
    }

    private static Object fill(Kind kind, Class<?> type, JsonNode fields, int version)
            throws ReflectiveOperationException {
        Object object = type.getDeclaredConstructor().newInstance();
        for (JsonNode field : fields) {
            boolean carried = has(field, "versions", version);
            if (!carried && !(field.path("ignorable").asBoolean() && random.nextInt(4) == 0))
                continue;
            String name = field.get("type").asText();
            if (carried && random.nextInt(8) == 0 && !name.equals("records")) // records have no default but null
                continue;
            Method setter = setter(type, field.get("name").asText());
            Class<?> wanted = setter.getParameterTypes()[0];
            if (has(field, "nullableVersions", version) && random.nextInt(4) == 0)
                setter.invoke(object, new Object[] {null});
            else if (name.startsWith("[]"))
                setter.invoke(object, randomArray(kind, field, name.substring(2), wanted, version));
            else
                setter.invoke(object, randomValue(kind, field, name, wanted, version));
        }
        if (version >= kind.flexible && random.nextInt(10) == 0) {
            int tag = 100;
            for (int i = random.nextInt(3); i >= 0; i--) {
                tag += 1 + random.nextInt(1000);
                ((Message) object).unknownTaggedFields().add(new RawTaggedField(tag, randomBytes()));
            }
        }
        return object;
    }

    // ---- JSON ----------------------------------------------------------------------------------------------------

    /** Kafka's converters leave out the bytes of records, and tags that they do not know. */
    private static void complete(Kind kind, JsonNode fields, Object object, JsonNode node, int version)
            throws ReflectiveOperationException {
        ObjectNode out = (ObjectNode) node;
        for (JsonNode field : fields) {
            String name = lower(field.get("name").asText());
            String type = field.get("type").asText().replace("[]", "");
            if (!has(field, "versions", version))
                continue;
            if (type.equals("records")) {
                Object value = object.getClass().getMethod(name).invoke(object);
                if (value != null)
                    out.set(name, new BinaryNode(bytes(((MemoryRecords) value).buffer())));
            } else if (fields(kind, field, type) != null && out.hasNonNull(name)) {
                Object value = object.getClass().getMethod(name).invoke(object);
                JsonNode inner = fields(kind, field, type);
                if (out.get(name).isArray()) {
                    Iterator<?> items = ((Iterable<?>) value).iterator();
                    for (JsonNode item : out.get(name))
                        complete(kind, inner, items.next(), item, version);
                } else {
                    complete(kind, inner, value, out.get(name), version);
                }
            }
        }
        List<RawTaggedField> tags = ((Message) object).unknownTaggedFields();
        if (tags.isEmpty())
            return;
        ArrayNode array = out.putArray("_unknownTaggedFields");
        for (RawTaggedField tag : tags)
            array.addObject().put("tag", Integer.toUnsignedLong(tag.tag())).set("value", new BinaryNode(tag.data()));
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] out = new byte[buffer.remaining()];
        buffer.duplicate().get(out);
        return out;
    }

    private static String json(Kind kind, Object message, int version) throws ReflectiveOperationException {
        JsonNode node = (JsonNode) kind.toJson.invoke(null, message, (short) version);
        complete(kind, kind.definition.get("fields"), message, node, version);
        return node.toString();
    }

    // ---- bytes ---------------------------------------------------------------------------------------------------

    private static String hex(byte[] bytes) {
        char[] text = new char[2 * bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            text[2 * i] = HEX[bytes[i] >> 4 & 15];
            text[2 * i + 1] = HEX[bytes[i] & 15];
        }
        return new String(text);
    }

    private static byte[] unhex(String text) {
        byte[] bytes = new byte[text.length() / 2];
        for (int i = 0; i < bytes.length; i++)
            bytes[i] = (byte) Integer.parseInt(text.substring(2 * i, 2 * i + 2), 16);
        return bytes;
    }

    private static byte[] write(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        buffer.flip();
        return bytes(buffer);
    }

    private static void fillMany(String[] words, BufferedWriter out) throws IOException, ReflectiveOperationException {
        Kind kind = kind(words[1]);
        int version = Integer.parseInt(words[2]);
        if (kind != null && version >= kind.low && version <= kind.high) {
            random = new Random(Long.parseLong(words[4]) * 1000003 + words[1].hashCode() * 31L + version);
            for (int i = Integer.parseInt(words[3]); i > 0; i--) {
                Object message = fill(kind, kind.type, kind.definition.get("fields"), version);
                out.write(words[1] + " " + version + " " + hex(write((Message) message, (short) version)) + " "
                    + json(kind, message, version) + "\n");
            }
        }
    }

    private static String read(String name, int version, byte[] bytes) throws ReflectiveOperationException {
        Kind kind = kind(name);
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        Object message;
        try {
            message = kind.type.getConstructor(Readable.class, short.class)
                .newInstance(new ByteBufferAccessor(buffer), (short) version);
        } catch (InvocationTargetException refused) {
            return "refused " + String.valueOf(refused.getCause()).replace('\n', ' ');
        }
        return "ok " + buffer.position() + " " + json(kind, message, version);
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8), 1 << 16);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ", -1);
            if (words[0].equals("fill"))
                fillMany(words, out);
            else
                out.write(read(words[1], Integer.parseInt(words[2]), unhex(words[3])) + "\n");
        }
        out.flush();
    }
}
