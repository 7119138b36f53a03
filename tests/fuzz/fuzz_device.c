/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests through device.c: any bytes, any sizes of the two parts of the buffer, any offer, some
 * devices and some times. The judgement of a request is written here a second time, from the text
 * (virtio-v1.4 RTC Device / Device Operation), as the set of statuses that it allows.
 *
 * Input: a configuration (12 bytes), then requests: sizes, and the request's bytes.
 */
#include <errno.h>

#include "clock.h"
#include "device.h"
#include "fuzz.h"
#include "wire.h"

#define REQUESTS_MAX 16
#define CLOCKS_MAX   70

#define ALLOW(status)   (1u << (status))
#define ALLOW_OK        ALLOW(VIRTIO_RTC_S_OK)
#define ALLOW_NOTSUPP   ALLOW(VIRTIO_RTC_S_EOPNOTSUPP)
#define ALLOW_NODEV     ALLOW(VIRTIO_RTC_S_ENODEV)
#define ALLOW_INVAL     ALLOW(VIRTIO_RTC_S_EINVAL)
#define ALLOW_IO        ALLOW(VIRTIO_RTC_S_EIO)
#define POISON          0xa5
#define FIRST_UTC_NS    INT64_C(63072000000000000)
#define FIRST_OFFSET_NS INT64_C(10000000000)
/* Half a year behind it comes the first leap second. */
#define SECOND_UTC_NS   INT64_C(78796800000000000)

static const char *const clock_names[] = {"utc", "tai", "monotonic", "utc-smeared:noon-linear",
	"utc-smeared:utc-sls", "utc-maybe-smeared", "utc+alarm", "tai+alarm", "monotonic+alarm",
	"utc-smeared:noon-linear+alarm", "utc-smeared:utc-sls+alarm", "utc-maybe-smeared+alarm"};
#define N_NAMES (sizeof(clock_names) / sizeof(clock_names[0]))

static const char table_text[] = "#@\t2366755200\n2272060800\t10\n2287785600\t11\n";

struct setting {
	struct vrtc_device device;
	struct vrtc_offer offer;
	struct vrtc_instant now;
	struct vrtc_clock clock[CLOCKS_MAX];
};

struct request {
	uint8_t *bytes; /* readable_bytes of them, of a size of their own */
	uint32_t readable_bytes;
	uint32_t writable_bytes;
};

/* The sizes of the text's structures, written down again. */
static const struct shape {
	uint16_t msg_type;
	uint8_t req_bytes;
	uint8_t resp_bytes;
	uint8_t clock_id_at; /* 0: there is none */
	uint8_t counter_at;
	uint8_t flags_at;
	bool alarm;
} shapes[] = {
	{0x0001, 16, 16, 8, 0, 0, false},
	{0x0002, 16, 24, 8, 10, 0, false},
	{0x1000, 8, 16, 0, 0, 0, false},
	{0x1001, 16, 16, 8, 0, 0, false},
	{0x1002, 16, 16, 8, 10, 0, false},
	{0x1003, 16, 24, 8, 0, 0, true},
	{0x1004, 24, 8, 16, 0, 18, true},
	{0x1005, 16, 8, 8, 0, 10, true},
};

static const struct shape *find_shape(const struct request *req)
{
	uint16_t msg_type = (uint16_t)(req->bytes[0] | req->bytes[1] << 8);

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].msg_type == msg_type)
			return &shapes[i];
	return NULL;
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

/* A byte that carries no field, and a bit of flags that has no name. */
static bool has_reserved_bits(const struct shape *shape, const struct request *req)
{
	for (unsigned i = 2; i < shape->req_bytes; i++) {
		bool clock_id = shape->clock_id_at &&
				(i == shape->clock_id_at || i == shape->clock_id_at + 1u);
		bool alarm_time = shape->msg_type == 0x1004 && i >= 8 && i < 16;

		if (clock_id || alarm_time || (shape->counter_at && i == shape->counter_at))
			continue;
		if (shape->flags_at && i == shape->flags_at) {
			if (req->bytes[i] > 1)
				return true;
			continue;
		}
		if (req->bytes[i])
			return true;
	}
	return false;
}

