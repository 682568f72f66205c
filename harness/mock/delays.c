/* Requests and answers that a fault keeps back, by time or until they are released. */
#include "mock/internal.h"

/* The first millisecond of the loop's clock that is not before it: the loop counts whole ones, and may lag behind. */
static int64_t wake_ms(const struct mock_cluster *cluster, int64_t due_us)
{
    return cluster->wall_base_ms + (due_us - cluster->wall_base_us + 999) / 1000;
}

static void keep_back(struct connection *connection, struct rj_bytes frame, bool is_answer)
{
    struct mock_cluster *cluster = connection->cluster;
    connection->kept_frame.len = 0;
    if (!mock_buffer_append(&connection->kept_frame, frame.data, (size_t)frame.len)) {
        mock_close_connection(connection, MOCK_CLOSED_LIMIT);
        return;
    }
    enum mock_action action = connection->verdict.action;
    connection->parked = PARKED_FAULT;
    connection->holds_answer = is_answer;
    connection->due_us = INT64_MAX;
    if (action == MOCK_DELAY_REQUEST || action == MOCK_DELAY_ANSWER) {
        connection->due_us = mock_now_us(cluster) + (int64_t)connection->verdict.delay_ms * 1000;
        mock_wake_at(cluster, wake_ms(cluster, connection->due_us));
    }
    connection->next_due = cluster->due;
    cluster->due = connection;
}

void mock_keep_request_back(struct connection *connection, struct rj_bytes frame)
{
    keep_back(connection, frame, false);
}

void mock_keep_answer_back(struct connection *connection, struct rj_bytes frame) { keep_back(connection, frame, true); }

void mock_forget_delay(struct connection *connection)
{
    struct connection **link = &connection->cluster->due;
    while (*link != NULL && *link != connection)
        link = &(*link)->next_due;
    if (*link != NULL)
        *link = connection->next_due;
}

static void let_go(struct connection *connection)
{
    struct buffer kept = connection->kept_frame;
    mock_forget_delay(connection);
    if (connection->holds_answer)
        mock_tell_kept_answer(connection, (struct rj_bytes){kept.data, (int32_t)kept.len});
    connection->kept_frame = (struct buffer){0};
    connection->verdict = (struct mock_verdict){0};
    mock_resume_connection(connection);
    if (connection->holds_answer) {
        if (!mock_buffer_append(&connection->out, kept.data, kept.len))
            mock_close_connection(connection, MOCK_CLOSED_LIMIT);
    } else {
        mock_process_frame(connection, (struct rj_bytes){kept.data, (int32_t)kept.len}, true);
    }
    mock_buffer_free(&kept);
}

void mock_release_due(struct mock_cluster *cluster, int64_t *next_ms)
{
    int64_t now_us = mock_now_us(cluster);
    for (bool found = true; found;) {
        found = false;
        for (struct connection *connection = cluster->due; connection != NULL && !found;
             connection = connection->next_due)
            if (connection->due_us <= now_us) {
                let_go(connection);
                found = true; /* the list may have changed */
            }
    }
    for (struct connection *connection = cluster->due; connection != NULL; connection = connection->next_due)
        if (connection->due_us < INT64_MAX && wake_ms(cluster, connection->due_us) < *next_ms)
            *next_ms = wake_ms(cluster, connection->due_us);
}

int mock_release(struct mock_cluster *cluster, uint64_t hold_id)
{
    int count = 0;
    for (bool found = true; found;) {
        found = false;
        for (struct connection *connection = cluster->due; connection != NULL && !found;
             connection = connection->next_due) {
            enum mock_action action = connection->verdict.action;
            found = (action == MOCK_HOLD_REQUEST || action == MOCK_HOLD_ANSWER) &&
                    connection->verdict.hold_id == hold_id;
            if (found)
                let_go(connection);
        }
        count += found;
    }
    mock_flush_connections(cluster);
    return count;
}
