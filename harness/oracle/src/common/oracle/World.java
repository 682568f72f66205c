package oracle;

import java.lang.reflect.Field;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Supplier;
import kafka.network.RequestChannel;
import kafka.server.AutoTopicCreationManager;
import kafka.server.ClientRequestQuotaManager;
import kafka.server.KafkaApis;
import kafka.server.KafkaConfig;
import kafka.server.QuotaFactory;
import kafka.server.metadata.KRaftMetadataCache;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.internals.Plugin;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.memory.MemoryPool;
import org.apache.kafka.common.message.ApiMessageType.ListenerType;
import org.apache.kafka.common.metadata.*;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.network.ClientInformation;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.common.network.Send;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.requests.AbstractResponse;
import org.apache.kafka.common.requests.RequestContext;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.TransactionResult;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.common.utils.LogContext;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.coordinator.common.runtime.*;
import org.apache.kafka.coordinator.group.*;
import org.apache.kafka.coordinator.group.classic.ClassicGroup;
import org.apache.kafka.coordinator.group.classic.ClassicGroupState;
import org.apache.kafka.coordinator.group.metrics.GroupCoordinatorMetrics;
import org.apache.kafka.coordinator.group.metrics.GroupCoordinatorRuntimeMetrics;
import org.apache.kafka.image.MetadataDelta;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.image.MetadataProvenance;
import org.apache.kafka.image.TopicImage;
import org.apache.kafka.metadata.ConfigRepository;
import org.apache.kafka.metadata.PartitionRegistration;
import org.apache.kafka.network.metrics.RequestChannelMetrics;
import org.apache.kafka.server.ApiVersionManager;
import org.apache.kafka.server.SimpleApiVersionManager;
import org.apache.kafka.server.common.*;
import org.apache.kafka.server.share.persister.NoOpStatePersister;
import org.apache.kafka.server.share.persister.Persister;
import org.apache.kafka.server.util.timer.TimerTask;
import org.apache.kafka.server.util.timer.TimerTaskEntry;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.VerificationGuard;

/**
 * One broker's group-coordinator stack on one thread and in virtual time: the real KafkaApis, GroupCoordinatorService,
 * CoordinatorRuntime and GroupCoordinatorShard over our own clock, timer queue, event queue, log and loader.
 */
final class World {
    private static final ListenerName LISTENER = new ListenerName("PLAINTEXT");
    private static final int BROKER = 1;

    interface ReplySink { void reply(Object token, ApiMessage data, short version, Supplier<ByteBuffer> wire, String close); }
    interface RecordSink { void records(int partition, List<Rec> recs); }

    record Topic(String name, Uuid id, int partitions, List<List<String>> racks) { }

    // ---------------------------------------------------------------- virtual time

    static final class Clock implements Time {
        long ms;
        @Override public long milliseconds() { return ms; }
        @Override public long nanoseconds() { return ms * 1_000_000L; }
        @Override public void sleep(long d) { throw new IllegalStateException("sleep in virtual time"); }
        @Override public void waitObject(Object o, Supplier<Boolean> c, long deadline) { throw new IllegalStateException("wait in virtual time"); }
    }

    final class VTimer implements org.apache.kafka.server.util.timer.Timer {
        final class Entry {
            final long at, seq; final TimerTaskEntry e;
            Entry(long at, long seq, TimerTaskEntry e) { this.at = at; this.seq = seq; this.e = e; }
            String key() {
                try {
                    Field f = e.timerTask.getClass().getDeclaredField("val$key");
                    f.setAccessible(true);
                    return (String) f.get(e.timerTask);
                } catch (ReflectiveOperationException x) {
                    return e.timerTask.getClass().getSimpleName();
                }
            }
            /** Broker housekeeping that a caller stepping from timer to timer does not want to stop at. */
            boolean housekeeping() { String k = key(); return k.equals("expire-group-metadata") || k.equals("group-size-counter"); }
        }
        private final TreeSet<Entry> queue = new TreeSet<>(Comparator.<Entry>comparingLong(x -> x.at).thenComparingLong(x -> x.seq));
        private long seq;
        private int purgeAt = 4096;

