#include "mock/security/word_file.h"

#include "support/buffer.h"
#include "support/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_LIMIT = 64, FILE_LIMIT_LEN = 16 * 1024 * 1024 };

bool word_error(const struct word_line *line, int index, char *error, size_t error_len, const char *format, ...)
{
    int column = 1;
    if (index < line->word_count)
        column = line->words[index].column;
    else if (line->word_count > 0)
        column = line->words[line->word_count - 1].column + (int)line->words[line->word_count - 1].len + 1;
    int len = snprintf(error, error_len, "%s:%d:%d: ", line->path, line->number, column);
    if (len >= 0 && (size_t)len < error_len) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error + len, error_len - (size_t)len, format, arguments);
        va_end(arguments);
    }
    return false;
}

/* One word from *at on, cut out in place; false: its closing quote is missing. */
static bool cut_word(char **at, struct word *word)
{
    char *from = *at, *to = *at;
    if (*from != '"') {
        while (*from != 0 && *from != ' ' && *from != '\t')
            from++;
        word->text = to;
        to = from;
    } else {
        word->text = to;
        for (from++; *from != '"'; from++) {
            if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
                from++;
            if (*from == 0)
                return false;
            *to++ = *from;
        }
        from++;
    }
    word->len = (size_t)(to - word->text);
    *at = *from == 0 ? from : from + 1;
    *to = 0;
    return true;
}

static bool cut_line(struct word_line *line, char *text, char *error, size_t error_len)
{
    line->word_count = 0;
    for (char *at = text;;) {
        at += strspn(at, " \t");
        if (*at == 0 || *at == '#')
            return true;
        struct word *word = &line->words[line->word_count];
        word->column = (int)(at - text) + 1;
        if (line->word_count == WORD_LIMIT - 1)
            return word_error(line, line->word_count - 1, error, error_len, "expected at most %d words", WORD_LIMIT);
        line->word_count++;
        if (!cut_word(&at, word))
            return word_error(line, line->word_count - 1, error, error_len, "expected a closing quote before the end "
                              "of the line");
    }
}

static bool read_whole(const char *path, struct rejoin_buffer *text, char *error, size_t error_len)
{
    FILE *file = fopen(path, "rb");
    bool ok = file != NULL && rejoin_buffer_read(text, file);
    if (!ok)
        snprintf(error, error_len, "%s: %s", path, strerror(errno));
    if (file != NULL)
        fclose(file);
    if (ok && (text->len > FILE_LIMIT_LEN || memchr(text->data ? text->data : (const uint8_t *)"", 0, text->len))) {
        snprintf(error, error_len, "%s:1:1: expected a text file of at most %d bytes", path, FILE_LIMIT_LEN);
        return false;
    }
    return ok;
}

bool read_word_file(const char *path, bool (*take)(void *context, const struct word_line *line, char *error,
                                                   size_t error_len),
                    void *context, char *error, size_t error_len)
{
    struct rejoin_buffer text = {0};
    struct word words[WORD_LIMIT];
    struct word_line line = {.path = path, .words = words};
    bool ok = read_whole(path, &text, error, error_len);
    rejoin_buffer_add(&text, "", 1);
    for (char *rest = (char *)text.data, *at; ok && (at = strsep(&rest, "\n")) != NULL;) {
        size_t len = strlen(at);
        if (len > 0 && at[len - 1] == '\r')
            at[len - 1] = 0;
        line.number++;
        ok = cut_line(&line, at, error, error_len) &&
             (line.word_count == 0 || take(context, &line, error, error_len));
    }
    rejoin_buffer_free(&text);
    return ok;
}
