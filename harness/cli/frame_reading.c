#include "cli/frame_reading.h"

#include "rejoin/conn.h"

static void read_request(struct frame_reading *reading, struct rj_arena *arena)
{
    struct rj_request_frame request;
    reading->what = "request";
    reading->err = rj_decode_request_header(reading->frame, &request, arena, &reading->fault);
    reading->opens = reading->err == RJ_OK;
    if (request.schema != NULL)
        reading->what = request.schema->name;
    if (reading->opens)
        reading->err = rj_decode_request_body(reading->frame, &request, arena, &reading->fault);
}

static void read_response(struct frame_reading *reading, const struct codec_options *options, struct rj_arena *arena)
{
    struct rj_response_frame response;
    reading->err = rj_decode_response(reading->frame, (int16_t)options->api_key, (int16_t)options->version, &response,
                                      arena, &reading->fault);
    reading->is_response = true;
    reading->opens = response.body != NULL;
    reading->what = response.schema->name;
}

static void read_frame(struct frame_reading *reading, const struct codec_options *options, struct rj_arena *arena)
{
    if (options->response)
        read_response(reading, options, arena);
    else
        read_request(reading, arena);
    rj_arena_release(arena);
}

void frame_readings(const struct codec_options *options, struct rj_bytes input, struct rj_arena *arena,
                    struct frame_reading *with_length, struct frame_reading *without)
{
    uint32_t len = 0;
    *without = (struct frame_reading){.said_len = -1, .found_len = input.len, .frame = input};
    *with_length = (struct frame_reading){.is_sized = true, .said_len = -1, .frame = {input.data, 0}};
    if (input.len >= 4) {
        with_length->found_len = input.len - 4;
        with_length->frame = (struct rj_bytes){input.data + 4, input.len - 4};
        if (rj_frame_next(input, INT32_MAX, &len) >= 0)
            with_length->said_len = len;
        if (with_length->said_len >= 0 && with_length->said_len < with_length->found_len)
            with_length->frame.len = (int32_t)len;
    }
    read_frame(without, options, arena);
    read_frame(with_length, options, arena);
}

/* Bytes behind the last field are odd but accepted in a frame that says its length; without one they tell that it is
 * something else. */
static bool fits(const struct frame_reading *reading)
{
    if (!reading->is_sized)
        return reading->err == RJ_OK;
    return reading->said_len == reading->found_len && (reading->err == RJ_OK || reading->err == RJ_ERR_TRAILING);
}

const struct frame_reading *frame_reading_choose(const struct codec_options *options,
                                                 const struct frame_reading *with_length,
                                                 const struct frame_reading *without)
{
    if (options->length != CODEC_LENGTH_GUESSED)
        return options->length == CODEC_WITH_LENGTH ? with_length : without;
    if (fits(with_length) && fits(without))
        return NULL;
    if (fits(with_length) || fits(without))
        return fits(with_length) ? with_length : without;
    /* A right length is hardly one by chance; else a header tells more than a number that may be anything. */
    if (with_length->said_len == with_length->found_len)
        return with_length;
    return with_length->said_len >= 0 && with_length->opens && !without->opens ? with_length : without;
}

bool frame_reading_check_length(const struct frame_reading *reading, struct rj_fault *fault)
{
    if (!reading->is_sized || reading->said_len == reading->found_len)
        return true;
    *fault = (struct rj_fault){.err = RJ_ERR_LENGTH, .api_key = -1, .version = -1};
    if (reading->said_len < 0) {
        snprintf(fault->field, sizeof(fault->field), "length");
        snprintf(fault->found, sizeof(fault->found), "no length");
        snprintf(fault->expected, sizeof(fault->expected), "the frame's length in 4 bytes");
        return false;
    }
    fault->err = reading->said_len > reading->found_len ? RJ_ERR_SHORT : RJ_ERR_TRAILING;
    fault->offset = (size_t)reading->frame.len;
    snprintf(fault->found, sizeof(fault->found), "%d bytes", (int)reading->found_len);
    snprintf(fault->expected, sizeof(fault->expected), "the %lld bytes that the length says",
             (long long)reading->said_len);
    return false;
}

void frame_reading_tell_both(const struct frame_reading *with_length)
{
    fprintf(stderr, "rejoin decode: the frame decodes both ways: the 4 bytes at byte 0 may be its length (%lld, and as "
                    "many follow) or already its header; give --length with or --length without\n",
            (long long)with_length->said_len);
}

void frame_reading_tell_length(const struct frame_reading *reading)
{
    if (reading->is_sized && reading->said_len >= 0 && reading->said_len != reading->found_len)
        fprintf(stderr, "rejoin decode: the length at the frame's start says %lld bytes, and %d follow\n",
                (long long)reading->said_len, (int)reading->found_len);
}

void frame_reading_tell_other(const struct frame_reading *chosen, const struct frame_reading *other)
{
    /* A number that is not the right length, before what is no better a header, is no other way to read it. */
    bool is_likely = other->is_sized ? other->said_len == other->found_len || !chosen->opens || chosen->is_response
                                     : other->opens;
    if (!is_likely)
        return;
    struct rj_fault fault = other->fault;
    if (other->err == RJ_OK || (other->is_sized && other->said_len < 0))
        frame_reading_check_length(other, &fault);
    fprintf(stderr, "rejoin decode: the frame was read %s its length; with --length %s:\n",
            chosen->is_sized ? "with" : "without", other->is_sized ? "with" : "without");
    codec_print_fault("decode", other->what, &fault);
    frame_reading_tell_length(other);
}
