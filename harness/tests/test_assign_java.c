/* The assignors against Kafka's own: random problems are solved here and by the Java classes, and every answer
 * compared.
 *
 * REJOIN_ASSIGN_CASES problems of each assignor (300 without it), from REJOIN_SEED (1). Skipped where there is no
 * Java or no kafka-clients jar under ${REJOIN_CACHE:-$HOME/.cache/rejoin}/kafka-VERSION (ci/kafka fetch brings it). */
#include "../proto/src/assign/context.h"
#include "support/memory.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS_MAX = 24, TOPICS_MAX = 6, PARTITIONS_MAX = 20, SKIPPED = 77 };

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state += 0x9e3779b97f4a7c15;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ z >> 31) % limit);
}

static bool one_in(uint32_t count) { return random_below(count) == 0; }

struct member {
    char id[48], instance[16], rack[8];
    bool subscribes[TOPICS_MAX];
    int32_t generation;
    bool owns[TOPICS_MAX][PARTITIONS_MAX];
};

static struct problem {
    struct member members[MEMBERS_MAX];
    int32_t member_count, next_member;
    struct rj_string names[TOPICS_MAX];
    struct rj_assign_topic topics[TOPICS_MAX];
    struct rj_string racks[TOPICS_MAX][PARTITIONS_MAX][3];
    struct rj_string_array partition_racks[TOPICS_MAX][PARTITIONS_MAX];
    int32_t topic_count;
    bool uses_racks;
    struct rj_consumer_protocol_subscription subscriptions[MEMBERS_MAX];
    struct rj_assign_member inputs[MEMBERS_MAX];
    struct rj_consumer_protocol_assignment outputs[MEMBERS_MAX];
    int32_t generation;
} problem;

static const char *const topic_names[TOPICS_MAX] = {"a", "orders", "t", "topic-with-a-long-name", "Z", "t2"};
static const char *const rack_names[] = {"r0", "r1", "r2", "r3"};

static struct rj_string text(const char *chars) { return (struct rj_string){chars, (int32_t)strlen(chars)}; }

static void new_topic(int32_t t)
{
    struct rj_assign_topic *topic = &problem.topics[t];
    uint32_t most = one_in(8) ? PARTITIONS_MAX : 8;
    *topic = (struct rj_assign_topic){text(topic_names[t]), (int32_t)random_below(most), NULL};
    if (!problem.uses_racks)
        return;
    uint32_t replicas = 1 + random_below(3), shape = random_below(3);
    for (int32_t p = 0; p < topic->partition_count; p++) {
        for (uint32_t r = 0; r < replicas; r++) {
            uint32_t rack = shape == 0 ? ((uint32_t)p + r) % 3 : random_below(4);
            problem.racks[t][p][r] = one_in(40) ? RJ_NULL_STRING : text(rack_names[rack]);
        }
        int32_t count = one_in(60) ? 0 : (int32_t)replicas;
        problem.partition_racks[t][p] = (struct rj_string_array){problem.racks[t][p], count};
    }
    topic->partition_racks = problem.partition_racks[t];
}

static void choose_topics(struct member *member, bool all)
{
    bool some = false;
    for (int32_t t = 0; t < problem.topic_count; t++)
        some = (member->subscribes[t] = all || !one_in(3)) || some;
    if (!some)
        member->subscribes[random_below((uint32_t)problem.topic_count)] = true;
}

static void new_member(bool all_topics)
{
    struct member *member = &problem.members[problem.member_count++];
    memset(member, 0, sizeof *member);
    snprintf(member->id, sizeof member->id, one_in(3) ? "%u-%08x" : "consumer-%u-%08x", random_below(30) + 1,
             (unsigned)(random_below(UINT32_MAX) << 8 | (uint32_t)problem.next_member++));
    if (one_in(4))
        snprintf(member->instance, sizeof member->instance, "i%u-%d", random_below(100), problem.next_member);
    if (problem.uses_racks && !one_in(5))
        snprintf(member->rack, sizeof member->rack, "%s", rack_names[random_below(4)]);
    member->generation = -1;
    choose_topics(member, all_topics);
}

