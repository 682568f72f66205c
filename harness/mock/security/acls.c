#include "mock/security/acls.h"

#include "mock/security/word_file.h"
#include "support/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct acl { char *principal, *host, *name; struct rj_right right; };

/* What was found for one principal and host. Hosts that no entry names are alike. */
struct found_rights {
    struct found_rights *next;
    char *principal, *host;
    struct rj_right *items;
    struct rj_rights rights;
};

struct mock_acls {
    struct acl *items;
    int32_t count;
    char **super_principals;
    int32_t super_count;
    struct found_rights *found;
};

/* ---- The words --------------------------------------------------------------------------------------------------- */

static const struct { const char *name; enum rj_operation code; } operations[] = {
    {"All", RJ_OPERATION_ALL}, {"Read", RJ_OPERATION_READ}, {"Write", RJ_OPERATION_WRITE},
    {"Create", RJ_OPERATION_CREATE}, {"Delete", RJ_OPERATION_DELETE}, {"Alter", RJ_OPERATION_ALTER},
    {"Describe", RJ_OPERATION_DESCRIBE}, {"ClusterAction", RJ_OPERATION_CLUSTER_ACTION},
    {"DescribeConfigs", RJ_OPERATION_DESCRIBE_CONFIGS}, {"AlterConfigs", RJ_OPERATION_ALTER_CONFIGS},
    {"IdempotentWrite", RJ_OPERATION_IDEMPOTENT_WRITE},
};
enum { OPERATION_COUNT = sizeof(operations) / sizeof(operations[0]) };

/* Kafka's AclEntry.supportedOperations. */
#define BIT(operation) (1 << RJ_OPERATION_##operation)
enum { CONFIGS = BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS) };
static const struct { const char *name; enum rj_resource_type code; int32_t operations; } resources[] = {
    {"Topic", RJ_RESOURCE_TOPIC,
     BIT(READ) | BIT(WRITE) | BIT(CREATE) | BIT(DELETE) | BIT(ALTER) | BIT(DESCRIBE) | CONFIGS},
    {"Group", RJ_RESOURCE_GROUP, BIT(READ) | BIT(DELETE) | BIT(DESCRIBE) | CONFIGS},
    {"Cluster", RJ_RESOURCE_CLUSTER,
     BIT(CREATE) | BIT(ALTER) | BIT(DESCRIBE) | BIT(CLUSTER_ACTION) | BIT(IDEMPOTENT_WRITE) | CONFIGS},
    {"TransactionalId", RJ_RESOURCE_TRANSACTIONAL_ID, BIT(WRITE) | BIT(DESCRIBE)},
};
#undef BIT
enum { RESOURCE_COUNT = sizeof(resources) / sizeof(resources[0]) };

