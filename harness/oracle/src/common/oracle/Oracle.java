package oracle;

import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.node.*;
import java.io.*;
import java.lang.reflect.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Supplier;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.RequestUtils;
import org.apache.kafka.common.requests.ResponseHeader;
import org.apache.kafka.common.requests.TransactionResult;
import org.apache.kafka.coordinator.common.runtime.CoordinatorRecord;
import org.apache.kafka.coordinator.group.classic.ClassicGroupState;

/** JSON lines in, JSON lines out. See README.md. All the broker parts live in {@link World}. */
public final class Oracle {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final HexFormat HEX = HexFormat.of();
    private static final Map<Class<?>, Method> WRITERS = new HashMap<>();
    private static final Map<Class<?>, Method> READERS = new HashMap<>();

    /** Short names accepted by {"op":"config"}; everything else goes in "props" under Kafka's own name. */
    private static final Map<String, String> ALIASES = Map.ofEntries(
        Map.entry("initial_delay_ms", "group.initial.rebalance.delay.ms"),
        Map.entry("min_session_ms", "group.min.session.timeout.ms"),
        Map.entry("max_session_ms", "group.max.session.timeout.ms"),
        Map.entry("max_size", "group.max.size"),
        Map.entry("consumer_session_ms", "group.consumer.session.timeout.ms"),
        Map.entry("consumer_heartbeat_ms", "group.consumer.heartbeat.interval.ms"),
        Map.entry("consumer_max_size", "group.consumer.max.size"),
        Map.entry("consumer_assignors", "group.consumer.assignors"),
        Map.entry("migration_policy", "group.consumer.migration.policy"),
        Map.entry("offsets_partitions", "offsets.topic.num.partitions"),
        Map.entry("linger_ms", "group.coordinator.append.linger.ms"),
        Map.entry("offsets_retention_minutes", "offsets.retention.minutes"),
        Map.entry("protocols", "group.coordinator.rebalance.protocols"));

    private final Writer out;
    private World world;
    private long line; // of the operation
    private boolean records, recordsAlways, ordered = true, quiet;
    private final Map<Integer, Conn> conns = new HashMap<>();
    private int parked;
    private final Map<String, JsonNode> vars = new HashMap<>();

    /** A client connection: like the broker, at most one request is in flight ("muted") unless ordered=false. */
    private static final class Conn {
        final ArrayDeque<Req> waiting = new ArrayDeque<>();
        Req inFlight;
        boolean closed;
    }

    private static final class Req {
        Conn conn; int connId; ByteBuffer bytes; boolean hex; String host;
        int api = -1, version = -1, corr = -1;
        JsonNode save;
    }

    Oracle(Writer out) { this.out = out; }