/* What the clock shows at the instant, for the clocks whose reading is easy to tell. */
static bool easy_reading(
	const struct vrtc_clock *clock, const struct vrtc_instant *now, uint64_t *ns)
{
	int64_t t = now->timebase_ns;

	if (clock->type == VIRTIO_RTC_CLOCK_UTC) {
		if (t >= SECOND_UTC_NS + FIRST_OFFSET_NS)
			t -= FIRST_OFFSET_NS + 1000000000;
		else
			t -= FIRST_OFFSET_NS;
	} else if (clock->type == VIRTIO_RTC_CLOCK_UTC_SMEARED) {
		return false;
	}
	*ns = (uint64_t)t;
	return true;
}

static bool can_be_read(const struct vrtc_clock *clock, const struct vrtc_instant *now)
{
	bool needs_table =
		clock->type == VIRTIO_RTC_CLOCK_UTC || clock->type == VIRTIO_RTC_CLOCK_UTC_SMEARED;

	return now->known && now->timebase_ns >= 0 &&
	       (!needs_table || now->timebase_ns >= FIRST_UTC_NS + FIRST_OFFSET_NS);
}

/* The statuses that the text allows, of a request whose sizes fit its message. */
static unsigned judge_fields(
	const struct setting *set, const struct shape *shape, const struct request *req)
{
	const struct vrtc_clock *clock = NULL;
	bool known_counter = false;
	bool no_counter = false;
	unsigned allowed = 0;
	uint16_t clock_id = 0;

	if (shape->alarm && !set->offer.alarm)
		return ALLOW_NODEV;
	if (shape->clock_id_at) {
		clock_id = (uint16_t)(req->bytes[shape->clock_id_at] |
				      req->bytes[shape->clock_id_at + 1] << 8);
		if (clock_id < set->device.n_clocks)
			clock = &set->device.clock[clock_id];
	}
	if (shape->counter_at) {
		known_counter = req->bytes[shape->counter_at] <= 1;
		no_counter = req->bytes[shape->counter_at] == 0xff;
		if (!known_counter && !no_counter)
			allowed |= ALLOW_NOTSUPP;
	}
	if (shape->clock_id_at && (!clock || (shape->alarm && !clock->alarm)))
		allowed |= ALLOW_NODEV;
	if (allowed)
		return allowed; /* these come before EINVAL */
	if (has_reserved_bits(shape, req) || no_counter)
		return ALLOW_INVAL;
	if (shape->msg_type == VIRTIO_RTC_REQ_READ_CROSS) {
		if (req->bytes[shape->counter_at] != set->offer.hw_counter)
			return ALLOW_NOTSUPP;
		return set->now.counted && can_be_read(clock, &set->now) ? ALLOW_OK : ALLOW_IO;
	}
	if (shape->msg_type == VIRTIO_RTC_REQ_READ)
		return can_be_read(clock, &set->now) ? ALLOW_OK : ALLOW_IO;
	return ALLOW_OK;
}

