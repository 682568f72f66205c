/* Text files of words, one thing a line: what --users and --acls read. Words are separated by blanks; "..." is one
 * word, in which \" and \\ stand for themselves; # at the start of a word begins a comment. */
#ifndef REJOIN_MOCK_WORD_FILE_H
#define REJOIN_MOCK_WORD_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct word { char *text; size_t len; int column; }; /* ends with a 0 byte; columns count from 1, in bytes */

struct word_line {
    const char *path;
    int number;
    struct word *words; /* word_count of them, at least one */
    int word_count;
};

/* Calls take for each line with words. false: the file cannot be read, or take said so by filling error (by
 * word_error): error is "FILE:LINE:COLUMN: expected ...". */
bool read_word_file(const char *path, bool (*take)(void *context, const struct word_line *line, char *error,
                                                   size_t error_len),
                    void *context, char *error, size_t error_len);

/* Fills error for the word at index (word_count: behind the last one); always false, to be returned. */
bool word_error(const struct word_line *line, int index, char *error, size_t error_len, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