        @Override public void add(TimerTask t) {
            TimerTaskEntry e = new TimerTaskEntry(t, clock.ms + t.delayMs);
            if (t.delayMs <= 0) { later(t); return; }
            queue.add(new Entry(e.expirationMs, seq++, e));
            if (queue.size() > purgeAt) {
                queue.removeIf(x -> x.e.cancelled());
                purgeAt = Math.max(4096, 2 * queue.size());
            }
        }
        @Override public boolean advanceClock(long ms) { throw new UnsupportedOperationException(); }
        @Override public int size() { return queue.size(); }
        @Override public void close() { queue.clear(); }

        Entry first() {
            while (!queue.isEmpty() && queue.first().e.cancelled()) queue.pollFirst();
            return queue.isEmpty() ? null : queue.first();
        }
        List<Entry> live() { return queue.stream().filter(x -> !x.e.cancelled()).toList(); }
        Long nextDeadline() {
            first();
            for (Entry x : queue) if (!x.e.cancelled() && !x.housekeeping()) return x.at;
            return null;
        }
    }

    // ---------------------------------------------------------------- the __consumer_offsets log

    static final class Rec {
        long offset, producerId; short producerEpoch; byte[] key, value; ControlRecordType marker;
        CoordinatorRecord decode() { return SERDE.deserialize(ByteBuffer.wrap(key), value == null ? null : ByteBuffer.wrap(value)); }
    }
    static final class PartitionLog {
        final List<Rec> records = new ArrayList<>();
        PartitionWriter.Listener listener;
        int epoch;
    }
    private static final GroupCoordinatorRecordSerde SERDE = new GroupCoordinatorRecordSerde();

    private final class LogWriter extends Release.Writer {
        @Override public void registerListener(TopicPartition tp, Listener l) { log.get(tp.partition()).listener = l; }
        @Override public void deregisterListener(TopicPartition tp, Listener l) { log.get(tp.partition()).listener = null; }
        @Override public LogConfig config(TopicPartition tp) { return logConfig; }
        @Override long write(TopicPartition tp, MemoryRecords batch) {
            if (failures > 0) { failures--; throw failure.exception(); }
            PartitionLog l = log.get(tp.partition());
            List<Rec> added = new ArrayList<>();
            for (RecordBatch b : batch.batches()) for (Record r : b) {
                Rec x = new Rec();
                x.offset = l.records.size();
                x.producerId = b.producerId();
                x.producerEpoch = b.producerEpoch();
                x.key = bytes(r.key());
                x.value = bytes(r.value());
                if (b.isControlBatch()) x.marker = ControlRecordType.parse(r.key());
                l.records.add(x);
                added.add(x);
            }
            records.records(tp.partition(), added);
            if (autoCommit) commit(tp.partition());
            return l.records.size();
        }
        @Override public CompletableFuture<VerificationGuard> maybeStartTransactionVerification(TopicPartition tp, String id, long pid, short epoch, int v) {
            return CompletableFuture.completedFuture(new VerificationGuard());
        }
        @Override public CompletableFuture<Void> deleteRecords(TopicPartition tp, long before) { return CompletableFuture.completedFuture(null); }
        private byte[] bytes(ByteBuffer b) {
            if (b == null) return null;
            byte[] a = new byte[b.remaining()];
            b.duplicate().get(a);
            return a;
        }
    }

