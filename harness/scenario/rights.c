#include "scenario/rights.h"

#include "support/memory.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SASL_HANDSHAKE = 17, SASL_AUTHENTICATE = 36, DESCRIBE_ACLS = 29, CREATE_ACLS = 30, DELETE_ACLS = 31 };
enum { PATTERN_LITERAL = 3, PERMISSION_DENY = 2, PERMISSION_ALLOW = 3, ANY = 1 }; /* Kafka's codes */
enum { TRIES = 200, TRY_EVERY_MS = 25 };

/* ---- Words ------------------------------------------------------------------------------------------------------- */

static const struct { const char *name; int code; } types[] = {
    {"TOPIC", RJ_RESOURCE_TOPIC}, {"GROUP", RJ_RESOURCE_GROUP}, {"CLUSTER", RJ_RESOURCE_CLUSTER},
    {"TRANSACTIONAL_ID", RJ_RESOURCE_TRANSACTIONAL_ID}}, operations[] = {
    {"ALL", RJ_OPERATION_ALL}, {"READ", RJ_OPERATION_READ}, {"WRITE", RJ_OPERATION_WRITE},
    {"CREATE", RJ_OPERATION_CREATE}, {"DELETE", RJ_OPERATION_DELETE}, {"ALTER", RJ_OPERATION_ALTER},
    {"DESCRIBE", RJ_OPERATION_DESCRIBE}};
enum { TYPE_COUNT = sizeof(types) / sizeof(types[0]), OPERATION_COUNT = sizeof(operations) / sizeof(operations[0]) };

static struct rj_right all_of(int type, bool is_deny)
{
    return (struct rj_right){.resource_type = (enum rj_resource_type)types[type].code, .is_deny = is_deny,
                             .operation = RJ_OPERATION_ALL,
                             .name = types[type].code == RJ_RESOURCE_CLUSTER ? RJ_STRING("kafka-cluster")
                                                                             : RJ_STRING("*")};
}

static bool read_denial(const struct scn_step *step, struct rj_right *right)
{
    int type = 0, operation = 0;
    while (type < TYPE_COUNT && strcmp(types[type].name, step->fields.items[1].value) != 0)
        type++;
    while (operation < OPERATION_COUNT && strcmp(operations[operation].name, step->fields.items[0].value) != 0)
        operation++;
    if (type == TYPE_COUNT || operation == OPERATION_COUNT)
        return false;
    *right = all_of(type, true);
    right->operation = (enum rj_operation)operations[operation].code;
    return true;
}

int scn_rights(struct scn_run *run, const struct scn_step *step, char *name_room, size_t name_len,
               struct rj_right rights[RIGHTS_MOST])
{
    int count = 0;
    for (int i = 0; i < TYPE_COUNT; i++)
        rights[count++] = all_of(i, false);
    if (step->fields.count == 1) {
        bool is_all = strcmp(step->fields.items[0].value, "everything") == 0;
        for (int i = 0; i < TYPE_COUNT && is_all; i++)
            rights[count++] = all_of(i, true);
        return count;
    }
    if (!read_denial(step, &rights[count])) {
        snprintf(run->why, sizeof(run->why), "expected an operation and TOPIC, GROUP, CLUSTER or TRANSACTIONAL_ID");
        return 0;
    }
    if (step->fields.count > 2) {
        snprintf(name_room, name_len, "%s%s", run->prefix, step->fields.items[2].value);
        rights[count].name = (struct rj_string){name_room, (int32_t)strlen(name_room)};
    }
    return count + 1;
}

/* ---- Users of a broker ------------------------------------------------------------------------------------------- */

/* PLAIN's token for "NAME:PASSWORD". */
static json_t *plain_token(const char *user)
{
    size_t len = strlen(user) + 1;
    char *token = rejoin_alloc(len + 1);
    token[0] = 0;
    memcpy(token + 1, user, len);
    char *colon = memchr(token + 1, ':', len);
    if (colon != NULL)
        *colon = 0;
    json_t *body = json_pack("{s:o}", "authBytes", scn_base64(token, len));
    memset(token, 0, len);
    free(token);
    return body;
}

void wire_add_authentication(const struct wire *wire, struct rejoin_buffer *out)
{
    char error[128];
    json_t *handshake = json_pack("{s:s}", "mechanism", "PLAIN"), *token = plain_token(wire->options->user);
    scn_encode(SASL_HANDSHAKE, 1, -2, "rejoin", handshake, out, error, sizeof(error));
    scn_encode(SASL_AUTHENTICATE, 2, -1, "rejoin", token, out, error, sizeof(error));
    json_decref(handshake);
    json_decref(token);
}

