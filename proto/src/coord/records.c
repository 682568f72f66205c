/* Records of __consumer_offsets for groups. */
#include "coord/writes.h"

enum { GROUP_METADATA_TYPE = 2, GROUP_METADATA_VERSION = 3 };

static int compare(struct rj_string a, struct rj_string b)
{
    int order = memcmp(a.data, b.data, (size_t)(a.len < b.len ? a.len : b.len));
    return order ? order : a.len - b.len;
}

struct rj_assigned *rj_assigned_find(const struct rj_write *write, struct rj_string member_id)
{
    int32_t low = 0, high = write->assigned_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = compare(write->assigned[middle].member_id, member_id);
        if (order == 0)
            return &write->assigned[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

size_t rj_group_record_len(const struct rj_group *group)
{
    return rj_output_len(sizeof(struct rj_group_metadata_key)) + rj_output_len(sizeof(struct rj_group_metadata_value))
           + rj_output_len(group->members.count * sizeof(struct rj_group_metadata_value_member_metadata))
           + rj_output_len(sizeof(struct rj_offsets_record));
}

static struct rj_offsets_record record_of(struct rj_group *group, struct rj_group_metadata_value *value)
{
    struct rj_group_metadata_key *key = rj_output_take(group->coord->output, sizeof(*key));
    *key = (struct rj_group_metadata_key){.group = group->node.key};
    return (struct rj_offsets_record){.record_type = GROUP_METADATA_TYPE, .key = key, .value = value,
                                      .value_version = GROUP_METADATA_VERSION};
}

struct rj_offsets_record rj_group_record(struct rj_group *group, const struct rj_write *write)
{
    struct rj_output *output = group->coord->output;
    struct rj_group_metadata_value *value = rj_output_take(output, sizeof(*value));
    *value = (struct rj_group_metadata_value){
        .protocol_type = group->protocol_type.data ? group->protocol_type : RJ_EMPTY_STRING,
        .generation = group->generation_id, .protocol = group->protocol_name,
        .leader = group->leader ? group->leader->node.key : RJ_NULL_STRING,
        .current_state_timestamp = group->state_since_ms};
    value->members.items = rj_output_take(output, group->members.count * sizeof(*value->members.items));
    RJ_MAP_EACH (node, &group->members) {
        struct rj_member *member = rj_member_of(node);
        struct rj_assigned *assigned = write ? rj_assigned_find(write, node->key) : NULL;
        struct rj_bytes metadata = rj_protocols_metadata(member->protocols, group->protocol_name);
        value->members.items[value->members.count++] = (struct rj_group_metadata_value_member_metadata){
            .member_id = node->key, .group_instance_id = member->instance.key, .client_id = member->client_id,
            .client_host = member->client_host, .rebalance_timeout = member->rebalance_timeout_ms,
            .session_timeout = member->identity->session_timeout_ms, .subscription = metadata.data ? metadata : RJ_EMPTY_BYTES,
            .assignment = write == NULL ? member->assignment : assigned ? assigned->bytes : RJ_EMPTY_BYTES};
    }
    return record_of(group, value);
}

struct rj_offsets_record rj_empty_group_record(struct rj_group *group)
{
    struct rj_group_metadata_value *value = rj_output_take(group->coord->output, sizeof(*value));
    *value = (struct rj_group_metadata_value){.protocol_type = RJ_EMPTY_STRING,
                                              .current_state_timestamp = group->state_since_ms};
    return record_of(group, value);
}

struct rj_offsets_record rj_group_tombstone(struct rj_group *group) { return record_of(group, NULL); }