    private final class LogLoader implements CoordinatorLoader<CoordinatorRecord> {
        @Override public CompletableFuture<LoadSummary> load(TopicPartition tp, CoordinatorPlayback<CoordinatorRecord> to) {
            if (!holdsLoads) return CompletableFuture.completedFuture(replay(tp, to));
            CompletableFuture<LoadSummary> loaded = new CompletableFuture<>();
            heldLoads.add(() -> loaded.complete(replay(tp, to)));
            return loaded;
        }
        private LoadSummary replay(TopicPartition tp, CoordinatorPlayback<CoordinatorRecord> to) {
            List<Rec> all = log.get(tp.partition()).records;
            for (Rec r : all) {
                if (r.marker == null) to.replay(r.offset, r.producerId, r.producerEpoch, r.decode());
                else to.replayEndTransactionMarker(r.producerId, r.producerEpoch, r.marker == ControlRecordType.COMMIT ? TransactionResult.COMMIT : TransactionResult.ABORT);
            }
            if (!all.isEmpty()) {
                to.updateLastWrittenOffset((long) all.size());
                to.updateLastCommittedOffset((long) all.size());
            }
            return new LoadSummary(clock.ms, clock.ms, 0, all.size(), 0);
        }
        @Override public void close() { }
    }

    // ---------------------------------------------------------------- single-threaded execution

    private final class Events implements CoordinatorEventProcessor {
        @Override public void enqueueLast(CoordinatorEvent e) { queue.addLast(() -> fire(e)); }
        @Override public void enqueueFirst(CoordinatorEvent e) { queue.addFirst(() -> fire(e)); }
        @Override public void close() { }
        private void fire(CoordinatorEvent e) {
            try { e.run(); } catch (Throwable t) { e.complete(t); }
        }
    }

    private final class InlineExecutor extends AbstractExecutorService {
        @Override public void execute(Runnable r) { later(r); }
        @Override public void shutdown() { }
        @Override public List<Runnable> shutdownNow() { return List.of(); }
        @Override public boolean isShutdown() { return false; }
        @Override public boolean isTerminated() { return true; }
        @Override public boolean awaitTermination(long t, TimeUnit u) { return true; }
    }

    /** Replies are caught here, before the network layer. */
    private final class Channel extends RequestChannel {
        Channel() { super(1, clock, CHANNEL_METRICS); }
        @Override public void sendResponse(Request q, AbstractResponse a, scala.Option<scala.Function1<Send, scala.runtime.BoxedUnit>> done) {
            // An ApiVersions request of an unknown version is answered in version 0.
            short v = q.header().apiKey() == ApiKeys.API_VERSIONS && !q.header().isApiVersionSupported() ? 0 : q.header().apiVersion();
            reply(q, a.data(), v, () -> q.context().buildResponseEnvelopePayload(a), null);
        }
        @Override public void sendNoOpResponse(Request q) { reply(q, null, (short) 0, null, null); }
        @Override public void closeConnection(Request q, Map<Errors, Integer> errors) { reply(q, null, (short) 0, null, errors.keySet().toString()); }
        private void reply(Request q, ApiMessage data, short v, Supplier<ByteBuffer> wire, String close) {
            Object token = tokens.remove(q);
            if (token != null) sink.reply(token, data, v, wire, close);
        }
    }

    /** KafkaApis wants it; only the overridden methods are ever called, so it is made without its constructor. */
    private static final class NoQuota extends ClientRequestQuotaManager {
        NoQuota() { super(null, null, null, null, null); }
        @Override public int maybeRecordAndGetThrottleTimeMs(RequestChannel.Request r, long now) { return 0; }
        @Override public void maybeRecordExempt(RequestChannel.Request r) { }
    }

    // ---------------------------------------------------------------- wiring

    private static final RequestChannelMetrics CHANNEL_METRICS = new RequestChannelMetrics(Set.of());
    /** Making one takes as long as a hundred requests. */
    private static final Map<Map<String, String>, KafkaConfig> CONFIGS = new HashMap<>();
    private static final ExecutorService CLOSER = Executors.newCachedThreadPool(r -> { Thread t = new Thread(r); t.setDaemon(true); return t; });
    final Clock clock = new Clock();
    final VTimer timer = new VTimer();
    final Map<Integer, PartitionLog> log = new TreeMap<>();
    final GroupCoordinatorService service;
    final long startMs;
    private final CoordinatorRuntime<GroupCoordinatorShard, CoordinatorRecord> runtime;
    private final KafkaApis apis;
    private final KRaftMetadataCache cache = new KRaftMetadataCache(BROKER, () -> KRaftVersion.KRAFT_VERSION_1);
    private final ApiVersionManager versions;
    private final LogConfig logConfig;
    private final Metrics metrics;
    private final boolean autoCommit;
    private final ReplySink sink;
    private final RecordSink records;
    private final ArrayDeque<Runnable> queue = new ArrayDeque<>();
    private final IdentityHashMap<RequestChannel.Request, Object> tokens = new IdentityHashMap<>();
    private final Map<String, Integer> rackBroker = new HashMap<>();
    private MetadataImage image = MetadataImage.EMPTY;
    final Rights rights = new Rights();
    private boolean holdsLoads;
    private final List<Runnable> heldLoads = new ArrayList<>();
    private final GroupCoordinatorConfig groupConfig;
    private final int maxSize;
    private int failures;
    private Errors failure;
    private boolean pumping;

