/* The words of one line, and what a parser says when they are not what it wants. */
#ifndef REJOIN_SCENARIO_WORDS_H
#define REJOIN_SCENARIO_WORDS_H

#include "scenario/scenario.h"

enum { SCN_WORD_LIMIT = 64 };

struct scn_word { const char *text; int len, column, end_column; };

struct scn_parser {
    struct scenario *scenario;
    struct scn_error *error;
    bool failed;
    int line;
    struct scn_word words[SCN_WORD_LIMIT];
    int word_count, at;
    const char *comment;      /* of the line, without '#' and blanks; NULL: none */
    int end_column;           /* behind the last word, where more is missing */
    struct scn_step *steps;   /* grown as the file is read */
    int step_count, step_size;
};

/* Says where and what was expected; only the first complaint is kept. Returns false. */
bool scn_complain(struct scn_parser *parser, int column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool scn_split_line(struct scn_parser *parser, const char *line);
/* NULL: the line ends here. */
const struct scn_word *scn_peek(const struct scn_parser *parser);
const struct scn_word *scn_next_word(struct scn_parser *parser);
bool scn_word_is(const struct scn_word *word, const char *text); /* word may be NULL */
int scn_column_here(const struct scn_parser *parser);
const char *scn_keep(struct scn_parser *parser, const char *text, size_t len); /* a copy that ends with 0 */
/* Reads words as fields until the line ends or a word is `stop` (NULL: only the end). */
bool scn_read_fields(struct scn_parser *parser, const char *stop, struct scn_fields *fields);

#endif
