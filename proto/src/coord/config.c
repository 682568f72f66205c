/* Settings, limits, rights, and looking up topics. */
#include "coord/state.h"


void rj_config_init(struct rj_config *config)
{
    *config = (struct rj_config){
        .group_min_session_timeout_ms = 6000, .group_max_session_timeout_ms = 1800000,
        .group_initial_rebalance_delay_ms = 3000, .group_max_size = INT32_MAX, .new_member_join_timeout_ms = 300000,
        .offset_metadata_max_bytes = 4096, .offsets_retention_ms = 7 * 24 * 3600 * 1000ll,
        .offsets_retention_check_interval_ms = 600000, .offsets_commit_timeout_ms = 5000,
        .offsets_topic_num_partitions = 50, .is_active = true,
        .behaviour = {.sync_while_loading_error = RJ_KAFKA_COORDINATOR_LOAD_IN_PROGRESS, .pending_sync_expires = true,
                      .member_id_required = true, .pending_leave_rebalances = true, .expiry_ends_initial_delay = true,
                      .groups_have_configs = true,
                      .commit_unknown_group_error = RJ_KAFKA_GROUP_ID_NOT_FOUND, .offsets_with_topic_id = true}};
}

/* major.minor as one number; -1: not a version. */
static int32_t release_number(struct rj_string release)
{
    int32_t part[2] = {0, 0};
    int parts = 0, digits = 0;
    for (int32_t i = 0; i < release.len; i++) {
        char c = release.data[i];
        if (c == '.') {
            if (digits == 0)
                return -1;
            parts++;
            digits = 0;
        } else if (c < '0' || c > '9' || ++digits > 3) {
            return -1;
        } else if (parts < 2) {
            part[parts] = part[parts] * 10 + (c - '0');
        }
    }
    return digits == 0 || parts == 0 || parts > 2 ? -1 : part[0] * 1000 + part[1];
}

bool rj_config_for_release(struct rj_config *config, struct rj_string release)
{
    enum { OLDEST = 11, SINCE_1_0 = 1000, OLDEST_SCALA_END = 4000, NEWEST = 4002 };
    int32_t number = release_number(release);
    bool known = number == OLDEST || (number >= SINCE_1_0 && number <= 1001) || (number >= 2000 && number <= 2008)
                 || (number >= 3000 && number <= 3009) || (number >= 4000 && number <= NEWEST);
    if (!known)
        return false;
    rj_config_init(config);
    bool scala = number < OLDEST_SCALA_END;
    config->behaviour.member_id_required = number >= 2002;
    config->behaviour.groups_have_configs = number >= 4000;
    config->behaviour.offsets_with_topic_id = number >= 4001;
    config->behaviour.heartbeat_in_completing_error = number < 2007 ? RJ_KAFKA_REBALANCE_IN_PROGRESS : 0;
    config->behaviour.pending_sync_expires = number >= 3000;
    if (scala) {
        config->behaviour.sync_while_loading_error = RJ_KAFKA_REBALANCE_IN_PROGRESS;
        config->behaviour.commit_unknown_group_error = RJ_KAFKA_ILLEGAL_GENERATION;
    }
    config->behaviour.pending_leave_rebalances = !scala;
    config->behaviour.stable_sync_restarts_session = scala;
    config->behaviour.refused_join_ends_phase = scala;
    config->behaviour.expiry_ends_initial_delay = !scala;
    config->behaviour.txn_makes_group_first = scala;
    config->behaviour.unstable_plain_offsets = scala;
    config->behaviour.list_groups_partial_while_loading = scala;
    return true;
}

void rj_limits_init(struct rj_limits *limits)
{
    *limits = (struct rj_limits){.groups = 1000000, .members_per_group = 1000000, .offsets = 10000000,
                                 .member_bytes = 8u << 20, .bytes = SIZE_MAX / 4};
}

/* ---- Topics ------------------------------------------------------------------------------------------------------ */

static int compare(struct rj_string a, struct rj_string b)
{
    int32_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.data, b.data, (size_t)shorter) : 0;
    return order ? order : a.len - b.len;
}

const struct rj_topic *rj_topic_by_name(const struct rj_topic_table *table, struct rj_string name)
{
    int32_t low = 0, high = table->count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = compare(table->items[middle].name, name);
        if (order == 0)
            return &table->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct rj_topic *rj_topic_by_id(const struct rj_topic_table *table, const struct rj_uuid *topic_id)
{
    for (int32_t i = 0; i < table->count; i++)
        if (rj_uuid_equal(&table->items[i].topic_id, topic_id))
            return &table->items[i];
    return NULL;
}

/* ---- Rights ------------------------------------------------------------------------------------------------------ */

static bool names(const struct rj_right *right, struct rj_string name)
{
    if (right->is_prefix)
        return right->name.len <= name.len
               && (right->name.len == 0 || memcmp(right->name.data, name.data, (size_t)right->name.len) == 0);
    return rj_string_equal(right->name, RJ_STRING("*")) || rj_string_equal(right->name, name);
}

/* An allow of these means DESCRIBE as well. */
static bool implies_describe(enum rj_operation operation)
{
    return operation == RJ_OPERATION_READ || operation == RJ_OPERATION_WRITE || operation == RJ_OPERATION_DELETE
           || operation == RJ_OPERATION_ALTER;
}

static bool covers(const struct rj_right *right, enum rj_operation operation)
{
    if (right->operation == operation || right->operation == RJ_OPERATION_ALL)
        return true;
    if (right->is_deny)
        return false;
    return (operation == RJ_OPERATION_DESCRIBE && implies_describe(right->operation))
           || (operation == RJ_OPERATION_DESCRIBE_CONFIGS && right->operation == RJ_OPERATION_ALTER_CONFIGS);
}

bool rj_is_allowed(const struct rj_rights *rights, enum rj_resource_type type, struct rj_string name,
                   enum rj_operation operation)
{
    if (rights == NULL)
        return true;
    bool allowed = false;
    for (int32_t i = 0; i < rights->count; i++) {
        const struct rj_right *right = &rights->items[i];
        if (right->resource_type != type || !names(right, name) || !covers(right, operation))
            continue;
        if (right->is_deny)
            return false;
        allowed = true;
    }
    return allowed;
}

int32_t rj_coordinator_partition(struct rj_string group_id, int32_t partition_count)
{
    int32_t hash = rj_java_hash(group_id);
    if (hash == INT32_MIN)
        return 0;
    return (hash < 0 ? -hash : hash) % partition_count;
}
