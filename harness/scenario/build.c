/* Requests out of a step: what the actor would send, and what the step says over that. */
#include "scenario/run.h"

#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct build {
    struct scn_run *run;
    const struct scn_step *step;
    const struct rj_schema_struct *root;
    int16_t version;
    json_t *body;
};

/* Names the word as it is written and where, which may be in the actor's declaration; piece: what in it is wrong, NULL:
 * all of it. */
static bool fail(struct build *build, const struct scn_field *word, const char *piece, const char *what)
{
    if (piece != NULL && strcmp(piece, word->word) != 0)
        scn_run_end(build->run, SCN_BROKEN, word->line, "column %d: found '%s' in '%s', expected %s", word->column,
                    piece, word->word, what);
    else
        scn_run_end(build->run, SCN_BROKEN, word->line, "column %d: found '%s', expected %s", word->column, word->word,
                    what);
    return false;
}

/* What the step says of it, else the actor's declaration; NULL: nothing does. */
static const struct scn_field *find_word(const struct build *build, const char *name)
{
    const struct scn_fields *places[] = {&build->step->fields,
                                         &build->run->scenario->actors[build->step->actor].defaults};
    for (int p = 0; p < 2; p++)
        for (int i = places[p]->count - 1; i >= 0; i--)
            if (places[p]->items[i].name != NULL && strcmp(places[p]->items[i].name, name) == 0)
                return &places[p]->items[i];
    return NULL;
}

static const char a_text[] = "text, \"text\" or a $NAME that stands for something";

/* What the word of that name says; NULL: nothing stands behind its $NAME, and the run has ended. Takes otherwise, which
 * is for where there is no such word. */
static json_t *text_or(struct build *build, const char *name, json_t *otherwise)
{
    const struct scn_field *word = find_word(build, name);
    if (word == NULL)
        return otherwise;
    json_decref(otherwise);
    json_t *text = word->is_quoted ? json_string(word->value) : scn_text_value(build->run, word->value);
    if (text == NULL)
        fail(build, word, word->value, a_text);
    return text;
}

static bool has(const struct build *build, const char *name)
{
    return scn_find_field(build->root, name, build->version) != NULL;
}

static void set(struct build *build, const char *name, json_t *value)
{
    if (has(build, name))
        json_object_set_new(build->body, name, value);
    else
        json_decref(value);
}

static json_t *member_id(const struct build *build)
{
    json_t *id = json_object_get(build->run->names, build->run->scenario->actors[build->step->actor].name);
    return id ? json_incref(id) : json_string("");
}

/* An object of two; NULL where one of them is. */
static json_t *pair(const char *first_name, json_t *first, const char *second_name, json_t *second)
{
    if (first != NULL && second != NULL)
        return json_pack("{s:o, s:o}", first_name, first, second_name, second);
    json_decref(first);
    json_decref(second);
    return NULL;
}

/* Adds what make makes of each piece between the word's commas; it may write into the piece, and gives NULL where that is
 * not what is expected. word == NULL: there are none. */
static bool add_pieces(struct build *build, json_t *list, const struct scn_field *word,
                       json_t *make(struct build *build, char *piece), const char *expected)
{
    const char *at = word ? word->value : NULL;
    bool ok = true;
    for (char *piece; word != NULL && *word->value != 0 && (piece = scn_next_piece(&at)) != NULL; free(piece)) {
        char *written = rejoin_strdup(piece);
        json_t *made = make(build, piece);
        if (made != NULL)
            json_array_append_new(list, made);
        else
            ok = fail(build, word, written, expected);
        free(written);
    }
    return ok;
}

/* ---- JoinGroup and SyncGroup ------------------------------------------------------------------------------------- */

