/* The state machine that performs a scenario, whatever the target. */
#include "scenario/run.h"

#include "rejoin/errors.h"
#include "support/memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LATE_MS = 2500,        /* how much later an answer may come on a wire */
    EARLY_MS = 150,        /* and how much earlier, beside what the requests before took */
    WHENEVER_MS = 600000,  /* the longest "...", in virtual time */
    WHENEVER_WIRE_MS = 60000,
    TOGETHER_MS = 200,     /* answers that are sent together come within that time */
    QUEUED_MS = 25,        /* for a request behind another one to arrive */
    EDGE_MS = 10,          /* so close to each other two steps stand before and behind a timer's end */
    BEFORE_EDGE_MS = 600,  /* a wire is not as exact: the one comes that much earlier, */
    BEHIND_EDGE_MS = 400,  /* the other that much later */
};

const char *scn_verdict_name(enum scn_verdict verdict)
{
    static const char *const names[] = {"running", "passed", "failed", "not-run", "stale", "broken"};
    return names[verdict];
}

void scn_run_init(struct scn_run *run, const struct scenario *scenario, const struct scn_target *target, void *host,
                  int kafka_version)
{
    memset(run, 0, sizeof(*run));
    *run = (struct scn_run){.scenario = scenario, .target = target, .host = host, .kafka_version = kafka_version};
    run->exchanges_end = &run->exchanges;
    run->names = json_object();
    for (size_t i = 0; i < sizeof(run->actors) / sizeof(run->actors[0]); i++)
        run->actors[i] = (struct scn_actor_state){.generation = -1, .protocol = "range", .producer_id = -1};
}

void scn_run_free(struct scn_run *run)
{
    while (run->exchanges != NULL) {
        struct scn_exchange *exchange = run->exchanges;
        run->exchanges = exchange->next;
        json_decref(exchange->body);
        free(exchange);
    }
    for (size_t i = 0; i < sizeof(run->rewritten) / sizeof(run->rewritten[0]); i++)
        free(run->rewritten[i]);
    json_decref(run->names);
    run->names = NULL;
}

void scn_run_end(struct scn_run *run, enum scn_verdict verdict, int line, const char *format, ...)
{
    if (run->verdict != SCN_RUNNING)
        return;
    run->verdict = verdict;
    run->line = line;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->why, sizeof(run->why), format, arguments);
    va_end(arguments);
}