    public static void main(String[] args) throws Exception {
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", System.getenv().getOrDefault("ORACLE_LOG", "off"));
        DetRandom.install();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8), 1 << 16);
        PrintStream stdout = System.out;
        System.setOut(System.err); // nothing but answers may reach stdout
        Writer w = new BufferedWriter(new OutputStreamWriter(stdout, StandardCharsets.UTF_8), 1 << 16);
        Oracle o = new Oracle(w);
        String line;
        long n = 0;
        while ((line = in.readLine()) != null) {
            n++;
            if (!line.isBlank() && line.charAt(0) != '#') o.line(n, line);
            if (!in.ready()) w.flush();
        }
        w.flush();
        System.exit(0);
    }

    private void line(long n, String text) throws IOException {
        String name = "?";
        line = n;
        try {
            JsonNode op = JSON.readTree(text);
            if (!vars.isEmpty()) op = substitute(op);
            name = op.path("op").asText("?");
            if (op.path("echo").asBoolean()) emit(JSON.createObjectNode().set("in", op));
            if (!name.equals("config")) for (JsonNode u : op.path("uuids")) DetRandom.push(uuid(u.asText()));
            records = recordsAlways || op.path("records").asBoolean();
            run(name, op);
            if (world != null) world.pump();
        } catch (Throwable t) {
            Throwable c = t instanceof InvocationTargetException && t.getCause() != null ? t.getCause() : t;
            emit(JSON.createObjectNode().put("error", c.getClass().getSimpleName() + ": " + c.getMessage()).put("line", n));
            if (System.getenv("ORACLE_TRACE") != null) c.printStackTrace();
        }
        if (quiet) return;
        ObjectNode d = JSON.createObjectNode().put("done", n).put("op", name);
        if (world != null) {
            d.put("at_ms", world.now()).put("parked", parked);
            Long next = world.timer.nextDeadline();
            if (next != null) d.put("next_timer_ms", next - world.startMs);
            if (DetRandom.left() > 0) d.put("uuids_left", DetRandom.left());
        }
        emit(d);
    }

    private void run(String name, JsonNode op) throws Exception {
        if (!name.equals("config") && world == null) config(JSON.createObjectNode().put("op", "config"));
        switch (name) {
            case "config": config(op); break;
            case "topics": topics(op); break;
            case "request": request(op); break;
            case "encode": { // request JSON to the bytes a client would send (no size prefix)
                ByteBuffer b = encode(op);
                emit(JSON.createObjectNode().put("hex", HEX.formatHex(b.array(), b.arrayOffset(), b.arrayOffset() + b.limit())));
                break;
            }
            case "decode": { // response bytes (no size prefix) to JSON
                ApiKeys key = apiKey(op.get("api"));
                short v = (short) op.get("version").asInt();
                ByteBuffer b = ByteBuffer.wrap(HEX.parseHex(op.get("hex").asText()));
                ResponseHeader h = ResponseHeader.parse(b, key.responseHeaderVersion(v));
                ApiMessage m = ApiMessageType.fromApiKey(key.id).newResponse();
                m.read(new ByteBufferAccessor(b), v);
                emit(JSON.createObjectNode().put("corr", h.correlationId()).put("left", b.remaining()).set("body", write(m, v)));
                break;
            }
            case "advance":
                if (op.path("to_next").asBoolean()) {
                    Long next = world.timer.nextDeadline();
                    if (next != null) world.advanceTo(next);
                } else world.advanceTo(world.clock.ms + op.get("ms").asLong());
                break;
            case "reload": world.unload(); world.pump(); world.load(); break;
            case "unload": world.unload(); break;
            case "load": world.load(); break;
            case "load_begin": world.loadBegin(); break;
            case "load_end": world.loadEnd(); break;
            case "inactive": world.inactive(); break;
            case "max_size": world.maxSize(op.path("value").asInt(Integer.MAX_VALUE)); break;
            case "force_dead":
                if (!world.forceState(op.get("group").asText(), ClassicGroupState.valueOf(op.path("state").asText("DEAD"))))
                    emit(JSON.createObjectNode().put("error", "no such group").put("line", line));
                break;
            case "deny": deny(op); break;
            case "state": state(); break;
            case "log": world.log.forEach((p, l) -> emitRecords(p, l.records)); break;
            case "disconnect": {
                Conn c = conns.remove(op.get("conn").asInt());
                if (c != null) { c.closed = true; parked -= c.waiting.size(); c.waiting.clear(); }
                break;
            }
            case "group_config": {
                Properties p = new Properties();
                op.get("configs").fields().forEachRemaining(e -> p.put(e.getKey(), e.getValue().asText()));
                world.service.updateGroupConfig(op.get("group").asText(), p);
                break;
            }
            case "fail_append": world.failAppends(op.path("count").asInt(1), Errors.valueOf(op.path("error").asText("NOT_ENOUGH_REPLICAS"))); break;
            case "commit": world.commitAll(); break;
            case "end_txn": {
                String group = op.get("group").asText();
                Release.completeTransaction(world.service, world.offsetsPartition(group), op.get("producer_id").asLong(),
                    (short) op.get("producer_epoch").asInt(), op.path("coordinator_epoch").asInt(0),
                    op.get("commit").asBoolean() ? TransactionResult.COMMIT : TransactionResult.ABORT)
                    .whenComplete((v, t) -> emit(JSON.createObjectNode().put("end_txn", group).put("at_ms", world.now())
                        .put("error", t == null ? "NONE" : Errors.forException(unwrap(t)).name())));
                break;
            }
            default: throw new IllegalArgumentException("unknown op " + name);
        }
    }

    /** Without "rules" everything is denied. */
    private void deny(JsonNode op) {
        List<Rights.Rule> rules = new ArrayList<>();
        for (JsonNode r : op.path("rules"))
            rules.add(new Rights.Rule(r.has("type") ? org.apache.kafka.common.resource.ResourceType.valueOf(r.get("type").asText()) : null,
                r.has("op") ? org.apache.kafka.common.acl.AclOperation.valueOf(r.get("op").asText()) : null,
                r.has("name") ? r.get("name").asText() : null));
        world.rights.deny(op.has("rules") ? rules : List.of(new Rights.Rule(null, null, null)));
    }

    // ---------------------------------------------------------------- config, topics

    private void config(JsonNode op) throws Exception {
        Map<String, String> props = new HashMap<>();
        op.fields().forEachRemaining(e -> { if (ALIASES.containsKey(e.getKey())) props.put(ALIASES.get(e.getKey()), text(e.getValue())); });
        op.path("props").fields().forEachRemaining(e -> props.put(e.getKey(), text(e.getValue())));
        Map<String, Integer> features = new HashMap<>();
        op.path("features").fields().forEachRemaining(e -> features.put(e.getKey(), e.getValue().asInt()));
        recordsAlways = op.path("records").asBoolean();
        ordered = op.path("ordered").asBoolean(true);
        quiet = op.path("quiet").asBoolean();
        DetRandom.seed(op.has("seed") ? op.get("seed").asLong() : null);
        for (JsonNode u : op.path("uuids")) DetRandom.push(uuid(u.asText()));
        conns.clear();
        vars.clear();
        parked = 0;
        if (world != null) world.close();
        world = new World(props, features, op.path("start_ms").asLong(1_700_000_000_000L), op.path("auto_commit").asBoolean(true), this::onReply, this::onRecords);
    }

    private static String text(JsonNode n) {
        if (!n.isArray()) return n.asText();
        StringJoiner j = new StringJoiner(",");
        n.forEach(x -> j.add(x.asText()));
        return j.toString();
    }

    private void topics(JsonNode op) {
        List<World.Topic> list = new ArrayList<>();
        for (JsonNode t : op.path("topics")) {
            List<List<String>> racks = null;
            if (t.has("racks")) {
                racks = new ArrayList<>();
                for (JsonNode p : t.get("racks")) {
                    List<String> r = new ArrayList<>();
                    if (p.isArray()) p.forEach(x -> r.add(x.asText())); else r.add(p.asText());
                    racks.add(r);
                }
            }
            String name = t.get("name").asText();
            list.add(new World.Topic(name, t.has("id") ? uuid(t.get("id").asText()) : null, t.get("partitions").asInt(), racks));
        }
        List<String> deleted = new ArrayList<>();
        op.path("delete").forEach(x -> deleted.add(x.asText()));
        world.topics(list, deleted);
    }

    private static Uuid uuid(String s) {
        if (s.length() != 36) return Uuid.fromString(s);
        UUID u = UUID.fromString(s);
        return new Uuid(u.getMostSignificantBits(), u.getLeastSignificantBits());
    }

    // ---------------------------------------------------------------- requests and answers

    private void request(JsonNode op) throws Exception {
        Req r = new Req();
        r.connId = op.path("conn").asInt(0);
        r.conn = conns.computeIfAbsent(r.connId, k -> new Conn());
        r.save = op.get("save");
        r.host = op.path("client_host").asText("127.0.0.1");
        if (op.has("hex")) {
            r.hex = true;
            r.bytes = ByteBuffer.wrap(HEX.parseHex(op.get("hex").asText()));
        } else {
            r.bytes = encode(op);
            if (op.path("hex_out").asBoolean()) r.hex = true;
        }
        parked++;
        if (ordered && r.conn.inFlight != null) r.conn.waiting.add(r); else dispatch(r);
    }

    private ByteBuffer encode(JsonNode op) throws Exception {
        ApiKeys key = apiKey(op.get("api"));
        short v = (short) op.path("version").asInt(key.latestVersion());
        ApiMessage empty = ApiMessageType.fromApiKey(key.id).newRequest();
        ObjectNode full = (ObjectNode) write(empty, v);
        ObjectNode given = (ObjectNode) op.path("body");
        Set<String> known = new HashSet<>();
        full.fieldNames().forEachRemaining(known::add);
        full.setAll(given);
        ApiMessage body = (ApiMessage) READERS.computeIfAbsent(empty.getClass(), Oracle::reader).invoke(null, full, v);
        JsonNode back = write(body, v);
        given.fieldNames().forEachRemaining(f -> {
            if (!known.contains(f) && !back.has(f)) emit(JSON.createObjectNode().put("warn", "field " + f + " unknown in this version, or left at its default").put("api", key.name));
        });
        RequestHeader h = new RequestHeader(key, v, op.path("client_id").isNull() ? null : op.path("client_id").asText("c"), op.path("corr").asInt(0));
        return RequestUtils.serialize(h.data(), h.headerVersion(), body, v);
    }

    private void dispatch(Req r) {
        if (ordered) r.conn.inFlight = r;
        ByteBuffer b = r.bytes;
        if (b.remaining() >= 8) { r.api = b.getShort(0); r.version = b.getShort(2); r.corr = b.getInt(4); }
        world.handle(b, r.host, r.connId, r);
    }

    private static ApiKeys apiKey(JsonNode n) {
        if (n.isNumber()) return ApiKeys.forId(n.asInt());
        for (ApiKeys k : ApiKeys.values()) if (k.name.equalsIgnoreCase(n.asText())) return k;
        throw new IllegalArgumentException("unknown api " + n);
    }

    /** Called by the world for each answer: data, or raw bytes; close=true when the broker would drop the connection. */
    private void onReply(Object token, ApiMessage data, short version, Supplier<ByteBuffer> wire, String close) {
        Req r = (Req) token;
        parked--;
        if (!r.conn.closed) {
            ObjectNode o = JSON.createObjectNode().put("conn", r.connId).put("corr", r.corr).put("api", r.api).put("version", r.version).put("at_ms", world.now());
            if (close != null) o.put("close", close);
            else if (data == null) o.put("no_reply", true);
            else {
                JsonNode body = write(data, version);
                o.set("body", body);
                if (r.save != null) r.save.fields().forEachRemaining(e -> vars.put("$" + e.getKey(), body.at(e.getValue().asText())));
                if (r.hex) { ByteBuffer b = wire.get(); byte[] a = new byte[b.remaining()]; b.get(a); o.put("hex", HEX.formatHex(a)); }
            }
            emit(o);
        }
        if (close != null) { parked -= r.conn.waiting.size(); r.conn.waiting.clear(); r.conn.closed = true; conns.remove(r.connId, r.conn); }
        if (ordered && r.conn.inFlight == r) {
            r.conn.inFlight = null;
            Req next = r.conn.waiting.poll();
            if (next != null) world.later(() -> dispatch(next));
        }
    }

    private void onRecords(int partition, List<World.Rec> recs) { if (records) emitRecords(partition, recs); }

    private void emitRecords(int partition, List<World.Rec> recs) {
        ObjectNode o = JSON.createObjectNode().put("offsets_partition", partition).put("at_ms", world.now());
        ArrayNode a = o.putArray("records");
        for (World.Rec rec : recs) {
            ObjectNode e = a.addObject().put("offset", rec.offset);
            if (rec.producerId >= 0) e.put("producer_id", rec.producerId);
            if (rec.marker != null) { e.put("marker", rec.marker.name()); continue; }
            CoordinatorRecord cr = rec.decode();
            e.put("type", cr.key().getClass().getSimpleName().replaceFirst("Key$", ""));
            e.set("key", write(cr.key(), (short) 0));
            if (cr.value() == null) e.putNull("value");
            else { e.put("value_version", cr.value().version()); e.set("value", write(cr.value().message(), cr.value().version())); }
        }
        emit(o);
    }

    // ---------------------------------------------------------------- state

    private void state() {
        ObjectNode o = JSON.createObjectNode();
        o.putObject("state").put("at_ms", world.now());
        ObjectNode s = (ObjectNode) o.get("state");
        World w = world;
        CompletableFuture<ListGroupsResponseData> lf = w.service.listGroups(w.adminContext(ApiKeys.LIST_GROUPS), new ListGroupsRequestData());
        w.pump();
        ListGroupsResponseData list = lf.join();
        if (list.errorCode() != 0) s.put("list_error", Errors.forCode(list.errorCode()).name());
        ObjectNode groups = s.putObject("groups");
        list.groups().stream().sorted(Comparator.comparing(ListGroupsResponseData.ListedGroup::groupId)).forEach(g -> {
            List<String> id = List.of(g.groupId());
            ObjectNode e = groups.putObject(g.groupId()).put("type", g.groupType()).put("state", g.groupState()).put("protocol_type", g.protocolType());
            CompletableFuture<? extends JsonNode> d;
            switch (g.groupType().toLowerCase(Locale.ROOT)) {
                case "consumer":
                    d = w.service.consumerGroupDescribe(w.adminContext(ApiKeys.CONSUMER_GROUP_DESCRIBE), id)
                        .thenApply(x -> latest(new ConsumerGroupDescribeResponseData().setGroups(x), ApiKeys.CONSUMER_GROUP_DESCRIBE)); break;
                case "share":
                    d = w.service.shareGroupDescribe(w.adminContext(ApiKeys.SHARE_GROUP_DESCRIBE), id)
                        .thenApply(x -> latest(new ShareGroupDescribeResponseData().setGroups(x), ApiKeys.SHARE_GROUP_DESCRIBE)); break;
                case "streams":
                    d = w.service.streamsGroupDescribe(w.adminContext(ApiKeys.STREAMS_GROUP_DESCRIBE), id)
                        .thenApply(x -> latest(new StreamsGroupDescribeResponseData().setGroups(x), ApiKeys.STREAMS_GROUP_DESCRIBE)); break;
                default:
                    d = w.service.describeGroups(w.adminContext(ApiKeys.DESCRIBE_GROUPS), id)
                        .thenApply(x -> latest(new DescribeGroupsResponseData().setGroups(x), ApiKeys.DESCRIBE_GROUPS));
            }
            CompletableFuture<OffsetFetchResponseData.OffsetFetchResponseGroup> of = w.service.fetchAllOffsets(w.adminContext(ApiKeys.OFFSET_FETCH),
                new OffsetFetchRequestData.OffsetFetchRequestGroup().setGroupId(g.groupId()).setTopics(null), false);
            w.pump();
            try { e.set("describe", d.join().path("groups").path(0)); } catch (CompletionException x) { e.put("describe_error", String.valueOf(x.getCause())); }
            ObjectNode offs = e.putObject("offsets");
            of.join().topics().forEach(t -> t.partitions().forEach(p -> offs.put(t.name() + "-" + p.partitionIndex(), p.committedOffset())));
        });
        ObjectNode raw = s.putObject("classic");
        w.classicInternals().forEach((k, v) -> raw.set(k, JSON.valueToTree(v)));
        ArrayNode timers = s.putArray("timers");
        w.timer.live().forEach(t -> timers.addObject().put("at_ms", t.at - w.startMs).put("key", t.key()));
        ObjectNode log = s.putObject("log_end");
        w.log.forEach((p, l) -> log.put(Integer.toString(p), l.records.size()));
        emit(o);
    }

    private static JsonNode latest(ApiMessage m, ApiKeys k) { return write(m, k.latestVersion()); }

    // ---------------------------------------------------------------- json helpers

    /** Replaces every string "$name" by what an earlier request saved with "save":{"name":"/json/pointer"}. */
    private JsonNode substitute(JsonNode n) {
        if (n.isTextual()) return vars.getOrDefault(n.asText(), n);
        if (n.isArray()) { ArrayNode a = (ArrayNode) n; for (int i = 0; i < a.size(); i++) a.set(i, substitute(a.get(i))); }
        if (n.isObject()) { for (Map.Entry<String, JsonNode> e : n.properties()) e.setValue(substitute(e.getValue())); }
        return n;
    }

    private static JsonNode write(ApiMessage m, short version) {
        try {
            return (JsonNode) WRITERS.computeIfAbsent(m.getClass(), c -> converter(c, "write", c, short.class)).invoke(null, m, version);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e.getCause() == null ? e : e.getCause());
        }
    }

    private static Method reader(Class<?> c) { return converter(c, "read", JsonNode.class, short.class); }

    private static Method converter(Class<?> c, String name, Class<?>... args) {
        try {
            return Class.forName(c.getName() + "JsonConverter").getMethod(name, args);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    static Throwable unwrap(Throwable t) { return t instanceof CompletionException && t.getCause() != null ? t.getCause() : t; }

    private void emit(JsonNode n) {
        try {
            out.write(JSON.writeValueAsString(n));
            out.write('\n');
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** java.util.UUID takes its bits from the first SecureRandom provider: put a seedable one there, which can also be told the next ids. */
    public static final class DetRandom extends java.security.SecureRandomSpi {
        private static Random random = new Random();
        private static final ArrayDeque<byte[]> NEXT = new ArrayDeque<>();
        static void install() {
            java.security.Security.insertProviderAt(new java.security.Provider("Oracle", "1", "seedable, not secure") {
                { put("SecureRandom.Oracle", DetRandom.class.getName()); }
            }, 1);
        }
        static synchronized void seed(Long s) { random = s == null ? new Random() : new Random(s); NEXT.clear(); }
        static synchronized int left() { return NEXT.size(); }
        static synchronized void push(Uuid u) {
            NEXT.add(ByteBuffer.allocate(16).putLong(u.getMostSignificantBits()).putLong(u.getLeastSignificantBits()).array());
        }
        @Override protected void engineSetSeed(byte[] b) { }
        @Override protected void engineNextBytes(byte[] b) {
            synchronized (DetRandom.class) {
                if (b.length == 16 && !NEXT.isEmpty()) System.arraycopy(NEXT.poll(), 0, b, 0, 16); else random.nextBytes(b);
            }
        }
        @Override protected byte[] engineGenerateSeed(int n) { byte[] b = new byte[n]; engineNextBytes(b); return b; }
    }
}
