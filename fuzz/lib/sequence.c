#include "lib/sequence.h"

#include <string.h>

struct sequence_settings sequence_read_settings(struct fuzz_reader *reader)
{
    struct sequence_settings settings;
    settings.release = fuzz_take_byte(reader);
    settings.flags = fuzz_take_byte(reader);
    settings.limits = fuzz_take_byte(reader);
    settings.seed = fuzz_take_byte(reader);
    return settings;
}

bool sequence_read_op(struct fuzz_reader *reader, struct sequence_op *op)
{
    if (reader->len < SEQUENCE_OP_LEN)
        return false;
    op->kind = fuzz_take_byte(reader) % OP_KINDS;
    op->actor = fuzz_take_byte(reader) % SEQUENCE_ACTORS;
    op->group = fuzz_take_byte(reader);
    op->version = fuzz_take_byte(reader);
    op->member_id = fuzz_take_byte(reader);
    op->generation = fuzz_take_byte(reader);
    op->instance = fuzz_take_byte(reader);
    op->a = fuzz_take_byte(reader);
    op->b = fuzz_take_byte(reader);
    op->c = fuzz_take_byte(reader);
    return true;
}

/* ---- Mutation --------------------------------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static uint32_t below(uint32_t *state, uint32_t bound) { return next_random(state) % bound; }

/* How often each kind is put in. Joins, syncs and the passing of time carry a group from state to state. */
static const uint8_t weights[OP_KINDS] = {
    [OP_JOIN] = 24, [OP_SYNC] = 16, [OP_HEARTBEAT] = 10, [OP_LEAVE] = 6, [OP_COMMIT] = 8, [OP_FETCH] = 3,
    [OP_DESCRIBE] = 2, [OP_LIST] = 1, [OP_DELETE_GROUPS] = 2, [OP_DELETE_OFFSETS] = 2, [OP_TXN_COMMIT] = 4, [OP_FIND] = 1,
    [OP_ADVANCE] = 14, [OP_DISCONNECT] = 2, [OP_APPEND_RESULT] = 8, [OP_TOPICS] = 2, [OP_CONFIG] = 1, [OP_RELOAD] = 3,
    [OP_MARKER] = 3, [OP_FAIL_MEMORY] = 3,
};

static uint8_t pick_kind(uint32_t *state)
{
    uint32_t sum = 0;
    for (int i = 0; i < OP_KINDS; i++)
        sum += weights[i];
    uint32_t left = below(state, sum);
    for (uint8_t i = 0;; i++) {
        if (left < weights[i])
            return i;
        left -= weights[i];
    }
}

/* Mostly an operation that a well-behaved client would send: every reference is to the right thing. */
static void write_op(uint8_t *op, uint32_t *state)
{
    op[0] = pick_kind(state);
    op[1] = (uint8_t)below(state, SEQUENCE_ACTORS);
    op[2] = below(state, 4) ? 0 : (uint8_t)next_random(state);
    op[3] = (uint8_t)below(state, 12);
    op[4] = below(state, 6) ? 0 : (uint8_t)next_random(state);
    op[5] = below(state, 6) ? 0 : (uint8_t)next_random(state);
    op[6] = below(state, 6) ? 0 : (uint8_t)next_random(state);
    op[7] = below(state, 2) ? 0 : (uint8_t)next_random(state);
    op[8] = below(state, 2) ? 0 : (uint8_t)next_random(state);
    op[9] = below(state, 2) ? 0 : (uint8_t)next_random(state);
}

/* The operations of a program, behind its header. */
struct program { uint8_t *ops; size_t count, cap; };

static uint8_t *at(const struct program *program, size_t index) { return program->ops + index * SEQUENCE_OP_LEN; }

/* Makes room for count operations at index, as far as there is room; returns how many. */
static size_t open_gap(struct program *program, size_t index, size_t count)
{
    if (count > program->cap - program->count)
        count = program->cap - program->count;
    memmove(at(program, index + count), at(program, index), (program->count - index) * SEQUENCE_OP_LEN);
    program->count += count;
    return count;
}

static void remove_ops(struct program *program, size_t index, size_t count)
{
    memmove(at(program, index), at(program, index + count), (program->count - index - count) * SEQUENCE_OP_LEN);
    program->count -= count;
}

static void insert_new(struct program *program, uint32_t *state)
{
    size_t index = below(state, (uint32_t)program->count + 1);
    size_t count = open_gap(program, index, 1 + (below(state, 4) == 0 ? below(state, 6) : 0));
    for (size_t i = 0; i < count; i++)
        write_op(at(program, index + i), state);
}

