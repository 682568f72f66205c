/* The text of a scenario becomes steps. Every complaint names line, column and what was expected. */
#include "scenario/words.h"

#include "support/buffer.h"
#include "support/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCN_LINE_LIMIT = 40, JOIN_GROUP = 11, SYNC_GROUP = 14 };

static bool parse_number(const char *text, int64_t least, int64_t most, int64_t *out)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*text == 0 || *end != 0 || errno != 0 || number < least || number > most)
        return false;
    *out = number;
    return true;
}

static bool ends_here(struct scn_parser *parser)
{
    const struct scn_word *word = scn_peek(parser);
    return word == NULL || scn_complain(parser, word->column, "found '%.*s', expected the end of the line", word->len,
                                        word->text);
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static int find_connection(struct scn_parser *parser, const char *name, int column)
{
    struct scenario *scenario = parser->scenario;
    for (int i = 0; i < scenario->connection_count; i++)
        if (strcmp(scenario->connections[i], name) == 0)
            return i;
    if (scenario->connection_count == (int)(sizeof(scenario->connections) / sizeof(scenario->connections[0]))) {
        scn_complain(parser, column, "expected fewer connections");
        return 0;
    }
    scenario->connections[scenario->connection_count] = name;
    return scenario->connection_count++;
}

static bool is_actor_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(i > 0 && ((c >= '0' && c <= '9') || c == '-' || c == '_')))
            return false;
    }
    return len > 0 && len <= 32;
}

static int find_actor(struct scn_parser *parser, const char *text, size_t len, int column)
{
    struct scenario *scenario = parser->scenario;
    if (!is_actor_name(text, len)) {
        scn_complain(parser, column, "found '%.*s', expected an actor (letters, digits, - and _) or a verb", (int)len,
                     text);
        return 0;
    }
    for (int i = 0; i < scenario->actor_count; i++)
        if (strlen(scenario->actors[i].name) == len && memcmp(scenario->actors[i].name, text, len) == 0)
            return i;
    if (scenario->actor_count == (int)(sizeof(scenario->actors) / sizeof(scenario->actors[0]))) {
        scn_complain(parser, column, "expected fewer actors");
        return 0;
    }
    scenario->actors[scenario->actor_count] = (struct scn_actor){.name = scn_keep(parser, text, len)};
    return scenario->actor_count++;
}

/* ACTOR or ACTOR@CONNECTION. */
static bool read_actor(struct scn_parser *parser, const struct scn_word *word, struct scn_step *step)
{
    const char *at = memchr(word->text, '@', (size_t)word->len);
    size_t name_len = at ? (size_t)(at - word->text) : (size_t)word->len;
    step->actor = find_actor(parser, word->text, name_len, word->column);
    if (parser->failed)
        return false;
    const char *connection = parser->scenario->actors[step->actor].name;
    if (at != NULL) {
        size_t len = (size_t)word->len - name_len - 1;
        if (!is_actor_name(at + 1, len))
            return scn_complain(parser, word->column + (int)name_len + 1, "expected the name of a connection behind '@'");
        connection = scn_keep(parser, at + 1, len);
    }
    step->connection = find_connection(parser, connection, word->column);
    return !parser->failed;
}

/* ---- What must come back ----------------------------------------------------------------------------------------- */

static bool read_rule(struct scn_parser *parser, const char *id, int column, enum rj_rule *rule)
{
    *rule = rj_rule_by_id((struct rj_string){id, (int32_t)strlen(id)});
    if (*rule == RJ_RULE_NONE)
        return scn_complain(parser, column, "found '%s', expected the id of a rule (`rejoin rules` lists them)", id);
    return true;
}

/* Takes !RULE, waits and closed out of the words. */
static bool sort_expectation(struct scn_parser *parser, struct scn_expect *expect)
{
    struct scn_field *kept = rj_arena_alloc(&parser->scenario->arena, sizeof(*kept) * (size_t)(expect->fields.count + 1));
    int count = 0;
    for (int i = 0; i < expect->fields.count; i++) {
        const struct scn_field *field = &expect->fields.items[i];
        bool bare = field->name == NULL && field->json == NULL && !field->is_quoted;
        if (bare && field->value[0] == '!') {
            if (!read_rule(parser, field->value + 1, field->column + 1, &expect->rule))
                return false;
        } else if (bare && strcmp(field->value, "waits") == 0) {
            expect->kind = SCN_EXPECT_WAITS;
        } else if (bare && strcmp(field->value, "closed") == 0) {
            expect->kind = SCN_EXPECT_CLOSED;
        } else {
            kept[count++] = *field;
        }
    }
    if (expect->kind != SCN_EXPECT_ANSWER && (count > 0 || expect->rule != RJ_RULE_NONE))
        return scn_complain(parser, expect->column, "expected nothing else where no answer comes");
    expect->fields = (struct scn_fields){kept, count};
    return true;
}

