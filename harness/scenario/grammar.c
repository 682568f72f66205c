/* The language of scenario files, in one place; `rejoin run --grammar` prints it. The tables below are what parser and
 * runner go by. */
#include "scenario/scenario.h"

const char scenario_grammar[] =
    "A scenario is a text of at most 40 lines that shows one rule at work, in the order of time. Words are separated by\n"
    "blanks; # and what follows is a comment; \"...\" is a word as it stands; {...} is JSON.\n"
    "\n"
    "# trips RULE: SENTENCE         first line: the rule is broken here, and refused (or takes effect)\n"
    "# keeps RULE: SENTENCE         first line: the rule is kept here, and all goes well\n"
    "\n"
    "Before the first step, in any order, each as often as needed:\n"
    "  config NAME=VALUE...         settings of the broker; otherwise initial-delay=300ms, min-session=1s and\n"
    "                               Kafka's defaults. Also max-session max-size retention retention-check\n"
    "                               metadata-max commit-timeout (Kafka's), new-member-timeout limit-groups (ours)\n"
    "  topic NAME COUNT             a topic with that many partitions\n"
    "  member NAME FIELD=VALUE...   what NAME sends unless a line says otherwise; also client=NAME\n"
    "  use API vN...                the version of every request of that API; otherwise the highest that Kafka 3.9\n"
    "                               to 4.2 all have\n"
    "  needs kafka>=4.0 # WHY       not run on others; also kafka<4.0, core\n"
    "\n"
    "A step begins with a time or with none:\n"
    "  +10s                         that long after the step before (ms, s, min, h)\n"
    "                               +9999ms and then +1ms: before and behind the end of a timer; on a wire the one comes\n"
    "                               up to 600 ms earlier and the other 400 ms later\n"
    "  ...                          before ACTOR < : however long it takes (at most 10 minutes, on a wire one)\n"
    "and goes on with nothing or with one of\n"
    "  ACTOR > API [vN] FIELD...    a request. A request that is answered at once has the answer in the same line,\n"
    "  ACTOR > API [vN] FIELD... < EXPECTED\n"
    "  ACTOR < [API] EXPECTED       the answer to the oldest request (of that API) that has none yet. It comes now:\n"
    "                               on the core to the millisecond, on a wire not much earlier or later\n"
    "  ACTOR waits                  a request of it is still unanswered\n"
    "  ACTOR disconnects            its connection is closed\n"
    "  ACTOR begins-txn             it gets a producer id and adds the group to its transaction (id: the actor's name);\n"
    "                               its TxnOffsetCommits belong to that from now on\n"
    "  ACTOR commits-txn, ACTOR aborts-txn\n"
    "  stable ACTOR...              they join the group and sync: all of it Stable in one generation, the first the\n"
    "                               leader, each assigned its own name\n"
    "  topic NAME COUNT | gone      it is created, grows to COUNT partitions, or is deleted\n"
    "  reload                       the coordinator is lost and loaded again from its records\n"
    "  unload, loading, loaded      the halves of it: gone; back, but still loading; done\n"
    "  leaderless                   its partition of __consumer_offsets has no leader, until `reload`\n"
    "  fail-append ERROR [COUNT]    the next writes of the coordinator fail\n"
    "  hold-appends, release-appends  writes get no result until released\n"
    "  deny OPERATION TYPE [NAME]   from now on the principal may do all but this (READ GROUP g); also\n"
    "  deny everything | nothing\n"
    "  force GROUP Dead | Empty     a state that no request leads to\n"
    "  inactive                     the coordinator has not started\n"
    "  set NAME=VALUE               a setting of `config` changes\n"
    "  end-txn PRODUCER EPOCH commit | abort   the marker of a transaction that nobody began\n"
    "ACTOR is a client with a connection of its own; ACTOR@NAME is the same client on the connection NAME, which may be\n"
    "that of another actor. Requests on one connection are answered in order.\n"
    "\n"
    "FIELD is NAME=VALUE with Kafka's name in JSON (sessionTimeoutMs=10000) or a short one:\n"
    "  group generation member instance type protocol session=10s rebalance=60s reason\n"
    "  protocols=range,other:\"bytes\"  of JoinGroup; without bytes the subscription to topics=t,u\n"
    "  assignments=$m1:A,$m2:B      of SyncGroup\n"
    "  members=$m1,nobody,$m2/x,/y  of LeaveGroup: member id, instance id, or both\n"
    "  groups=g,h                   of DescribeGroups, DeleteGroups, OffsetFetch\n"
    "  t-0=5  t-0=5:text            offset (and metadata) of a partition: OffsetCommit, TxnOffsetCommit\n"
    "  t-0  all                     a partition, or all: OffsetFetch, OffsetDelete\n"
    "or {JSON}, which is laid over the request. What is left out is what the actor would send: the group \"g\", its\n"
    "member id, generation, instance id and protocols, as it last learned them.\n"
    "VALUE is a word, \"words\", null, or $NAME: the member id of that actor, the id of that topic, or what ?NAME took.\n"
    "\n"
    "EXPECTED is any of these, all of which must hold:\n"
    "  NONE  ILLEGAL_GENERATION     the error: that of the answer, else those of all its parts; NONE: no error anywhere\n"
    "  NAME=VALUE                   a field, by Kafka's JSON name or a short one; inner ones as members.0.memberId\n"
    "  members=$m1,$m2  groups=g    these and no others, in any order, * for any; LeaveGroup:\n"
    "                               members=$m1:NONE,/y:UNKNOWN_MEMBER_ID\n"
    "  t-0=5  t-0=5:text  t-0=none  t-0=ERROR   the committed offset, or the error, of a partition\n"
    "  g=ERROR                      DeleteGroups, DescribeGroups: the error of that group\n"
    "  {JSON}                       the answer has all of this\n"
    "  !RULE                        the rule that refused it, on targets that tell (core, mock)\n"
    "  waits                        no answer comes now\n"
    "  closed                       the connection is closed instead\n"
    "VALUE may be A|B, * (not empty), ?NAME (anything; $NAME is it from then on).\n"
    "Where versions of Kafka differ, lines behind that step say so, with the reason:\n"
    "  kafka<4.0: EXPECTED # WHY    also kafka>=4.0: and kafka=3.9:\n";

