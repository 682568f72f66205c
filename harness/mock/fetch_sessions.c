/* What a fetch asks for, kept from request to request in a session (KIP-227). */
#include "mock/internal.h"

#include <stdlib.h>
#include <string.h>

enum { SESSION_LIMIT = 1000, IDLE_MS = 120000 }; /* as Kafka: max.incremental.fetch.session.cache.slots, and when one
                                                    that is idle may be taken for another */
enum { EPOCH_INITIAL = 0, EPOCH_FINAL = -1 };

static void free_session(struct fetch_session *session)
{
    for (int32_t i = 0; i < session->item_count; i++)
        free(session->items[i].topic_name);
    free(session->items);
    free(session);
}

void mock_session_release(struct mock_cluster *cluster, struct fetch_session *session)
{
    (void)cluster;
    if (session->id == 0)
        free_session(session);
}

/* Out of the table. One that a fetch waits with goes when that fetch is answered. */
static void drop_session(struct mock_cluster *cluster, struct fetch_session *session)
{
    struct fetch_session **link = &cluster->sessions;
    while (*link != session)
        link = &(*link)->next;
    *link = session->next;
    cluster->session_count--;
    session->id = 0;
    if (session->waiting == NULL)
        free_session(session);
}

void mock_free_sessions(struct mock_cluster *cluster)
{
    while (cluster->sessions != NULL)
        drop_session(cluster, cluster->sessions);
}

static struct fetch_session *find_session(struct mock_cluster *cluster, int32_t broker_id, int32_t id)
{
    for (struct fetch_session *session = cluster->sessions; session != NULL; session = session->next)
        if (session->id == id && session->broker_id == broker_id)
            return session;
    return NULL;
}

/* ---- Partitions -------------------------------------------------------------------------------------------------- */

static bool is_item(const struct fetch_item *item, struct rj_string name, const struct rj_uuid *topic_id,
                    int32_t partition)
{
    if (item->partition != partition)
        return false;
    if (item->topic_name == NULL)
        return rj_uuid_equal(&item->topic_id, topic_id);
    return strlen(item->topic_name) == (size_t)name.len && memcmp(item->topic_name, name.data, (size_t)name.len) == 0;
}

static struct fetch_item *find_item(struct fetch_session *session, struct rj_string name,
                                    const struct rj_uuid *topic_id, int32_t partition)
{
    for (int32_t i = 0; i < session->item_count; i++)
        if (is_item(&session->items[i], name, topic_id, partition))
            return &session->items[i];
    return NULL;
}

static struct fetch_item *add_item(struct fetch_session *session)
{
    if (session->item_count == session->item_capacity) {
        int32_t capacity = session->item_capacity ? session->item_capacity * 2 : 4;
        struct fetch_item *items = realloc(session->items, (size_t)capacity * sizeof(*items));
        if (items == NULL)
            return NULL;
        session->items = items;
        session->item_capacity = capacity;
    }
    struct fetch_item *item = &session->items[session->item_count++];
    *item = (struct fetch_item){.told_high_watermark = -1, .told_log_start = -1, .topics_version = UINT64_MAX};
    return item;
}

static bool update_item(struct fetch_session *session, const struct rj_fetch_request_fetch_topic *topic,
                        const struct rj_fetch_request_fetch_partition *partition)
{
    struct fetch_item *item = session->id == 0 && session->epoch == 0
                                  ? NULL /* new: a repeated partition would only be answered twice */
                                  : find_item(session, topic->topic, &topic->topic_id, partition->partition);
    if (item == NULL) {
        item = add_item(session);
        if (item == NULL)
            return false;
        item->partition = partition->partition;
        item->topic_id = topic->topic_id;
        if (!session->uses_topic_ids) {
            item->topic_name = strndup(topic->topic.data, (size_t)topic->topic.len);
            if (item->topic_name == NULL)
                return false;
        }
    }
    item->fetch_offset = partition->fetch_offset;
    item->max_bytes = partition->partition_max_bytes;
    item->current_leader_epoch = partition->current_leader_epoch;
    return true;
}

