/* The codec against Kafka's own message classes, every API, version and direction.
 *
 * Random messages are written by Kafka: our JSON of the bytes must be Kafka's JSON, and our bytes of that JSON must be
 * Kafka's bytes. Then some of the bytes are damaged: we must accept what Kafka accepts, with the same values and the
 * same number of bytes read, and refuse what it refuses. Each version is compared with the newest of the releases
 * that still has it.
 *
 * REJOIN_CODEC_CASES messages of each (20 without it), from REJOIN_SEED (1). Skipped where there is no Java compiler or
 * the jars of a release are missing under ${REJOIN_CACHE:-$HOME/.cache/rejoin}/kafka-VERSION (ci/kafka fetch brings
 * them). Kafka has no message class for the user data of its sticky assignors; all else must be covered. */
#include "rejoin/codec.h"
#include "support/buffer.h"
#include "support/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SKIPPED = 77, SHOWN_MAX = 20, VERSIONS_MAX = 40, SCHEMAS_MAX = 512, MUTANTS_PER_VERSION = 40 };

static const char *const releases[] = {"4.2.0", "4.1.1", "3.9.1"};

struct counts { long messages, mutants, accepted, refused, differences; };

static struct counts counts;
static const char *served_by[SCHEMAS_MAX][VERSIONS_MAX]; /* the release that had it */
static struct rj_arena arena;
static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % limit);
}

static void differ(const char *release, const char *what, const char *line, const char *detail)
{
    if (counts.differences++ < SHOWN_MAX)
        printf("difference to %s: %s\n  %.1500s\n  %.1500s\n", release, what, line, detail);
}

static bool jar_folder(const char *release, char *out, size_t size)
{
    const char *cache = getenv("REJOIN_CACHE"), *home = getenv("HOME");
    if (cache != NULL)
        snprintf(out, size, "%s/kafka-%s", cache, release);
    else
        snprintf(out, size, "%s/.cache/rejoin/kafka-%s", home != NULL ? home : "", release);
    char jar[1600];
    snprintf(jar, sizeof(jar), "%s/kafka-clients-%s.jar", out, release);
    if (access(jar, R_OK) == 0)
        return true;
    printf("SKIPPED: no %s; 'ci/kafka fetch %s' brings it\n", jar, release);
    return false;
}

/* The oracle reads its requests from a file, so that neither side waits for the other. */
static FILE *start_java(const char *folder, const char *requests)
{
    char command[2048];
    snprintf(command, sizeof(command),
             "java -Xmx512m -XX:+UseSerialGC -cp '%s/*' harness/tests/java/CodecOracle.java <'%s' 2>/dev/null", folder,
             requests);
    return popen(command, "r");
}

static int schema_index(const char *name)
{
    for (int i = 0; i < rj_all_schemas_count; i++)
        if (strcmp(rj_all_schemas[i]->name, name) == 0)
            return i;
    return -1;
}

static void print_hex(FILE *out, struct rj_bytes bytes)
{
    for (int32_t i = 0; i < bytes.len; i++)
        fprintf(out, "%02x", bytes.data[i]);
}