#define EVERYWHERE (SCN_CORE | SCN_MOCK | SCN_BROKER)

const struct scn_verb_row scn_verbs[SCN_VERB_COUNT] = {
    [SCN_WAITS] = {"waits", EVERYWHERE, 0, 0, true, "nothing"},
    [SCN_DISCONNECTS] = {"disconnects", EVERYWHERE, 0, 0, true, "nothing"},
    [SCN_BEGINS_TXN] = {"begins-txn", EVERYWHERE, 0, 0, true, "nothing"},
    [SCN_COMMITS_TXN] = {"commits-txn", EVERYWHERE, 0, 0, true, "nothing"},
    [SCN_ABORTS_TXN] = {"aborts-txn", EVERYWHERE, 0, 0, true, "nothing"},
    [SCN_STABLE] = {"stable", EVERYWHERE, 1, 16, false, "ACTOR..."},
    [SCN_TOPIC] = {"topic", EVERYWHERE, 2, 2, false, "NAME COUNT or NAME gone"},
    [SCN_RELOAD] = {"reload", SCN_CORE | SCN_MOCK, 0, 0, false, "nothing"},
    [SCN_UNLOAD] = {"unload", SCN_CORE | SCN_MOCK, 0, 0, false, "nothing"},
    [SCN_LOADING] = {"loading", SCN_CORE | SCN_MOCK, 0, 0, false, "nothing"},
    [SCN_LOADED] = {"loaded", SCN_CORE | SCN_MOCK, 0, 0, false, "nothing"},
    [SCN_LEADERLESS] = {"leaderless", SCN_CORE | SCN_MOCK, 0, 0, false, "nothing"},
    [SCN_FAIL_APPEND] = {"fail-append", SCN_CORE | SCN_MOCK, 1, 2, false, "ERROR [COUNT]"},
    [SCN_HOLD_APPENDS] = {"hold-appends", SCN_CORE, 0, 0, false, "nothing"},
    [SCN_RELEASE_APPENDS] = {"release-appends", SCN_CORE, 0, 0, false, "nothing"},
    [SCN_DENY] = {"deny", EVERYWHERE, 1, 3, false, "OPERATION TYPE [NAME], everything or nothing"},
    [SCN_FORCE] = {"force", SCN_CORE, 2, 2, false, "GROUP Dead or GROUP Empty"},
    [SCN_INACTIVE] = {"inactive", SCN_CORE, 0, 0, false, "nothing"},
    [SCN_SET] = {"set", SCN_CORE, 1, 1, false, "NAME=VALUE"},
    [SCN_END_TXN] = {"end-txn", SCN_CORE, 3, 3, false, "PRODUCER EPOCH commit or abort"},
};

const struct scn_setting_row scn_settings[SCN_SETTING_COUNT] = {
    [SCN_INITIAL_DELAY] = {"initial-delay", "group.initial.rebalance.delay.ms", true, 300, EVERYWHERE, "a time"},
    [SCN_MIN_SESSION] = {"min-session", "group.min.session.timeout.ms", true, 1000, EVERYWHERE, "a time"},
    [SCN_MAX_SESSION] = {"max-session", "group.max.session.timeout.ms", true, 1800000, EVERYWHERE, "a time"},
    [SCN_MAX_SIZE] = {"max-size", "group.max.size", false, INT32_MAX, EVERYWHERE, "a number"},
    [SCN_RETENTION] = {"retention", "offsets.retention.minutes", true, 604800000, EVERYWHERE, "a time in whole minutes"},
    [SCN_RETENTION_CHECK] = {"retention-check", "offsets.retention.check.interval.ms", true, 600000, EVERYWHERE,
                             "a time"},
    [SCN_METADATA_MAX] = {"metadata-max", "offset.metadata.max.bytes", false, 4096, EVERYWHERE, "a number"},
    [SCN_COMMIT_TIMEOUT] = {"commit-timeout", "offsets.commit.timeout.ms", true, 5000, EVERYWHERE, "a time"},
    [SCN_NEW_MEMBER_TIMEOUT] = {"new-member-timeout", NULL, true, 300000, SCN_CORE | SCN_MOCK, "a time"},
    [SCN_LIMIT_GROUPS] = {"limit-groups", NULL, false, 0, SCN_CORE | SCN_MOCK, "a number"},
};
