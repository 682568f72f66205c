/* Connections, the versions that each broker serves, and the requests that are out. */
#include "consumer/state.h"

#include <string.h>

/* What this client speaks. Below Fetch 4 brokers (before 0.11) know no record batches; from 13 on, and OffsetCommit and
 * OffsetFetch from 10 on, topics are named by id. */
static const struct { int16_t api_key, low, high; } spoken[] = {
    {RJ_API_FETCH, 4, 12},       {RJ_API_LIST_OFFSETS, 1, 7},   {RJ_API_METADATA, 1, 12},
    {RJ_API_OFFSET_COMMIT, 2, 9}, {RJ_API_OFFSET_FETCH, 1, 9},   {RJ_API_FIND_COORDINATOR, 0, 6},
    {RJ_API_JOIN_GROUP, 0, 9},   {RJ_API_HEARTBEAT, 0, 4},      {RJ_API_LEAVE_GROUP, 0, 5},
    {RJ_API_SYNC_GROUP, 0, 5},   {RJ_API_API_VERSIONS, 0, 3},
};

static int16_t highest_spoken(const struct rj_consumer *c, int16_t api_key)
{
    for (size_t i = 0; i < sizeof spoken / sizeof spoken[0]; i++)
        if (spoken[i].api_key == api_key) {
            int16_t cap = c->config.version_caps[api_key];
            return cap >= 0 && cap < spoken[i].high ? cap : spoken[i].high;
        }
    return -1;
}

static int16_t lowest_spoken(int16_t api_key)
{
    for (size_t i = 0; i < sizeof spoken / sizeof spoken[0]; i++)
        if (spoken[i].api_key == api_key)
            return spoken[i].low;
    return INT16_MAX;
}

/* -1: there is no version that both know. */
int16_t rj_connection_version(const struct rj_consumer *c, const struct connection *connection, int16_t api_key)
{
    int16_t high = highest_spoken(c, api_key), low = lowest_spoken(api_key);
    if (connection->high[api_key] < high)
        high = connection->high[api_key];
    return high < low || high < connection->low[api_key] ? -1 : high;
}

struct connection *rj_connection_by_id(struct rj_consumer *c, uint32_t id)
{
    for (int32_t i = 0; i < c->connection_count; i++)
        if (c->connections[i].id == id)
            return &c->connections[i];
    return NULL;
}

struct connection *rj_connection_for(struct rj_consumer *c, enum rj_connection_role role, int32_t node_id)
{
    for (int32_t i = 0; i < c->connection_count; i++)
        if (c->connections[i].role == role && (role == RJ_CONNECTION_BOOTSTRAP || c->connections[i].node_id == node_id))
            return &c->connections[i];
    return NULL;
}

static void open_connection(struct rj_consumer *c, enum rj_connection_role role, int32_t node_id, struct rj_string host,
                            int32_t port)
{
    void *items = c->connections;
    if (!rj_consumer_grow(c, &items, &c->connection_capacity, c->connection_count, sizeof *c->connections))
        return;
    c->connections = items;
    struct rj_consumer_action *action = rj_consumer_act(c, RJ_CONSUMER_CONNECT);
    if (action == NULL)
        return;
    struct connection *connection = &c->connections[c->connection_count++];
    memset(connection, 0, sizeof *connection);
    connection->id = ++c->next_connection_id;
    connection->role = role;
    connection->node_id = node_id;
    connection->opened_ms = c->now_ms;
    action->as.connect.connection_id = connection->id;
    action->as.connect.role = role;
    action->as.connect.node_id = node_id;
    action->as.connect.host = rj_consumer_step_string(c, host);
    action->as.connect.port = port;
}

static struct node *find_node(struct rj_consumer *c, int32_t node_id)
{
    for (int32_t i = 0; i < c->metadata.node_count; i++)
        if (c->metadata.nodes[i].node_id == node_id)
            return &c->metadata.nodes[i];
    return NULL;
}

/* The bootstrap addresses in turn, and once they failed the brokers that are known, too. */
static void open_bootstrap(struct rj_consumer *c)
{
    if (c->now_ms < c->bootstrap_retry_at_ms) {
        rj_consumer_wake(c, c->bootstrap_retry_at_ms);
        return;
    }
    int32_t choices = c->config.bootstrap_count + c->metadata.node_count, next = c->bootstrap_next++ % choices;
    if (next < c->config.bootstrap_count) {
        const struct rj_consumer_bootstrap *address = &c->config.bootstrap[next];
        open_connection(c, RJ_CONNECTION_BOOTSTRAP, NO_NODE, address->host, address->port);
    } else {
        const struct node *node = &c->metadata.nodes[next - c->config.bootstrap_count];
        open_connection(c, RJ_CONNECTION_BOOTSTRAP, node->node_id, node->host, node->port);
    }
}

