#include "mock/internal.h"

#include <stdlib.h>
#include <string.h>

struct place { const struct named *named; int32_t index; };

static int compare_places(const void *a, const void *b)
{
    const struct named *one = ((const struct place *)a)->named, *other = ((const struct place *)b)->named;
    if (one->type != other->type)
        return one->type < other->type ? -1 : 1;
    if (one->name.len != other->name.len)
        return one->name.len < other->name.len ? -1 : 1;
    return one->name.len > 0 ? memcmp(one->name.data, other->name.data, (size_t)one->name.len) : 0;
}

bool *mock_find_repeated(struct request *request, const struct named *named, int32_t count)
{
    bool *repeated = mock_arena_array(request, (size_t)count + 1, sizeof(*repeated));
    struct place *places = mock_arena_array(request, (size_t)count + 1, sizeof(*places));
    if (repeated == NULL || places == NULL)
        return NULL;
    for (int32_t i = 0; i < count; i++)
        places[i] = (struct place){&named[i], i};
    qsort(places, (size_t)count, sizeof(*places), compare_places);
    for (int32_t i = 1; i < count; i++)
        if (compare_places(&places[i - 1], &places[i]) == 0)
            repeated[places[i - 1].index] = repeated[places[i].index] = true;
    return repeated;
}