/* A ConsumerProtocolSubscription, version 1, of those topics. */
static json_t *subscription(struct build *build)
{
    const struct scenario *scenario = build->run->scenario;
    struct rj_string names[16];
    char text[16][300];
    int count = 0;
    const struct scn_field *word = find_word(build, "topics");
    const char *at = word ? word->value : NULL;
    for (int i = 0; word == NULL && i < scenario->topic_count; i++)
        snprintf(text[count++], sizeof(text[0]), "%s%s", build->run->prefix, scenario->topics[i].name);
    for (char *piece; count < 16 && word != NULL && *word->value != 0 && (piece = scn_next_piece(&at)) != NULL;
         free(piece))
        snprintf(text[count++], sizeof(text[0]), "%s%s", build->run->prefix, piece);
    for (int i = 0; i < count; i++)
        names[i] = (struct rj_string){text[i], (int32_t)strlen(text[i])};
    struct rj_consumer_protocol_subscription message = {
        .topics = {names, count}, .user_data = RJ_NULL_BYTES, .owned_partitions = {NULL, 0}};
    uint8_t bytes[8192] = {0, 1};
    size_t len = 0;
    if (rj_encode(&rj_consumer_protocol_subscription_schema, 1, &message, bytes + 2, sizeof(bytes) - 2, &len, NULL)
        != RJ_OK)
        return json_null();
    return scn_base64(bytes, len + 2);
}

static json_t *make_protocol(struct build *build, char *piece)
{
    char *bytes = scn_cut_piece(piece, ':');
    return pair("name", scn_text_value(build->run, piece), "metadata",
                bytes ? scn_bytes_value(build->run, bytes) : subscription(build));
}

static bool build_protocols(struct build *build)
{
    static const struct scn_field otherwise = {.value = "range"};
    const struct scn_field *word = find_word(build, "protocols");
    json_t *list = json_array();
    bool ok = add_pieces(build, list, word ? word : &otherwise, make_protocol,
                         "protocols=NAME or NAME:BYTES, with commas between");
    set(build, "protocols", list);
    return ok;
}

static json_t *make_assignment(struct build *build, char *piece)
{
    char *bytes = scn_cut_piece(piece, ':');
    return pair("memberId", scn_text_value(build->run, piece), "assignment",
                scn_bytes_value(build->run, bytes ? bytes : "\"\""));
}

static bool build_assignments(struct build *build)
{
    json_t *list = json_array();
    bool ok = add_pieces(build, list, find_word(build, "assignments"), make_assignment,
                         "assignments=$ACTOR:BYTES, with commas between");
    set(build, "assignments", list);
    return ok;
}

/* ---- LeaveGroup -------------------------------------------------------------------------------------------------- */

static json_t *make_member(struct build *build, char *piece)
{
    char *instance = scn_cut_piece(piece, '/');
    return pair("memberId", scn_text_value(build->run, piece), "groupInstanceId",
                instance ? scn_text_value(build->run, instance) : json_null());
}

static bool build_members(struct build *build)
{
    const struct scn_field *word = find_word(build, "members");
    json_t *list = json_array(), *reason = text_or(build, "reason", json_null()), *one;
    bool ok = reason != NULL;
    if (word == NULL) {
        one = pair("memberId", text_or(build, "member", member_id(build)),
                   "groupInstanceId", text_or(build, "instance", json_null()));
        ok = json_array_append_new(list, one) == 0 && ok;
    }
    ok = add_pieces(build, list, word, make_member, "members=ID, ID/INSTANCE or /INSTANCE, with commas between") && ok;
    size_t i;
    json_array_foreach (list, i, one)
        if (build->version >= 5 && find_word(build, "reason") != NULL)
            json_object_set(one, "reason", reason);
    json_decref(reason);
    set(build, "members", list);
    return ok;
}

/* ---- Offsets ----------------------------------------------------------------------------------------------------- */

static json_t *topic_id(const struct build *build, const char *topic)
{
    json_t *id = json_object_get(build->run->names, topic);
    return id ? json_incref(id) : json_string("AAAAAAAAAAAAAAAAAAAAAQ");
}