static void new_group(void)
{
    problem.member_count = 0;
    problem.uses_racks = one_in(3);
    problem.topic_count = 1 + (int32_t)random_below(TOPICS_MAX);
    problem.generation = one_in(5) ? 0 : (int32_t)random_below(100);
    for (int32_t t = 0; t < problem.topic_count; t++)
        new_topic(t);
    bool equal = one_in(2);
    uint32_t members = 1 + random_below(one_in(6) ? MEMBERS_MAX - 6 : 6);
    for (uint32_t m = 0; m < members; m++)
        new_member(equal);
}

/* What happens to groups between two rebalances, the illegal things too. */
static void change_group(void)
{
    uint32_t changes = random_below(4);
    for (uint32_t i = 0; i < changes; i++) {
        struct member *member = &problem.members[random_below((uint32_t)problem.member_count)];
        uint32_t t = random_below((uint32_t)problem.topic_count);
        switch (random_below(7)) {
        case 0:
            if (problem.member_count > 1)
                *member = problem.members[--problem.member_count];
            break;
        case 1:
        case 2:
            if (problem.member_count < MEMBERS_MAX)
                new_member(!one_in(3));
            break;
        case 3:
            choose_topics(member, one_in(2));
            break;
        case 4: /* missed some generations */
            member->generation -= (int32_t)random_below(3);
            break;
        case 5: /* claims what it does not own, perhaps in another's generation */
            if (problem.topics[t].partition_count > 0)
                member->owns[t][random_below((uint32_t)problem.topics[t].partition_count)] = true;
            break;
        default:
            if (problem.topics[t].partition_count > 0 && !problem.uses_racks &&
                problem.topics[t].partition_count < PARTITIONS_MAX)
                problem.topics[t].partition_count++;
        }
    }
}

static void put(uint8_t *data, size_t *len, uint32_t value, int bytes)
{
    while (bytes-- > 0)
        data[(*len)++] = (uint8_t)(value >> 8 * bytes);
}

/* Owned partitions as sticky's user data, sometimes in its version 0, sometimes broken. */
static struct rj_bytes sticky_user_data(const struct member *member, struct rj_arena *arena)
{
    uint8_t *data = rj_arena_alloc(arena, 4096);
    size_t len = 0, count = 0;
    for (int32_t t = 0; t < problem.topic_count; t++)
        for (int32_t p = 0; p < PARTITIONS_MAX; p++)
            count += member->owns[t][p];
    if (member->generation < 0 && count == 0)
        return RJ_NULL_BYTES;
    put(data, &len, (uint32_t)problem.topic_count, 4);
    for (int32_t t = 0; t < problem.topic_count; t++) {
        uint32_t owned = 0;
        for (int32_t p = 0; p < PARTITIONS_MAX; p++)
            owned += member->owns[t][p];
        put(data, &len, (uint32_t)problem.topics[t].name.len, 2);
        memcpy(data + len, problem.topics[t].name.data, (size_t)problem.topics[t].name.len);
        len += (size_t)problem.topics[t].name.len;
        put(data, &len, owned, 4);
        for (uint32_t p = 0; p < PARTITIONS_MAX; p++)
            if (member->owns[t][p])
                put(data, &len, p, 4);
    }
    if (!one_in(20))
        put(data, &len, (uint32_t)member->generation, 4);
    if (one_in(50))
        len = random_below((uint32_t)len + 1);
    return (struct rj_bytes){data, (int32_t)len};
}

