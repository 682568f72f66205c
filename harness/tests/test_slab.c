/* The slab: pieces of one size lie side by side, what is freed is taken again, what is large is not kept. */
#include "support/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PIECE_LEN = 160, PIECES = 1000 };

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    struct slab slab = {.chunks = NULL};
    uint8_t *pieces[PIECES];
    for (int i = 0; i < PIECES; i++) {
        size_t len = i % 2 ? PIECE_LEN : PIECE_LEN - 15; /* rounded up to the same */
        pieces[i] = slab_alloc(&slab, len);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % SLAB_STEP, 0);
        memset(pieces[i], i % 251, len);
    }
    for (int i = 0; i < PIECES; i++)
        for (int j = 0; j < PIECE_LEN - 15; j++)
            assert_int_equal(pieces[i][j], i % 251);
    for (int i = 0; i < PIECES; i++)
        slab_free(&slab, pieces[i], i % 2 ? PIECE_LEN : PIECE_LEN - 15);
    slab_release(&slab);
}

static void what_is_freed_is_taken_again(void **state)
{
    (void)state;
    struct slab slab = {.chunks = NULL};
    void *first = slab_alloc(&slab, PIECE_LEN);
    struct slab_chunk *chunks = slab.chunks;
    for (int i = 0; i < PIECES; i++) {
        slab_free(&slab, first, PIECE_LEN);
        first = slab_alloc(&slab, PIECE_LEN);
    }
    assert_ptr_equal(slab.chunks, chunks); /* as much as one piece needs */
    slab_free(&slab, first, PIECE_LEN);
    slab_free(&slab, NULL, PIECE_LEN);
    slab_release(&slab);
}

static void large_ones_come_from_the_heap(void **state)
{
    (void)state;
    struct slab slab = {.chunks = NULL};
    void *large = slab_alloc(&slab, SLAB_LARGEST + 1);
    assert_non_null(large);
    assert_null(slab.chunks);
    slab_free(&slab, large, SLAB_LARGEST + 1);
    slab_release(&slab);
}

/* A page of each size would be more than what is in them. */
static void few_pieces_take_little(void **state)
{
    (void)state;
    struct slab slab = {.chunks = NULL};
    void *pieces[SLAB_LARGEST / SLAB_STEP];
    for (size_t i = 0; i < SLAB_LARGEST / SLAB_STEP; i++)
        assert_non_null(pieces[i] = slab_alloc(&slab, (i + 1) * SLAB_STEP));
    size_t taken = 0;
    for (size_t i = 0; i < SLAB_LARGEST / SLAB_STEP; i++)
        taken += slab.rooms[i].chunk_len;
    assert_in_range(taken, 0, 64 * 1024); /* none in a sanitized build */
    for (size_t i = 0; i < SLAB_LARGEST / SLAB_STEP; i++)
        slab_free(&slab, pieces[i], (i + 1) * SLAB_STEP);
    slab_release(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(what_is_freed_is_taken_again),
        cmocka_unit_test(large_ones_come_from_the_heap),
        cmocka_unit_test(few_pieces_take_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