static json_t *open_topic(struct build *build, json_t *topics, const char *topic)
{
    bool by_id = build->version >= 10 && build->step->api_key <= 9;
    json_t *id = by_id ? topic_id(build, topic) : json_string(topic);
    const char *key = by_id ? "topicId" : "name";
    json_t *last = json_array_get(topics, json_array_size(topics) - 1);
    if (last != NULL && json_equal(json_object_get(last, key), id)) {
        json_decref(id);
        return last;
    }
    const char *list = build->step->api_key == 9 ? "partitionIndexes" : "partitions";
    json_array_append_new(topics, json_pack("{s:o, s:[]}", key, id, list));
    return json_array_get(topics, json_array_size(topics) - 1);
}

static bool add_offset(struct build *build, json_t *topics, const struct scn_field *word, const char *topic,
                       int32_t partition)
{
    char *text = rejoin_strdup(word->value), *metadata = scn_cut_piece(text, ':'), *end;
    long long offset = strtoll(text, &end, 10);
    json_t *kept = metadata ? scn_text_value(build->run, metadata) : json_string("");
    bool ok = *text != 0 && *end == 0 && kept != NULL;
    free(text);
    if (!ok)
        return fail(build, word, NULL, "TOPIC-PARTITION=OFFSET or OFFSET:METADATA");
    json_array_append_new(json_object_get(open_topic(build, topics, topic), "partitions"),
                          json_pack("{s:i, s:I, s:o}", "partitionIndex", partition, "committedOffset",
                                    (json_int_t)offset, "committedMetadata", kept));
    return true;
}

static bool add_partition(struct build *build, json_t **topics, const struct scn_field *word)
{
    char topic[300];
    int32_t partition;
    if (word->name != NULL) {
        if (build->step->api_key == 9 || build->step->api_key == 47
            || !scn_split_partition(word->name, topic, sizeof(topic), &partition))
            return true; /* another field */
        return add_offset(build, *topics, word, topic, partition);
    }
    if (word->json != NULL)
        return true;
    if (strcmp(word->value, "all") == 0 && build->step->api_key == 9) {
        json_decref(*topics);
        *topics = json_null();
        return true;
    }
    if (!scn_split_partition(word->value, topic, sizeof(topic), &partition) || build->step->api_key == 8
        || build->step->api_key == 28)
        return fail(build, word, NULL, "FIELD=VALUE, or a partition as t-0 where this request has any");
    json_t *entry = open_topic(build, *topics, topic);
    if (build->step->api_key == 9)
        json_array_append_new(json_object_get(entry, "partitionIndexes"), json_integer(partition));
    else
        json_array_append_new(json_object_get(entry, "partitions"), json_pack("{s:i}", "partitionIndex", partition));
    return true;
}

static json_t *make_group(struct build *build, char *piece) { return scn_text_value(build->run, piece); }

/* groups=A,B or group=A. Of an OffsetFetch groups="" is the one without a name, elsewhere it is none. */
static bool read_groups(struct build *build, json_t *names)
{
    static const struct scn_field otherwise = {.value = "g"};
    const struct scn_field *list = find_word(build, "groups"), *one = find_word(build, "group");
    const struct scn_field *word = list ? list : one ? one : &otherwise;
    if (*word->value == 0 && (list == NULL || build->step->api_key == 9))
        return json_array_append_new(names, json_string("")) == 0;
    return add_pieces(build, names, word, make_group, a_text);
}

static bool build_topics(struct build *build)
{
    json_t *topics = json_array();
    bool ok = true;
    for (int i = 0; i < build->step->fields.count && ok; i++)
        ok = add_partition(build, &topics, &build->step->fields.items[i]);
    if (build->step->api_key != 9 || build->version < 8) {
        set(build, "topics", topics);
        return ok;
    }
    json_t *names = json_array(), *groups = json_array(), *name;
    ok = read_groups(build, names) && ok;
    size_t i;
    json_array_foreach (names, i, name) /* a copy of the topics, because names are changed in place */
        json_array_append_new(groups, json_pack("{s:O, s:o}", "groupId", name, "topics", json_deep_copy(topics)));
    json_decref(names);
    json_decref(topics);
    set(build, "groups", groups);
    return ok;
}