struct connection *rj_connection_ready(struct rj_consumer *c, enum rj_connection_role role, int32_t node_id)
{
    struct connection *connection = rj_connection_for(c, role, node_id);
    if (connection != NULL) {
        if (connection->state == CONNECTION_READY)
            return connection;
        if (connection->state == CONNECTION_OPENING)
            rj_consumer_wake(c, connection->opened_ms + c->config.request_timeout_ms);
        return NULL;
    }
    if (role == RJ_CONNECTION_BOOTSTRAP) {
        open_bootstrap(c);
    } else if (role == RJ_CONNECTION_COORDINATOR) {
        open_connection(c, role, node_id, c->coordinator_host, c->coordinator_port);
    } else {
        struct node *node = find_node(c, node_id);
        if (node == NULL)
            c->metadata_wanted = true;
        else if (c->now_ms < node->retry_at_ms)
            rj_consumer_wake(c, node->retry_at_ms);
        else
            open_connection(c, role, node_id, node->host, node->port);
    }
    return NULL;
}

struct connection *rj_connection_for_discovery(struct rj_consumer *c)
{
    return rj_connection_ready(c, RJ_CONNECTION_BOOTSTRAP, NO_NODE);
}

struct connection *rj_connection_to_coordinator(struct rj_consumer *c)
{
    return c->coordinator_node == NO_NODE
        ? NULL : rj_connection_ready(c, RJ_CONNECTION_COORDINATOR, c->coordinator_node);
}

static void remove_connection(struct rj_consumer *c, uint32_t id)
{
    struct connection *connection = rj_connection_by_id(c, id);
    if (connection != NULL)
        *connection = c->connections[--c->connection_count];
}

/* Takes one lost request out and lets its part know. */
static void request_lost(struct rj_consumer *c, const struct in_flight *request)
{
    if (request->ignored)
        return;
    switch (request->api_key) {
    case RJ_API_METADATA:
    case RJ_API_FIND_COORDINATOR:
        rj_discovery_failed(c, request->api_key);
        break;
    case RJ_API_JOIN_GROUP:
    case RJ_API_SYNC_GROUP:
    case RJ_API_HEARTBEAT:
    case RJ_API_LEAVE_GROUP:
        rj_membership_request_lost(c, request);
        break;
    case RJ_API_OFFSET_COMMIT:
        rj_commit_request_lost(c);
        break;
    case RJ_API_OFFSET_FETCH:
    case RJ_API_LIST_OFFSETS:
        rj_positions_request_lost(c, request->api_key);
        break;
    case RJ_API_FETCH:
        rj_fetch_request_lost(c, request);
        break;
    default: /* ApiVersions: the connection is gone, nobody waits */
        break;
    }
}

static void drop_requests(struct rj_consumer *c, uint32_t connection_id)
{
    for (int32_t i = 0; i < c->in_flight_count;) {
        if (c->in_flight[i].connection_id != connection_id) {
            i++;
            continue;
        }
        struct in_flight request = c->in_flight[i];
        memmove(&c->in_flight[i], &c->in_flight[i + 1], (size_t)(--c->in_flight_count - i) * sizeof request);
        request_lost(c, &request);
        i = 0; /* what was told may have changed the list */
    }
}

void rj_connection_lost(struct rj_consumer *c, uint32_t id)
{
    struct connection *known = rj_connection_by_id(c, id);
    if (known == NULL)
        return;
    struct connection connection = *known;
    remove_connection(c, id);
    drop_requests(c, id);
    if (connection.role == RJ_CONNECTION_BOOTSTRAP) {
        c->bootstrap_failures++;
        c->bootstrap_retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, c->bootstrap_failures);
    } else if (connection.role == RJ_CONNECTION_COORDINATOR) {
        /* cl-hb-disconnect: the coordinator is unknown, the membership stays. */
        if (c->coordinator_node == connection.node_id) {
            rj_discovery_forget_coordinator(c);
            c->coordinator_failures++;
            c->coordinator_retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, c->coordinator_failures);
        }
    } else {
        struct node *node = find_node(c, connection.node_id);
        if (node != NULL) {
            node->failures++;
            node->retry_at_ms = c->now_ms + rj_consumer_backoff_ms(c, node->failures);
        }
        c->metadata_wanted = true;
    }
}

void rj_connection_close(struct rj_consumer *c, uint32_t id)
{
    struct rj_consumer_action *action = rj_consumer_act(c, RJ_CONSUMER_DISCONNECT);
    if (action != NULL)
        action->as.disconnect.connection_id = id;
    rj_connection_lost(c, id);
}