static struct scn_expect *read_expectation(struct scn_parser *parser)
{
    struct scn_expect *expect = rj_arena_alloc(&parser->scenario->arena, sizeof(*expect));
    *expect = (struct scn_expect){.line = parser->line, .column = scn_column_here(parser)};
    bool ok = scn_read_fields(parser, NULL, &expect->fields) && sort_expectation(parser, expect);
    expect->end_column = parser->end_column;
    return ok ? expect : NULL;
}

static bool is_condition(const struct scn_word *word)
{
    return word != NULL && word->len > 6 && memcmp(word->text, "kafka", 5) == 0 && strchr("<>=", word->text[5]) != NULL;
}

/* <4.0 >=4.0 =3.9 behind "kafka". */
static bool read_condition(struct scn_parser *parser, const struct scn_word *word, int *condition, int *version)
{
    char text[16];
    const char *at = word->text + 5;
    int len = word->len - 5;
    *condition = *at == '<' ? SCN_BELOW : *at == '=' ? SCN_EXACTLY : SCN_FROM;
    int sign_len = *condition == SCN_FROM ? 2 : 1;
    if (*condition == SCN_FROM && (len < 2 || at[1] != '='))
        return scn_complain(parser, word->column + 5, "expected kafka<4.0, kafka>=4.0 or kafka=4.0");
    len -= sign_len;
    if (len > 0 && len < (int)sizeof(text)) {
        memcpy(text, at + sign_len, (size_t)len);
        text[len] = 0;
        *version = scn_version(text);
    }
    if (*version == 0)
        return scn_complain(parser, word->column + 5 + sign_len, "expected a version of Kafka: 4.0");
    return true;
}

static bool read_alternative(struct scn_parser *parser)
{
    struct scn_expect *last = parser->step_count > 0 ? parser->steps[parser->step_count - 1].expect : NULL;
    struct scn_word word = *scn_next_word(parser);
    if (last == NULL || last->column == 0)
        return scn_complain(parser, word.column, "expected a line with '<' before this one, whose answer differs");
    if (word.text[word.len - 1] != ':')
        return scn_complain(parser, word.end_column, "expected ':' behind the version");
    word.len--;
    int condition = SCN_ALWAYS, version = 0;
    if (!read_condition(parser, &word, &condition, &version))
        return false;
    struct scn_expect *expect = read_expectation(parser);
    if (expect == NULL)
        return false;
    expect->condition = condition;
    expect->kafka_version = version;
    expect->why = parser->comment ? scn_keep(parser, parser->comment, strlen(parser->comment)) : NULL;
    if (expect->why == NULL || *expect->why == 0)
        return scn_complain(parser, parser->end_column, "expected # and why that version differs");
    while (last->next != NULL)
        last = last->next;
    last->next = expect;
    return true;
}

/* ---- Before the first step --------------------------------------------------------------------------------------- */

static bool read_setting(struct scn_parser *parser, const struct scn_field *field, int *which, int64_t *value)
{
    for (*which = 0; *which < SCN_SETTING_COUNT; ++*which)
        if (field->name != NULL && strcmp(scn_settings[*which].name, field->name) == 0)
            break;
    if (*which == SCN_SETTING_COUNT)
        return scn_complain(parser, field->column, "expected NAME=VALUE with a name that --grammar lists");
    const struct scn_setting_row *row = &scn_settings[*which];
    if (row->is_time)
        *value = scn_time_ms(field->value);
    else if (!parse_number(field->value, 0, INT32_MAX, value))
        *value = -1;
    if (*value < 0)
        return scn_complain(parser, field->column + (int)strlen(field->name) + 1, "expected %s", row->what);
    return true;
}

