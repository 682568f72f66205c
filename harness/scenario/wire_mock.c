/* A mock cluster of its own for each run, in this process. */
#include "scenario/rights.h"
#include "scenario/wire.h"

#include "rejoin/errors.h"
#include "support/memory.h"

#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ELSEWHERE_BROKER = 1, LOADING_MS = 3600000 };

/* ---- What the mock tells ----------------------------------------------------------------------------------------- */

static void see_frame(void *context, const struct mock_frame *frame)
{
    struct wire_run *run = context;
    struct scn_exchange *exchange = scn_run_exchange(run->run, frame->correlation_id);
    if (exchange == NULL)
        return;
    if (!frame->is_response) {
        exchange->arrived_ms = wire_now_ms(run->run);
        return;
    }
    exchange->knows_rule = true;
    exchange->rule = frame->rule;
}

static void see_group(void *context, int64_t time_us, int32_t broker_id, const struct rj_state_change *change)
{
    (void)time_us;
    (void)broker_id;
    struct wire_run *run = context;
    run->run->seen_rules[change->rule] = true;
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void configure(const struct scenario *scenario, const char *kafka_version, struct rj_config *config)
{
    rj_config_init(config);
    rj_config_for_release(config, (struct rj_string){kafka_version, (int32_t)strlen(kafka_version)});
    const int64_t *settings = scenario->settings;
    config->group_initial_rebalance_delay_ms = (int32_t)settings[SCN_INITIAL_DELAY];
    config->group_min_session_timeout_ms = (int32_t)settings[SCN_MIN_SESSION];
    config->group_max_session_timeout_ms = (int32_t)settings[SCN_MAX_SESSION];
    config->group_max_size = (int32_t)settings[SCN_MAX_SIZE];
    config->offsets_retention_ms = settings[SCN_RETENTION];
    config->offsets_retention_check_interval_ms = settings[SCN_RETENTION_CHECK];
    config->offset_metadata_max_bytes = (int32_t)settings[SCN_METADATA_MAX];
    config->offsets_commit_timeout_ms = (int32_t)settings[SCN_COMMIT_TIMEOUT];
    config->new_member_join_timeout_ms = (int32_t)settings[SCN_NEW_MEMBER_TIMEOUT];
}

/* The answer as JSON; NULL: there is none at once. Takes body. */
static json_t *ask(struct wire_run *run, int16_t api_key, int16_t version, json_t *body)
{
    const struct rj_message_schema *schema = rj_request_schema(api_key);
    struct rj_arena arena;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    char *text = json_dumps(body, JSON_COMPACT);
    void *request = rj_arena_alloc(&arena, schema->root->size);
    const void *answer = NULL;
    if (rj_parse_json(schema, version, (struct rj_string){text, (int32_t)strlen(text)}, &arena, request, NULL) == RJ_OK)
        answer = mock_ask(run->mock, api_key, version, request);
    struct rejoin_buffer printed = {0};
    struct rj_writer writer = rejoin_buffer_writer(&printed);
    if (answer != NULL)
        rj_print_json(rj_response_schema(api_key), version, answer, &writer);
    json_t *result = answer ? json_loadb((const char *)printed.data, printed.len, 0, NULL) : NULL;
    rejoin_buffer_free(&printed);
    rj_arena_release(&arena);
    free(text);
    json_decref(body);
    return result;
}

/* Its id, for requests that name topics by it. */
static void learn_topic(struct wire_run *run, const char *name)
{
    json_t *answer = ask(run, 3, 12, json_pack("{s:[{s:s}]}", "topics", "name", name));
    json_t *id = json_object_get(json_array_get(json_object_get(answer, "topics"), 0), "topicId");
    if (id != NULL)
        json_object_set(run->run->names, name, id);
    json_decref(answer);
}

static bool is_served(struct wire_run *run)
{
    const struct scenario *scenario = run->run->scenario;
    const struct mock_api *apis;
    int count = mock_apis(run->mock, &apis);
    for (int i = 0; i < scenario->step_count; i++) {
        const struct scn_step *step = &scenario->steps[i];
        int16_t version = step->verb == SCN_SEND ? scn_step_version(scenario, step) : 0;
        bool found = step->verb != SCN_SEND;
        for (int k = 0; k < count; k++)
            found = found || (apis[k].api_key == step->api_key && apis[k].low <= version && version <= apis[k].high);
        if (found)
            continue;
        scn_run_end(run->run, SCN_NOT_RUN, 0, "line %d: the mock as Kafka %s does not advertise %s v%d", step->line,
                    run->wire->options->kafka_version, rj_api_name(step->api_key), version);
        return false;
    }
    return true;
}

static void aim(struct wire_run *run)
{
    struct sockaddr_in *address = (struct sockaddr_in *)&run->address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
                                    .sin_port = htons(mock_port(run->mock, mock_coordinator_of(run->mock, "g")))};
}

/* Only then is there need of another broker. */
static bool moves_away(const struct scenario *scenario)
{
    for (int i = 0; i < scenario->step_count; i++)
        if (scenario->steps[i].verb == SCN_UNLOAD)
            return true;
    return false;
}