static struct rj_bytes unhex(const char *text, size_t len)
{
    uint8_t *bytes = rj_arena_alloc(&arena, len / 2 + 1);
    for (size_t i = 0; i + 1 < len; i += 2) {
        const char pair[3] = {text[i], text[i + 1], '\0'};
        bytes[i / 2] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return (struct rj_bytes){bytes, (int32_t)(len / 2)};
}

/* Java 17 does not always print the shortest digits of a double, so what differs as text is compared as values. */
static bool same_json(const char *ours, size_t ours_len, const char *theirs)
{
    if (strlen(theirs) == ours_len && memcmp(ours, theirs, ours_len) == 0)
        return true;
    json_t *a = json_loadb(ours, ours_len, JSON_ALLOW_NUL, NULL), *b = json_loads(theirs, JSON_ALLOW_NUL, NULL);
    bool same = a != NULL && b != NULL && json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

static struct rejoin_buffer printed;

static bool prints_as(const struct rj_message_schema *schema, int16_t version, const void *message, const char *json)
{
    struct rj_writer writer = rejoin_buffer_writer(&printed);
    printed.len = 0;
    rj_print_json(schema, version, message, &writer);
    rejoin_buffer_add(&printed, "", 1);
    printed.len--;
    return same_json((const char *)printed.data, printed.len, json);
}

static void check_message(const char *release, const struct rj_message_schema *schema, int16_t version,
                          struct rj_bytes bytes, const char *json, const char *line)
{
    void *message = rj_arena_alloc(&arena, schema->root->size);
    struct rj_fault fault = {0};
    if (rj_decode(schema, version, bytes, &arena, message, &fault) != RJ_OK) {
        differ(release, "our decoder refuses", line, fault.field);
        return;
    }
    if (!prints_as(schema, version, message, json))
        differ(release, "our JSON", line, (const char *)printed.data);
    if (rj_parse_json(schema, version, (struct rj_string){json, (int32_t)strlen(json)}, &arena, message, &fault) !=
        RJ_OK) {
        differ(release, "our JSON reader refuses", line, fault.field);
        return;
    }
    uint8_t *out = rj_arena_alloc(&arena, (size_t)bytes.len + 1);
    size_t len, counted;
    enum rj_err err = rj_encode(schema, version, message, out, (size_t)bytes.len, &len, &fault);
    if (err != RJ_OK || len != (size_t)bytes.len || memcmp(out, bytes.data, len) != 0)
        differ(release, "our bytes", line, err != RJ_OK ? fault.field : "");
    if (rj_encoded_len(schema, version, message, &counted, NULL) != RJ_OK || counted != (size_t)bytes.len)
        differ(release, "our length", line, "");
}

/* One to three bytes changed, cut off, or a varint made one byte longer than it need be. */
static struct rj_bytes damage(struct rj_bytes bytes)
{
    uint8_t *out = rj_arena_alloc(&arena, (size_t)bytes.len + 4);
    memcpy(out, bytes.data, (size_t)bytes.len);
    int32_t len = bytes.len;
    for (uint32_t i = 0; len > 0 && i < 1 + random_below(3); i++) {
        int32_t at = (int32_t)random_below((uint32_t)len);
        switch (random_below(6)) {
        case 0: out[at] = (uint8_t)random_below(256); break;
        case 1: out[at] ^= (uint8_t)(1 << random_below(8)); break;
        case 2: out[at] = 0xff; break;
        case 3: out[at]++; break;
        case 4: len = at; break;
        default:
            if (len == bytes.len) {
                memmove(out + at + 1, out + at, (size_t)(len - at));
                out[at] |= 0x80;
                out[at + 1] = 0;
                len++;
            }
        }
    }
    return (struct rj_bytes){out, len};
}

/* NAME VERSION HEX JSON */
static void take_filled(const char *release, char *line, FILE *mutants)
{
    char name[128];
    int version, name_end;
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%127s %d%n", name, &version, &name_end) != 2 || schema_index(name) < 0) {
        differ(release, "a line of the oracle", line, "");
        return;
    }
    size_t hex_at = (size_t)name_end + 1, hex_end = hex_at + strcspn(line + hex_at, " ");
    int index = schema_index(name);
    const struct rj_message_schema *schema = rj_all_schemas[index];
    static int since_mutant;
    served_by[index][version] = release;
    counts.messages++;
    struct rj_bytes bytes = unhex(line + hex_at, hex_end - hex_at);
    check_message(release, schema, (int16_t)version, bytes, line + hex_end + 1, line);
    const char *cases = getenv("REJOIN_CODEC_CASES");
    if (since_mutant++ >= (cases != NULL ? atoi(cases) : 20) / MUTANTS_PER_VERSION) {
        since_mutant = 0;
        fprintf(mutants, "read %s %d ", name, version);
        print_hex(mutants, damage(bytes));
        fputc('\n', mutants);
    }
    rj_arena_reset(&arena);
}

static void check_mutant(const char *release, char *request, char *answer)
{
    char name[128];
    int version, name_end, consumed = 0, json_at = 0;
    request[strcspn(request, "\n")] = '\0';
    answer[strcspn(answer, "\n")] = '\0';
    sscanf(request, "read %127s %d%n", name, &version, &name_end);
    const char *hex = request + name_end + 1;
    const struct rj_message_schema *schema = rj_all_schemas[schema_index(name)];
    struct rj_bytes bytes = unhex(hex, strlen(hex));
    void *message = rj_arena_alloc(&arena, schema->root->size);
    size_t consumed_len;
    struct rj_fault fault = {0};
    enum rj_err err = rj_decode_prefix(schema, (int16_t)version, bytes, &arena, message, &consumed_len, &fault);
    bool accepted = sscanf(answer, "ok %d %n", &consumed, &json_at) == 1;
    counts.mutants++;
    counts.accepted += accepted;
    counts.refused += !accepted;
    if (accepted != (err == RJ_OK))
        differ(release, accepted ? "we refuse, Kafka reads" : "we read, Kafka refuses", request,
               accepted ? fault.field : answer);
    else if (accepted && (consumed_len != (size_t)consumed || !prints_as(schema, (int16_t)version, message,
                                                                         answer + json_at)))
        differ(release, "other values in damaged bytes", request, answer);
    rj_arena_reset(&arena);
}

static bool compare_mutants(const char *release, const char *folder, const char *file)
{
    FILE *requests = fopen(file, "r"), *java = start_java(folder, file);
    char *request = NULL, *answer = NULL;
    size_t request_size = 0, answer_size = 0;
    bool ok = true;
    while (ok && getline(&request, &request_size, requests) > 0) {
        ok = getline(&answer, &answer_size, java) > 0;
        if (ok)
            check_mutant(release, request, answer);
    }
    free(request);
    free(answer);
    fclose(requests);
    return pclose(java) == 0 && ok;
}

/* Asks for all that no newer release had. */
static long write_requests(const char *file)
{
    const char *cases = getenv("REJOIN_CODEC_CASES"), *seed = getenv("REJOIN_SEED");
    FILE *out = fopen(file, "w");
    long asked = 0;
    for (int i = 0; i < rj_all_schemas_count; i++)
        for (int16_t v = rj_all_schemas[i]->versions.low; v <= rj_all_schemas[i]->versions.high; v++)
            if (served_by[i][v] == NULL) {
                fprintf(out, "fill %s %d %s %s\n", rj_all_schemas[i]->name, v, cases != NULL ? cases : "20",
                        seed != NULL ? seed : "1");
                asked++;
            }
    fclose(out);
    return asked;
}

static bool compare_release(const char *release, const char *folder, const char *requests, const char *mutants)
{
    if (write_requests(requests) == 0)
        return true;
    FILE *java = start_java(folder, requests), *damaged = fopen(mutants, "w");
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, java) > 0)
        take_filled(release, line, damaged);
    free(line);
    fclose(damaged);
    if (pclose(java) != 0 || !compare_mutants(release, folder, mutants)) {
        printf("the oracle on Kafka %s failed\n", release);
        return false;
    }
    return true;
}

