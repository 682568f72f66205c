package oracle;

import java.lang.reflect.Constructor;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.requests.TransactionResult;
import org.apache.kafka.common.utils.LogContext;
import org.apache.kafka.coordinator.common.runtime.CoordinatorRecord;
import org.apache.kafka.coordinator.common.runtime.CoordinatorRuntime;
import org.apache.kafka.coordinator.common.runtime.KRaftCoordinatorMetadataDelta;
import org.apache.kafka.coordinator.common.runtime.KRaftCoordinatorMetadataImage;
import org.apache.kafka.coordinator.common.runtime.PartitionWriter;
import org.apache.kafka.coordinator.group.GroupConfigManager;
import org.apache.kafka.coordinator.group.GroupCoordinatorConfig;
import org.apache.kafka.coordinator.group.GroupCoordinatorService;
import org.apache.kafka.coordinator.group.GroupCoordinatorShard;
import org.apache.kafka.coordinator.group.PartitionMetadataClient;
import org.apache.kafka.coordinator.group.metrics.GroupCoordinatorMetrics;
import org.apache.kafka.image.MetadataDelta;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.server.share.persister.Persister;
import org.apache.kafka.server.util.timer.Timer;
import org.apache.kafka.storage.internals.log.VerificationGuard;

/** What differs between releases: Kafka 4.2. */
final class Release {
    private static final short TRANSACTION_VERSION = 2;

    /** KafkaApis calls one method of it; made without its constructor. */
    static final class NoReplicaManager extends kafka.server.ReplicaManager {
        NoReplicaManager() {
            super(null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
                null, null, null, null);
        }
        @Override public void tryCompleteActions() { }
    }

    abstract static class Writer implements PartitionWriter {
        abstract long write(TopicPartition partition, MemoryRecords batch);
        @Override public final long append(TopicPartition p, VerificationGuard guard, MemoryRecords batch, short version) {
            return write(p, batch);
        }
    }

    static CompletableFuture<Void> completeTransaction(GroupCoordinatorService service, TopicPartition partition,
            long producerId, short producerEpoch, int coordinatorEpoch, TransactionResult result) {
        return service.completeTransaction(partition, producerId, producerEpoch, coordinatorEpoch, result,
            TRANSACTION_VERSION, Duration.ofSeconds(5));
    }

    /** The constructor is not public. */
    static GroupCoordinatorService service(LogContext log, GroupCoordinatorConfig config,
            CoordinatorRuntime<GroupCoordinatorShard, CoordinatorRecord> runtime, GroupCoordinatorMetrics metrics,
            GroupConfigManager groupConfigs, Persister persister, Timer timer) throws ReflectiveOperationException {
        Constructor<GroupCoordinatorService> make = GroupCoordinatorService.class.getDeclaredConstructor(
            LogContext.class, GroupCoordinatorConfig.class, CoordinatorRuntime.class, GroupCoordinatorMetrics.class,
            GroupConfigManager.class, Persister.class, Timer.class, PartitionMetadataClient.class);
        make.setAccessible(true);
        return make.newInstance(log, config, runtime, metrics, groupConfigs, persister, timer, null);
    }

    static void newImage(GroupCoordinatorService service, MetadataImage image, MetadataDelta delta) {
        service.onNewMetadataImage(new KRaftCoordinatorMetadataImage(image), new KRaftCoordinatorMetadataDelta(delta));
    }

    private Release() { }
}