/* A run of operations once more, further on; sometimes by another actor. */
static void repeat_run(struct program *program, uint32_t *state)
{
    size_t from = below(state, (uint32_t)program->count);
    size_t most = program->count - from;
    size_t count = 1 + below(state, (uint32_t)(most < 8 ? most : 8));
    uint8_t run[8 * SEQUENCE_OP_LEN];
    memcpy(run, at(program, from), count * SEQUENCE_OP_LEN);
    uint8_t actor = (uint8_t)below(state, SEQUENCE_ACTORS);
    bool retarget = below(state, 2) != 0;
    size_t index = below(state, (uint32_t)program->count + 1);
    count = open_gap(program, index, count);
    memcpy(at(program, index), run, count * SEQUENCE_OP_LEN);
    for (size_t i = 0; retarget && i < count; i++)
        at(program, index + i)[1] = actor;
}

static void swap_ops(struct program *program, uint32_t *state)
{
    uint8_t *first = at(program, below(state, (uint32_t)program->count));
    uint8_t *second = at(program, below(state, (uint32_t)program->count));
    uint8_t saved[SEQUENCE_OP_LEN];
    memcpy(saved, first, sizeof(saved));
    memmove(first, second, sizeof(saved));
    memcpy(second, saved, sizeof(saved));
}

static void mutate_once(struct program *program, uint32_t *state)
{
    uint32_t choice = below(state, 16);
    if (program->count == 0 || choice < 5) {
        insert_new(program, state);
        return;
    }
    size_t index = below(state, (uint32_t)program->count);
    uint8_t *op = at(program, index);
    if (choice < 7) {
        size_t most = program->count - index;
        remove_ops(program, index, 1 + (below(state, 3) == 0 ? below(state, (uint32_t)most) : 0));
    } else if (choice < 9) {
        repeat_run(program, state);
    } else if (choice < 10) {
        swap_ops(program, state);
    } else if (choice < 11) {
        op[1] = (uint8_t)below(state, SEQUENCE_ACTORS);
    } else if (choice < 12) {
        op[0] = pick_kind(state);
    } else {
        op[2 + below(state, SEQUENCE_OP_LEN - 2)] = (uint8_t)next_random(state);
    }
}

size_t sequence_mutate(uint8_t *data, size_t len, size_t cap, uint32_t seed)
{
    uint32_t state = seed * 2654435761u | 1;
    if (cap < SEQUENCE_HEADER_LEN + SEQUENCE_OP_LEN)
        return len;
    if (len < SEQUENCE_HEADER_LEN) {
        memset(data + len, 0, SEQUENCE_HEADER_LEN - len);
        len = SEQUENCE_HEADER_LEN;
    }
    if (below(&state, 40) == 0)
        data[below(&state, SEQUENCE_HEADER_LEN)] = (uint8_t)next_random(&state);
    struct program program = {data + SEQUENCE_HEADER_LEN, (len - SEQUENCE_HEADER_LEN) / SEQUENCE_OP_LEN,
                              (cap - SEQUENCE_HEADER_LEN) / SEQUENCE_OP_LEN};
    if (program.cap > SEQUENCE_MAX_OPS)
        program.cap = SEQUENCE_MAX_OPS;
    if (program.count > program.cap)
        program.count = program.cap;
    for (uint32_t times = 1 + below(&state, 4); times > 0; times--)
        mutate_once(&program, &state);
    return SEQUENCE_HEADER_LEN + program.count * SEQUENCE_OP_LEN;
}

size_t sequence_splice(const uint8_t *first, size_t first_len, const uint8_t *second, size_t second_len, uint8_t *out,
                       size_t cap, uint32_t seed)
{
    uint32_t state = seed * 2654435761u | 1;
    if (first_len < SEQUENCE_HEADER_LEN || second_len < SEQUENCE_HEADER_LEN || cap < SEQUENCE_HEADER_LEN)
        return 0;
    size_t first_count = (first_len - SEQUENCE_HEADER_LEN) / SEQUENCE_OP_LEN;
    size_t second_count = (second_len - SEQUENCE_HEADER_LEN) / SEQUENCE_OP_LEN;
    size_t head = below(&state, (uint32_t)first_count + 1), tail = below(&state, (uint32_t)second_count + 1);
    size_t room = (cap - SEQUENCE_HEADER_LEN) / SEQUENCE_OP_LEN;
    head = head < room ? head : room;
    tail = tail < room - head ? tail : room - head;
    size_t head_len = SEQUENCE_HEADER_LEN + head * SEQUENCE_OP_LEN;
    memcpy(out, first, head_len);
    memcpy(out + head_len, second + SEQUENCE_HEADER_LEN + (second_count - tail) * SEQUENCE_OP_LEN,
           tail * SEQUENCE_OP_LEN);
    return head_len + tail * SEQUENCE_OP_LEN;
}