static void check_contents(const struct setting *set, const struct shape *shape,
	const struct request *req, const struct vrtc_command *cmd, const uint8_t *resp)
{
	const struct vrtc_clock *clock = NULL;
	uint8_t want[VRTC_RESP_BYTES_MAX] = {0};
	uint64_t ns = 0;

	if (shape->clock_id_at)
		clock = &set->device.clock[req->bytes[shape->clock_id_at] |
					   req->bytes[shape->clock_id_at + 1] << 8];
	switch (shape->msg_type) {
	case VIRTIO_RTC_REQ_READ:
	case VIRTIO_RTC_REQ_READ_CROSS:
		ns = get64(resp + 8);
		FUZZ_CHECK(ns <= INT64_MAX);
		(void)easy_reading(clock, &set->now, &ns);
		memcpy(want + 8, &ns, sizeof(ns));
		if (shape->msg_type == VIRTIO_RTC_REQ_READ_CROSS)
			memcpy(want + 16, &set->now.guest_cycles, sizeof(uint64_t));
		break;
	case VIRTIO_RTC_REQ_CFG:
		want[8] = (uint8_t)set->device.n_clocks;
		want[9] = (uint8_t)(set->device.n_clocks >> 8);
		break;
	case VIRTIO_RTC_REQ_CLOCK_CAP:
		want[8] = clock->type;
		want[9] = clock->smear;
		want[10] = set->offer.alarm && clock->alarm;
		break;
	case VIRTIO_RTC_REQ_CROSS_CAP:
		want[8] = req->bytes[10] == set->offer.hw_counter;
		break;
	case VIRTIO_RTC_REQ_READ_ALARM:
		memcpy(want + 8, &cmd->alarm.alarm_ns, sizeof(uint64_t));
		want[16] = cmd->alarm.enabled;
		break;
	default:
		break;
	}
	FUZZ_CHECK(memcmp(resp, want, sizeof(want)) == 0);
}

static void serve(struct setting *set, const struct request *req, uint8_t poison, uint8_t *resp,
	uint32_t *resp_bytes, struct vrtc_command *cmd)
{
	struct setting before;

	memset(cmd, poison, sizeof(*cmd));
	memset(resp, poison, VRTC_RESP_BYTES_MAX);
	memcpy(&before, set, sizeof(before));
	vrtc_device_decode(&set->device, &set->offer, req->bytes, req->readable_bytes,
		req->writable_bytes, cmd);
	if (cmd->about_alarm && cmd->msg_type == VIRTIO_RTC_REQ_READ_ALARM) {
		/* Whom the alarms belong to fills this in. */
		cmd->alarm.alarm_ns = (uint64_t)set->now.timebase_ns;
		cmd->alarm.enabled = set->now.counted;
	}
	*resp_bytes = vrtc_device_respond(&set->device, cmd, &set->now, resp);
	FUZZ_CHECK(fuzz_is_same(&before, set, sizeof(before)));
}

static void check_request(struct setting *set, const struct request *req)
{
	static const uint8_t zeroes[VRTC_RESP_BYTES_MAX];
	const struct shape *shape = NULL;
	uint8_t resp[VRTC_RESP_BYTES_MAX];
	uint8_t again[VRTC_RESP_BYTES_MAX];
	uint32_t resp_bytes;
	uint32_t again_bytes;
	struct vrtc_command cmd;
	bool fits = false;
	unsigned allowed;

	serve(set, req, 0, again, &again_bytes, &cmd);
	serve(set, req, POISON, resp, &resp_bytes, &cmd);
	/* All of the command and of the response is written, and nothing else decides. */
	FUZZ_CHECK(resp_bytes == again_bytes && memcmp(resp, again, sizeof(resp)) == 0);

	if (req->readable_bytes >= 8)
		shape = find_shape(req);
	if (req->readable_bytes < 8) {
		allowed = ALLOW_INVAL;
	} else if (!shape) {
		allowed = ALLOW_NOTSUPP;
	} else {
		fits = req->readable_bytes >= shape->req_bytes &&
		       req->writable_bytes >= shape->resp_bytes;
		allowed = fits ? judge_fields(set, shape, req) : ALLOW_INVAL;
	}

	FUZZ_CHECK(resp[0] < 8 && allowed & ALLOW(resp[0]));
	FUZZ_CHECK(resp_bytes <= req->writable_bytes);
	if (fits)
		FUZZ_CHECK(resp_bytes == shape->resp_bytes);
	else
		FUZZ_CHECK(resp_bytes == (req->writable_bytes < 8 ? req->writable_bytes : 8));
	/* What is behind the response is not to be copied, but is nobody's secret either. */
	for (size_t i = resp_bytes ? resp_bytes : 1; i < sizeof(resp); i++)
		FUZZ_CHECK(resp[i] == 0);
	if (resp[0] != VIRTIO_RTC_S_OK)
		FUZZ_CHECK(memcmp(resp + 1, zeroes, sizeof(resp) - 1) == 0);
	else
		check_contents(set, shape, req, &cmd, resp);
	/* What changes an alarm is a good request, and knows which. */
	FUZZ_CHECK(cmd.about_alarm == (fits && shape->alarm && resp[0] == VIRTIO_RTC_S_OK));
	if (cmd.about_alarm && shape->msg_type == VIRTIO_RTC_REQ_SET_ALARM)
		FUZZ_CHECK(cmd.alarm.alarm_ns == get64(req->bytes + 8) &&
			   cmd.alarm.enabled == (req->bytes[18] & 1) &&
			   cmd.alarm.clock_id == (req->bytes[16] | req->bytes[17] << 8));
	/* A cross-timestamp costs one, and only who needs a time asks for it. */
	FUZZ_CHECK(cmd.timebase == VRTC_TIMEBASE_NONE || cmd.msg_type == VIRTIO_RTC_REQ_READ ||
		   cmd.msg_type == VIRTIO_RTC_REQ_READ_CROSS);
}