bool scn_fits(const struct scenario *scenario, enum scn_target_kind kind, const char *target_name, int kafka_version,
              char *why, size_t why_len)
{
    const struct scn_step *step;
    if (scenario->needs_core && kind != SCN_CORE) {
        snprintf(why, why_len, "needs the core: %s", scenario->needs_why);
        return false;
    }
    if ((scn_targets(scenario, &step) & (int)kind) == 0) {
        if (step != NULL && (scn_verbs[step->verb].targets & (int)kind) == 0)
            snprintf(why, why_len, "line %d: '%s' cannot be done on %s", step->line, scn_verbs[step->verb].name,
                     target_name);
        else
            snprintf(why, why_len, "one of its settings does not exist on %s", target_name);
        return false;
    }
    if ((scenario->from_version != 0 && kafka_version < scenario->from_version)
        || (scenario->below_version != 0 && kafka_version >= scenario->below_version)) {
        snprintf(why, why_len, "needs another Kafka: %s", scenario->needs_why);
        return false;
    }
    return true;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

struct scn_exchange *scn_run_exchange(struct scn_run *run, int32_t correlation_id)
{
    for (struct scn_exchange *one = run->exchanges; one != NULL; one = one->next)
        if (one->correlation_id == correlation_id && !one->answered)
            return one;
    return NULL;
}

/* What an actor learns from any answer: its member id, its generation, the group's protocol. */
static void learn(struct scn_run *run, const struct scn_exchange *exchange)
{
    const json_t *member = json_object_get(exchange->body, "memberId"),
                 *generation = json_object_get(exchange->body, "generationId"),
                 *protocol = json_object_get(exchange->body, "protocolName");
    if (exchange->api_key != 11)
        return;
    struct scn_actor_state *state = &run->actors[exchange->actor];
    int64_t error = json_integer_value(json_object_get(exchange->body, "errorCode"));
    if (json_string_length(member) > 0 && (error == RJ_KAFKA_NONE || error == RJ_KAFKA_MEMBER_ID_REQUIRED))
        json_object_set_new(run->names, run->scenario->actors[exchange->actor].name,
                            json_string(json_string_value(member)));
    if (error != RJ_KAFKA_NONE)
        return;
    state->generation = (int32_t)json_integer_value(generation);
    if (json_is_string(protocol))
        state->protocol = json_string_value(protocol); /* lives as long as the exchange */
}

void scn_run_take_answer(struct scn_run *run, struct scn_exchange *exchange, json_t *body, int64_t at_ms)
{
    exchange->answered = true;
    exchange->closed = body == NULL;
    exchange->answered_ms = at_ms;
    exchange->body = body;
    if (exchange->rule != RJ_RULE_NONE)
        run->seen_rules[exchange->rule] = true;
    if (body != NULL)
        learn(run, exchange);
}

static const char *actor_name(const struct scn_run *run, int actor)
{
    return actor >= 0 ? run->scenario->actors[actor].name : "";
}

/* ---- Looking at answers ------------------------------------------------------------------------------------------ */

static void show_answer(const struct scn_run *run, const struct scn_exchange *exchange, struct rejoin_buffer *text)
{
    rejoin_buffer_format(text, "%s: ", rj_api_name(exchange->api_key));
    scn_show(run, exchange, NULL, text);
    rejoin_buffer_add(text, "", 1);
}

static void rewrite(struct scn_run *run, const struct scn_exchange *exchange, const struct scn_expect *expect)
{
    struct rejoin_buffer text = {0};
    scn_show(run, exchange, expect, &text);
    rejoin_buffer_add(&text, "", 1);
    if (expect->line < 64 && expect->column > 0) {
        free(run->rewritten[expect->line]);
        run->rewritten[expect->line] = (char *)text.data;
    } else {
        rejoin_buffer_free(&text);
    }
}

/* Says so where only the version's own expectation fails. */
static bool is_stale(struct scn_run *run, const struct scn_exchange *exchange, const struct scn_expect *expect)
{
    char ignored[256];
    return expect->condition != SCN_ALWAYS
           && scn_matches(run, exchange, run->at < run->scenario->step_count ? run->scenario->steps[run->at].expect
                                                                            : expect,
                          ignored, sizeof(ignored));
}

static void judge(struct scn_run *run, struct scn_exchange *exchange, const struct scn_expect *expect)
{
    char why[800];
    exchange->consumed = true;
    bool empty = expect->kind == SCN_EXPECT_ANSWER && expect->fields.count == 0 && expect->column > 0;
    bool fits = scn_matches(run, exchange, expect, why, sizeof(why));
    if (run->rewrites && (empty || !fits || (exchange->rule != RJ_RULE_NONE && expect->rule == RJ_RULE_NONE))) {
        rewrite(run, exchange, expect);
        return;
    }
    if (empty)
        scn_run_end(run, SCN_BROKEN, expect->line, "nothing is expected behind '<': --rewrite fills it in");
    if (fits)
        return;
    struct rejoin_buffer text = {0};
    show_answer(run, exchange, &text);
    scn_run_end(run, is_stale(run, exchange, expect) ? SCN_STALE : SCN_FAILED, expect->line ? expect->line : exchange->step->line,
                "%s (%s %s)", why, actor_name(run, exchange->actor), (const char *)text.data);
    rejoin_buffer_free(&text);
}

/* The oldest request of that actor that no step has looked at. */
static struct scn_exchange *oldest(struct scn_run *run, const struct scn_step *step)
{
    for (struct scn_exchange *one = run->exchanges; one != NULL; one = one->next)
        if (!one->consumed && one->actor == step->actor && (step->api_key < 0 || step->api_key == one->api_key))
            return one;
    return NULL;
}

static bool is_timely(struct scn_run *run, const struct scn_exchange *exchange, const struct scn_step *step)
{
    int64_t early_ms = run->target->is_exact ? 0 : EARLY_MS + run->spread_ms + run->lead_ms;
    if (step->whenever || exchange->answered_ms >= run->instant_ms - early_ms || exchange->sent_ms >= run->instant_ms)
        return true;
    struct rejoin_buffer text = {0};
    show_answer(run, exchange, &text);
    scn_run_end(run, SCN_FAILED, step->line, "the answer came %" PRId64 " ms too early (%s)",
                run->instant_ms - exchange->answered_ms, (const char *)text.data);
    rejoin_buffer_free(&text);
    return false;
}

enum progress { MOVED, STAYS };

static enum progress wait_for_answer(struct scn_run *run, struct scn_exchange *exchange, const struct scn_step *step)
{
    int64_t longest_ms = step->whenever ? (run->target->is_exact ? WHENEVER_MS : WHENEVER_WIRE_MS)
                                        : run->target->is_exact ? 0 : LATE_MS;
    run->wake_ms = run->due_ms + longest_ms;
    if (run->target->now_ms(run) < run->wake_ms)
        return STAYS;
    scn_run_end(run, SCN_FAILED, step->line, "no answer to %s's %s", actor_name(run, exchange->actor),
                rj_api_name(exchange->api_key));
    return MOVED;
}

static enum progress expect_answer(struct scn_run *run, struct scn_exchange *exchange, const struct scn_step *step)
{
    const struct scn_expect *expect = scn_expect_for(step->expect, run->kafka_version);
    if (exchange == NULL) {
        scn_run_end(run, SCN_FAILED, step->line, "expected a request of %s before, whose answer this is",
                    actor_name(run, step->actor));
        return MOVED;
    }
    if (expect->kind == SCN_EXPECT_WAITS && !(run->rewrites && exchange->answered)) {
        if (exchange->answered)
            judge(run, exchange, &(struct scn_expect){.kind = SCN_EXPECT_CLOSED, .line = expect->line});
        return MOVED;
    }
    if (!exchange->answered && run->rewrites && run->target->is_exact && !step->whenever)
        return run->rewritten[step->expect->line] = rejoin_strdup("waits"), MOVED;
    if (!exchange->answered)
        return wait_for_answer(run, exchange, step);
    if (!is_timely(run, exchange, step))
        return MOVED;
    /* An answer that came at the same time may still be on its way, and with it what a $name stands for. */
    char ignored[256];
    if (!run->target->is_exact && run->target->now_ms(run) < exchange->answered_ms + TOGETHER_MS
        && !scn_matches(run, exchange, expect, ignored, sizeof(ignored))) {
        run->wake_ms = run->target->now_ms(run) + TOGETHER_MS / 10;
        return STAYS;
    }
    judge(run, exchange, expect);
    return MOVED;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

static struct scn_exchange *add_exchange(struct scn_run *run, const struct scn_step *step)
{
    static int32_t last_correlation_id; /* of this process, so that one mock can tell its runs apart */
    struct scn_exchange *exchange = rejoin_alloc_zeroed(1, sizeof(*exchange));
    *exchange = (struct scn_exchange){.step = step, .actor = step->actor, .connection = step->connection,
                                      .api_key = step->api_key, .version = scn_step_version(run->scenario, step),
                                      .correlation_id = ++last_correlation_id, .sent_ms = run->target->now_ms(run)};
    *run->exchanges_end = exchange;
    run->exchanges_end = &exchange->next;
    return exchange;
}

/* The request of this step where it was sent already; NULL: it was not. */
static struct scn_exchange *sent_by(struct scn_run *run, const struct scn_step *step)
{
    for (struct scn_exchange *one = run->exchanges; one != NULL; one = one->next)
        if (one->step == step)
            return one;
    return NULL;
}

static bool send_request(struct scn_run *run, const struct scn_step *step)
{
    json_t *body = scn_build(run, step, scn_step_version(run->scenario, step));
    if (body == NULL)
        return false;
    scn_add_prefix(run, body);
    struct scn_exchange *exchange = add_exchange(run, step);
    bool ok = run->target->send(run, exchange, body);
    json_decref(body);
    if (!ok)
        scn_run_end(run, SCN_BROKEN, step->line, "it could not be sent: %s", run->why);
    return ok;
}

/* What is not answered at once has to reach the target before the next step does. Behind another request on its
 * connection nobody can tell. */
static enum progress let_arrive(struct scn_run *run, struct scn_exchange *exchange)
{
    int64_t now_ms = run->target->now_ms(run);
    bool queued = false;
    for (struct scn_exchange *one = run->exchanges; one != exchange; one = one->next)
        queued = queued || (one->connection == exchange->connection && !one->answered);
    if (!run->target->is_exact && exchange->arrived_ms == 0 && !exchange->answered && !queued
        && now_ms < exchange->sent_ms + LATE_MS) {
        run->wake_ms = now_ms + 1;
        return STAYS;
    }
    if (!run->target->is_exact)
        run->not_before_ms = now_ms + (queued ? QUEUED_MS : exchange->answered ? 0 : run->target->settle_ms);
    return MOVED;
}

static enum progress perform_request(struct scn_run *run, const struct scn_step *step)
{
    struct scn_exchange *exchange = sent_by(run, step);
    if (exchange == NULL) {
        if (!send_request(run, step))
            return MOVED;
        exchange = sent_by(run, step);
    }
    return step->expect == NULL ? let_arrive(run, exchange) : expect_answer(run, exchange, step);
}

static enum progress perform_waits(struct scn_run *run, const struct scn_step *step)
{
    struct scn_exchange *exchange = oldest(run, step);
    while (exchange != NULL && (exchange->answered || exchange->actor != step->actor))
        exchange = exchange->next;
    if (exchange == NULL)
        scn_run_end(run, SCN_FAILED, step->line, "%s waits for no answer", actor_name(run, step->actor));
    return MOVED;
}

static enum progress perform(struct scn_run *run, const struct scn_step *step)
{
    if (step->verb == SCN_SEND)
        return perform_request(run, step);
    if (step->verb == SCN_ANSWER)
        return expect_answer(run, oldest(run, step), step);
    if (step->verb == SCN_PAUSE)
        return MOVED;
    if (step->verb == SCN_WAITS)
        return perform_waits(run, step);
    if (step->verb == SCN_DISCONNECTS)
        return run->target->disconnect(run, step->connection), MOVED;
    enum scn_control result = run->target->control(run, step);
    if (result == SCN_CANNOT)
        scn_run_end(run, SCN_BROKEN, step->line, "'%s' could not be done: %s", scn_verbs[step->verb].name, run->why);
    run->wake_ms = run->due_ms + WHENEVER_WIRE_MS;
    if (result == SCN_BUSY && run->target->now_ms(run) >= run->wake_ms)
        scn_run_end(run, SCN_BROKEN, step->line, "'%s' is not done after a minute: %s", scn_verbs[step->verb].name,
                    run->why);
    return result == SCN_BUSY ? STAYS : MOVED;
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

/* How much earlier a step comes because the next moment is just behind it: on a wire only, and a quarter of its own delay
 * at most. */
static int64_t lead_of(const struct scn_run *run, const struct scn_step *step)
{
    const struct scn_step *end = run->scenario->steps + run->scenario->step_count, *next = step + 1;
    while (next < end && next->delay_ms == 0)
        next++;
    if (run->target->is_exact || next == end || next->delay_ms > EDGE_MS || step->delay_ms <= EDGE_MS)
        return 0;
    return step->delay_ms / 4 < BEFORE_EDGE_MS ? step->delay_ms / 4 : BEFORE_EDGE_MS;
}

static void enter(struct scn_run *run, const struct scn_step *step, int64_t now_ms)
{
    run->entered = true;
    if (run->at == 0)
        run->instant_ms = run->last_ms = now_ms;
    run->due_ms = run->last_ms + step->delay_ms;
    if (step->delay_ms > 0) {
        bool is_behind_edge = run->lead_ms > 0;
        run->spread_ms += run->last_ms + run->lead_ms - run->instant_ms;
        run->instant_ms = run->due_ms + run->lead_ms;
        run->lead_ms = lead_of(run, step);
        run->due_ms = run->instant_ms - run->lead_ms + (is_behind_edge && step->verb == SCN_SEND ? BEHIND_EDGE_MS : 0);
    }
    if (run->due_ms < run->not_before_ms)
        run->due_ms = run->not_before_ms;
}

static void leave(struct scn_run *run, const struct scn_step *step, int64_t now_ms)
{
    run->at++;
    run->entered = false;
    run->last_ms = now_ms > run->due_ms ? now_ms : run->due_ms;
    if (step->whenever)
        run->instant_ms = run->last_ms;
}

/* Answers that no step asked for. */
static void finish(struct scn_run *run)
{
    for (struct scn_exchange *one = run->exchanges; one != NULL; one = one->next) {
        if (!one->answered || one->consumed)
            continue;
        struct rejoin_buffer text = {0};
        show_answer(run, one, &text);
        scn_run_end(run, SCN_FAILED, one->step->line, "an answer came that no line expects (%s)",
                    (const char *)text.data);
        rejoin_buffer_free(&text);
    }
    scn_run_end(run, SCN_PASSED, 0, "%s", "");
}

/* The first round of `stable`, in which an id is promised, is not for everybody. */
static bool is_left_out(const struct scn_run *run, const struct scn_step *step)
{
    if (!step->only_if_new)
        return false;
    const struct scn_actor *actor = &run->scenario->actors[step->actor];
    for (int i = 0; i < actor->defaults.count; i++)
        if (actor->defaults.items[i].name != NULL && strcmp(actor->defaults.items[i].name, "instance") == 0)
            return true;
    return json_object_get(run->names, actor->name) != NULL || scn_step_version(run->scenario, step) < 4;
}

enum scn_wait scn_run_poll(struct scn_run *run)
{
    while (run->verdict == SCN_RUNNING) {
        if (run->at == run->scenario->step_count) {
            finish(run);
            break;
        }
        const struct scn_step *step = &run->scenario->steps[run->at];
        int64_t now_ms = run->target->now_ms(run);
        if (!run->entered) {
            enter(run, step, now_ms);
            run->leaves_out = is_left_out(run, step);
        }
        if (now_ms < run->due_ms) {
            run->wake_ms = run->due_ms;
            return SCN_UNTIL;
        }
        if (run->leaves_out || perform(run, step) == MOVED) {
            leave(run, step, run->target->now_ms(run));
            continue;
        }
        return SCN_FOR_ANSWER;
    }
    return SCN_OVER;
}
