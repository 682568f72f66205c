/* Lines into words, words into fields. */
#include "scenario/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool scn_complain(struct scn_parser *parser, int column, const char *format, ...)
{
    if (parser->failed)
        return false;
    parser->failed = true;
    parser->error->line = parser->line;
    parser->error->column = column;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parser->error->text, sizeof(parser->error->text), format, arguments);
    va_end(arguments);
    return false;
}

const char *scn_keep(struct scn_parser *parser, const char *text, size_t len)
{
    char *copy = rj_arena_alloc(&parser->scenario->arena, len + 1);
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* Behind the quoted part that starts at the '"'; NULL: it does not end. */
static const char *skip_quoted(const char *at)
{
    for (at++; *at != 0; at++) {
        if (*at == '\\' && at[1] != 0)
            at++;
        else if (*at == '"')
            return at + 1;
    }
    return NULL;
}

static const char *skip_braces(const char *at)
{
    int depth = 0;
    while (*at != 0) {
        if (*at == '"') {
            at = skip_quoted(at);
            if (at == NULL)
                return NULL;
            continue;
        }
        depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        at++;
        if (depth == 0)
            return at;
    }
    return NULL;
}

static const char *skip_word(struct scn_parser *parser, const char *line, const char *at)
{
    if (*at == '{') {
        const char *end = skip_braces(at);
        if (end == NULL)
            scn_complain(parser, (int)(at - line) + 1, "found '{' without an end, expected '}' in this line");
        return end;
    }
    while (*at != 0 && !is_blank(*at)) {
        if (*at != '"') {
            at++;
            continue;
        }
        const char *end = skip_quoted(at);
        if (end == NULL) {
            scn_complain(parser, (int)(at - line) + 1, "found '\"' without an end, expected '\"' in this line");
            return NULL;
        }
        at = end;
    }
    return at;
}

bool scn_split_line(struct scn_parser *parser, const char *line)
{
    parser->word_count = parser->at = 0;
    parser->comment = NULL;
    parser->end_column = 1;
    for (const char *at = line; *at != 0;) {
        if (is_blank(*at)) {
            at++;
            continue;
        }
        if (*at == '#') {
            at += strspn(at, "# \t");
            parser->comment = at;
            break;
        }
        if (parser->word_count == SCN_WORD_LIMIT)
            return scn_complain(parser, (int)(at - line) + 1, "expected at most %d words in a line", SCN_WORD_LIMIT);
        const char *end = skip_word(parser, line, at);
        if (end == NULL)
            return false;
        int column = (int)(at - line) + 1;
        parser->words[parser->word_count++] =
            (struct scn_word){at, (int)(end - at), column, column + (int)(end - at)};
        parser->end_column = column + (int)(end - at);
        at = end;
    }
    return true;
}

const struct scn_word *scn_peek(const struct scn_parser *parser)
{
    return parser->at < parser->word_count ? &parser->words[parser->at] : NULL;
}

const struct scn_word *scn_next_word(struct scn_parser *parser)
{
    return parser->at < parser->word_count ? &parser->words[parser->at++] : NULL;
}

bool scn_word_is(const struct scn_word *word, const char *text)
{
    return word != NULL && (size_t)word->len == strlen(text) && memcmp(word->text, text, strlen(text)) == 0;
}

int scn_column_here(const struct scn_parser *parser)
{
    const struct scn_word *word = scn_peek(parser);
    return word ? word->column : parser->end_column;
}

/* ---- Fields ------------------------------------------------------------------------------------------------------ */

static bool read_json(struct scn_parser *parser, const struct scn_word *word, struct scn_field *field)
{
    json_error_t error;
    field->json = json_loadb(word->text, (size_t)word->len, JSON_REJECT_DUPLICATES, &error);
    if (field->json == NULL)
        return scn_complain(parser, word->column + (error.position > 0 ? error.position - 1 : 0), "expected JSON: %s",
                            error.text);
    json_array_append_new(parser->scenario->jsons, field->json);
    return true;
}

/* The value's outer quotes are off, and what they escape is as it is meant. */
static bool read_value(struct scn_parser *parser, const char *text, size_t len, int column, struct scn_field *field)
{
    bool whole = len >= 2 && text[0] == '"' && skip_quoted(text) == text + len;
    if (!whole) {
        field->value = scn_keep(parser, text, len);
        return true;
    }
    json_error_t error;
    json_t *string = json_loadb(text, len, JSON_DECODE_ANY, &error);
    if (string == NULL)
        return scn_complain(parser, column, "expected a string as JSON writes it: %s", error.text);
    field->value = scn_keep(parser, json_string_value(string), json_string_length(string));
    field->is_quoted = true;
    json_decref(string);
    return true;
}

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool other = (c >= '0' && c <= '9') || c == '.' || c == '-';
        if (!letter && !(i > 0 && other))
            return false;
    }
    return len > 0;
}

static bool read_field(struct scn_parser *parser, const struct scn_word *word, struct scn_field *field)
{
    *field = (struct scn_field){.word = scn_keep(parser, word->text, (size_t)word->len), .line = parser->line,
                                .column = word->column};
    if (word->text[0] == '{')
        return read_json(parser, word, field);
    const char *equals = memchr(word->text, '=', (size_t)word->len), *quote = memchr(word->text, '"', (size_t)word->len);
    if (equals == NULL || (quote != NULL && quote < equals))
        return read_value(parser, word->text, (size_t)word->len, word->column, field);
    size_t name_len = (size_t)(equals - word->text);
    if (!is_name(word->text, name_len))
        return scn_complain(parser, word->column, "expected the name of a field before '='");
    field->name = scn_keep(parser, word->text, name_len);
    size_t value_len = (size_t)word->len - name_len - 1;
    if (value_len == 0)
        return scn_complain(parser, word->end_column, "expected a value behind '=' (\"\" for an empty one)");
    return read_value(parser, equals + 1, value_len, word->column + (int)name_len + 1, field);
}

bool scn_read_fields(struct scn_parser *parser, const char *stop, struct scn_fields *fields)
{
    struct scn_field read[SCN_WORD_LIMIT];
    int count = 0;
    for (const struct scn_word *word; (word = scn_peek(parser)) != NULL; parser->at++) {
        if (stop != NULL && scn_word_is(word, stop))
            break;
        if (!read_field(parser, word, &read[count++]))
            return false;
    }
    struct scn_field *kept = rj_arena_alloc(&parser->scenario->arena, sizeof(*kept) * (size_t)count);
    memcpy(kept, read, sizeof(*kept) * (size_t)count);
    *fields = (struct scn_fields){kept, count};
    return true;
}