    World(Map<String, String> overrides, Map<String, Integer> features, long startMs, boolean autoCommit, ReplySink sink, RecordSink records) throws Exception {
        this.startMs = startMs;
        this.autoCommit = autoCommit;
        this.sink = sink;
        this.records = records;
        clock.ms = startMs;
        Map<String, String> p = new HashMap<>(Map.of(
            "process.roles", "broker", "node.id", "1", "controller.quorum.voters", "9@127.0.0.1:9093",
            "controller.listener.names", "CONTROLLER", "listeners", "PLAINTEXT://127.0.0.1:9092",
            "log.dirs", "/nonexistent", "offsets.topic.num.partitions", "1",
            "group.coordinator.append.linger.ms", "0"));
        p.put("offsets.topic.replication.factor", "1");
        p.putAll(overrides);
        KafkaConfig config = CONFIGS.computeIfAbsent(p, all -> new KafkaConfig(all, false));
        GroupCoordinatorConfig gc = config.groupCoordinatorConfig();
        groupConfig = gc;
        maxSize = gc.classicGroupMaxSize();
        logConfig = new LogConfig(Map.of());
        for (int i = 0; i < gc.offsetsTopicPartitions(); i++) log.put(i, new PartitionLog());

        metrics = new Metrics(clock);
        GroupCoordinatorMetrics gm = new GroupCoordinatorMetrics(new com.yammer.metrics.core.MetricsRegistry(), metrics);
        GroupConfigManager groupConfigs = new GroupConfigManager(gc.extractGroupConfigMap(config.shareGroupConfig()));
        LogContext lc = new LogContext("[oracle] ");
        runtime = new CoordinatorRuntime.Builder<GroupCoordinatorShard, CoordinatorRecord>()
            .withTime(clock).withTimer(timer).withLogPrefix("[oracle] ").withLogContext(lc)
            .withEventProcessor(new Events()).withPartitionWriter(new LogWriter()).withLoader(new LogLoader())
            .withCoordinatorShardBuilderSupplier(() -> new GroupCoordinatorShard.Builder(gc, groupConfigs).withAuthorizerPlugin(Optional.empty()))
            .withDefaultWriteTimeOut(Duration.ofMillis(gc.offsetCommitTimeoutMs()))
            .withCoordinatorRuntimeMetrics(new GroupCoordinatorRuntimeMetrics(metrics)).withCoordinatorMetrics(gm)
            .withSerializer(SERDE).withCompression(Compression.of(gc.offsetTopicCompressionType()).build())
            .withAppendLingerMs(gc.appendLingerMs()).withExecutorService(new InlineExecutor()).build();
        service = Release.service(lc, gc, runtime, gm, groupConfigs, new NoOpStatePersister(), timer);
        service.startup(gc::offsetsTopicPartitions);

        versions = new SimpleApiVersionManager(ListenerType.BROKER, config.unstableApiVersionsEnabled(), cache::features);
        ConfigRepository noConfigs = r -> new Properties();
        AutoTopicCreationManager noTopics = (AutoTopicCreationManager) Proxy.newProxyInstance(World.class.getClassLoader(), new Class<?>[] {AutoTopicCreationManager.class},
            (o, m, a) -> m.getReturnType() == void.class ? null : scala.collection.immutable.Nil$.MODULE$);
        QuotaFactory.QuotaManagers quotas = new QuotaFactory.QuotaManagers(null, null, bare(NoQuota.class), null, null, null, null, Optional.empty());
        apis = new KafkaApis(new Channel(), null, bare(Release.NoReplicaManager.class), service, null, null, noTopics, BROKER, config, noConfigs, cache, metrics,
            scala.Option.apply(Plugin.wrapInstance(rights, null, "authorizer.class.name")), quotas, null, null, null, "oracle-cluster-id-00000", clock, null, versions, null, groupConfigs);
        CLOSER.execute(apis::close); // stops only the ACL purgatory's threads, which KafkaApis starts and we never use

        publishFirst(features, gc);
        pump();
        load();
        pump();
    }