/* ---- All of them ------------------------------------------------------------------------------------------------- */

static bool build_groups(struct build *build, const char *field)
{
    json_t *groups = json_array();
    bool ok = read_groups(build, groups);
    set(build, field, groups);
    return ok;
}

static void set_ids(struct build *build)
{
    const struct scn_actor_state *state = &build->run->actors[build->step->actor];
    set(build, "groupId", json_string("g"));
    set(build, "memberId", member_id(build));
    set(build, "generationId", json_integer(state->generation));
    set(build, "generationIdOrMemberEpoch", json_integer(state->generation));
    if (has(build, "groupInstanceId"))
        set(build, "groupInstanceId", text_or(build, "instance", json_null()));
    set(build, "sessionTimeoutMs", json_integer(10000));
    set(build, "rebalanceTimeoutMs", json_integer(60000));
    set(build, "protocolType", json_string("consumer"));
    set(build, "protocolName", json_string(state->protocol));
    set(build, "transactionalId", json_string(build->run->scenario->actors[build->step->actor].name));
    if (state->producer_id >= 0) {
        set(build, "producerId", json_integer(state->producer_id));
        set(build, "producerEpoch", json_integer(state->producer_epoch));
    }
}

static bool set_defaults(struct build *build)
{
    switch (build->step->api_key) {
    case 8:
    case 28: set_ids(build); return build_topics(build);
    case 9: set(build, "groupId", json_string("g")); return build_topics(build);
    case 11: set_ids(build); return build_protocols(build);
    case 12: set_ids(build); return true;
    case 13: set_ids(build); return build->version < 3 || build_members(build);
    case 14: set_ids(build); return build_assignments(build);
    case 15: return build_groups(build, "groups");
    case 42: return build_groups(build, "groupsNames");
    case 25:
    case 26: set_ids(build); return true;
    case 10:
        set(build, "key", json_string("g"));
        set(build, "coordinatorKeys", json_pack("[s]", "g"));
        return true;
    case 47: set(build, "groupId", json_string("g")); return build_topics(build);
    default: return true;
    }
}

/* Words that the functions above have read. */
static bool is_taken(const struct build *build, const struct scn_field *word)
{
    static const struct { const char *name; int16_t api_key; } taken[] = {
        {"protocols", 11}, {"assignments", 14}, {"members", 13}, {"groups", 9}, {"groups", 15},
        {"groups", 42}, {"group", 9}};
    char topic[300];
    int32_t partition;
    int16_t api_key = build->step->api_key;
    if (word->json != NULL)
        return false;
    bool offsets = api_key == 8 || api_key == 9 || api_key == 28 || api_key == 47;
    if (offsets && (word->name == NULL || scn_split_partition(word->name, topic, sizeof(topic), &partition)))
        return true;
    if (word->name == NULL)
        return false;
    if (strcmp(word->name, "topics") == 0)
        return true; /* a member's subscription: JoinGroup reads it, other requests name partitions */
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (taken[i].api_key == api_key && strcmp(taken[i].name, word->name) == 0)
            return api_key != 9 || build->version >= 8 || strcmp(word->name, "groups") == 0;
    bool of_member = strcmp(word->name, "member") == 0 || strcmp(word->name, "instance") == 0
                     || strcmp(word->name, "reason") == 0;
    return api_key == 13 && build->version >= 3 && of_member;
}

