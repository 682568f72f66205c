#include "suite/evidence.h"

#include "suite/faults.h"
#include "suite/ladder.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void evidence_folder(const char *case_id, char *out, size_t out_len)
{
    size_t used = 0;
    for (const char *c = case_id; *c != '\0' && used + 3 < out_len; c++) {
        if (*c == '/')
            out[used++] = '_';
        out[used++] = *c == '/' ? '_' : *c;
    }
    out[used] = '\0';
}

bool evidence_make(const char *directory, char *error, size_t error_len)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s", directory);
    for (char *slash = path + 1; *slash != '\0'; slash++) {
        if (*slash != '/')
            continue;
        *slash = '\0';
        mkdir(path, 0777); /* one that fails shows in the last */
        *slash = '/';
    }
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return true;
    snprintf(error, error_len, "cannot make %s: %s", directory, strerror(errno));
    return false;
}

void evidence_clear(const char *out, const char *case_id)
{
    static const char *const names[] = {"verdict.txt", "timeline.txt", "faults.json", "repro.sh", "case.pcapng"};
    static const char *const outputs[] = {"stdout", "stderr"};
    char name[128], folder[PATH_MAX], path[PATH_MAX + 64];
    evidence_folder(case_id, name, sizeof(name));
    snprintf(folder, sizeof(folder), "%s/%s", out, name);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    for (int process = 1; process <= SUITE_MAX_PROCESSES; process++)
        for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
            snprintf(path, sizeof(path), "%s/client-%d.%s", folder, process, outputs[i]);
            unlink(path);
        }
    rmdir(folder); /* stays when somebody put something else into it */
}

static FILE *create(const char *folder, const char *name, char *error, size_t error_len)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        snprintf(error, error_len, "cannot write %s: %s", path, strerror(errno));
    return file;
}

static void write_verdict(FILE *file, const struct suite_run *run)
{
    const struct suite_case *test = suite_case_of(run);
    const struct suite_verdict *verdict = suite_run_verdict(run);
    const struct rj_rule_row *rule =
        rj_rule_row(rj_rule_by_id((struct rj_string){test->rule, (int32_t)strlen(test->rule)}));
    fprintf(file, "%s  %s\n\nrequirement  %s\nsource       %s\nrule         %s: %s\nexpected     %s\nseen         %s\n",
            suite_result_name(verdict->result), test->id, test->requirement, test->source, rule->id, rule->sentence,
            verdict->expected, verdict->seen);
    char line[1024];
    for (size_t i = 0; i < sizeof(verdict->frames) / sizeof(verdict->frames[0]); i++) {
        const struct trace_event *event = trace_at(suite_trace(run), verdict->frames[i]);
        if (event == NULL)
            continue;
        trace_format(suite_trace(run), event, line, sizeof(line));
        fprintf(file, "             %s\n", line);
    }
}

static void write_faults(FILE *file, const struct suite_run *run)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < SUITE_MAX_FAULTS; i++)
        if (suite_case_of(run)->faults[i].count > 0)
            json_array_append_new(list, fault_to_json(&suite_case_of(run)->faults[i]));
    json_dumpf(list, file, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    fputc('\n', file);
    json_decref(list);
}

/* Within single quotes for the shell. */
static void write_quoted(FILE *file, const char *text)
{
    fputc('\'', file);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", file);
        else
            fputc(*text, file);
    }
    fputc('\'', file);
}

static void write_repro(FILE *file, const struct suite_run *run, const struct evidence_options *options)
{
    fputs("#!/bin/sh\nexec ", file);
    write_quoted(file, options->program);
    fputs(" test-client --driver ", file);
    write_quoted(file, options->driver);
    fprintf(file, " --seed %" PRIu64 " --out \"${1:-repro}\" '%s'\n", options->seed, suite_case_of(run)->id);
}

static bool write_outputs(const struct suite_run *run, const char *folder, char *error, size_t error_len)
{
    for (int32_t i = 0; i < SUITE_MAX_PROCESSES; i++) {
        const struct driver_process *process = suite_run_process(run, i);
        for (int which = 0; process != NULL && which < 2; which++) {
            char name[32];
            size_t len;
            const char *text = driver_output(process, which == 1, &len);
            snprintf(name, sizeof(name), "client-%d.%s", i + 1, which == 1 ? "stderr" : "stdout");
            FILE *file = create(folder, name, error, error_len);
            if (file == NULL)
                return false;
            fwrite(text, 1, len, file);
            fclose(file);
        }
    }
    return true;
}

bool evidence_write(const struct suite_run *run, const struct evidence_options *options, char *error,
                    size_t error_len)
{
    static const char *const names[] = {"verdict.txt", "timeline.txt", "faults.json", "repro.sh"};
    char folder[PATH_MAX], name[128], path[PATH_MAX + 16];
    evidence_folder(suite_case_of(run)->id, name, sizeof(name));
    snprintf(folder, sizeof(folder), "%s/%s", options->out, name);
    if (!evidence_make(folder, error, error_len))
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        FILE *file = create(folder, names[i], error, error_len);
        if (file == NULL)
            return false;
        if (i == 0)
            write_verdict(file, run);
        else if (i == 1)
            ladder_write(file, suite_trace(run));
        else if (i == 2)
            write_faults(file, run);
        else
            write_repro(file, run, options);
        fclose(file);
    }
    snprintf(path, sizeof(path), "%s/repro.sh", folder);
    chmod(path, 0755);
    snprintf(path, sizeof(path), "%s/case.pcapng", folder);
    if (suite_run_capture(run) != NULL && rename(suite_run_capture(run), path) != 0) {
        snprintf(error, error_len, "cannot write %s: %s", path, strerror(errno));
        return false;
    }
    return write_outputs(run, folder, error, error_len);
}
