/* The input of the sequence target: a program of operations on one coordinator.
 *
 *   4 bytes   settings of the run (struct sequence_settings)
 *   10 bytes  each operation (struct sequence_op), up to SEQUENCE_MAX_OPS; a rest is ignored
 *
 * The format is total: any bytes are a program. Fields refer to earlier answers (the actor's member id, the group's
 * generation) and most byte values mean the right one, so that a random program is mostly in order. */
#ifndef REJOIN_FUZZ_SEQUENCE_H
#define REJOIN_FUZZ_SEQUENCE_H

#include "lib/fuzz.h"

enum { SEQUENCE_ACTORS = 6, SEQUENCE_GROUPS = 3, SEQUENCE_TOPICS = 4, SEQUENCE_MAX_OPS = 400,
       SEQUENCE_HEADER_LEN = 4, SEQUENCE_OP_LEN = 10 };

enum sequence_kind {
    OP_JOIN, OP_SYNC, OP_HEARTBEAT, OP_LEAVE, OP_COMMIT, OP_FETCH, OP_DESCRIBE, OP_LIST, OP_DELETE_GROUPS,
    OP_DELETE_OFFSETS, OP_TXN_COMMIT, OP_FIND,
    OP_ADVANCE, OP_DISCONNECT, OP_APPEND_RESULT, OP_TOPICS, OP_CONFIG, OP_RELOAD, OP_MARKER, OP_FAIL_MEMORY,
    OP_KINDS,
};

struct sequence_settings { uint8_t release, flags, limits, seed; };

struct sequence_op {
    uint8_t kind;       /* modulo OP_KINDS */
    uint8_t actor, group, version;
    uint8_t member_id;  /* low 4 bits: up to 10 the actor's own; 11 empty, 12 another's, 13 stale, 14 unknown, 15 odd */
    uint8_t generation; /* low 4 bits: up to 11 the current one; 12 -1, 13 one more, 14 one less, 15 the largest */
    uint8_t instance;   /* low 4 bits: up to 12 the actor's own (none for most); 13 to 15 one that others may have */
    uint8_t a, b, c;    /* by kind */
};

struct sequence_settings sequence_read_settings(struct fuzz_reader *reader);
/* false: no whole operation is left. */
bool sequence_read_op(struct fuzz_reader *reader, struct sequence_op *op);

/* Changes a program in place, keeping its operations whole: inserts, removes, repeats, swaps, moves and retargets them.
 * cap is the room in data. Returns the new length. Deterministic in seed. */
size_t sequence_mutate(uint8_t *data, size_t len, size_t cap, uint32_t seed);
/* The beginning of one program and the end of another. */
size_t sequence_splice(const uint8_t *first, size_t first_len, const uint8_t *second, size_t second_len, uint8_t *out,
                       size_t cap, uint32_t seed);

#endif