/* The clocks of the configuration and, for the rest of an odd one, whatever clock comes. */
static void take_setting(
	struct fuzz_input *in, struct setting *set, const struct vrtc_leap_table *table)
{
	static const uint8_t counters[] = {
		VIRTIO_RTC_COUNTER_ARM_VCT, VIRTIO_RTC_COUNTER_X86_TSC, VIRTIO_RTC_COUNTER_INVALID};
	uint8_t kind = fuzz_take8(in);
	uint8_t flags = fuzz_take8(in);

	memset(set, 0, sizeof(*set));
	set->device.clock = set->clock;
	set->device.n_clocks = kind % (CLOCKS_MAX + 1);
	for (unsigned i = 0; i < set->device.n_clocks; i++)
		FUZZ_CHECK(vrtc_clock_parse(
				   clock_names[(i + (flags >> 4)) % N_NAMES], &set->clock[i]) == 0);
	set->offer.alarm = flags & 1;
	set->offer.hw_counter = counters[(flags >> 1 & 3) % 3];
	set->now.known = flags & 8;
	set->now.leap = table;
	set->now.counted = fuzz_take8(in) & 1;
	set->now.timebase_ns = (int64_t)fuzz_take64(in);
	set->now.guest_cycles = (uint64_t)set->now.timebase_ns * 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct vrtc_leap_table table;
	static struct setting set; /* padding and all: it is compared */
	struct fuzz_input in = {data, bytes};

	if (table.n == 0)
		FUZZ_CHECK(vrtc_leap_parse(&table, table_text, sizeof(table_text) - 1, NULL) ==
			   VRTC_LEAP_OK);
	take_setting(&in, &set, &table);
	for (unsigned i = 0; i < REQUESTS_MAX && in.left > 0; i++) {
		/* Of the sizes, mostly small ones; the upper bits for the large ones. */
		uint8_t readable = fuzz_take8(&in);
		uint8_t writable = fuzz_take8(&in);
		struct request req = {
			.readable_bytes = readable & 31,
			.writable_bytes = writable < 0x80 ? writable : (uint32_t)writable << 25,
		};
		uint8_t content[VRTC_REQ_BYTES_MAX];
		uint32_t have;

		/* A chain of 24 bytes and more is handed over as its first 24. */
		have = req.readable_bytes < sizeof(content) ? req.readable_bytes : sizeof(content);
		if (readable & 0x80)
			req.readable_bytes = (uint32_t)readable << 24 | 24;
		if (readable & 0x80)
			have = sizeof(content);
		fuzz_take(&in, content, have);
		req.bytes = fuzz_copy(content, have);
		check_request(&set, &req);
		free(req.bytes);
	}
	return 0;
}