static void forget_item(struct fetch_session *session, const struct rj_fetch_request_forgotten_topic *topic,
                        int32_t partition)
{
    struct fetch_item *item = find_item(session, topic->topic, &topic->topic_id, partition);
    if (item == NULL)
        return;
    free(item->topic_name);
    int32_t at = (int32_t)(item - session->items);
    session->item_count--;
    memmove(item, item + 1, (size_t)(session->item_count - at) * sizeof(*item));
    if (session->first > at)
        session->first--;
}

static bool update_items(struct fetch_session *session, const struct rj_fetch_request *asked)
{
    for (int32_t i = 0; i < asked->topics.count; i++)
        for (int32_t j = 0; j < asked->topics.items[i].partitions.count; j++)
            if (!update_item(session, &asked->topics.items[i], &asked->topics.items[i].partitions.items[j]))
                return false;
    for (int32_t i = 0; i < asked->forgotten_topics_data.count; i++)
        for (int32_t j = 0; j < asked->forgotten_topics_data.items[i].partitions.count; j++)
            forget_item(session, &asked->forgotten_topics_data.items[i],
                        asked->forgotten_topics_data.items[i].partitions.items[j]);
    return true;
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

/* Room for one more, where need be instead of the one that has been idle longest. */
static bool make_room(struct mock_cluster *cluster)
{
    if (cluster->session_count < SESSION_LIMIT)
        return true;
    struct fetch_session *oldest = NULL;
    for (struct fetch_session *session = cluster->sessions; session != NULL; session = session->next)
        if (session->waiting == NULL && (oldest == NULL || session->last_used_ms < oldest->last_used_ms))
            oldest = session;
    if (oldest == NULL || mock_now_ms(cluster) - oldest->last_used_ms < IDLE_MS)
        return false;
    drop_session(cluster, oldest);
    return true;
}

static void keep_session(struct mock_cluster *cluster, struct fetch_session *session)
{
    do
        session->id = (int32_t)(mock_random_number(cluster) & INT32_MAX);
    while (session->id == 0 || find_session(cluster, session->broker_id, session->id) != NULL);
    session->epoch = 1;
    session->next = cluster->sessions;
    cluster->sessions = session;
    cluster->session_count++;
}

static struct fetch_session *continue_session(struct request *request, const struct rj_fetch_request *asked,
                                              int16_t *error)
{
    struct fetch_session *session = find_session(request->cluster, request->broker_id, asked->session_id);
    if (session == NULL)
        *error = RJ_KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    else if (session->epoch != asked->session_epoch || session->waiting != NULL)
        *error = RJ_KAFKA_INVALID_FETCH_SESSION_EPOCH;
    else if (session->uses_topic_ids != (request->version >= 13))
        *error = RJ_KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
    else if (!update_items(session, asked))
        *error = RJ_KAFKA_KAFKA_STORAGE_ERROR;
    else
        session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    return *error == RJ_KAFKA_NONE ? session : NULL;
}

struct fetch_session *mock_session_of_request(struct request *request, bool *is_full, int16_t *error)
{
    struct mock_cluster *cluster = request->cluster;
    const struct rj_fetch_request *asked = request->body;
    struct fetch_session *session;
    *error = RJ_KAFKA_NONE;
    *is_full = asked->session_epoch == EPOCH_INITIAL || asked->session_epoch == EPOCH_FINAL;
    if (!*is_full) {
        session = continue_session(request, asked, error);
    } else {
        struct fetch_session *old =
            asked->session_id ? find_session(cluster, request->broker_id, asked->session_id) : NULL;
        if (old != NULL)
            drop_session(cluster, old);
        session = calloc(1, sizeof(*session));
        if (session == NULL) {
            *error = RJ_KAFKA_KAFKA_STORAGE_ERROR;
            return NULL;
        }
        session->broker_id = request->broker_id;
        session->uses_topic_ids = request->version >= 13;
        if (!update_items(session, asked)) {
            free_session(session);
            *error = RJ_KAFKA_KAFKA_STORAGE_ERROR;
            return NULL;
        }
        if (asked->session_epoch == EPOCH_INITIAL && session->item_count > 0 && make_room(cluster))
            keep_session(cluster, session);
    }
    if (session != NULL)
        session->last_used_ms = mock_now_ms(cluster);
    return session;
}