static bool read_config(struct scn_parser *parser)
{
    struct scn_fields fields;
    if (!scn_read_fields(parser, NULL, &fields))
        return false;
    for (int i = 0; i < fields.count; i++) {
        int which;
        int64_t value;
        if (!read_setting(parser, &fields.items[i], &which, &value))
            return false;
        parser->scenario->settings[which] = value;
        parser->scenario->has_setting[which] = true;
    }
    return fields.count > 0 || scn_complain(parser, parser->end_column, "expected NAME=VALUE");
}

static bool read_topic(struct scn_parser *parser)
{
    struct scenario *scenario = parser->scenario;
    const struct scn_word *name = scn_next_word(parser), *count = scn_next_word(parser);
    int64_t partitions = 0;
    if (name == NULL || count == NULL
        || !parse_number(scn_keep(parser, count->text, (size_t)count->len), 1, 1000, &partitions))
        return scn_complain(parser, count ? count->column : parser->end_column,
                            "expected topic NAME and a number of partitions");
    if (scenario->topic_count == (int)(sizeof(scenario->topics) / sizeof(scenario->topics[0])))
        return scn_complain(parser, name->column, "expected fewer topics");
    scenario->topics[scenario->topic_count++] =
        (struct scn_topic){scn_keep(parser, name->text, (size_t)name->len), (int32_t)partitions, parser->line};
    return ends_here(parser);
}

static bool read_member(struct scn_parser *parser)
{
    const struct scn_word *word = scn_next_word(parser);
    if (word == NULL)
        return scn_complain(parser, parser->end_column, "expected the name of an actor");
    int actor = find_actor(parser, word->text, (size_t)word->len, word->column);
    if (parser->failed)
        return false;
    parser->scenario->actors[actor].line = parser->line;
    return scn_read_fields(parser, NULL, &parser->scenario->actors[actor].defaults);
}

static bool read_api_version(struct scn_parser *parser, const struct scn_word *word, int16_t api_key, int16_t *version)
{
    int64_t number;
    const struct rj_message_schema *schema = rj_request_schema(api_key);
    if (word == NULL || word->text[0] != 'v'
        || !parse_number(scn_keep(parser, word->text + 1, (size_t)word->len - 1), schema->versions.low,
                         schema->versions.high, &number))
        return scn_complain(parser, word ? word->column : parser->end_column, "expected a version, v%d to v%d",
                            schema->versions.low, schema->versions.high);
    *version = (int16_t)number;
    return true;
}

static bool read_api(struct scn_parser *parser, int16_t *api_key)
{
    const struct scn_word *word = scn_next_word(parser);
    *api_key = word ? scn_api_by_name(scn_keep(parser, word->text, (size_t)word->len)) : -1;
    if (*api_key < 0 || *api_key >= (int16_t)(sizeof(parser->scenario->versions) / sizeof(int16_t)))
        return scn_complain(parser, word ? word->column : parser->end_column,
                            "found '%.*s', expected the name of an API: JoinGroup, Heartbeat, ...",
                            word ? word->len : 0, word ? word->text : "");
    return true;
}

static bool read_use(struct scn_parser *parser)
{
    do {
        int16_t api_key, version = -1;
        if (!read_api(parser, &api_key) || !read_api_version(parser, scn_next_word(parser), api_key, &version))
            return false;
        parser->scenario->versions[api_key] = version;
    } while (scn_peek(parser) != NULL);
    return true;
}

static bool read_needs(struct scn_parser *parser)
{
    static const char forms[] = "expected kafka>=VERSION, kafka<VERSION or core";
    struct scenario *scenario = parser->scenario;
    do {
        const struct scn_word *word = scn_next_word(parser);
        int condition = SCN_ALWAYS, version = 0;
        if (scn_word_is(word, "core")) {
            scenario->needs_core = true;
            continue;
        }
        if (!is_condition(word))
            return scn_complain(parser, word ? word->column : parser->end_column, forms);
        if (!read_condition(parser, word, &condition, &version))
            return false;
        if (condition == SCN_EXACTLY)
            return scn_complain(parser, word->column, forms);
        *(condition == SCN_BELOW ? &scenario->below_version : &scenario->from_version) = version;
    } while (scn_peek(parser) != NULL);
    if (parser->comment == NULL || *parser->comment == 0)
        return scn_complain(parser, parser->end_column, "expected # and why it is not run on others");
    scenario->needs_why = scn_keep(parser, parser->comment, strlen(parser->comment));
    return true;
}