static void subscribe(int32_t m, enum rj_assignor assignor, struct rj_arena *arena)
{
    const struct member *member = &problem.members[m];
    struct rj_consumer_protocol_subscription *subscription = &problem.subscriptions[m];
    rj_message_init(&rj_consumer_protocol_subscription_schema, subscription);
    subscription->topics.items = rj_arena_alloc(arena, TOPICS_MAX * sizeof(struct rj_string));
    subscription->owned_partitions.items =
        rj_arena_alloc(arena, TOPICS_MAX * sizeof *subscription->owned_partitions.items);
    for (int32_t t = 0; t < problem.topic_count; t++) {
        if (member->subscribes[t])
            subscription->topics.items[subscription->topics.count++] = problem.topics[t].name;
        struct rj_int32_array owned = {rj_arena_alloc(arena, PARTITIONS_MAX * sizeof(int32_t)), 0};
        for (int32_t p = 0; p < PARTITIONS_MAX; p++)
            if (member->owns[t][p])
                owned.items[owned.count++] = p;
        if (owned.count > 0 && assignor != RJ_ASSIGNOR_STICKY)
            subscription->owned_partitions.items[subscription->owned_partitions.count++] =
                (struct rj_consumer_protocol_subscription_topic_partition){problem.topics[t].name, owned};
    }
    if (member->rack[0] != '\0')
        subscription->rack_id = text(member->rack);
    bool old = one_in(8); /* a subscription before version 2: no generation of its own */
    subscription->generation_id = old ? -1 : member->generation;
    if (assignor == RJ_ASSIGNOR_STICKY) {
        subscription->user_data = sticky_user_data(member, arena);
    } else if (assignor == RJ_ASSIGNOR_COOPERATIVE_STICKY && !one_in(10)) {
        uint8_t *data = rj_arena_alloc(arena, 4);
        size_t len = 0;
        put(data, &len, (uint32_t)member->generation, 4);
        subscription->user_data = (struct rj_bytes){data, one_in(30) ? 2 : 4};
    }
    problem.inputs[m] = (struct rj_assign_member){
        text(member->id), member->instance[0] ? text(member->instance) : RJ_NULL_STRING, subscription};
}

static void print_problem(FILE *out, int number, enum rj_assignor assignor)
{
    fprintf(out, "case %d %s\n", number, rj_assignor_name(assignor).data);
    for (int32_t t = 0; t < problem.topic_count; t++) {
        const struct rj_assign_topic *topic = &problem.topics[t];
        fprintf(out, "topic %s %s", topic->name.data, topic->partition_count == 0 ? "none" : "");
        for (int32_t p = 0; p < topic->partition_count; p++) {
            fputs(p > 0 ? ";" : "", out);
            int32_t racks = topic->partition_racks == NULL ? 0 : topic->partition_racks[p].count;
            for (int32_t r = 0; r < racks; r++) {
                struct rj_string rack = topic->partition_racks[p].items[r];
                fprintf(out, "%s%s", r > 0 ? "," : "", rack.data == NULL ? "?" : rack.data);
            }
            fputs(racks == 0 ? "-" : "", out);
        }
        fputc('\n', out);
    }
    for (int32_t m = 0; m < problem.member_count; m++) {
        const struct member *member = &problem.members[m];
        const struct rj_consumer_protocol_subscription *subscription = &problem.subscriptions[m];
        fprintf(out, "member %s %s %s %d ", member->id, member->instance[0] ? member->instance : "-",
                member->rack[0] ? member->rack : "-", subscription->generation_id);
        for (int32_t i = 0; i < subscription->topics.count; i++)
            fprintf(out, "%s%s", i > 0 ? "," : "", subscription->topics.items[i].data);
        const char *separator = " ";
        for (int32_t i = 0; i < subscription->owned_partitions.count; i++)
            for (int32_t k = 0; k < subscription->owned_partitions.items[i].partitions.count; k++, separator = ",")
                fprintf(out, "%s%s/%d", separator, subscription->owned_partitions.items[i].topic.data,
                        subscription->owned_partitions.items[i].partitions.items[k]);
        fputs(*separator == ' ' ? " - " : " ", out);
        for (int32_t i = 0; i < subscription->user_data.len; i++)
            fprintf(out, "%02x", subscription->user_data.data[i]);
        fputs(subscription->user_data.len == 0 ? "-\n" : "\n", out);
    }
}

static void print_answer(FILE *out, const char *word)
{
    for (int32_t m = 0; m < problem.member_count; m++) {
        struct rj_consumer_protocol_assignment_topic_partition_array topics = problem.outputs[m].assigned_partitions;
        const char *separator = " ";
        fprintf(out, "%s %s", word, problem.members[m].id);
        for (int32_t i = 0; i < topics.count; i++)
            for (int32_t k = 0; k < topics.items[i].partitions.count; k++, separator = ",")
                fprintf(out, "%s%s/%d", separator, topics.items[i].topic.data, topics.items[i].partitions.items[k]);
        fputs(*separator == ' ' ? " -\n" : "\n", out);
    }
}