static int32_t supported_operations(enum rj_resource_type type)
{
    for (int i = 0; i < RESOURCE_COUNT; i++)
        if (resources[i].code == type)
            return resources[i].operations;
    return 0;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

struct reading { struct mock_acls *acls; const struct word_line *line; char *error; size_t error_len; };

static bool fault(const struct reading *reading, int index, const char *expected)
{
    const char *found = index < reading->line->word_count ? reading->line->words[index].text : "the end of the line";
    return word_error(reading->line, index, reading->error, reading->error_len, "expected %s, found %s", expected,
                      found);
}

static bool is_principal(const char *text) { return strncmp(text, "User:", 5) == 0 && text[5] != 0; }

static bool is_host(const char *text)
{
    struct in6_addr address;
    return strcmp(text, "*") == 0 || inet_pton(AF_INET, text, &address) == 1 ||
           inet_pton(AF_INET6, text, &address) == 1;
}

/* The words from index on: TYPE NAME, TYPE prefixed NAME, TYPE literal NAME, Cluster. */
static bool read_resource(const struct reading *reading, int index, struct rj_right *right, const char **name)
{
    const struct word_line *line = reading->line;
    int type = 0;
    while (index < line->word_count && type < RESOURCE_COUNT &&
           strcasecmp(resources[type].name, line->words[index].text) != 0)
        type++;
    if (index >= line->word_count || type == RESOURCE_COUNT)
        return fault(reading, index, "Topic, Group, TransactionalId or Cluster");
    right->resource_type = resources[type].code;
    int rest = line->word_count - index - 1;
    *name = "kafka-cluster";
    if (right->resource_type == RJ_RESOURCE_CLUSTER)
        return rest == 0 || fault(reading, index + 1, "nothing behind Cluster");
    if (rest == 2) {
        right->is_prefix = strcasecmp(line->words[index + 1].text, "prefixed") == 0;
        if (!right->is_prefix && strcasecmp(line->words[index + 1].text, "literal") != 0)
            return fault(reading, index + 1, "a name, or literal or prefixed before it");
    }
    if (rest < 1 || rest > 2)
        return fault(reading, rest < 1 ? index + 1 : index + 3, rest < 1 ? "a name" : "one name");
    *name = line->words[index + rest].text;
    return **name != 0 || fault(reading, index + rest, "a name that is not empty");
}

static void add_acl(struct mock_acls *acls, const struct word_line *line, struct rj_right right, const char *name)
{
    acls->items = rejoin_realloc(acls->items, ((size_t)acls->count + 1) * sizeof(*acls->items));
    struct acl *acl = &acls->items[acls->count++];
    acl->principal = rejoin_strdup(line->words[1].text);
    acl->host = rejoin_strdup(line->words[2].text);
    acl->name = rejoin_strdup(name);
    acl->right = right;
    acl->right.name = (struct rj_string){acl->name, (int32_t)strlen(acl->name)};
}

/* One entry for each operation of the list in word 3. */
static bool read_operations(const struct reading *reading, struct rj_right right, const char *name)
{
    for (char *rest = reading->line->words[3].text, *part; (part = strsep(&rest, ",")) != NULL;) {
        int i = 0;
        while (i < OPERATION_COUNT && strcasecmp(operations[i].name, part) != 0)
            i++;
        if (i == OPERATION_COUNT)
            return word_error(reading->line, 3, reading->error, reading->error_len,
                              "expected operations such as Read,Describe, found '%s'", part);
        right.operation = operations[i].code;
        if (right.operation != RJ_OPERATION_ALL && !(supported_operations(right.resource_type) & 1 << right.operation))
            return word_error(reading->line, 3, reading->error, reading->error_len,
                              "expected an operation that Kafka has for this type of resource, found %s", part);
        add_acl(reading->acls, reading->line, right, name);
    }
    return true;
}

static bool take_line(void *context, const struct word_line *line, char *error, size_t error_len)
{
    struct reading reading = {context, line, error, error_len};
    struct mock_acls *acls = context;
    const char *what = line->words[0].text;
    if (line->word_count < 2 || !is_principal(line->words[1].text))
        return strcmp(what, "allow") == 0 || strcmp(what, "deny") == 0 || strcmp(what, "super") == 0
                   ? fault(&reading, 1, "a principal: User:NAME or User:*")
                   : fault(&reading, 0, "allow, deny or super");
    if (strcmp(what, "super") == 0) {
        if (line->word_count > 2)
            return fault(&reading, 2, "nothing behind the principal");
        acls->super_principals = rejoin_realloc(acls->super_principals,
                                                ((size_t)acls->super_count + 1) * sizeof(char *));
        acls->super_principals[acls->super_count++] = rejoin_strdup(line->words[1].text);
        return true;
    }
    if (strcmp(what, "allow") != 0 && strcmp(what, "deny") != 0)
        return fault(&reading, 0, "allow, deny or super");
    if (line->word_count < 3 || !is_host(line->words[2].text))
        return fault(&reading, 2, "a host: a numeric address or *");
    if (line->word_count < 4)
        return fault(&reading, 3, "an operation, or several as in Read,Describe");
    struct rj_right right = {.is_deny = strcmp(what, "deny") == 0};
    const char *name = NULL;
    return read_resource(&reading, 4, &right, &name) && read_operations(&reading, right, name);
}

struct mock_acls *mock_acls_read(const char *path, char *error, size_t error_len)
{
    struct mock_acls *acls = rejoin_alloc_zeroed(1, sizeof(*acls));
    if (read_word_file(path, take_line, acls, error, error_len))
        return acls;
    mock_acls_free(acls);
    return NULL;
}

void mock_acls_free(struct mock_acls *acls)
{
    if (acls == NULL)
        return;
    for (int32_t i = 0; i < acls->count; i++) {
        free(acls->items[i].principal);
        free(acls->items[i].host);
        free(acls->items[i].name);
    }
    for (int32_t i = 0; i < acls->super_count; i++)
        free(acls->super_principals[i]);
    while (acls->found != NULL) {
        struct found_rights *found = acls->found;
        acls->found = found->next;
        free(found->principal);
        free(found->host);
        free(found->items);
        free(found);
    }
    free(acls->items);
    free(acls->super_principals);
    free(acls);
}

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

static bool is_super(const struct mock_acls *acls, const char *principal)
{
    for (int32_t i = 0; i < acls->super_count; i++)
        if (strcmp(acls->super_principals[i], principal) == 0)
            return true;
    return false;
}

static bool is_named_host(const struct mock_acls *acls, const char *host)
{
    for (int32_t i = 0; i < acls->count; i++)
        if (strcmp(acls->items[i].host, host) == 0)
            return true;
    return false;
}

static bool matches(const char *pattern, const char *any, const char *text)
{
    return strcmp(pattern, any) == 0 || strcmp(pattern, text) == 0;
}

static struct found_rights *collect_rights(const struct mock_acls *acls, const char *principal, const char *host)
{
    struct found_rights *found = rejoin_alloc_zeroed(1, sizeof(*found));
    found->principal = rejoin_strdup(principal);
    found->host = rejoin_strdup(host);
    found->items = rejoin_alloc_zeroed((size_t)acls->count + 1, sizeof(*found->items));
    for (int32_t i = 0; i < acls->count; i++)
        if (matches(acls->items[i].principal, "User:*", principal) && matches(acls->items[i].host, "*", host))
            found->items[found->rights.count++] = acls->items[i].right;
    found->rights.items = found->items;
    return found;
}

const struct rj_rights *mock_acls_rights(struct mock_acls *acls, const char *principal, const char *host)
{
    if (is_super(acls, principal))
        return NULL;
    if (!is_named_host(acls, host))
        host = "";
    for (struct found_rights *found = acls->found; found != NULL; found = found->next)
        if (strcmp(found->principal, principal) == 0 && strcmp(found->host, host) == 0)
            return &found->rights;
    struct found_rights *found = collect_rights(acls, principal, host);
    found->next = acls->found;
    acls->found = found;
    return &found->rights;
}

int32_t mock_authorized_operations(const struct rj_rights *rights, enum rj_resource_type type, struct rj_string name)
{
    int32_t supported = supported_operations(type), allowed = 0;
    for (int i = 0; i < OPERATION_COUNT; i++) {
        int32_t bit = 1 << operations[i].code;
        if ((supported & bit) != 0 && rj_is_allowed(rights, type, name, operations[i].code))
            allowed |= bit;
    }
    return allowed;
}

static bool is_any(const struct rj_right *right)
{
    return !right->is_prefix && rj_string_equal(right->name, RJ_STRING("*"));
}

/* Whether the deny takes everything that the allow gives. */
static bool dominates(const struct rj_right *deny, const struct rj_right *allow)
{
    if (!deny->is_prefix)
        return !allow->is_prefix && rj_string_equal(deny->name, allow->name);
    return deny->name.len > 0 && deny->name.len <= allow->name.len &&
           memcmp(deny->name.data, allow->name.data, (size_t)deny->name.len) == 0;
}

bool mock_is_allowed_somewhere(const struct rj_rights *rights, enum rj_resource_type type, enum rj_operation operation)
{
    if (rj_is_allowed(rights, type, RJ_STRING("hardcode"), operation)) /* as Kafka begins, with that very name */
        return true;
    bool found = false;
    for (int32_t i = 0; i < rights->count; i++) {
        const struct rj_right *right = &rights->items[i];
        if (right->resource_type != type ||
            (right->operation != operation && right->operation != RJ_OPERATION_ALL))
            continue;
        if (right->is_deny && is_any(right))
            return false;
        bool is_left = !right->is_deny;
        for (int32_t j = 0; is_left && j < rights->count && !is_any(right); j++) {
            const struct rj_right *deny = &rights->items[j];
            if (deny->is_deny && deny->resource_type == type &&
                (deny->operation == operation || deny->operation == RJ_OPERATION_ALL) && dominates(deny, right))
                is_left = false;
        }
        found = found || is_left;
    }
    return found;
}