static long print_coverage(void)
{
    long missing = 0, covered[3] = {0};
    for (int i = 0; i < rj_all_schemas_count; i++)
        for (int16_t v = rj_all_schemas[i]->versions.low; v <= rj_all_schemas[i]->versions.high; v++) {
            for (int r = 0; r < 3; r++)
                covered[r] += served_by[i][v] == releases[r];
            if (served_by[i][v] != NULL || strstr(rj_all_schemas[i]->name, "StickyAssignorUserData") != NULL)
                continue;
            printf("no release has %s v%d\n", rj_all_schemas[i]->name, v);
            missing++;
        }
    for (int r = 0; r < 3; r++)
        printf("compared with Kafka %s: %ld message versions\n", releases[r], covered[r]);
    printf("%ld messages, %ld damaged ones (Kafka reads %ld, refuses %ld), %ld differences\n", counts.messages,
           counts.mutants, counts.accepted, counts.refused, counts.differences);
    return missing;
}

int main(void)
{
    char folders[3][512], requests[] = "/tmp/rejoin-codec-XXXXXX", mutants[] = "/tmp/rejoin-codec-XXXXXX";
    for (int r = 0; r < 3; r++)
        if (!jar_folder(releases[r], folders[r], sizeof(folders[r])))
            return SKIPPED;
    if (system("command -v javac >/dev/null 2>&1") != 0) {
        puts("SKIPPED: no Java compiler; install openjdk-17-jdk-headless");
        return SKIPPED;
    }
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    close(mkstemp(requests));
    close(mkstemp(mutants));
    bool ok = true;
    for (int r = 0; ok && r < 3; r++)
        ok = compare_release(releases[r], folders[r], requests, mutants);
    unlink(requests);
    unlink(mutants);
    long missing = print_coverage();
    rj_arena_release(&arena);
    rejoin_buffer_free(&printed);
    return !ok || missing > 0 || counts.differences > 0 || counts.messages == 0;
}