/* The members take what they were assigned, so that the next problem continues from here. */
static void adopt(void)
{
    problem.generation++;
    for (int32_t m = 0; m < problem.member_count; m++) {
        struct member *member = &problem.members[m];
        memset(member->owns, 0, sizeof member->owns);
        member->generation = problem.generation;
        for (int32_t i = 0; i < problem.outputs[m].assigned_partitions.count; i++)
            for (int32_t t = 0; t < problem.topic_count; t++)
                for (int32_t k = 0; k < problem.outputs[m].assigned_partitions.items[i].partitions.count; k++)
                    if (rj_string_equal(problem.topics[t].name, problem.outputs[m].assigned_partitions.items[i].topic))
                        member->owns[t][problem.outputs[m].assigned_partitions.items[i].partitions.items[k]] = true;
    }
}

static int run_cases(FILE *out, enum rj_assignor assignor, int count)
{
    struct rj_arena arena;
    rj_arena_init(&arena, &rejoin_heap, SIZE_MAX);
    for (int number = 0; number < count; number++) {
        rj_arena_reset(&arena);
        if (number % 6 == 0)
            new_group();
        else
            change_group();
        for (int32_t m = 0; m < problem.member_count; m++)
            subscribe(m, assignor, &arena);
        print_problem(out, number, assignor);
        enum rj_err err = rj_assign_as_java(assignor, problem.inputs, problem.member_count, problem.topics,
                                            problem.topic_count, &arena, problem.outputs);
        if (err == RJ_OK)
            print_answer(out, "as-java");
        else
            fputs("as-java throws\n", out);
        err = rj_assign(assignor, problem.inputs, problem.member_count, problem.topics, problem.topic_count, &arena,
                        problem.outputs);
        if (err != RJ_OK) {
            printf("case %d: %s\n", number, rj_err_sentence(err));
            return 1;
        }
        print_answer(out, "ours");
        fputs("end\n", out);
        adopt();
    }
    rj_arena_release(&arena);
    return 0;
}

/* The directory of the jars, with the trailing slash; NULL: none. */
static const char *find_jars(void)
{
    static char found[4096];
    char pattern[4096];
    glob_t matches;
    const char *cache = getenv("REJOIN_CACHE"), *home = getenv("HOME");
    if (cache != NULL)
        snprintf(pattern, sizeof pattern, "%s/kafka-4.1.1/kafka-clients-*.jar", cache);
    else
        snprintf(pattern, sizeof pattern, "%s/.cache/rejoin/kafka-4.1.1/kafka-clients-*.jar", home ? home : "");
    if (glob(pattern, 0, NULL, &matches) != 0) {
        printf("SKIPPED: no kafka-clients jar at %s; 'ci/kafka fetch 4.1.1' brings it\n", pattern);
        return NULL;
    }
    snprintf(found, sizeof found, "%.*s", (int)(strrchr(matches.gl_pathv[0], '/') + 1 - matches.gl_pathv[0]),
             matches.gl_pathv[0]);
    globfree(&matches);
    return found;
}

int main(void)
{
    const char *jars = find_jars(), *cases = getenv("REJOIN_ASSIGN_CASES"), *seed = getenv("REJOIN_SEED");
    if (jars == NULL)
        return SKIPPED;
    if (system("command -v java >/dev/null 2>&1") != 0) {
        puts("SKIPPED: no java; install openjdk-17-jdk-headless");
        return SKIPPED;
    }
    int failures = 0;
    for (int a = 0; a < RJ_ASSIGNOR_COUNT; a++) {
        char command[8192];
        random_state = (seed != NULL ? strtoull(seed, NULL, 10) : 1) * 4 + (uint64_t)a;
        snprintf(command, sizeof command,
                 "java -XX:TieredStopAtLevel=1 -Xmx256m -Dorg.slf4j.simpleLogger.defaultLogLevel=off -cp '%s*' "
                 "harness/tests/java/AssignorCompare.java", jars);
        printf("%s: ", rj_assignor_name((enum rj_assignor)a).data);
        fflush(stdout);
        FILE *java = popen(command, "w");
        if (java == NULL) {
            puts("java cannot be started");
            return 1;
        }
        failures += run_cases(java, (enum rj_assignor)a, cases != NULL ? atoi(cases) : 300);
        failures += pclose(java) != 0;
    }
    return failures != 0;
}