bool wire_mock_open(struct wire_run *run)
{
    const struct scenario *scenario = run->run->scenario;
    struct mock_options options;
    struct rj_config config;
    struct mock_topic topics[8];
    char error[256];
    mock_options_init(&options);
    configure(scenario, run->wire->options->kafka_version, &config);
    for (int i = 0; i < scenario->topic_count; i++)
        topics[i] = (struct mock_topic){scenario->topics[i].name, scenario->topics[i].partition_count};
    options.kafka_version = run->wire->options->kafka_version;
    options.broker_count = moves_away(scenario) ? 2 : 1;
    options.topics = topics;
    options.topic_count = scenario->topic_count;
    options.config = &config;
    options.auto_create_topics = false;
    if (scenario->settings[SCN_LIMIT_GROUPS] > 0)
        options.limits.coordinator.groups = (int32_t)scenario->settings[SCN_LIMIT_GROUPS];
    if (mock_start(&run->mock, &run->wire->loop, &options, error, sizeof(error)) != MOCK_STARTED) {
        run->mock = NULL;
        scn_run_end(run->run, SCN_BROKEN, 0, "the mock does not start: %s", error);
        return false;
    }
    run->observer = (struct mock_observer){.frame = see_frame, .group = see_group, .context = run};
    mock_add_observer(run->mock, &run->observer);
    for (int i = 0; i < scenario->topic_count; i++)
        learn_topic(run, scenario->topics[i].name);
    for (const char *group = "abcdefgh"; *group != 0; group++) /* all on the broker that is asked */
        mock_move_coordinator(run->mock, (const char[]){*group, 0}, 0, 0);
    aim(run);
    return is_served(run);
}

void wire_mock_close(struct wire_run *run)
{
    mock_remove_observer(run->mock, &run->observer);
    mock_set_rights(run->mock, NULL);
    mock_stop(run->mock, NULL, NULL);
    run->mock = NULL;
    free(run->rights);
}

/* ---- Control ----------------------------------------------------------------------------------------------------- */

static enum scn_control control_topic(struct wire_run *run, const struct scn_step *step)
{
    const char *name = step->fields.items[0].value, *what = step->fields.items[1].value;
    int16_t error;
    if (strcmp(what, "gone") == 0)
        error = mock_delete_topic(run->mock, name);
    else if (mock_partition_count(run->mock, name) < 0)
        error = mock_create_topic(run->mock, name, atoi(what));
    else
        error = mock_add_partitions(run->mock, name, atoi(what));
    if (strcmp(what, "gone") != 0)
        learn_topic(run, name);
    const char *text = rj_kafka_error_name(error);
    snprintf(run->run->why, sizeof(run->run->why), "%s", text ? text : "?");
    return error == 0 ? SCN_DONE : SCN_CANNOT;
}

static enum scn_control control_rights(struct wire_run *run, const struct scn_step *step)
{
    enum { NAME_LEN = 400 };
    mock_set_rights(run->mock, NULL);
    free(run->rights);
    run->rights = rejoin_alloc_zeroed(1, sizeof(struct rj_right) * RIGHTS_MOST + NAME_LEN);
    char *name = (char *)(run->rights + RIGHTS_MOST);
    run->right_list = (struct rj_rights){run->rights, scn_rights(run->run, step, name, NAME_LEN, run->rights)};
    if (run->right_list.count == 0)
        return SCN_CANNOT;
    mock_set_rights(run->mock, &run->right_list);
    return SCN_DONE;
}

static enum scn_control mock_control(struct scn_run *run, const struct scn_step *step)
{
    struct wire_run *of_wire = run->host;
    struct mock_cluster *mock = of_wire->mock;
    int16_t error = 0;
    if (step->verb == SCN_TOPIC)
        return control_topic(of_wire, step);
    if (step->verb == SCN_DENY)
        return control_rights(of_wire, step);
    if (wire_is_txn(step))
        return wire_control_txn(of_wire, step, ask);
    if (step->verb == SCN_RELOAD || step->verb == SCN_LOADED)
        return mock_move_coordinator(mock, "g", 0, 0) ? SCN_DONE : SCN_CANNOT;
    if (step->verb == SCN_UNLOAD)
        return mock_move_coordinator(mock, "g", ELSEWHERE_BROKER, 0) ? SCN_DONE : SCN_CANNOT;
    if (step->verb == SCN_LEADERLESS)
        return mock_move_coordinator(mock, "g", MOCK_NO_BROKER, 0) ? SCN_DONE : SCN_CANNOT;
    if (step->verb == SCN_LOADING)
        return mock_move_coordinator(mock, "g", 0, LOADING_MS) ? SCN_DONE : SCN_CANNOT;
    if (step->verb == SCN_FAIL_APPEND && scn_error_by_name(step->fields.items[0].value, &error)) {
        mock_fail_appends(mock, error, step->fields.count > 1 ? atoi(step->fields.items[1].value) : 1);
        return SCN_DONE;
    }
    snprintf(run->why, sizeof(run->why), "the mock cannot do that");
    return SCN_CANNOT;
}

const struct scn_target scn_mock_target = {
    .kind = SCN_MOCK, .name = "the mock", .tells_rules = true, .settle_ms = 1, .now_ms = wire_now_ms,
    .send = wire_send, .disconnect = wire_disconnect, .control = mock_control};
