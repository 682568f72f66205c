/* The story as JSON and as text. */
#include "capture/story_state.h"

#include "capture/text.h"

#include <string.h>

static const char *cause_sentence(enum story_cause cause)
{
    static const char *const sentences[] = {
#define STORY_CAUSE_SENTENCE(symbol, name, sentence) sentence,
        STORY_CAUSE_MAP(STORY_CAUSE_SENTENCE)
#undef STORY_CAUSE_SENTENCE
    };
    return sentences[cause];
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static json_t *rebalance_json(const struct story_rebalance *rebalance)
{
    json_t *members = json_array();
    const char *id;
    json_t *member;
    json_object_foreach(rebalance->members, id, member)
        json_array_append_new(members, json_pack("{ss sO sO}", "member_id", id, "client_id",
                                                 json_object_get(member, "client_id"), "assignment",
                                                 json_object_get(member, "assignment")));
    return json_pack("{si ss ss ss sI sI sI sI ss ss ss ss sI so}", "generation", (int)rebalance->generation, "cause",
                     story_cause_name(rebalance->trigger.cause), "client_id", rebalance->trigger.client_id,
                     "member_id", rebalance->trigger.member_id, "frame", (json_int_t)rebalance->trigger.frame,
                     "started_at_ms", (json_int_t)(rebalance->trigger.time_us / 1000), "ended_at_ms",
                     (json_int_t)(rebalance->ended_us / 1000), "pause_ms", (json_int_t)(rebalance->pause_us / 1000),
                     "reason", rebalance->trigger.reason, "protocol", rebalance->protocol, "leader",
                     rebalance->leader, "waited_for", rebalance->slowest ? rebalance->slowest->client_id : "",
                     "waited_ms", (json_int_t)(rebalance->slowest_us > 0 ? rebalance->slowest_us / 1000 : 0),
                     "members", members);
}

static json_t *group_json(const struct story *story, const struct story_group *group)
{
    json_t *generations = json_array(), *rebalances = json_array(), *members = json_array(), *events = json_array();
    for (size_t i = 0; i < group->rebalance_count; i++) {
        json_array_append_new(generations, json_integer(group->rebalances[i].generation));
        json_array_append_new(rebalances, rebalance_json(&group->rebalances[i]));
    }
    for (size_t i = 0; i < group->member_count; i++) {
        const struct story_member *member = group->members[i];
        if (!story_is_alive(story, member))
            continue;
        json_t *instance_id = member->instance_id[0] ? json_string(member->instance_id) : json_null();
        json_t *assignment = member->assignment ? json_incref(member->assignment) : json_object();
        json_array_append_new(members, json_pack("{ss so ss ss so}", "member_id", member->id, "instance_id",
                                                 instance_id, "client_id", member->client_id, "client_host",
                                                 member->host, "assignment", assignment));
    }
    for (size_t i = 0; i < group->event_count; i++)
        json_array_append_new(events, json_pack("{sI sI ss ss ss ss}", "at_ms",
                                                (json_int_t)(group->events[i].time_us / 1000), "frame",
                                                (json_int_t)group->events[i].frame, "event", group->events[i].kind,
                                                "client_id", group->events[i].client_id, "member_id",
                                                group->events[i].member_id, "text", group->events[i].text));
    return json_pack("{ss ss so so so so}", "group", group->id, "type", group->is_consumer ? "consumer" : "classic",
                     "generations", generations, "rebalances", rebalances, "members", members, "events", events);
}

json_t *story_json(const struct story *story, const struct capture_counts *counts, const char *note)
{
    json_t *groups = json_array(), *notes = json_array();
    for (size_t i = 0; i < story->group_count; i++)
        json_array_append_new(groups, group_json(story, story->groups[i]));
    if (note[0] != 0)
        json_array_append_new(notes, json_string(note));
    return json_pack("{sI so so}", "frames", (json_int_t)counts->frames, "groups", groups, "notes", notes);
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

/* The client id; where several members have the same, with the start of what is random in the member id. */
static const char *name_of(const struct story_group *group, const char *member_id, const char *client_id, char *out,
                           size_t out_len)
{
    size_t same = 0, len = strlen(client_id);
    for (size_t i = 0; i < group->member_count; i++)
        same += strcmp(group->members[i]->client_id, client_id) == 0 && group->members[i]->instance_id[0] == 0;
    bool generated = strncmp(member_id, client_id, len) == 0 && member_id[len] == '-';
    const char *tail = generated ? member_id + len + 1 : member_id;
    if (same > 1 && member_id[0])
        snprintf(out, out_len, "%s/%.8s", client_id, tail);
    else
        snprintf(out, out_len, "%s", client_id);
    return out;
}

static void print_members(const struct story_group *group, const struct story_rebalance *rebalance, FILE *out)
{
    char name[256];
    const char *id;
    json_t *member;
    json_object_foreach(rebalance->members, id, member) {
        char owns[512];
        text_partitions(json_object_get(member, "assignment"), owns, sizeof(owns));
        name_of(group, id, json_string_value(json_object_get(member, "client_id")), name, sizeof(name));
        fprintf(out, "      %-24s %s%s\n", name, owns, strcmp(rebalance->leader, id) == 0 ? "   (leader)" : "");
    }
}

static void print_rebalance(const struct story_group *group, const struct story_rebalance *rebalance, FILE *out)
{
    char time[32], name[256];
    int64_t took_us = rebalance->ended_us - rebalance->trigger.time_us;
    text_time(rebalance->trigger.time_us, time, sizeof(time));
    fprintf(out, "\n  %s frame %llu: generation %d, because %s", time, (unsigned long long)rebalance->trigger.frame,
            (int)rebalance->generation, cause_sentence(rebalance->trigger.cause));
    if (rebalance->trigger.client_id[0])
        fprintf(out, ": %s", name_of(group, rebalance->trigger.member_id, rebalance->trigger.client_id, name,
                                     sizeof(name)));
    fprintf(out, " [%s]\n", story_cause_name(rebalance->trigger.cause));
    if (rebalance->trigger.reason[0])
        fprintf(out, "      it says: \"%s\"\n", rebalance->trigger.reason);
    fprintf(out, "      took %lld ms, to frame %llu; protocol %s", (long long)(took_us / 1000),
            (unsigned long long)rebalance->ended_frame, rebalance->protocol);
    if (rebalance->slowest && rebalance->slowest_us > 0 && rebalance->continued)
        fprintf(out, "; waited %lld ms for %s to join", (long long)(rebalance->slowest_us / 1000),
                name_of(group, rebalance->slowest->id, rebalance->slowest->client_id, name, sizeof(name)));
    if (rebalance->paused)
        fprintf(out, "; %s stood still for %lld ms",
                name_of(group, rebalance->paused->id, rebalance->paused->client_id, name, sizeof(name)),
                (long long)(rebalance->pause_us / 1000));
    fputc('\n', out);
    print_members(group, rebalance, out);
}

static void print_event(const struct story_group *group, const struct story_event *event, FILE *out)
{
    char time[32], name[256];
    text_time(event->time_us, time, sizeof(time));
    fprintf(out, "  %s frame %llu: %s%s%s\n", time, (unsigned long long)event->frame,
            name_of(group, event->member_id, event->client_id, name, sizeof(name)), event->member_id[0] ? " " : "",
            event->text);
}

/* How often each cause with each client: what a reader wants to know first. */
static void print_summary(const struct story_group *group, FILE *out)
{
    bool first = true;
    for (size_t i = 0; i < group->rebalance_count; i++) {
        const struct story_trigger *one = &group->rebalances[i].trigger;
        int times = 0;
        bool counted = false;
        for (size_t j = 0; j < group->rebalance_count; j++) {
            const struct story_trigger *other = &group->rebalances[j].trigger;
            bool same = other->cause == one->cause && strcmp(other->client_id, one->client_id) == 0;
            counted |= same && j < i;
            times += same;
        }
        if (counted)
            continue;
        fprintf(out, "%s%s %d time%s%s%s", first ? "  why: " : "; ", story_cause_name(one->cause), times,
                times == 1 ? "" : "s", one->client_id[0] ? " by " : "", one->client_id);
        first = false;
    }
    if (!first)
        fputc('\n', out);
}

static void print_group(const struct story *story, const struct story_group *group, FILE *out)
{
    fprintf(out, "\ngroup %s (%s)", group->id, group->is_consumer ? "consumer: KIP-848, its story is not told" :
                                                                    "classic");
    if (group->rebalance_count > 0)
        fprintf(out, ", %zu rebalance%s, generation %d to %d", group->rebalance_count,
                group->rebalance_count == 1 ? "" : "s", (int)group->rebalances[0].generation,
                (int)group->rebalances[group->rebalance_count - 1].generation);
    fputc('\n', out);
    print_summary(group, out);
    char name[256];
    size_t event = 0;
    for (size_t i = 0; i < group->rebalance_count; i++) {
        while (event < group->event_count && group->events[event].frame < group->rebalances[i].trigger.frame)
            print_event(group, &group->events[event++], out);
        print_rebalance(group, &group->rebalances[i], out);
    }
    while (event < group->event_count)
        print_event(group, &group->events[event++], out);
    size_t alive = 0;
    for (size_t i = 0; i < group->member_count; i++)
        if (story_is_alive(story, group->members[i]))
            fprintf(out, "%s%s", alive++ ? ", " : "  at the end: ",
                    name_of(group, group->members[i]->id, group->members[i]->client_id, name, sizeof(name)));
    fprintf(out, "%s\n", alive ? "" : "  at the end: no members");
}

void story_print(const struct story *story, const struct capture_counts *counts, const char *note, FILE *out)
{
    char from[32], to[32];
    text_time(counts->first_time_us, from, sizeof(from));
    text_time(counts->last_time_us, to, sizeof(to));
    fprintf(out, "%llu frames from %s to %s (UTC), %zu group%s\n", (unsigned long long)counts->frames, from, to,
            story->group_count, story->group_count == 1 ? "" : "s");
    if (counts->gaps > 0 || counts->mid_streams > 0)
        fprintf(out, "incomplete: %llu holes in connections, %llu connections met in the middle\n",
                (unsigned long long)counts->gaps, (unsigned long long)counts->mid_streams);
    if (note[0] != 0)
        fprintf(out, "note: %s\n", note);
    for (size_t i = 0; i < story->group_count; i++)
        print_group(story, story->groups[i], out);
}
