/* Field paths and faults. Nothing here runs while all goes well. */
#include "codec/path.h"

#include <string.h>

void rj_text_add(struct text *text, const char *piece)
{
    size_t len = strlen(piece), room = text->size - 1 - text->len;
    if (len > room) {
        memcpy(text->out + text->len, piece, room);
        text->len = text->size - 1;
        memcpy(text->out + text->len - 3, "...", 3);
    } else {
        memcpy(text->out + text->len, piece, len);
        text->len += len;
    }
    text->out[text->len] = '\0';
}

void rj_text_add_number(struct text *text, int64_t number)
{
    char digits[24], *at = digits + sizeof(digits) - 1;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *at = '\0';
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (number < 0)
        *--at = '-';
    rj_text_add(text, at);
}

void rj_text_add_path(struct text *text, const struct path *path)
{
    if (path == NULL)
        return;
    rj_text_add_path(text, path->up);
    if (path->name != NULL) {
        if (text->len != 0)
            rj_text_add(text, ".");
        rj_text_add(text, path->name);
    }
    if (path->index >= 0) {
        rj_text_add(text, "[");
        rj_text_add_number(text, path->index);
        rj_text_add(text, "]");
    }
}

static void fault_fill(const struct place *place, enum rj_err err, size_t offset, const struct path *path,
                       const char *expected)
{
    struct rj_fault *fault = place->fault;
    *fault = (struct rj_fault){.err = err, .offset = offset, .api_key = -1, .version = place->version};
    if (place->schema != NULL)
        fault->api_key = place->schema->api_key;
    struct text field = text_in(fault->field, sizeof(fault->field));
    rj_text_add_path(&field, path);
    struct text wanted = text_in(fault->expected, sizeof(fault->expected));
    rj_text_add(&wanted, expected);
}

enum rj_err rj_fault_set(const struct place *place, enum rj_err err, size_t offset, const struct path *path,
                         const char *found, const char *expected)
{
    if (place->fault != NULL) {
        fault_fill(place, err, offset, path, expected);
        struct text text = text_in(place->fault->found, sizeof(place->fault->found));
        rj_text_add(&text, found);
    }
    return err;
}

enum rj_err rj_fault_set_number(const struct place *place, enum rj_err err, size_t offset, const struct path *path,
                                const char *found, int64_t number, const char *expected)
{
    if (place->fault != NULL) {
        fault_fill(place, err, offset, path, expected);
        struct text text = text_in(place->fault->found, sizeof(place->fault->found));
        rj_text_add(&text, found);
        rj_text_add_number(&text, number);
    }
    return err;
}