static void ask_versions(struct rj_consumer *c, struct connection *connection, int16_t version)
{
    struct rj_api_versions_request *request = rj_consumer_step_alloc(c, 1, sizeof *request);
    if (request == NULL)
        return;
    rj_message_init(&rj_api_versions_request_schema, request);
    if (version >= 3) {
        request->client_software_name = RJ_STRING("rejoin");
        request->client_software_version = RJ_STRING("0.1.0");
    }
    connection->state = CONNECTION_ASKING_VERSIONS;
    connection->versions_version = version;
    rj_consumer_send(c, connection, RJ_API_API_VERSIONS, version, request);
}

void rj_connection_opened(struct rj_consumer *c, struct connection *connection)
{
    if (connection->state == CONNECTION_OPENING)
        ask_versions(c, connection, highest_spoken(c, RJ_API_API_VERSIONS));
}

void rj_connection_take_versions(struct rj_consumer *c, struct connection *connection, int16_t version,
                                 const struct rj_api_versions_response *response)
{
    (void)version;
    if (response->error_code == RJ_KAFKA_UNSUPPORTED_VERSION && connection->versions_version > 0) {
        int16_t next = 0; /* KIP-511: the answer names what ApiVersions versions there are; before, 0 is safe */
        for (int32_t i = 0; i < response->api_keys.count; i++)
            if (response->api_keys.items[i].api_key == RJ_API_API_VERSIONS)
                next = response->api_keys.items[i].max_version;
        if (next >= connection->versions_version || next < 0)
            next = 0;
        ask_versions(c, connection, next);
        return;
    }
    if (response->error_code != 0) {
        rj_connection_close(c, connection->id);
        return;
    }
    for (int16_t api_key = 0; api_key < HIGHEST_API; api_key++) {
        connection->low[api_key] = 0;
        connection->high[api_key] = -1;
    }
    for (int32_t i = 0; i < response->api_keys.count; i++) {
        const struct rj_api_versions_response_api_version *range = &response->api_keys.items[i];
        if (range->api_key < 0 || range->api_key >= HIGHEST_API)
            continue;
        connection->low[range->api_key] = range->min_version;
        connection->high[range->api_key] = range->max_version;
    }
    connection->state = CONNECTION_READY;
    if (connection->role == RJ_CONNECTION_BOOTSTRAP)
        c->bootstrap_failures = 0;
    struct node *node = find_node(c, connection->node_id);
    if (node != NULL && connection->role == RJ_CONNECTION_DATA)
        node->failures = 0;
}

/* How long an answer may take. JoinGroup is answered when the whole group has joined (cl-join-timeout). */
static int64_t timeout_ms(const struct rj_consumer *c, int16_t api_key)
{
    int64_t parked = (int64_t)c->config.max_poll_interval_ms + 5000;
    if ((api_key == RJ_API_JOIN_GROUP || api_key == RJ_API_SYNC_GROUP) && parked > c->config.request_timeout_ms)
        return parked;
    return c->config.request_timeout_ms;
}

struct in_flight *rj_consumer_send(struct rj_consumer *c, struct connection *connection, int16_t api_key,
                                   int16_t version,
                                   const void *body)
{
    if (version < 0) {
        rj_consumer_fail(c, api_key, RJ_KAFKA_UNSUPPORTED_VERSION, RJ_RULE_CL_UNKNOWN_VERSION_FLOOR,
                         "the broker serves no version of this API that the client knows");
        return NULL;
    }
    void *items = c->in_flight;
    if (body == NULL || !rj_consumer_grow(c, &items, &c->in_flight_capacity, c->in_flight_count, sizeof *c->in_flight))
        return NULL;
    c->in_flight = items;
    struct rj_consumer_action *action = rj_consumer_act(c, RJ_CONSUMER_SEND);
    if (action == NULL)
        return NULL;
    struct in_flight *request = &c->in_flight[c->in_flight_count++];
    *request = (struct in_flight){.connection_id = connection->id,
                                  .correlation_id = ++c->next_correlation_id,
                                  .api_key = api_key,
                                  .version = version,
                                  .deadline_ms = c->now_ms + timeout_ms(c, api_key),
                                  .membership = c->membership};
    action->as.send.connection_id = connection->id;
    action->as.send.correlation_id = request->correlation_id;
    action->as.send.api_key = api_key;
    action->as.send.version = version;
    action->as.send.body = body;
    return request;
}

bool rj_consumer_is_out(const struct rj_consumer *c, int16_t api_key)
{
    for (int32_t i = 0; i < c->in_flight_count; i++)
        if (c->in_flight[i].api_key == api_key && !c->in_flight[i].ignored)
            return true;
    return false;
}

void rj_consumer_ignore_answers(struct rj_consumer *c, int16_t api_key)
{
    for (int32_t i = 0; i < c->in_flight_count; i++)
        if (c->in_flight[i].api_key == api_key)
            c->in_flight[i].ignored = true;
}
