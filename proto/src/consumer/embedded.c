/* The formats inside JoinGroup and SyncGroup: a version, then the structure. */
#include "rejoin/consumer.h"

static enum rj_err fail(struct rj_fault *fault, enum rj_err err, const char *found)
{
    if (fault != NULL) {
        *fault = (struct rj_fault){.err = err, .api_key = -1, .version = -1};
        for (size_t i = 0; found[i] != '\0' && i + 1 < sizeof fault->found; i++)
            fault->found[i] = found[i];
    }
    return err;
}

static enum rj_err decode(const struct rj_message_schema *schema, struct rj_bytes input, struct rj_arena *arena,
                          void *message, int16_t *version, struct rj_fault *fault)
{
    size_t used_len;
    if (input.data == NULL || input.len < 2)
        return fail(fault, RJ_ERR_SHORT, "no version");
    int16_t written = (int16_t)(input.data[0] << 8 | input.data[1]);
    if (version != NULL)
        *version = written;
    if (written < schema->versions.low)
        return fail(fault, RJ_ERR_VERSION, "a negative version");
    int16_t readable = written > schema->versions.high ? schema->versions.high : written;
    struct rj_bytes body = {input.data + 2, input.len - 2};
    enum rj_err err = rj_decode_prefix(schema, readable, body, arena, message, &used_len, fault);
    if (err != RJ_OK && fault != NULL)
        fault->offset += 2;
    return err;
}

static enum rj_err encode(const struct rj_message_schema *schema, int16_t version, const void *message,
                          struct rj_arena *arena, struct rj_bytes *output)
{
    size_t len = 0;
    enum rj_err err = rj_encoded_len(schema, version, message, &len, NULL);
    if (err != RJ_OK)
        return err;
    if (len > INT32_MAX - 2)
        return RJ_ERR_LIMIT;
    uint8_t *data = rj_arena_alloc(arena, len + 2);
    if (data == NULL)
        return RJ_ERR_MEMORY;
    data[0] = (uint8_t)((uint16_t)version >> 8);
    data[1] = (uint8_t)version;
    *output = (struct rj_bytes){data, (int32_t)len + 2};
    return rj_encode(schema, version, message, data + 2, len, &len, NULL);
}

enum rj_err rj_decode_subscription(struct rj_bytes input, struct rj_arena *arena,
                                   struct rj_consumer_protocol_subscription *subscription, int16_t *version,
                                   struct rj_fault *fault)
{
    return decode(&rj_consumer_protocol_subscription_schema, input, arena, subscription, version, fault);
}

enum rj_err rj_decode_assignment(struct rj_bytes input, struct rj_arena *arena,
                                 struct rj_consumer_protocol_assignment *assignment, int16_t *version,
                                 struct rj_fault *fault)
{
    return decode(&rj_consumer_protocol_assignment_schema, input, arena, assignment, version, fault);
}

enum rj_err rj_encode_subscription(const struct rj_consumer_protocol_subscription *subscription, int16_t version,
                                   struct rj_arena *arena, struct rj_bytes *output)
{
    return encode(&rj_consumer_protocol_subscription_schema, version, subscription, arena, output);
}

enum rj_err rj_encode_assignment(const struct rj_consumer_protocol_assignment *assignment, int16_t version,
                                 struct rj_arena *arena, struct rj_bytes *output)
{
    return encode(&rj_consumer_protocol_assignment_schema, version, assignment, arena, output);
}
