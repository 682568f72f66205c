/* Parked requests, found by their connection when it goes. */
#include "coord/parked.h"

#include "coord/writes.h"

static struct rj_parked **bucket(struct rj_coord *coord, uint64_t connection_id)
{
    return &coord->parked[rj_number_hash(connection_id) % RJ_PARKED_BUCKETS];
}

static void unlink_parked(struct rj_parked *parked)
{
    if (parked->previous == NULL)
        return;
    *parked->previous = parked->next;
    if (parked->next != NULL)
        parked->next->previous = parked->previous;
    parked->previous = NULL;
    parked->next = NULL;
}

void rj_park(struct rj_coord *coord, struct rj_parked *parked, const struct rj_origin *origin)
{
    if (parked->waiting && !parked->answered)
        rj_writes_overwritten(coord, parked->ticket);
    unlink_parked(parked);
    struct rj_parked **first = bucket(coord, origin->connection_id);
    *parked = (struct rj_parked){.next = *first, .previous = first, .origin = *origin,
                                 .ticket = ++coord->next_ticket, .waiting = true};
    if (parked->next != NULL)
        parked->next->previous = &parked->next;
    *first = parked;
}

void rj_parked_forget(struct rj_parked *parked)
{
    unlink_parked(parked);
    parked->waiting = false;
}

bool rj_parked_take(struct rj_parked *parked)
{
    bool owed = parked->waiting && !parked->answered;
    unlink_parked(parked);
    parked->answered = true;
    return owed;
}

void rj_parked_disconnect(struct rj_coord *coord, uint64_t connection_id)
{
    for (struct rj_parked *parked = *bucket(coord, connection_id), *next; parked != NULL; parked = next) {
        next = parked->next;
        if (parked->origin.connection_id == connection_id) {
            parked->answered = true;
            unlink_parked(parked);
        }
    }
}