/* A group that names a field of this request, by its own name or a short one. must: it has to. */
static bool apply_word(struct build *build, const struct scn_field *word, bool must)
{
    if (is_taken(build, word))
        return true;
    if (word->json != NULL) {
        const char *missing = NULL;
        json_t *laid_over = scn_substitute(build->run, word->json, &missing);
        if (missing != NULL)
            fail(build, word, missing, "a $NAME that stands for something");
        else
            json_object_update(build->body, laid_over);
        json_decref(laid_over);
        return missing == NULL;
    }
    if (word->name == NULL)
        return fail(build, word, NULL, "FIELD=VALUE or {JSON}");
    bool is_time;
    const char *name = scn_long_name(word->name, build->root, build->version, &is_time), *expected = "";
    const struct rj_schema_field *field = scn_find_field(build->root, name, build->version);
    if (field == NULL)
        return !must || fail(build, word, word->name, "a field of this request in this version");
    json_t *value = scn_typed_value(build->run, field, word, is_time, &expected);
    if (value == NULL)
        return fail(build, word, NULL, expected);
    json_object_set_new(build->body, name, value);
    return true;
}

json_t *scn_build(struct scn_run *run, const struct scn_step *step, int16_t version)
{
    struct build build = {.run = run, .step = step, .root = rj_request_schema(step->api_key)->root,
                          .version = version, .body = json_object()};
    const struct scn_fields *defaults = &run->scenario->actors[step->actor].defaults;
    bool ok = set_defaults(&build);
    for (int i = 0; i < defaults->count && ok; i++)
        ok = defaults->items[i].name == NULL || apply_word(&build, &defaults->items[i], false);
    for (int i = 0; i < step->fields.count && ok; i++)
        ok = apply_word(&build, &step->fields.items[i], true);
    if (ok)
        return build.body;
    json_decref(build.body);
    return NULL;
}

const char *scn_client_id(const struct scn_run *run, int actor)
{
    const struct scn_fields *defaults = &run->scenario->actors[actor].defaults;
    for (int i = 0; i < defaults->count; i++)
        if (defaults->items[i].name != NULL && strcmp(defaults->items[i].name, "client") == 0)
            return strcmp(defaults->items[i].value, "null") == 0 && !defaults->items[i].is_quoted
                       ? NULL : defaults->items[i].value;
    return run->scenario->actors[actor].name;
}

/* ---- Names that are unique on a broker that others use ----------------------------------------------------------- */

static bool is_named(const char *key)
{
    static const char *const keys[] = {"groupId", "groups", "groupsNames", "key", "coordinatorKeys", "topic", "topics",
                                       "transactionalId", "name"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static json_t *with_prefix(const struct scn_run *run, const char *key, json_t *value)
{
    const char *text = json_string_value(value);
    if (text != NULL)
        return is_named(key) && *text != 0 ? json_sprintf("%s%s", run->prefix, text) : json_incref(value);
    const char *name;
    json_t *inner;
    size_t i;
    void *next;
    json_object_foreach_safe (value, next, name, inner)
        if (strcmp(name, "protocols") != 0)
            json_object_set_new(value, name, with_prefix(run, name, inner));
    json_array_foreach (value, i, inner)
        json_array_set_new(value, i, with_prefix(run, key, inner));
    return json_incref(value);
}

void scn_add_prefix(const struct scn_run *run, json_t *body)
{
    if (run->prefix[0] != 0)
        json_decref(with_prefix(run, "", body));
}

static json_t *without_prefix(const struct scn_run *run, json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = strlen(run->prefix);
    if (text != NULL)
        return strncmp(text, run->prefix, len) == 0 ? json_string(text + len) : json_incref(value);
    const char *name;
    json_t *inner;
    size_t i;
    void *next;
    json_object_foreach_safe (value, next, name, inner)
        json_object_set_new(value, name, without_prefix(run, inner));
    json_array_foreach (value, i, inner)
        json_array_set_new(value, i, without_prefix(run, inner));
    return json_incref(value);
}

json_t *scn_take_prefix(const struct scn_run *run, json_t *body)
{
    if (run->prefix[0] == 0)
        return body;
    json_t *taken = without_prefix(run, body);
    json_decref(body);
    return taken;
}
