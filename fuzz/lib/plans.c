/* The codec's two ways to decode: what a plan takes, the walker must take as the same message. */
#include "codec/decoder.h"
#include "lib/messages.h"

#include <stdlib.h>

void fuzz_check_plan(const struct rj_message_schema *schema, int16_t version, struct rj_bytes body)
{
    static const uint8_t nothing[1];
    struct fuzz_heap heap;
    struct rj_arena arena;
    fuzz_heap_init(&heap, 0);
    rj_arena_init(&arena, &heap.allocator, SIZE_MAX);
    if (body.data == NULL)
        body.data = nothing;
    void *by_plan = rj_arena_alloc(&arena, schema->root->size), *by_rows = rj_arena_alloc(&arena, schema->root->size);
    if (by_plan == NULL || by_rows == NULL)
        abort();
    struct place place = {schema, version, NULL};
    struct decoder plan = decoder_of(&place, body.data, (size_t)body.len, &arena);
    if (rj_plan_decode(&plan, plan_of(schema, version), by_plan)) {
        struct decoder walker = decoder_of(&place, body.data, (size_t)body.len, &arena);
        enum rj_err err = rj_walk_decode(&walker, by_rows);
        FUZZ_REQUIRE(err == RJ_OK, "plan-accepts", "%s v%d: the walker says %s", schema->name, version,
                     rj_err_name(err));
        FUZZ_REQUIRE(plan.at == walker.at && rj_compare(schema, version, by_plan, by_rows, false, NULL, NULL) == 0,
                     "plan-differs", "%s v%d: plan and walker read different messages", schema->name, version);
    }
    rj_arena_release(&arena);
    fuzz_heap_finish(&heap, "heap-balance");
}
