/* ConsumerProtocolSubscription and ConsumerProtocolAssignment: a version, then the structure; a version newer than
 * known is read in the newest layout known, and the tail ignored, as Kafka's clients do. */
#include "check/state.h"

static bool read_embedded(struct rj_checker *checker, const struct rj_message_schema *schema, struct rj_bytes bytes,
                          void *message)
{
    size_t consumed;
    if (bytes.data == NULL || bytes.len < 2)
        return false;
    int16_t version = (int16_t)(bytes.data[0] << 8 | bytes.data[1]);
    if (version < 0)
        return false;
    if (version > schema->versions.high)
        version = schema->versions.high;
    return rj_decode_prefix(schema, version, (struct rj_bytes){bytes.data + 2, bytes.len - 2}, &checker->scratch,
                            message, &consumed, NULL) == RJ_OK;
}

bool rj_read_subscription(struct rj_checker *checker, struct rj_bytes bytes,
                          struct rj_consumer_protocol_subscription *subscription)
{
    return read_embedded(checker, &rj_consumer_protocol_subscription_schema, bytes, subscription);
}

bool rj_read_assignment(struct rj_checker *checker, struct rj_bytes bytes,
                        struct rj_consumer_protocol_assignment *assignment)
{
    if (bytes.len == 0) {
        rj_message_init(&rj_consumer_protocol_assignment_schema, assignment);
        return true;
    }
    return read_embedded(checker, &rj_consumer_protocol_assignment_schema, bytes, assignment);
}

bool rj_is_cooperative(struct rj_string protocol_name)
{
    return rj_string_equal(protocol_name, RJ_STRING("cooperative-sticky"));
}

/* Assignors of the common clients, none of which gives a partition to two members. */
bool rj_is_disjoint_assignor(struct rj_string protocol_name)
{
    return rj_is_cooperative(protocol_name) || rj_string_equal(protocol_name, RJ_STRING("range")) ||
           rj_string_equal(protocol_name, RJ_STRING("roundrobin")) ||
           rj_string_equal(protocol_name, RJ_STRING("sticky"));
}