    /** The image with which the broker starts: features, itself, and __consumer_offsets. */
    private void publishFirst(Map<String, Integer> features, GroupCoordinatorConfig gc) {
        MetadataDelta d = new MetadataDelta(image);
        Map<String, Integer> levels = new TreeMap<>(Map.of("group.version", 1, "share.version", 1, "streams.version", 1, "transaction.version", 2));
        levels.putAll(features);
        d.replay(new FeatureLevelRecord().setName("metadata.version").setFeatureLevel(MetadataVersion.latestProduction().featureLevel()));
        levels.forEach((k, v) -> d.replay(new FeatureLevelRecord().setName(k).setFeatureLevel(v.shortValue())));
        register(d, BROKER, null);
        Uuid offsetsId = idFor(org.apache.kafka.common.internals.Topic.GROUP_METADATA_TOPIC_NAME);
        d.replay(new TopicRecord().setName(org.apache.kafka.common.internals.Topic.GROUP_METADATA_TOPIC_NAME).setTopicId(offsetsId));
        for (int i = 0; i < gc.offsetsTopicPartitions(); i++) partition(d, offsetsId, i, List.of(BROKER));
        publish(d);
    }

    private static <T> T bare(Class<T> c) throws Exception {
        Field f = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        f.setAccessible(true);
        return c.cast(((sun.misc.Unsafe) f.get(null)).allocateInstance(c));
    }

    void close() throws Exception { maxSize(maxSize); timer.close(); queue.clear(); tokens.clear(); metrics.close(); }

    // ---------------------------------------------------------------- driving

    long now() { return clock.ms - startMs; }
    void later(Runnable r) { queue.addLast(r); }

    void pump() {
        if (pumping) return;
        pumping = true;
        try {
            for (Runnable r; (r = queue.pollFirst()) != null; ) r.run();
        } finally {
            pumping = false;
        }
    }

    void advanceTo(long target) {
        pump();
        for (VTimer.Entry e; (e = timer.first()) != null && e.at <= target; ) {
            timer.queue.remove(e);
            clock.ms = Math.max(clock.ms, e.at);
            e.e.timerTask.run();
            pump();
        }
        clock.ms = Math.max(clock.ms, target);
    }

    /** What the broker's Processor does with one frame, then KafkaApis. */
    void handle(ByteBuffer frame, String host, int conn, Object token) {
        RequestChannel.Request q;
        try {
            RequestHeader h = RequestHeader.parse(frame);
            if (!versions.isApiEnabled(h.apiKey(), h.apiVersion()))
                throw new InvalidRequestException("Received request for disabled api " + h.apiKey() + " version " + h.apiVersion());
            RequestContext c = context(h, host, conn);
            q = new RequestChannel.Request(0, c, clock.nanoseconds(), MemoryPool.NONE, frame, null, scala.Option.empty());
        } catch (Exception e) {
            sink.reply(token, null, (short) 0, null, e.getClass().getSimpleName() + ": " + e.getMessage());
            return;
        }
        tokens.put(q, token);
        apis.handle(q, RequestLocal.noCaching());
    }