static bool has_succeeded(struct wire *wire, json_t *answer, const char *what)
{
    json_int_t code = json_integer_value(json_object_get(answer, "errorCode"));
    if (answer != NULL && code != 0)
        snprintf(wire->ask.error, sizeof(wire->ask.error), "%s: error %d", what, (int)code);
    bool ok = answer != NULL && code == 0;
    json_decref(answer);
    return ok;
}

static json_t *principal(const struct wire *wire)
{
    const char *user = wire->options->user;
    return json_sprintf("User:%.*s", (int)strcspn(user, ":"), user);
}

static bool create_acls(struct wire *wire, const struct rj_right *rights, int count)
{
    json_t *creations = json_array(), *one;
    for (int i = 0; i < count; i++)
        json_array_append_new(creations, json_pack(
            "{s:i, s:o, s:i, s:o, s:s, s:i, s:i}", "resourceType", rights[i].resource_type, "resourceName",
            json_stringn(rights[i].name.data, (size_t)rights[i].name.len), "resourcePatternType", PATTERN_LITERAL,
            "principal", principal(wire), "host", "*", "operation", rights[i].operation, "permissionType",
            rights[i].is_deny ? PERMISSION_DENY : PERMISSION_ALLOW));
    json_t *answer = scn_ask(&wire->ask, CREATE_ACLS, 1, json_pack("{s:o}", "creations", creations));
    bool ok = answer != NULL;
    size_t i;
    json_array_foreach (json_object_get(answer, "results"), i, one)
        if (json_integer_value(json_object_get(one, "errorCode")) != 0 && ok) {
            snprintf(wire->ask.error, sizeof(wire->ask.error), "CreateAcls: error %d (is it a broker with an "
                     "authorizer, and a super user?)", (int)json_integer_value(json_object_get(one, "errorCode")));
            ok = false;
        }
    json_decref(answer);
    return ok;
}

static json_t *denials_filter(const struct wire *wire)
{
    return json_pack("{s:i, s:n, s:i, s:o, s:n, s:i, s:i}", "resourceTypeFilter", ANY, "resourceNameFilter",
                     "patternTypeFilter", ANY, "principalFilter", principal(wire), "hostFilter", "operation", ANY,
                     "permissionType", PERMISSION_DENY);
}

/* How many denials the broker knows of; -1: ask.error. */
static int count_denials(struct wire *wire)
{
    json_t *answer = scn_ask(&wire->ask, DESCRIBE_ACLS, 1, denials_filter(wire)), *one;
    int count = answer ? 0 : -1;
    size_t i;
    json_array_foreach (json_object_get(answer, "resources"), i, one)
        count += (int)json_array_size(json_object_get(one, "acls"));
    json_decref(answer);
    return count;
}

/* The controller has them before the broker. */
static bool wait_for_denials(struct wire *wire, int wanted)
{
    for (int i = 0; i < TRIES; i++) {
        int count = count_denials(wire);
        if (count < 0 || count == wanted)
            return count == wanted;
        nanosleep(&(struct timespec){.tv_nsec = TRY_EVERY_MS * 1000000l}, NULL);
    }
    snprintf(wire->ask.error, sizeof(wire->ask.error), "the broker does not get to know the rights");
    return false;
}

bool wire_set_denials(struct wire *wire, const struct rj_right *rights, int count)
{
    struct rj_right denials[RIGHTS_MOST];
    int denial_count = 0;
    for (int i = 0; i < count; i++)
        if (rights[i].is_deny)
            denials[denial_count++] = rights[i];
    json_t *filters = json_pack("{s:[o]}", "filters", denials_filter(wire));
    return has_succeeded(wire, scn_ask(&wire->ask, DELETE_ACLS, 1, filters), "DeleteAcls")
           && wait_for_denials(wire, 0) && (denial_count == 0 || create_acls(wire, denials, denial_count))
           && wait_for_denials(wire, denial_count);
}

bool wire_open_rights(struct wire *wire)
{
    struct rj_right rights[RIGHTS_MOST];
    for (int i = 0; i < TYPE_COUNT; i++)
        rights[i] = all_of(i, false);
    return has_succeeded(wire, scn_ask(&wire->ask, SASL_HANDSHAKE, 1, json_pack("{s:s}", "mechanism", "PLAIN")),
                         "SaslHandshake")
           && has_succeeded(wire, scn_ask(&wire->ask, SASL_AUTHENTICATE, 2, plain_token(wire->options->admin)),
                            "SaslAuthenticate")
           && create_acls(wire, rights, TYPE_COUNT) && wire_set_denials(wire, NULL, 0);
}
