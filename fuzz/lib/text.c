#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

void fuzz_text_add(struct fuzz_text *text, const char *piece, size_t len)
{
    if (text->len + len + 1 > text->cap) {
        text->cap = (text->len + len + 1) * 2;
        text->data = realloc(text->data, text->cap);
        if (text->data == NULL)
            abort();
    }
    memcpy(text->data + text->len, piece, len);
    text->len += len;
    text->data[text->len] = '\0';
}

static void take(void *context, const char *piece, size_t len) { fuzz_text_add(context, piece, len); }

struct rj_writer fuzz_text_writer(struct fuzz_text *text) { return (struct rj_writer){take, text}; }