    private static RequestContext context(RequestHeader h, String host, int conn) throws Exception {
        return new RequestContext(h, "127.0.0.1:9092-" + host + ":" + conn + "-0", InetAddress.getByName(host), KafkaPrincipal.ANONYMOUS,
            LISTENER, SecurityProtocol.PLAINTEXT, ClientInformation.EMPTY, false);
    }

    RequestContext adminContext(ApiKeys k) {
        try {
            return context(new RequestHeader(k, k.latestVersion(), "oracle", 0), "127.0.0.1", 0);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    TopicPartition offsetsPartition(String group) {
        return new TopicPartition(org.apache.kafka.common.internals.Topic.GROUP_METADATA_TOPIC_NAME, service.partitionFor(group));
    }

    void load() { log.forEach((i, l) -> service.onElection(i, ++l.epoch)); }
    void unload() { log.forEach((i, l) -> service.onResignation(i, OptionalInt.of(++l.epoch))); }
    /** A load that goes on until loadEnd. */
    void loadBegin() {
        holdsLoads = true;
        load();
        pump();
        holdsLoads = false;
    }
    void loadEnd() {
        heldLoads.forEach(Runnable::run);
        heldLoads.clear();
    }

    // What a broker's operator or a race would have to bring about; no API does.

    void inactive() throws ReflectiveOperationException { ((java.util.concurrent.atomic.AtomicBoolean) get(service, "isActive")).set(false); }
    void maxSize(int most) throws ReflectiveOperationException {
        Field f = GroupCoordinatorConfig.class.getDeclaredField("classicGroupMaxSize");
        f.setAccessible(true);
        f.set(groupConfig, most);
    }
    boolean forceState(String group, ClassicGroupState state) throws ReflectiveOperationException {
        for (ClassicGroup c : classicGroups()) if (c.groupId().equals(group)) {
            Field f = ClassicGroup.class.getDeclaredField("state");
            f.setAccessible(true);
            f.set(c, state);
            return true;
        }
        return false;
    }

    void failAppends(int count, Errors e) { failures = count; failure = e; }
    void commitAll() { log.keySet().forEach(this::commit); }

    private void commit(int partition) {
        PartitionLog l = log.get(partition);
        if (l.listener != null)
            l.listener.onHighWatermarkUpdated(new TopicPartition(org.apache.kafka.common.internals.Topic.GROUP_METADATA_TOPIC_NAME, partition), l.records.size());
    }

    // ---------------------------------------------------------------- metadata

    void topics(List<Topic> topics, List<String> delete) {
        MetadataDelta d = new MetadataDelta(image);
        List<TopicPartition> gone = new ArrayList<>();
        Set<Uuid> goneIds = new HashSet<>();
        for (String name : delete) {
            TopicImage old = image.topics().getTopic(name);
            if (old != null) { remove(d, old, gone); goneIds.add(old.id()); }
        }
        for (Topic t : topics) {
            TopicImage old = image.topics().getTopic(t.name());
            if (old != null && t.id() != null && !old.id().equals(t.id())) { remove(d, old, gone); goneIds.add(old.id()); old = null; }
            Uuid id = old != null ? old.id() : t.id() != null ? t.id() : idFor(t.name());
            if (old == null) d.replay(new TopicRecord().setName(t.name()).setTopicId(id));
            for (int i = 0; i < t.partitions(); i++) {
                List<Integer> replicas = t.racks() == null ? List.of(BROKER) : t.racks().get(i % t.racks().size()).stream().map(r -> brokerIn(d, r)).toList();
                PartitionRegistration was = old == null ? null : old.partitions().get(i);
                if (was == null) partition(d, id, i, replicas);
                else if (t.racks() != null)
                    d.replay(new PartitionChangeRecord().setTopicId(id).setPartitionId(i).setReplicas(replicas).setIsr(replicas).setLeader(replicas.get(0)));
            }
        }
        publish(d);
        if (!gone.isEmpty()) { // as GroupCoordinatorService.onPartitionsDeleted, which would block
            runtime.scheduleWriteAllOperation("on-partition-deleted", Duration.ofSeconds(5), s -> s.onPartitionsDeleted(gone));
            runtime.scheduleWriteAllOperation("maybe-cleanup-share-group-state", Duration.ofSeconds(5), s -> s.maybeCleanupShareGroupState(goneIds));
        }
        Release.newImage(service, image, d);
    }

    private void publish(MetadataDelta d) {
        boolean first = image == MetadataImage.EMPTY;
        image = d.apply(new MetadataProvenance(image.provenance().lastContainedOffset() + 1, 1, clock.ms, true));
        cache.setImage(image);
        if (first) Release.newImage(service, image, d);
    }

    private int brokerIn(MetadataDelta d, String rack) {
        return rackBroker.computeIfAbsent(rack, r -> { int id = 100 + rackBroker.size(); register(d, id, r); return id; });
    }

    private static void register(MetadataDelta d, int id, String rack) {
        RegisterBrokerRecord r = new RegisterBrokerRecord().setBrokerId(id).setBrokerEpoch(1).setRack(rack).setFenced(false).setIncarnationId(new Uuid(id, id));
        r.endPoints().add(new RegisterBrokerRecord.BrokerEndpoint().setName("PLAINTEXT").setHost("127.0.0.1").setPort(9092).setSecurityProtocol((short) 0));
        d.replay(r);
    }

    private static void partition(MetadataDelta d, Uuid topic, int index, List<Integer> replicas) {
        d.replay(new PartitionRecord().setTopicId(topic).setPartitionId(index).setReplicas(replicas).setIsr(replicas).setLeader(replicas.get(0)));
    }

    private static void remove(MetadataDelta d, TopicImage t, List<TopicPartition> gone) {
        d.replay(new RemoveTopicRecord().setTopicId(t.id()));
        t.partitions().keySet().forEach(i -> gone.add(new TopicPartition(t.name(), i)));
    }

    /** Topic ids are the same in every run unless the caller gives one. */
    private static Uuid idFor(String name) {
        UUID u = UUID.nameUUIDFromBytes(name.getBytes(java.nio.charset.StandardCharsets.UTF_8));
        return new Uuid(u.getMostSignificantBits(), u.getLeastSignificantBits());
    }

    // ---------------------------------------------------------------- looking inside

    private List<ClassicGroup> classicGroups() throws ReflectiveOperationException {
        List<ClassicGroup> out = new ArrayList<>();
        for (int i : log.keySet()) {
            Object ctx = ((Map<?, ?>) get(runtime, "coordinators")).get(new TopicPartition(org.apache.kafka.common.internals.Topic.GROUP_METADATA_TOPIC_NAME, i));
            Object coordinator = ctx == null ? null : get(ctx, "coordinator");
            if (coordinator == null) continue;
            Object shard = get(coordinator, "coordinator");
            for (Object g : ((Map<?, ?>) get(get(shard, "groupMetadataManager"), "groups")).values()) if (g instanceof ClassicGroup c) out.add(c);
        }
        return out;
    }

    /** Soft state of classic groups, which no API shows. */
    Map<String, Object> classicInternals() {
        Map<String, Object> out = new TreeMap<>();
        try {
            for (ClassicGroup c : classicGroups()) {
                Map<String, Object> m = new LinkedHashMap<>();
                m.put("state", c.currentState().toString());
                m.put("generation", c.generationId());
                m.put("leader", c.leaderOrNull());
                m.put("protocol", c.protocolName().orElse(null));
                m.put("members_in_map_order", new ArrayList<>(c.allMemberIds()));
                m.put("static", get(c, "staticMembers"));
                m.put("pending_join", new TreeSet<>((Set<String>) get(c, "pendingJoinMembers")));
                m.put("pending_sync", new TreeSet<>(c.allPendingSyncMembers()));
                m.put("awaiting_join", c.numAwaitingJoinResponse());
                out.put(c.groupId(), m);
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
        return out;
    }

    private static Object get(Object o, String field) throws ReflectiveOperationException {
        Field f = o.getClass().getDeclaredField(field);
        f.setAccessible(true);
        return f.get(o);
    }
}