static bool parse_heading(struct scn_parser *parser, bool *was_one)
{
    static const struct { const char *name; bool (*read)(struct scn_parser *parser); } headings[] = {
        {"config", read_config}, {"topic", read_topic}, {"member", read_member}, {"use", read_use},
        {"needs", read_needs}};
    *was_one = false;
    for (size_t i = 0; i < sizeof(headings) / sizeof(headings[0]); i++)
        if (scn_word_is(scn_peek(parser), headings[i].name)) {
            if (parser->step_count > 0 && i == 1)
                return true; /* a step of the same name */
            *was_one = true;
            const struct scn_word *word = scn_next_word(parser);
            if (parser->step_count > 0)
                return scn_complain(parser, word->column, "expected '%s' before the first step", headings[i].name);
            return headings[i].read(parser);
        }
    return true;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

static void add_step(struct scn_parser *parser, const struct scn_step *step)
{
    if (parser->step_count == parser->step_size) {
        parser->step_size = parser->step_size ? parser->step_size * 2 : 32;
        parser->steps = rejoin_realloc(parser->steps, (size_t)parser->step_size * sizeof(*parser->steps));
    }
    parser->steps[parser->step_count++] = *step;
}

static bool read_time(struct scn_parser *parser, struct scn_step *step)
{
    const struct scn_word *word = scn_peek(parser);
    step->whenever = scn_word_is(word, "...");
    if (!step->whenever && word->text[0] != '+')
        return true;
    parser->at++;
    if (step->whenever)
        return true;
    step->delay_ms = scn_time_ms(scn_keep(parser, word->text, (size_t)word->len));
    return step->delay_ms >= 0 || scn_complain(parser, word->column, "expected a time: +10s, +300ms, +1.5s");
}

static bool read_request(struct scn_parser *parser, struct scn_step *step)
{
    step->verb = SCN_SEND;
    if (!read_api(parser, &step->api_key))
        return false;
    const struct scn_word *word = scn_peek(parser);
    if (word != NULL && word->len > 1 && word->text[0] == 'v' && word->text[1] >= '0' && word->text[1] <= '9'
        && !read_api_version(parser, scn_next_word(parser), step->api_key, &step->version))
        return false;
    if (!scn_read_fields(parser, "<", &step->fields))
        return false;
    if (scn_next_word(parser) == NULL)
        return true;
    step->expect = read_expectation(parser);
    return step->expect != NULL;
}

static bool read_answer(struct scn_parser *parser, struct scn_step *step)
{
    step->verb = SCN_ANSWER;
    const struct scn_word *word = scn_peek(parser);
    const char *name = word ? scn_keep(parser, word->text, (size_t)word->len) : "";
    step->api_key = scn_api_by_name(name);
    if (step->api_key >= 0)
        parser->at++;
    step->expect = read_expectation(parser);
    return step->expect != NULL;
}

static bool read_words(struct scn_parser *parser, struct scn_step *step)
{
    const struct scn_verb_row *row = &scn_verbs[step->verb];
    if (!scn_read_fields(parser, NULL, &step->fields))
        return false;
    if (step->fields.count < row->least || step->fields.count > row->most)
        return scn_complain(parser, step->fields.count > row->most ? step->fields.items[row->most].column
                                                                   : parser->end_column,
                            "expected %s behind '%s'", row->words, row->name);
    return true;
}

/* One round of `stable`: every actor sends, or every actor has its answer. */
static bool add_round(struct scn_parser *parser, const struct scn_step *stable, struct scn_step step)
{
    for (int i = 0; i < stable->fields.count; i++) {
        const struct scn_field *field = &stable->fields.items[i];
        struct scn_word word = {field->value, (int)strlen(field->value), field->column, field->column};
        if (!read_actor(parser, &word, &step))
            return false;
        step.delay_ms = parser->step_count > 0 && parser->steps[parser->step_count - 1].line == step.line
                            ? 0 : stable->delay_ms;
        add_step(parser, &step);
    }
    return true;
}

/* assignments=$a:a,$b:b */
static const struct scn_field *make_plan(struct scn_parser *parser, const struct scn_step *stable)
{
    struct rejoin_buffer text = {0};
    for (int i = 0; i < stable->fields.count; i++)
        rejoin_buffer_format(&text, "%s$%s:%s", i ? "," : "", stable->fields.items[i].value,
                             stable->fields.items[i].value);
    struct scn_field *plan = rj_arena_alloc(&parser->scenario->arena, sizeof(*plan));
    *plan = (struct scn_field){.name = "assignments", .value = scn_keep(parser, (const char *)text.data, text.len),
                               .word = "stable", .line = stable->line, .column = stable->column};
    rejoin_buffer_free(&text);
    return plan;
}

/* The steps of `stable`: ids for everybody, joins, their answers, syncs with the whole plan, their answers. */
static bool expand_stable(struct scn_parser *parser, const struct scn_step *stable)
{
    static struct scn_field no_error = {.value = "NONE"}, id_required = {.value = "MEMBER_ID_REQUIRED"};
    static struct scn_expect fine = {.fields = {&no_error, 1}}, given = {.fields = {&id_required, 1}};
    for (int i = 0; i < stable->fields.count; i++)
        if (stable->fields.items[i].name != NULL || stable->fields.items[i].json != NULL)
            return scn_complain(parser, stable->fields.items[i].column, "expected the name of an actor");
    struct scn_step asks = *stable, answers = *stable;
    asks.verb = SCN_SEND;
    answers.verb = SCN_ANSWER;
    answers.whenever = true;
    answers.expect = &fine;
    asks.fields = answers.fields = (struct scn_fields){NULL, 0};
    asks.api_key = answers.api_key = JOIN_GROUP;
    struct scn_step first = asks;
    first.only_if_new = true;
    first.expect = &given;
    if (!add_round(parser, stable, first) || !add_round(parser, stable, asks) || !add_round(parser, stable, answers))
        return false;
    asks.api_key = answers.api_key = SYNC_GROUP;
    asks.fields = (struct scn_fields){make_plan(parser, stable), 1};
    return add_round(parser, stable, asks) && add_round(parser, stable, answers);
}

static bool parse_step(struct scn_parser *parser)
{
    struct scn_step step = {.verb = SCN_PAUSE, .line = parser->line, .actor = -1, .connection = -1, .api_key = -1,
                            .version = -1, .column = scn_peek(parser)->column};
    if (!read_time(parser, &step))
        return false;
    struct scn_word word = {.len = 0};
    if (scn_peek(parser) != NULL)
        word = *scn_next_word(parser);
    else if (step.whenever)
        return scn_complain(parser, parser->end_column, "expected ACTOR < behind '...'");
    for (int verb = 0; verb < SCN_VERB_COUNT && word.len > 0; verb++)
        if (scn_verbs[verb].name != NULL && !scn_verbs[verb].of_actor && scn_word_is(&word, scn_verbs[verb].name))
            step.verb = (enum scn_verb)verb;
    if (step.verb == SCN_PAUSE && word.len > 0) {
        const struct scn_word *sign = scn_peek(parser);
        if (!read_actor(parser, &word, &step))
            return false;
        parser->at++;
        if (scn_word_is(sign, ">"))
            return read_request(parser, &step) && (add_step(parser, &step), true);
        if (scn_word_is(sign, "<"))
            return read_answer(parser, &step) && (add_step(parser, &step), true);
        for (int verb = 0; verb < SCN_VERB_COUNT; verb++)
            if (scn_verbs[verb].of_actor && scn_word_is(sign, scn_verbs[verb].name))
                step.verb = (enum scn_verb)verb;
        if (step.verb == SCN_PAUSE)
            return scn_complain(parser, sign ? sign->column : parser->end_column,
                                "expected '>', '<', 'waits' or another verb behind the actor '%.*s'", word.len,
                                word.text);
    }
    if (step.verb == SCN_PAUSE)
        return add_step(parser, &step), true;
    if (!read_words(parser, &step))
        return false;
    if (step.verb == SCN_STABLE)
        return expand_stable(parser, &step);
    add_step(parser, &step);
    return true;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static bool parse_title(struct scn_parser *parser, const char *line)
{
    static const char expected[] = "expected '# trips RULE: SENTENCE' or '# keeps RULE: SENTENCE' as the first line";
    bool trips = strncmp(line, "# trips ", 8) == 0;
    const char *colon = strchr(line, ':');
    if ((!trips && strncmp(line, "# keeps ", 8) != 0) || colon == NULL)
        return scn_complain(parser, 1, "%s", expected);
    parser->scenario->trips = trips;
    const char *id = scn_keep(parser, line + 8, (size_t)(colon - line - 8));
    if (!read_rule(parser, id, 9, &parser->scenario->rule))
        return false;
    colon += 1 + strspn(colon + 1, " ");
    parser->scenario->sentence = scn_keep(parser, colon, strlen(colon));
    return *colon != 0 || scn_complain(parser, (int)strlen(line) + 1, "expected a sentence behind the rule");
}

static bool parse_line(struct scn_parser *parser, const char *line)
{
    if (parser->line == 1)
        return parse_title(parser, line);
    if (!scn_split_line(parser, line))
        return false;
    if (parser->word_count == 0)
        return true;
    if (is_condition(scn_peek(parser)))
        return read_alternative(parser);
    bool was_heading;
    if (!parse_heading(parser, &was_heading))
        return false;
    return was_heading || parse_step(parser);
}

/* Cuts the text into lines that belong to the scenario. */
static void cut(struct scenario *scenario, const char *text, size_t len)
{
    for (size_t start = 0; start < len;) {
        const char *end = memchr(text + start, '\n', len - start);
        size_t line_len = end ? (size_t)(end - text) - start : len - start;
        scenario->lines = rejoin_realloc(scenario->lines, (size_t)(scenario->line_count + 1) * sizeof(char *));
        char *line = rejoin_alloc(line_len + 1);
        memcpy(line, text + start, line_len);
        line[line_len] = 0;
        scenario->lines[scenario->line_count++] = line;
        start += line_len + 1;
    }
}

static void set_defaults(struct scenario *scenario)
{
    for (int i = 0; i < SCN_SETTING_COUNT; i++)
        scenario->settings[i] = scn_settings[i].otherwise;
    for (size_t i = 0; i < sizeof(scenario->versions) / sizeof(scenario->versions[0]); i++)
        scenario->versions[i] = -1;
    scenario->jsons = json_array();
}

static bool check_whole(struct scn_parser *parser)
{
    if (parser->scenario->line_count > SCN_LINE_LIMIT) {
        parser->line = SCN_LINE_LIMIT + 1;
        return scn_complain(parser, 1, "expected at most %d lines: one requirement a file", SCN_LINE_LIMIT);
    }
    parser->line = parser->scenario->line_count + 1;
    return parser->step_count > 0 || scn_complain(parser, 1, "expected at least one step");
}

struct scenario *scenario_parse(const char *path, const char *text, size_t text_len, struct scn_error *error)
{
    struct scenario *scenario = rejoin_alloc_zeroed(1, sizeof(*scenario));
    rj_arena_init(&scenario->arena, &rejoin_heap, SIZE_MAX);
    set_defaults(scenario);
    cut(scenario, text, text_len);
    struct scn_parser parser = {.scenario = scenario, .error = error};
    scenario->path = scn_keep(&parser, path, strlen(path));
    if (memchr(text, 0, text_len) != NULL) {
        parser.line = 1;
        scn_complain(&parser, 1, "expected text, found a byte 0");
    }
    for (int i = 0; i < scenario->line_count && !parser.failed; i++) {
        parser.line = i + 1;
        parse_line(&parser, scenario->lines[i]);
    }
    bool ok = !parser.failed && check_whole(&parser);
    struct scn_step *steps = rj_arena_alloc(&scenario->arena, (size_t)parser.step_count * sizeof(*steps));
    if (parser.step_count > 0)
        memcpy(steps, parser.steps, (size_t)parser.step_count * sizeof(*steps));
    free(parser.steps);
    scenario->steps = steps;
    scenario->step_count = parser.step_count;
    if (ok)
        return scenario;
    scenario_free(scenario);
    return NULL;
}

struct scenario *scenario_read(const char *path, struct scn_error *error)
{
    struct rejoin_buffer text = {0};
    FILE *file = fopen(path, "re");
    struct scenario *scenario = NULL;
    if (file == NULL || !rejoin_buffer_read(&text, file)) {
        *error = (struct scn_error){.line = 0};
        snprintf(error->text, sizeof(error->text), "%s", strerror(errno));
    } else {
        scenario = scenario_parse(path, (const char *)rejoin_buffer_bytes(&text).data, text.len, error);
    }
    if (file != NULL)
        fclose(file);
    rejoin_buffer_free(&text);
    return scenario;
}

void scenario_free(struct scenario *scenario)
{
    if (scenario == NULL)
        return;
    for (int i = 0; i < scenario->line_count; i++)
        free(scenario->lines[i]);
    free(scenario->lines);
    json_decref(scenario->jsons);
    rj_arena_release(&scenario->arena);
    free(scenario);
}
