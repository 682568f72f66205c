/* What a request is to its group: {"trace":{"request":"join-follower","state":"Stable"}}, and in the knock-out build
 * which rules an operation met: {"trace":{"rules":["tmr-session"]}}. */
#include "core/core.h"

#include "rejoin/inspect.h"

#include <string.h>

struct trace {
    struct rj_string group_id, member_id;
    bool found, is_member, is_promised, leads;
    enum rj_group_state state;
};

static void see_group(void *context, const struct rj_group_view *group)
{
    struct trace *trace = context;
    if (!rj_string_equal(group->group_id, trace->group_id))
        return;
    trace->found = true;
    trace->state = group->state;
    trace->leads = rj_string_equal(group->leader, trace->member_id);
}

static void see_id(void *context, const struct rj_group_view *group, const struct rj_id_view *id)
{
    struct trace *trace = context;
    if (!rj_string_equal(group->group_id, trace->group_id) || !rj_string_equal(id->member_id, trace->member_id))
        return;
    trace->is_member = id->is_member;
    trace->is_promised = id->is_promised;
}

static const char *member_kind(const struct trace *trace, const char *leader, const char *follower, const char *other)
{
    return !trace->is_member ? other : trace->leads ? leader : follower;
}

static const char *kind_of(const struct trace *trace, int16_t api_key)
{
    switch (api_key) {
    case 8: return trace->is_member ? "commit" : trace->member_id.len > 0 ? "commit-other" : "commit-anonymous";
    case 9: return "fetch";
    case 11:
        if (trace->is_promised)
            return "join-promised";
        return trace->member_id.len == 0 ? "join-new"
                                         : member_kind(trace, "join-leader", "join-follower", "join-other");
    case 12: return trace->is_member ? "heartbeat" : "heartbeat-other";
    case 13: return trace->is_member ? "leave" : trace->is_promised ? "leave-promised" : "leave-other";
    case 14: return member_kind(trace, "sync-leader", "sync-follower", "sync-other");
    case 28: return trace->is_member ? "txn-commit" : "txn-commit-anonymous";
    case 42: return "delete-group";
    case 47: return "delete-offsets";
    default: return NULL;
    }
}

static void read_ids(struct trace *trace, int16_t api_key, const void *body)
{
    if (api_key == 8) {
        trace->group_id = ((const struct rj_offset_commit_request *)body)->group_id;
        trace->member_id = ((const struct rj_offset_commit_request *)body)->member_id;
    } else if (api_key == 9) {
        const struct rj_offset_fetch_request *fetch = body;
        trace->group_id = fetch->groups.count > 0 ? fetch->groups.items[0].group_id : fetch->group_id;
    } else if (api_key == 11) {
        trace->group_id = ((const struct rj_join_group_request *)body)->group_id;
        trace->member_id = ((const struct rj_join_group_request *)body)->member_id;
    } else if (api_key == 12) {
        trace->group_id = ((const struct rj_heartbeat_request *)body)->group_id;
        trace->member_id = ((const struct rj_heartbeat_request *)body)->member_id;
    } else if (api_key == 13) {
        const struct rj_leave_group_request *leave = body;
        trace->group_id = leave->group_id;
        trace->member_id = leave->members.count > 0 ? leave->members.items[0].member_id : leave->member_id;
    } else if (api_key == 14) {
        trace->group_id = ((const struct rj_sync_group_request *)body)->group_id;
        trace->member_id = ((const struct rj_sync_group_request *)body)->member_id;
    } else if (api_key == 28) {
        trace->group_id = ((const struct rj_txn_offset_commit_request *)body)->group_id;
        trace->member_id = ((const struct rj_txn_offset_commit_request *)body)->member_id;
    } else if (api_key == 42) {
        const struct rj_delete_groups_request *removal = body;
        trace->group_id = removal->groups_names.count > 0 ? removal->groups_names.items[0] : RJ_NULL_STRING;
    } else if (api_key == 47) {
        trace->group_id = ((const struct rj_offset_delete_request *)body)->group_id;
    }
}

void core_trace(struct core_session *session, int16_t api_key, const void *body)
{
    struct trace trace = {.group_id = RJ_NULL_STRING, .member_id = RJ_NULL_STRING};
    read_ids(&trace, api_key, body);
    rj_inspect(session->coord, &(struct rj_inspector){.context = &trace, .group = see_group, .id = see_id});
    const char *kind = kind_of(&trace, api_key);
    if (kind != NULL)
        fprintf(session->out, "{\"trace\":{\"request\":\"%s\",\"state\":\"%s\"}}\n", kind,
                trace.found ? rj_group_state_name(trace.state) : "none");
}

#ifdef REJOIN_KNOCKOUT
extern uint32_t rj_rule_hits[RJ_RULE_COUNT];

void core_trace_rules(struct core_session *session)
{
    const char *before = "{\"trace\":{\"rules\":[\"";
    for (int rule = RJ_RULE_NONE + 1; session->trace && rule < RJ_RULE_COUNT; rule++)
        if (rj_rule_hits[rule] > 0) {
            fprintf(session->out, "%s%s", before, rj_rule_row((enum rj_rule)rule)->id);
            before = "\",\"";
        }
    if (before[0] == '"')
        fputs("\"]}}\n", session->out);
    memset(rj_rule_hits, 0, sizeof(rj_rule_hits));
}
#else
void core_trace_rules(struct core_session *session) { (void)session; }
#endif

void core_print_change(struct core_session *session, const struct rj_state_change *change)
{
    json_t *line = json_pack("{s:{s:s%, s:s, s:s, s:i, s:s}}", "change", "group", change->group_id.data,
                             (size_t)change->group_id.len, "from", rj_group_state_name(change->from), "to",
                             rj_group_state_name(change->to), "generation", change->generation_id, "rule",
                             change->rule != RJ_RULE_NONE ? rj_rule_row(change->rule)->id : "");
    json_dumpf(line, session->out, JSON_COMPACT);
    fputc('\n', session->out);
    json_decref(line);
}
